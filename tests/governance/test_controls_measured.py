"""Controls that judge a measurement: by value or by interval, by grade, by group, by age."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.controls.base import Control
from governance.controls.judging import (
    Negation,
    Rule,
    judge_rule,
)
from governance.controls.measured import MetricAtLeast, MetricAtMost, MetricEach
from governance.controls.recorded import (
    SensitiveAttributeNotAnInput,
)
from governance.controls.results import Mode, Status
from tests.governance.facts import NOW, good, measurement, run

PASS, FAIL, INSUFFICIENT = Status.PASS, Status.FAIL, Status.INSUFFICIENT
STATUSES = st.sampled_from([PASS, FAIL, INSUFFICIENT])


def status(control: Control, facts: dict[str, Any]) -> Status:
    return judge_rule(Rule("x", Mode.BLOCK, control), facts, NOW).status


def equal_opportunity(**more: Any) -> MetricAtMost:
    given_ = {
        "metric": "equal_opportunity_difference",
        "attribute": "sex",
        "limit": 0.10,
        "judge_by": "interval",
        "absolute": True,
        "grade": "re-performed",
    }
    return MetricAtMost(**(given_ | more))


def with_difference(
    value: float | None, lower: float | None, upper: float | None
) -> dict[str, Any]:
    facts = good()
    facts["runs"][1]["measurements"][0] |= {"value": value, "lower": lower, "upper": upper}
    return facts


@pytest.mark.parametrize(
    ("value", "lower", "upper", "expected"),
    [
        (0.021, -0.017, 0.059, PASS),
        (0.153, 0.112, 0.194, FAIL),
        (0.08, 0.04, 0.12, INSUFFICIENT),
        (0.12, 0.08, 0.16, INSUFFICIENT),
        (0.05, -0.12, 0.09, INSUFFICIENT),
        (-0.15, -0.19, -0.11, FAIL),
        (0.1, 0.1, 0.1, PASS),
        (0.05, 0.09, 0.01, INSUFFICIENT),
    ],
)
def test_the_whole_interval_must_keep_the_limit(
    value: float, lower: float, upper: float, expected: Status
) -> None:
    assert status(equal_opportunity(), with_difference(value, lower, upper)) is expected


@given(st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.01, 0.9), st.booleans())
def test_a_passing_interval_has_a_passing_value(
    value: float, below: float, above: float, limit: float, absolute: bool
) -> None:
    facts = with_difference(value, value - below, value + above)
    by_interval = status(equal_opportunity(limit=limit, absolute=absolute), facts)
    by_point = status(equal_opportunity(limit=limit, absolute=absolute, judge_by="point"), facts)
    if by_interval is not INSUFFICIENT:
        assert by_interval is by_point


def test_figures_name_value_limit_and_run() -> None:
    result = judge_rule(
        Rule("eo", Mode.BLOCK, equal_opportunity()), with_difference(0.153, 0.112, 0.194), NOW
    )
    (figure,) = result.figures
    assert (figure["value"], figure["lower"], figure["upper"]) == (0.153, 0.112, 0.194)
    assert (figure["at_most"], figure["grade"], figure["run"]) == (0.10, "re-performed", "run-f")
    assert result.evidence == ["run-f"]
    assert "0.153" in result.reason
    assert "at most 0.1" in result.reason


def test_a_lower_grade_or_level_or_n_does_not_do() -> None:
    facts = good()
    facts["runs"][1]["grade"] = "recomputed"
    assert status(equal_opportunity(), facts) is INSUFFICIENT
    assert status(equal_opportunity(grade="recomputed"), facts) is PASS
    assert status(equal_opportunity(level=0.99), good()) is INSUFFICIENT
    assert status(equal_opportunity(min_n=5001), good()) is INSUFFICIENT
    assert status(equal_opportunity(min_n=5000), good()) is PASS


def test_only_data_of_the_purpose_and_validation_runs_count() -> None:
    assert status(equal_opportunity(dataset="test"), good()) is PASS
    assert status(equal_opportunity(dataset="training"), good()) is INSUFFICIENT
    facts = good()
    facts["runs"][1]["purpose"] = "monitoring"
    assert status(equal_opportunity(), facts) is INSUFFICIENT
    facts = good()
    facts["runs"][1]["state"] = "failed"
    assert status(equal_opportunity(), facts) is INSUFFICIENT


def test_the_newest_run_counts_even_if_it_is_undefined() -> None:
    facts = good()
    facts["runs"].append(
        run(
            "run-g",
            "fairness",
            measurement("equal_opportunity_difference", None, slice={"sex": "*"}),
            finished_at="2026-11-02T10:00:00Z",
        )
    )
    assert status(equal_opportunity(), facts) is INSUFFICIENT


def addendum(value: float, finished_at: str = "2026-11-19T10:00:00Z") -> dict[str, Any]:
    found = measurement("equal_opportunity_difference", value, slice={"sex": "*"})
    return run("run-a", "fairness", found, finished_at=finished_at)


def test_an_addendum_renews_and_worsens_but_never_mends() -> None:
    facts = good()
    facts["runs"][1]["finished_at"] = "2026-01-01T10:00:00Z"
    aged = equal_opportunity(max_age_days=90)
    assert status(aged, facts) is INSUFFICIENT
    facts["live"]["runs"] = [addendum(0.02)]
    assert status(aged, facts) is PASS
    facts["live"]["runs"] = [addendum(0.3)]
    assert status(aged, facts) is FAIL
    facts = with_difference(0.3, 0.28, 0.32)
    facts["live"]["runs"] = [addendum(0.02)]
    assert status(equal_opportunity(), facts) is FAIL


def test_what_happens_in_the_future_is_not_known_yet() -> None:
    facts = good()
    facts["runs"][1]["finished_at"] = "2026-11-21T10:00:00Z"
    assert status(equal_opportunity(max_age_days=90), facts) is INSUFFICIENT


def test_groups_that_were_left_out_of_a_comparison_matter() -> None:
    facts = good()
    facts["runs"][1]["measurements"].append(
        measurement("equal_opportunity_difference", None, slice={"race": "Other"}, n=4)
    )
    by_race = equal_opportunity(attribute="race")
    result = judge_rule(Rule("eo", Mode.WARN, by_race), facts, NOW)
    assert result.status is INSUFFICIENT
    assert "Other" in result.reason
    assert not result.blocks
    assert status(equal_opportunity(attribute="race", excluded_groups="ignored"), facts) is PASS
    assert status(equal_opportunity(), facts) is PASS


@pytest.mark.parametrize("reason", ["not_collected", "declaration_lapsed", "too_few_to_show"])
def test_an_attribute_that_is_not_in_the_data_passes_nothing(reason: str) -> None:
    facts = good()
    facts["runs"][1]["measurements"].append(
        measurement("equal_opportunity_difference", None, slice={"faith": "*"}, undefined=reason)
    )
    for more in ({}, {"admit_estimated": True}, {"excluded_groups": "ignored"}):
        control = equal_opportunity(attribute="faith", **more)
        assert status(control, facts) is INSUFFICIENT
        negated = Rule("x", Mode.BLOCK, Negation(control))
        assert judge_rule(negated, facts, NOW).status is INSUFFICIENT


ESTIMATED = {"estimated": True, "proxy": "0190a0b0-0000-7000-8000-000000000001", "excluded": []}


@pytest.mark.parametrize("value", [0.01, 0.4])
def test_an_estimate_tells_nothing_unless_the_control_admits_it(value: float) -> None:
    facts = good()
    facts["runs"][1]["measurements"].append(
        measurement("equal_opportunity_difference", value, slice={"faith": "*"}, detail=ESTIMATED)
    )
    result = judge_rule(Rule("x", Mode.BLOCK, equal_opportunity(attribute="faith")), facts, NOW)
    assert result.status is INSUFFICIENT
    assert "estimated" in result.reason
    admitted = equal_opportunity(attribute="faith", admit_estimated=True)
    result = judge_rule(Rule("x", Mode.BLOCK, admitted), facts, NOW)
    assert result.status is (PASS if value < 0.1 else FAIL)
    assert result.figures[0]["estimated"] is True
    assert "estimated" in admitted.sentence()
    assert "estimated" not in equal_opportunity().sentence()


def test_each_group_must_be_measured_and_not_estimated() -> None:
    facts = good()
    facts["runs"][1]["measurements"] += [
        measurement("true_positive_rate", 0.7, slice={"faith": group}, detail=ESTIMATED)
        for group in ("a", "b")
    ]
    each = MetricEach(metric="true_positive_rate", attribute="faith", at_least=0.5)
    assert status(each, facts) is INSUFFICIENT
    admitted = MetricEach(
        metric="true_positive_rate", attribute="faith", at_least=0.5, admit_estimated=True
    )
    assert status(admitted, facts) is PASS


def test_probabilities_of_a_sensitive_attribute_are_no_input_either() -> None:
    facts = good()
    taken = facts["version"]["input_spec"]["features"][0]["column"]
    control = SensitiveAttributeNotAnInput(attributes=("faith",))
    for column, expected in ((taken.upper(), FAIL), ("p_a", PASS)):
        proxy = {"version": ESTIMATED["proxy"], "columns": {"a": column}}
        facts["columns"]["sensitive"] = [{"name": "faith", "state": "proxied", "proxy": proxy}]
        assert status(control, facts) is expected
    facts["columns"]["sensitive"] = [{"name": "faith", "state": "not_collected"}]
    assert status(control, facts) is INSUFFICIENT


def test_groups_of_several_attributes_together() -> None:
    facts = good()
    facts["runs"][1]["measurements"] += [
        measurement("equal_opportunity_difference", 0.01, slice={"sex": "*", "race": "*"}),
        measurement("equal_opportunity_difference", None, slice={"sex": "Female", "race": "Other"}),
    ]
    both = equal_opportunity(attribute="sex,race")
    result = judge_rule(Rule("eo", Mode.WARN, both), facts, NOW)
    assert (result.status, "Female Other" in result.reason) == (INSUFFICIENT, True)


def test_a_group_and_everybody() -> None:
    of_women = {"metric": "true_positive_rate", "slice": {"sex": "Female"}}
    assert status(MetricAtLeast(limit=0.6, **of_women), good()) is PASS
    assert status(MetricAtLeast(limit=0.8, **of_women), good()) is FAIL
    assert status(MetricAtLeast(metric="true_positive_rate", limit=0.6), good()) is INSUFFICIENT
    assert status(MetricAtLeast(metric="accuracy", limit=0.9), good()) is PASS


def test_each_group_and_enough_of_them() -> None:
    each = {"metric": "true_positive_rate", "attribute": "sex"}
    assert status(MetricEach(at_least=0.6, **each), good()) is PASS
    assert status(MetricEach(at_least=0.71, **each), good()) is FAIL
    assert status(MetricEach(at_least=0.6, min_items=3, **each), good()) is INSUFFICIENT
    assert (
        status(MetricEach(at_least=0.6, groups=("Female", "Other"), **each), good()) is INSUFFICIENT
    )
    facts = good()
    facts["runs"][1]["measurements"][3]["value"] = None
    facts["runs"][1]["measurements"][3]["undefined"] = "insufficient"
    assert status(MetricEach(at_least=0.6, **each), facts) is INSUFFICIENT
    facts["runs"][1]["measurements"][2]["value"] = 0.1
    assert status(MetricEach(at_least=0.6, **each), facts) is FAIL
