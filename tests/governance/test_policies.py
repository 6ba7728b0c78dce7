"""Policies are read strictly: what is unknown, mistyped, doubled or idle is refused by its path."""

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from accounts.access import TABLE
from governance import policies
from governance.controls.judging import AllOf, AnyOf, Negation
from governance.controls.measured import MetricAtMost
from kernel.canonical import sha256_hex
from kernel.errors import Invalid
from monitoring.limits import parse_limits
from tests.governance.facts import SHIPPED, shipped

Document = dict[str, Any]


def document() -> Document:
    found: Document = yaml.safe_load(SHIPPED.read_text())
    return found


def parse(value: Any) -> policies.Policy:
    return policies.parse(yaml.safe_dump(value))


def refused(value: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse(value)
    return caught.value.fields


def control(found: Document, identity: str) -> tuple[Document, str]:
    for index, one in enumerate(found["controls"]):
        if one["id"] == identity:
            return one, f"controls[{index}]"
    raise AssertionError(identity)


def test_the_shipped_policy_is_read_whole() -> None:
    policy = shipped()
    assert policy.digest == sha256_hex(SHIPPED.read_bytes())
    rule = policy.control("equal-opportunity-by-sex")
    assert rule is not None
    assert isinstance(rule.condition, MetricAtMost)
    assert (rule.condition.limit, rule.condition.judge_by, rule.mode) == (0.10, "interval", "block")
    assert policy.control("equal-opportunity-by-race").mode == "warn"  # type: ignore[union-attr]
    assert policy.approvals.roles == ("validator", "risk_officer")
    for told in policy.sentences():
        assert told["sentence"].endswith(".")
        assert told["why"]
        assert told["remedy"]


def test_monitors_hold_limits_that_monitoring_reads() -> None:
    for monitor in shipped().monitors:
        assert parse_limits(monitor.limits_json())


def test_the_roles_that_sign_are_those_of_the_access_table() -> None:
    assert set(policies.SIGNING_ROLES) == {role.value for role in TABLE["review.sign"].roles}


def test_conditions_nest() -> None:
    found = document()
    one, _ = control(found, "accuracy")
    for name in ("kind", "metric", "check", "dataset", "grade", "judge_by", "limit", "min_n"):
        one.pop(name)
    one.pop("max_age_days")
    one["any"] = [
        {"kind": "tier_set", "tiers": [2]},
        {"all": [{"kind": "artifact_pinned"}, {"not": {"kind": "tier_set", "tiers": [4]}}]},
    ]
    rule = parse(found).control("accuracy")
    assert rule is not None
    assert isinstance(rule.condition, AnyOf)
    inner = rule.condition.parts[1]
    assert isinstance(inner, AllOf)
    assert isinstance(inner.parts[1], Negation)


def change(identity: str, name: str, value: Any) -> Callable[[Document], str]:
    def apply(found: Document) -> str:
        one, path = control(found, identity)
        one[name] = value
        return f"{path}.{name}"

    return apply


def remove(identity: str, name: str) -> Callable[[Document], str]:
    def apply(found: Document) -> str:
        one, path = control(found, identity)
        del one[name]
        return f"{path}.{name}"

    return apply


def top(path: str, value: Any) -> Callable[[Document], str]:
    def apply(found: Document) -> str:
        *steps, last = path.split(".")
        parent: Any = found
        for step in steps:
            parent = parent[int(step)] if step.isdigit() else parent[step]
        parent[last] = value
        return "".join(f"[{s}]" if s.isdigit() else f".{s}" for s in path.split(".")).lstrip(".")

    return apply


REFUSED: dict[str, Callable[[Document], str]] = {
    "unknown name at the top": top("controlls", []),
    "unknown parameter": change("accuracy", "treshold", 0.8),
    "unknown kind": change("accuracy", "kind", "metric_atleast"),
    "kind a list": change("accuracy", "kind", ["tier_set"]),
    "limit a text": change("accuracy", "limit", "0.8"),
    "limit NaN": change("accuracy", "limit", float("nan")),
    "limit true": change("accuracy", "limit", True),
    "limit null": change("accuracy", "limit", None),
    "limit missing": remove("accuracy", "limit"),
    "limit that nothing breaks": change("equal-opportunity-by-sex", "limit", 1.0),
    "limit that everything keeps": change("accuracy", "limit", 0),
    "limit that nothing keeps": change("accuracy", "limit", 1.2),
    "absolute below 0": change("equal-opportunity-by-sex", "limit", -0.1),
    "metric empty": change("accuracy", "metric", ""),
    "min_n 0": change("accuracy", "min_n", 0),
    "level 95": change("equal-opportunity-by-sex", "level", 95),
    "unknown grade": change("accuracy", "grade", "performed"),
    "unknown mode": change("accuracy", "mode", "deny"),
    "mode missing": remove("accuracy", "mode"),
    "no reason": remove("accuracy", "reason"),
    "no remedy": remove("accuracy", "remedy"),
    "id with a space": change("accuracy", "id", "an id"),
    "doubled id": change("validated", "id", "accuracy"),
    "slice beside attribute": change("equal-opportunity-by-sex", "slice", {"sex": "Female"}),
    "slice with a star": change("accuracy", "slice", {"sex": "*"}),
    "slice of a number": lambda found: change("accuracy", "slice", {"age": 3})(found) + ".age",
    "no formats": change("safe-format", "formats", []),
    "an unsafe format": change("safe-format", "formats", ["pickle"]),
    "no attributes": change("sensitive-not-an-input", "attributes", []),
    "attributes a text": change("sensitive-not-an-input", "attributes", "sex"),
    "attributes doubled": change("sensitive-not-an-input", "attributes", ["sex", "sex"]),
    "tier 5": change("tier-set", "tiers", [5]),
    "age 0": change("drift-measured", "max_age_days", 0),
    "limit of runs 0": change("no-shopping", "limit", 0),
    "excluded without attribute": change("accuracy", "excluded_groups", "ignored"),
    "quorum over the roles": top("approvals.quorum", 3),
    "quorum 0": top("approvals.quorum", 0),
    "required who is not asked": top("approvals.required", ["owner"]),
    "no validity": top("validity_days", 0),
    "validity a text": top("validity_days", "365"),
    "no controls": top("controls", []),
    "name with spaces": top("name", "High impact"),
    "waivers of nothing known": top("waivers.never", ["nothing"]),
    "monitor without limit": top("monitors.0.limits", []),
    "monitor doubled": top("monitors.1.name", "fairness-in-production"),
    "gate of no time": top("gate.decision_valid_minutes", 0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_its_path(name: str) -> None:
    found = document()
    path = REFUSED[name](found)
    assert path in refused(found)


def test_a_role_that_may_not_sign_is_refused() -> None:
    found = document()
    found["approvals"]["roles"] = ["validator", "administrator"]
    assert "approvals.roles[1]" in refused(found)


def test_a_policy_that_never_denies_is_refused() -> None:
    found = document()
    for one in found["controls"]:
        one["mode"] = "warn"
    assert "controls" in refused(found)


def test_each_without_limits_or_with_crossed_ones_never_fires() -> None:
    found = document()
    one, path = control(found, "drift-measured")
    for name in ("check", "max_age_days", "grade"):
        del one[name]
    one |= {"kind": "metric_each", "metric": "true_positive_rate", "attribute": "sex"}
    assert f"{path}.at_least" in refused(found)
    crossed = copy.deepcopy(found)
    control(crossed, "drift-measured")[0].update(at_least=0.9, at_most=0.1)
    assert f"{path}.at_least" in refused(crossed)
    one["at_least"] = 0.5
    assert parse(found)


@pytest.mark.parametrize(
    "condition",
    [
        {"any": []},
        {"any": [{"kind": "tier_set"}]},
        {"any": [{"kind": "tier_set"}, {"kind": "tier_set"}]},
        {"any": [{"kind": "tier_set"}, {"not": {"kind": "tier_set"}}]},
        {"all": [{"kind": "tier_set"}, {"not": {"kind": "tier_set"}}]},
        {"all": {"kind": "tier_set"}},
        {"not": [{"kind": "tier_set"}]},
        {"kind": "tier_set", "any": []},
        {},
    ],
)
def test_conditions_that_say_nothing_are_refused(condition: Document) -> None:
    found = document()
    found["controls"] = [
        {"id": "x", "mode": "block", "reason": "r", "remedy": "m", **condition},
        *found["controls"],
    ]
    assert any(path.startswith("controls[0]") for path in refused(found))


def test_deep_nesting_is_refused() -> None:
    condition: Document = {"kind": "artifact_pinned"}
    for _ in range(7):
        condition = {"not": condition}
    found = document()
    found["controls"][0] = {"id": "x", "mode": "block", "reason": "r", "remedy": "m", **condition}
    assert refused(found)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "[]",
        "a: 1\na: 2",
        "a: &x 1\nb: *x",
        "a: !!python/object/apply:os.system [ls]",
        "a: [",
        "a: " + "[" * 5000,
        "x: " + "y" * 300_000,
        "\x00",
    ],
)
def test_no_yaml_tricks(source: str) -> None:
    with pytest.raises(Invalid) as caught:
        policies.parse(source)
    assert "source" in caught.value.fields


def test_a_doubled_name_inside_a_control_is_refused() -> None:
    source = SHIPPED.read_text().replace("    limit: 0.80\n", "    limit: 0.80\n    limit: 0.01\n")
    with pytest.raises(Invalid, match="'limit' is given twice"):
        policies.parse(source)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [place for key, one in items for place in [(*path, key), *_places(one, (*path, key))]]


PLACES = _places(document())


@given(st.sampled_from(PLACES), JSON)
def test_any_junk_anywhere_is_read_or_refused_and_never_breaks(
    place: tuple[Any, ...], junk: Any
) -> None:
    found = document()
    parent: Any = found
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = junk
    with contextlib.suppress(Invalid):
        assert policies.parse(yaml.safe_dump(found, allow_unicode=True)).sentences()


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(Invalid):
        policies.parse(text)
