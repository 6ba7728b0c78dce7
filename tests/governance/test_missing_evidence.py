"""Evidence that is missing, null, mistyped, NaN or empty never passes: 22 mutations, 22 denials."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from governance.controls.judging import judge
from governance.controls.results import Status, blocking
from tests.governance.facts import NOW, good, shipped

Facts = dict[str, Any]
NAN = float("nan")


def accuracy(facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = facts["runs"][0]["measurements"][0]
    return found


def difference(facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = facts["runs"][1]["measurements"][0]
    return found


def put(find: Callable[[Facts], Any], key: Any, value: Any) -> Callable[[Facts], None]:
    def mutate(facts: Facts) -> None:
        find(facts)[key] = value

    return mutate


def drop(find: Callable[[Facts], Any], key: Any) -> Callable[[Facts], None]:
    def mutate(facts: Facts) -> None:
        del find(facts)[key]

    return mutate


def counts(facts: Facts) -> Any:
    return facts["live"]["findings"]["counts"]


MUTATIONS: dict[str, tuple[str, Callable[[Facts], None]]] = {
    "metric missing": ("accuracy", drop(accuracy, "value")),
    "metric null": ("accuracy", put(accuracy, "value", None)),
    "metric a text": ("accuracy", put(accuracy, "value", "0.99")),
    "metric NaN": ("accuracy", put(accuracy, "value", NAN)),
    "metric true": ("accuracy", put(accuracy, "value", True)),
    "bound missing": ("accuracy", drop(accuracy, "lower")),
    "bound NaN": ("equal-opportunity-by-sex", put(difference, "upper", NAN)),
    "level null": ("equal-opportunity-by-sex", put(difference, "level", None)),
    "slice empty for a group": ("equal-opportunity-by-sex", put(difference, "slice", {})),
    "measurements empty": (
        "equal-opportunity-by-sex",
        put(lambda facts: facts["runs"][1], "measurements", []),
    ),
    "measurements missing": (
        "equal-opportunity-by-sex",
        drop(lambda facts: facts["runs"][1], "measurements"),
    ),
    "runs empty": ("accuracy", put(lambda facts: facts, "runs", [])),
    "runs null": ("accuracy", put(lambda facts: facts, "runs", None)),
    "grade missing": ("accuracy", drop(lambda facts: facts["runs"][0], "grade")),
    "datasets empty": ("data-lineage", put(lambda facts: facts, "datasets", [])),
    "datasets a text": ("data-lineage", put(lambda facts: facts, "datasets", "census")),
    "digest empty": (
        "artifact-pinned",
        put(lambda facts: facts["version"]["artifact"], "digest", ""),
    ),
    "stored the text false": (
        "artifact-pinned",
        put(lambda facts: facts["live"], "artifact_stored", "false"),
    ),
    "findings missing": ("no-open-findings", drop(lambda facts: facts["live"], "findings")),
    "findings null": ("no-open-findings", put(counts, "high", None)),
    "validations empty": ("validated", put(lambda facts: facts["live"], "validations", [])),
    "rating a number": (
        "validated",
        put(lambda facts: facts["live"]["validations"][0], "rating", 1),
    ),
}


def test_good_evidence_passes_every_control() -> None:
    results = judge(shipped(), good(), NOW)
    assert {result.control: result.status for result in results} == {
        result.control: Status.PASS for result in results
    }


def test_there_are_22_mutations() -> None:
    assert len(MUTATIONS) == 22


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_denies(name: str) -> None:
    control, mutate = MUTATIONS[name]
    facts = copy.deepcopy(good())
    mutate(facts)
    denied = {result.control: result for result in blocking(judge(shipped(), facts, NOW))}
    assert control in denied
    assert denied[control].status is Status.INSUFFICIENT
    assert denied[control].reason.endswith(".")


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    found = []
    for key, one in items:
        found += [(*path, key), *_paths(one, (*path, key))]
    return found


@pytest.mark.parametrize("junk", [None, "", "x", NAN, True, [], {}, -1], ids=repr)
def test_no_junk_anywhere_raises_or_turns_a_fail_into_a_pass(junk: Any) -> None:
    policy = shipped()
    bad = good()
    bad["runs"][1]["measurements"][0] |= {"value": 0.153, "lower": 0.112, "upper": 0.194}
    bad["live"]["findings"] = {
        "counts": {"low": 0, "medium": 0, "high": 1, "critical": 0},
        "open": [{"id": "f-1", "severity": "high"}],
    }
    watched = {"equal-opportunity-by-sex", "no-open-findings"}
    for path in _paths(bad):
        facts = copy.deepcopy(bad)
        parent: Any = facts
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = junk
        results = {result.control: result for result in judge(policy, facts, NOW)}
        assert not any(results[name].holds for name in watched), path
