import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Invalid
from monitoring.limits import Past, acts, judge_limits, parse_limits

GAP = {"metric": "equal_opportunity_difference", "attribute": "sex", "op": "<=", "value": 0.1}


def measurement(value, *, lower=None, upper=None, slice=None, undefined=""):
    return {
        "metric": GAP["metric"],
        "slice": {"sex": "*"} if slice is None else slice,
        "value": value,
        "lower": lower,
        "upper": upper,
        "undefined": undefined,
    }


def judge(limit, *measurements, rows=1000, min_rows=100):
    (judged,) = judge_limits(
        parse_limits([{**GAP, **limit}]), measurements, rows=rows, min_rows=min_rows
    )
    return judged


def test_a_limit_is_kept_up_to_its_value_and_exceeded_beyond():
    assert judge({}, measurement(0.1)).outcome == "kept"
    assert judge({}, measurement(0.1000001)).outcome == "exceeded"
    assert judge({"op": ">="}, measurement(0.1)).outcome == "kept"
    assert judge({"op": ">="}, measurement(0.0999999)).outcome == "exceeded"


def test_the_bound_says_which_end_of_the_interval_is_judged():
    wide = measurement(0.12, lower=0.05, upper=0.2)
    assert judge({"bound": "lower"}, wide).outcome == "kept"
    assert judge({"bound": "upper"}, wide).outcome == "exceeded"
    assert judge({"bound": "upper"}, wide).value == 0.2


def test_what_was_not_measured_breaks_a_limit_only_if_the_limit_says_so():
    undefined = measurement(None, undefined="insufficient")
    for found in ([], [undefined], [measurement(float("nan"))]):
        assert judge({}, *found).outcome == "not_measured"
        assert not judge({}, *found).breaks
        assert judge({"when_undefined": "breach"}, *found).breaks
    assert "insufficient" in judge({}, undefined).reason


def test_a_bound_without_an_interval_is_not_measured():
    assert judge({"bound": "upper"}, measurement(0.05)).outcome == "not_measured"


def test_too_few_rows_judge_nothing():
    judged = judge({"when_undefined": "breach"}, measurement(0.9), rows=99)
    assert judged.outcome == "too_few_rows"
    assert not judged.breaks


def test_an_attribute_means_the_comparison_and_a_slice_the_group():
    group = measurement(0.5, slice={"sex": "Female"})
    assert judge({}, group).outcome == "not_measured"
    limit = {key: value for key, value in GAP.items() if key != "attribute"}
    (judged,) = judge_limits(
        parse_limits([{**limit, "slice": {"sex": "Female"}}]), [group], rows=1000, min_rows=1
    )
    assert judged.outcome == "exceeded"


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ([], "limits"),
        ({}, "limits"),
        (["x"], "limits[0]"),
        ([{**GAP, "op": "<"}], "limits[0].op"),
        ([{**GAP, "value": "0.1"}], "limits[0].value"),
        ([{**GAP, "value": True}], "limits[0].value"),
        ([{**GAP, "value": float("nan")}], "limits[0].value"),
        ([{**GAP, "metric": ""}], "limits[0].metric"),
        ([{**GAP, "metrics": "x"}], "limits[0].metrics"),
        ([{**GAP, "bound": "median"}], "limits[0].bound"),
        ([{**GAP, "when_undefined": "pass"}], "limits[0].when_undefined"),
        ([{**GAP, "slice": {"sex": "Female"}}], "limits[0].slice"),
        ([{**GAP, "slice": {"sex": 1}}], "limits[0].slice"),
        ([GAP, {**GAP, "value": 0.2}], "limits[1]"),
    ],
)
def test_a_malformed_limit_is_named(limits, field):
    with pytest.raises(Invalid) as caught:
        parse_limits(limits)
    assert caught.value.field == field


def test_limits_survive_being_stored():
    limits = parse_limits([{**GAP, "control": "equal-opportunity", "bound": "upper"}])
    assert parse_limits([one.to_json() for one in limits]) == limits


PASTS = st.one_of(
    st.builds(Past, st.sampled_from(["kept", "too_few_rows", "not_measured"]), st.just(False)),
    st.builds(Past, st.sampled_from(["exceeded", "not_measured"]), st.just(True)),
)


@given(st.lists(PASTS, max_size=8), st.integers(1, 4))
def test_a_breach_takes_as_many_broken_runs_in_a_row_as_asked(history, consecutive):
    told = [one.breaks for one in history if one.breaks or one.outcome == "kept"]
    expected = len(told) >= consecutive and all(told[:consecutive])
    assert acts(history, consecutive) == expected


@given(st.lists(PASTS, max_size=8), st.integers(0, 8), st.integers(1, 4))
def test_a_run_that_measured_nothing_changes_no_count(history, place, consecutive):
    for outcome in ("too_few_rows", "not_measured"):
        longer = [*history[:place], Past(outcome, False), *history[place:]]
        assert acts(longer, consecutive) == acts(history, consecutive)
