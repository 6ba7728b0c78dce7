"""Each kind of control on facts that hold, do not hold, and do not tell."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.controls import logic
from governance.controls.base import Control
from governance.controls.facts import Missing
from governance.controls.judging import (
    KINDS,
    AllOf,
    AnyOf,
    Negation,
    Rule,
    judge,
    judge_rule,
)
from governance.controls.measured import MetricAtLeast
from governance.controls.process import (
    CheckRecent,
    DeterministicOutput,
    MaxAttempts,
    NoOpenFindings,
    ValidationWritten,
)
from governance.controls.recorded import (
    ArtifactFormatSafe,
    ArtifactPinned,
    ClaimsMatch,
    CodeCommitRecorded,
    DatasetLineageComplete,
    EvidencePresent,
    SensitiveAttributeNotAnInput,
    TierSet,
    UseStated,
)
from governance.controls.results import ControlResult, Mode, Status
from kernel import canonical
from tests.governance.facts import DOSSIER, NOW, TEST, good, measurement, run, shipped

PASS, FAIL, INSUFFICIENT = Status.PASS, Status.FAIL, Status.INSUFFICIENT
STATUSES = st.sampled_from([PASS, FAIL, INSUFFICIENT])


def status(control: Control, facts: dict[str, Any]) -> Status:
    return judge_rule(Rule("x", Mode.BLOCK, control), facts, NOW).status


@given(st.lists(STATUSES))
def test_all_and_any_mirror_each_other(statuses: list[Status]) -> None:
    mirrored = [logic.negation(one) for one in statuses]
    assert logic.any_of(statuses) == logic.negation(logic.all_of(mirrored))


@given(st.lists(STATUSES))
def test_a_pass_needs_a_pass(statuses: list[Status]) -> None:
    if logic.all_of(statuses) is PASS:
        assert statuses
        assert set(statuses) == {PASS}
    if logic.any_of(statuses) is PASS:
        assert PASS in statuses


def test_nothing_is_insufficient() -> None:
    assert logic.all_of([]) is INSUFFICIENT
    assert logic.any_of([]) is INSUFFICIENT


@given(st.lists(STATUSES, min_size=1), st.integers(min_value=0))
def test_losing_evidence_never_helps(statuses: list[Status], index: int) -> None:
    """Turning any one into `insufficient` never turns the whole into a pass (Kleene's monotony)."""
    less = list(statuses)
    less[index % len(less)] = INSUFFICIENT
    for join in (logic.all_of, logic.any_of):
        assert join(less) in (join(statuses), INSUFFICIENT)


class Broken(Control):
    kind = "broken"

    def sentence(self) -> str:
        return "It breaks."

    def judge(self, facts: Any, now: Any) -> Any:
        raise ZeroDivisionError


def test_an_error_in_a_control_is_insufficient_and_leaves_the_others() -> None:
    rules = [
        Rule("broken", Mode.BLOCK, Broken()),
        Rule("not-broken", Mode.BLOCK, Negation(Broken())),
        Rule("tier", Mode.WARN, TierSet()),
    ]

    class Policy:
        controls = rules

    assert [one.status for one in judge(Policy(), good(), NOW)] == [
        INSUFFICIENT,
        INSUFFICIENT,
        PASS,
    ]


def test_results_survive_canonical_json() -> None:
    for result in judge(shipped(), good(), NOW):
        assert result.sentence
        assert result.reason
        value = json.loads(canonical.dumps(result.to_json()))
        assert ControlResult.from_json(value) == result


@pytest.mark.parametrize(
    ("control", "path", "value", "expected"),
    [
        (ArtifactPinned(), "version.artifact.digest", "A" * 64, INSUFFICIENT),
        (ArtifactPinned(stored=True), "live.artifact_stored", False, FAIL),
        (ArtifactPinned(), "live.artifact_stored", False, PASS),
        (ArtifactFormatSafe(), "version.artifact.format", "pickle", FAIL),
        (ArtifactFormatSafe(), "version.artifact.format", "", INSUFFICIENT),
        (CodeCommitRecorded(), "version.code_commit", "main", INSUFFICIENT),
        (CodeCommitRecorded(), "version.code_repository", "", PASS),
        (CodeCommitRecorded(repository=True), "version.code_repository", "", INSUFFICIENT),
        (
            SensitiveAttributeNotAnInput(attributes=("sex",)),
            "version.input_spec",
            None,
            INSUFFICIENT,
        ),
        (
            SensitiveAttributeNotAnInput(attributes=("sex",)),
            "version.input_spec",
            {"features": [{"column": "age"}, {"column": "Sex"}]},
            FAIL,
        ),
        (
            SensitiveAttributeNotAnInput(attributes=("race",)),
            "version.input_spec",
            {"features": [{"column": "age"}, {"column": "race_code"}]},
            FAIL,
        ),
        (SensitiveAttributeNotAnInput(attributes=("religion",)), "live.runs", [], INSUFFICIENT),
        (SensitiveAttributeNotAnInput(attributes=("sex",)), "columns", None, INSUFFICIENT),
        (
            SensitiveAttributeNotAnInput(attributes=("sex",)),
            "version.input_spec",
            {"features": [{"name": "age"}]},
            INSUFFICIENT,
        ),
        (UseStated(), "use.excluded_uses", [], INSUFFICIENT),
        (UseStated(), "use.excluded_uses", [""], INSUFFICIENT),
        (UseStated(), "use.affected_people", " ", INSUFFICIENT),
        (TierSet(), "use.tier", None, INSUFFICIENT),
        (TierSet(tiers=(1, 2)), "use.tier", 3, FAIL),
        (EvidencePresent(evidence="data_sheet"), "live.evidence", [], PASS),
        (EvidencePresent(evidence="data_sheet", count=2), "live.evidence", [], INSUFFICIENT),
        (EvidencePresent(evidence="data_sheet", max_age_days=5), "live.evidence", [], INSUFFICIENT),
        (EvidencePresent(evidence="impact_assessment"), "live.evidence", [], INSUFFICIENT),
        (NoOpenFindings(), "live.findings.counts.high", 1, INSUFFICIENT),
        (ValidationWritten(), "live.dossier", "9" * 64, INSUFFICIENT),
        (ValidationWritten(ratings=("satisfactory_with_findings",)), "live.runs", [], FAIL),
        (ClaimsMatch(tolerance=0.02), "version.claims", [], INSUFFICIENT),
        (ClaimsMatch(tolerance=0.001), "live.runs", [], FAIL),
        (ClaimsMatch(tolerance=0.02), "live.runs", [], PASS),
        (ClaimsMatch(tolerance=0.02, metrics=("roc_auc",)), "live.runs", [], INSUFFICIENT),
        (
            ClaimsMatch(tolerance=0.02),
            "version.claims",
            [{"metric": "roc_auc", "value": 0.9}],
            INSUFFICIENT,
        ),
        (
            ClaimsMatch(tolerance=0.02),
            "version.claims",
            [{"metric": "accuracy", "value": 0.93, "dataset": "other"}],
            INSUFFICIENT,
        ),
    ],
)
def test_a_fact_decides(control: Control, path: str, value: Any, expected: Status) -> None:
    facts = good()
    *steps, last = path.split(".")
    parent = facts
    for step in steps:
        parent = parent[step]
    parent[last] = value
    assert status(control, facts) is expected


def test_a_dataset_without_source_or_parents_breaks_the_lineage() -> None:
    facts = good()
    facts["datasets"][1]["sources"] = []
    assert status(DatasetLineageComplete(), facts) is INSUFFICIENT
    facts = good()
    assert status(DatasetLineageComplete(purposes=("reference",)), facts) is PASS
    assert status(DatasetLineageComplete(purposes=("production",)), facts) is INSUFFICIENT


def test_an_addendum_counts_as_evidence() -> None:
    facts = good()
    facts["live"]["evidence"] = [facts["evidence"][0] | {"id": "ev-2"}]
    facts["live"]["added"]["ev-2"] = "2026-11-19T09:00:00Z"
    assert status(EvidencePresent(evidence="data_sheet", max_age_days=5), facts) is PASS
    facts["evidence"] = []
    assert status(EvidencePresent(evidence="data_sheet"), facts) is PASS
    facts["live"]["evidence"] = []
    assert status(EvidencePresent(evidence="data_sheet"), facts) is INSUFFICIENT


def test_findings_count_from_the_severity_on() -> None:
    facts = good()
    facts["live"]["findings"] = {
        "counts": {"low": 0, "medium": 1, "high": 0, "critical": 0},
        "open": [{"id": "f-1", "severity": "medium"}],
    }
    assert status(NoOpenFindings(severity="high"), facts) is PASS
    assert status(NoOpenFindings(severity="medium"), facts) is FAIL


def test_the_newest_validation_of_the_dossier_counts() -> None:
    facts = good()
    facts["live"]["validations"].append(
        {
            "id": "val-2",
            "dossier": DOSSIER,
            "rating": "unsatisfactory",
            "written_at": "2026-11-11T10:00:00Z",
        }
    )
    assert status(ValidationWritten(), facts) is FAIL


def test_a_check_grows_old() -> None:
    rule = Rule("x", Mode.BLOCK, CheckRecent(check="drift", max_age_days=30))
    assert judge_rule(rule, good(), NOW).status is PASS
    assert judge_rule(rule, good(), NOW + timedelta(days=20)).status is FAIL
    facts = good()
    facts["live"]["runs"] = [run("run-e", "drift", finished_at="2026-11-30T10:00:00Z")]
    assert judge_rule(rule, facts, NOW + timedelta(days=20)).status is PASS
    assert status(CheckRecent(check="explainability", max_age_days=30), good()) is INSUFFICIENT


def test_a_chosen_part_of_the_data_stands_for_nothing() -> None:
    """Else whoever asks for a check could leave out the rows on which it fails."""
    control = MetricAtLeast(metric="accuracy", limit=0.9)
    part = {"filters": [{"column": "age", "least": 60}]}
    bad, fine = measurement("accuracy", 0.5), measurement("accuracy", 0.99)
    whole = run("run-a", "performance", bad, finished_at="2026-10-01T10:00:00Z")
    chosen = run("run-b", "performance", fine, config=part)
    facts = good() | {"runs": [whole, chosen]}
    assert status(control, facts) is FAIL
    facts["runs"] = [chosen]
    assert status(control, facts) is INSUFFICIENT
    facts["runs"] = [run("run-b", "performance", fine, config={"filters": []})]
    assert status(control, facts) is PASS
    facts["runs"] = [run("run-b", "performance", fine, config="all")]
    assert status(control, facts) is INSUFFICIENT


def test_failed_and_cancelled_runs_are_attempts_too() -> None:
    facts = good()
    facts["runs"] += [
        run("run-x", "fairness", state="failed", grade=""),
        run("run-y", "fairness", state="cancelled", grade=""),
    ]
    assert status(MaxAttempts(check="fairness", limit=3), facts) is PASS
    assert status(MaxAttempts(check="fairness", limit=2), facts) is FAIL
    assert status(MaxAttempts(check="explainability", limit=2), facts) is INSUFFICIENT


def test_the_same_output_twice() -> None:
    facts = good()
    assert status(DeterministicOutput(), facts) is INSUFFICIENT
    facts["runs"].append(run("run-q", "performance"))
    assert status(DeterministicOutput(), facts) is PASS
    facts["runs"][-1]["cube"] = TEST
    assert status(DeterministicOutput(), facts) is FAIL


def test_the_same_output_as_a_check_of_explainability_measured_it() -> None:
    facts = good()
    facts["runs"].append(run("run-e", "explainability", measurement("deterministic_output", 1.0)))
    assert status(DeterministicOutput(), facts) is PASS
    assert status(DeterministicOutput(dataset="training"), facts) is INSUFFICIENT
    facts["runs"][-1]["grade"] = "recomputed"
    assert status(DeterministicOutput(), facts) is INSUFFICIENT
    facts["runs"][-1] = run("run-e", "explainability", measurement("deterministic_output", 0.0))
    assert status(DeterministicOutput(), facts) is FAIL


def test_conditions_join_sentences_and_figures() -> None:
    tier, pinned = TierSet(tiers=(2,)), ArtifactPinned()
    either = judge_rule(Rule("x", Mode.BLOCK, AnyOf((tier, pinned))), good(), NOW)
    assert either.status is PASS
    assert either.sentence.startswith("At least one of: ")
    assert len(either.figures) == 2
    both = judge_rule(Rule("x", Mode.BLOCK, AllOf((tier, pinned))), good(), NOW)
    assert (both.status, both.reason) == (FAIL, "The tier is 1.")
    assert status(TierSet(), good() | {"use": {}}) is INSUFFICIENT


def test_every_kind_has_a_sentence_and_a_name() -> None:
    assert len(KINDS) >= 15
    for name, kind in KINDS.items():
        assert kind.kind == name


def test_missing_names_the_fact() -> None:
    assert str(Missing("use.tier", "is missing")) == "use.tier is missing"


def test_a_claim_is_compared_with_its_own_slice() -> None:
    """A newer run that measured the metric by group alone does not hide the figure of everybody."""
    facts = good()
    by_group = measurement("accuracy", 0.7, slice={"sex": "Female"})
    later = run("later", "fairness", by_group, finished_at="2026-11-02T10:00:00Z")
    facts["runs"].append(later)
    rule = Rule("claims", Mode.BLOCK, ClaimsMatch(tolerance=0.02))
    assert judge_rule(rule, facts, NOW).status is PASS
