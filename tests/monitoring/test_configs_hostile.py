"""Whatever a configuration holds, it is read or refused by the field that is wrong; it never fails."""

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical
from kernel.errors import CountersignError, Invalid
from monitoring import configs
from monitoring.engine.mapping import ColumnMapping
from registry import columns

MAPPING = {
    "label": "y",
    "positive": 1,
    "prediction": "p",
    "score": "s",
    "time": "at",
    "sensitive": ["sex", {"name": "age", "edges": [40]}],
    "features": ["a", "b"],
    "categorical": ["b"],
    "controls": ["region"],
}
GROUPS = {
    "groupings": ["sex", ["sex", "age"]],
    "intersections": True,
    "level": 0.9,
    "include_missing": True,
}
COMMON = {
    "grade": "recomputed",
    "filters": [{"column": "a", "least": 1, "below": 2.5}],
    "reference_filters": [{"column": "b", "equals": "x"}],
}
WHOLE: dict[str, dict[str, Any]] = {
    "performance": {
        **COMMON,
        **GROUPS,
        "minimum": {"default": 10, "accuracy": 20},
        "costs": {"false_negative": 3, "unit": "EUR"},
        "sweep": 20,
        "curves_by_group": True,
        "estimate": True,
        "compare_with": 1,
        "rescoring": {"mode": "sample", "rows": 20_000, "salt": "x"},
    },
    "fairness": {
        **COMMON,
        **GROUPS,
        "minimum": {"default": 10, "selection_rate": 20},
        "metrics": ["selection_rate", "impact_ratio"],
        "reference": {"sex": "F"},
        "controls": ["region"],
        "calibration": True,
        "subgroups": {"metrics": ["accuracy"], "depth": 2, "top": 5, "minimum": 10},
        "ll144": {"mode": "selection", "groupings": [["sex"]], "exclude_below": 0.02},
        "conformance": True,
    },
    "drift": {
        **COMMON,
        "level": 0.9,
        "minimum": 10,
        "html": False,
        "alpha": 0.05,
        "correction": "holm",
        "thresholds": {"psi": 0.2},
        "importance": {"a": 2.5},
        "exact": False,
        "window": 3.5,
        "multivariate": True,
    },
    "explainability": {
        **COMMON,
        "rows": 100,
        "groupings": ["sex"],
        "slices": [{"name": "low", "column": "a", "least": 0, "below": 1}],
        "reason_codes": {"top": 3, "decision": "any", "filters": [{"column": "a", "equals": 1}]},
    },
    "robustness": {
        "rows": 200,
        "groupings": ["sex"],
        "perturbations": [{"column": "a", "kind": "noise", "amount": 0.1, "name": "jitter"}],
    },
    "data_quality": {
        "identity": ["a"],
        "schema": {"a": "numeric"},
        "rules": [
            {"column": "a", "rule": "between", "least": 0, "most": 3, "least_share": 0.9},
            {"column": "b", "rule": "in", "values": ["x", "y"]},
        ],
        "freshness": {"most_days": 3},
        "volume": {"least": 10, "most": 20},
        "ranges": True,
    },
    "oversight": {"level": 0.9, "minimum": 5, "fast_seconds": 2.5, "slices": ["sex"]},
}
HOSTILE = (
    *(0, 1, -1, 0.0, False, True, "", "x", "*", [], {}, None, [0], [None], [[]], [{}], {"": 0}),
    *(2**53, -(2**60), 10**400, math.nan, math.inf, -math.inf, 1e308, 5e-324),
    *({"x": 2**53}, {"x": {}}, [2**53], [math.nan], [["sex", "sex"]], [[0]], "\x00"),
)


def answered(kind: str, config: Any) -> None:
    """Read and written, or refused with the field."""
    try:
        read = configs.parse(kind, config)
        configs.check_mapping(kind, {} if kind == "oversight" else MAPPING, read)
        canonical.digest({"config": read})
    except CountersignError as caught:
        error = caught
    else:
        return
    assert 400 <= error.status < 500
    assert error.field is not None
    assert error.field.split(".")[0] in ("config", "mapping")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(leaf for name, one in inner for leaf in leaves(one, (*path, name)))]


def with_leaf(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    parent = changed
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = value
    return changed


@pytest.mark.parametrize("kind", configs.OWN)
def test_every_part_of_a_configuration_may_be_anything(kind):
    answered(kind, WHOLE[kind])
    configs.parse(kind, WHOLE[kind])
    for path in leaves(WHOLE[kind]):
        for value in HOSTILE:
            answered(kind, with_leaf(WHOLE[kind], path, value))


@pytest.mark.parametrize("kind", configs.OWN)
def test_every_field_alone_may_be_anything(kind):
    for name in (*configs.COMMON, *configs.OWN[kind]):
        for value in HOSTILE:
            answered(kind, {name: value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.data())
def test_no_document_at_all_fails(data):
    kind = data.draw(st.sampled_from(sorted(configs.OWN)))
    names = st.sampled_from([*configs.COMMON, *configs.OWN[kind]])
    answered(kind, data.draw(st.dictionaries(names, JSON, max_size=3) | JSON))


@pytest.mark.parametrize(
    ("kind", "config", "field"),
    [
        ("performance", {"minimum": {"default": 2**53}}, "config.minimum.default"),
        (
            "performance",
            {"filters": [{"column": "a", "least": 10**400}]},
            "config.filters[0].least",
        ),
        ("performance", {"groupings": 0}, "config.groupings"),
        ("performance", {"minimum": ""}, "config.minimum"),
        ("performance", {"sweep": 0}, "config.sweep"),
        ("performance", {"filters": False}, "config.filters"),
        ("fairness", {"metrics": False}, "config.metrics"),
        ("fairness", {"controls": 0}, "config.controls"),
        ("fairness", {"ll144": {"groupings": [[1]]}}, "config.ll144.groupings[0]"),
        ("fairness", {"ll144": {"exclude_below": False}}, "config.ll144.exclude_below"),
        ("drift", {"thresholds": {"psi": math.inf}}, "config.thresholds.psi"),
        ("drift", {"thresholds": 0}, "config.thresholds"),
        ("drift", {"window": 10**400}, "config.window"),
        ("drift", {"importance": {"a": 2**53}}, "config.importance.a"),
        ("data_quality", {"identity": 0}, "config.identity"),
        ("data_quality", {"schema": ""}, "config.schema"),
        ("data_quality", {"freshness": {"most_days": 10**400}}, "config.freshness.most_days"),
        ("data_quality", {"volume": {"least": 5, "most": 4}}, "config.volume.most"),
        (
            "data_quality",
            {"rules": [{"column": "a", "rule": "between", "least": 2**53}]},
            "config.rules[0].least",
        ),
        (
            "data_quality",
            {"rules": [{"column": "a", "rule": "between", "least": 2, "most": 1}]},
            "config.rules[0].most",
        ),
        (
            "data_quality",
            {"rules": [{"column": "a", "rule": "between", "least": 2, "most": "x"}]},
            "config.rules[0].most",
        ),
        (
            "data_quality",
            {"rules": [{"column": "a", "rule": "less_than_column", "other": "a"}]},
            "config.rules[0].other",
        ),
        (
            "data_quality",
            {"rules": [{"column": "a", "rule": "in", "values": [1, 10**30]}]},
            "config.rules[0].values[1]",
        ),
        ("drift", {"reference_run": {"run": "x"}, "window": "day"}, "config.window"),
        (
            "robustness",
            {"perturbations": [{"column": "a", "kind": "noise", "name": "*"}]},
            "config.perturbations[0].name",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_field(kind, config, field):
    with pytest.raises(Invalid) as caught:
        configs.parse(kind, config)
    assert caught.value.field == field


def test_two_instants_rise_by_what_they_are_and_not_by_their_texts():
    rule = {
        "column": "at",
        "rule": "between",
        "least": "2026-01-02T00:00:00+05:00",
        "most": "2026-01-01T23:00:00Z",
    }
    configs.parse("data_quality", {"rules": [rule]})
    with pytest.raises(Invalid):
        configs.parse("data_quality", {"rules": [{**rule, "most": "2026-01-01T18:00:00Z"}]})


@pytest.mark.parametrize(
    ("kind", "config", "without", "field"),
    [
        ("performance", {"minimum": {"acuracy": 3}}, (), "config.minimum.acuracy"),
        ("performance", {"minimum": {"r2": 3}}, (), "config.minimum.r2"),
        ("fairness", {"minimum": {"tpr": 3}}, (), "config.minimum.tpr"),
        ("drift", {"importance": {"c": 1}}, (), "config.importance.c"),
        ("drift", {"window": "day"}, ("time",), "mapping.time"),
        ("data_quality", {"freshness": {}}, ("time",), "mapping.time"),
        ("performance", {}, ("label",), "mapping.label"),
        ("fairness", {"metrics": ["f1"]}, ("label",), "config.metrics[0]"),
        ("fairness", {"metrics": ["equalized_odds_ratio"]}, ("label",), "config.metrics[0]"),
        ("fairness", {"calibration": True}, ("label",), "config.calibration"),
        (
            "fairness",
            {"subgroups": {"metrics": ["selection_rate", "precision"]}},
            ("label",),
            "config.subgroups.metrics[1]",
        ),
    ],
)
def test_what_needs_no_data_is_held_against_the_mapping(kind, config, without, field):
    mapping = {name: value for name, value in MAPPING.items() if name not in without}
    with pytest.raises(Invalid) as caught:
        configs.check_mapping(kind, mapping, configs.parse(kind, config))
    assert caught.value.field == field


def test_selection_rates_need_no_outcome():
    mapping = {name: value for name, value in MAPPING.items() if name != "label"}
    config = {"metrics": ["impact_ratio", "demographic_parity_difference"], "ll144": {}}
    configs.check_mapping("fairness", mapping, configs.parse("fairness", config))


def test_a_number_has_a_least_size_by_the_quantiles_that_are_asked_for():
    mapping = {**MAPPING, "task": "regression"}
    config = {"quantiles": [0.75], "minimum": {"absolute_error_p75": 40, "r2": 30}}
    configs.check_mapping("performance", mapping, configs.parse("performance", config))
    with pytest.raises(Invalid) as caught:
        configs.check_mapping("performance", mapping, {"minimum": {"absolute_error_p75": 40}})
    assert caught.value.field == "config.minimum.absolute_error_p75"


@pytest.mark.parametrize("read", [columns.read, ColumnMapping.from_json])
@pytest.mark.parametrize(
    "wrong",
    [
        {"positive": 2**60},
        {"positive": math.nan},
        {"sensitive": [{"name": "age", "edges": [10**400]}]},
        {"sensitive": [{"name": "age", "edges": 0}]},
        {"features": 0},
        {"sensitive": ""},
    ],
)
def test_a_mapping_holds_what_json_can_say(read, wrong):
    with pytest.raises(Invalid) as caught:
        read(wrong, "columns")
    assert caught.value.field is not None
    assert caught.value.field.startswith("columns.")


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": ["a", "*"]},
        {
            "sensitive": [
                {
                    "name": "race",
                    "state": "proxied",
                    "proxy": {
                        "version": "00000000-0000-0000-0000-000000000001",
                        "columns": {"*": "p"},
                    },
                }
            ]
        },
    ],
)
def test_nothing_is_called_as_what_stands_for_all(wrong):
    with pytest.raises(Invalid):
        ColumnMapping.from_json(wrong)
