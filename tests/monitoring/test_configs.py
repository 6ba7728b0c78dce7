"""What may be configured is what the engine reads."""

from importlib import import_module

import pytest

from kernel.errors import Invalid
from monitoring import configs
from monitoring.configs import performance as performance_config
from monitoring.engine.loaders import FORMATS
from monitoring.models import CheckKind
from registry import formats

FIELDS = [
    ("performance", "performance", "FIELDS"),
    ("fairness", "fairness", "FIELDS"),
    ("drift", "drift", "FIELDS"),
    ("explainability", "explainability", "FIELDS"),
    ("data_quality", "data_quality", "FIELDS"),
    ("robustness", "robustness", "FIELDS"),
]


@pytest.mark.parametrize(("kind", "module", "name"), FIELDS)
def test_each_kind_takes_what_its_check_reads(kind, module, name):
    known = getattr(import_module(f"monitoring.engine.checks.{module}"), name)
    assert set(configs.OWN[kind]) - set(performance_config.ABOUT_MODELS) == set(known)


def test_every_kind_and_every_format_that_is_opened_is_known():
    assert set(configs.OWN) == set(CheckKind.values)
    assert set(FORMATS) <= set(formats.FORMATS)
    assert formats.PICKLE not in FORMATS


def test_the_checks_part_is_told_from_the_runs():
    config = configs.parse("drift", {"grade": "recomputed", "level": 0.9, "minimum": None})
    assert config == {"grade": "recomputed", "level": 0.9}
    assert configs.of_check(config) == {"level": 0.9}


@pytest.mark.parametrize(
    ("kind", "config", "field"),
    [
        ("drift", {"minimum": {"psi": 5}}, "config.minimum"),
        ("drift", {"html": "yes"}, "config.html"),
        ("drift", {"thresholds": {"ks_statistic": 5}}, "config.thresholds.ks_statistic"),
        ("drift", {"thresholds": {"jensen_shannon": 0.9}}, "config.thresholds.jensen_shannon"),
        ("drift", {"groupings": ["sex"]}, "config.groupings"),
        ("explainability", {"rows": 29}, "config.rows"),
        ("explainability", {"background": 10_000}, "config.background"),
        ("explainability", {"seeds": 0}, "config.seeds"),
        ("explainability", {"proxy_screen": 1}, "config.proxy_screen"),
        ("explainability", {"slices": [{"name": "a"}]}, "config.slices[0].column"),
        ("explainability", {"reason_codes": {"top": 0}}, "config.reason_codes.top"),
        ("explainability", {"reason_codes": {"decision": "no"}}, "config.reason_codes.decision"),
        ("robustness", {"rows": 3}, "config.rows"),
        (
            "robustness",
            {"perturbations": [{"column": "a", "kind": "burn"}]},
            "config.perturbations[0].kind",
        ),
        (
            "robustness",
            {"perturbations": [{"column": "a", "kind": "missing", "amount": 2}]},
            "config.perturbations[0].amount",
        ),
        (
            "robustness",
            {"perturbations": [{"column": "a", "kind": "noise"}] * 2},
            "config.perturbations",
        ),
        ("data_quality", {"identity": "x"}, "config.identity"),
        ("fairness", {"minimum": 5}, "config.minimum"),
        ("fairness", {"metrics": ["tpr"]}, "config.metrics[0]"),
        ("fairness", {"reference": "lowest"}, "config.reference"),
        ("fairness", {"controls": "region"}, "config.controls"),
        ("fairness", {"calibration": 1}, "config.calibration"),
        ("fairness", {"subgroups": {"top": 0}}, "config.subgroups.top"),
        ("fairness", {"ll144": {"exclude_below": 1}}, "config.ll144.exclude_below"),
        ("performance", {"costs": {"false_negative": "much"}}, "config.costs.false_negative"),
        ("performance", {"costs": {"false_negative": 0}}, "config.costs"),
        ("performance", {"sweep": 1}, "config.sweep"),
        ("performance", {"quantiles": [0.5, 1]}, "config.quantiles[1]"),
        ("performance", {"compare_with": 0}, "config.compare_with"),
        ("performance", {"rescoring": {"rows": 9_999}}, "config.rescoring.rows"),
        ("fairness", {"rescoring": {"mode": "some"}}, "config.rescoring.mode"),
        ("drift", {"rescoring": {"mode": "sample"}}, "config.rescoring"),
        ("fairness", [], "config"),
    ],
)
def test_a_wrong_field_is_named(kind, config, field):
    with pytest.raises(Invalid) as caught:
        configs.parse(kind, config)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("text/csv; charset=utf-8", "csv"),
        ("application/vnd.apache.parquet", "parquet"),
        ("TEXT/CSV", "csv"),
        ("application/json", None),
        ("", None),
    ],
)
def test_what_data_is_read(media_type, expected):
    assert configs.data_format(media_type) == expected


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"controls": ["sex"]}, "config.controls[0]"),
        ({"reference": {"race": "A"}}, "config.reference.race"),
        ({"ll144": {"groupings": [["sex", "race"]]}}, "config.ll144.groupings[0]"),
    ],
)
def test_fairness_is_of_attributes_and_controls_that_the_mapping_declares(config, field):
    mapping = {"label": "y", "prediction": "p", "sensitive": ["sex"], "controls": ["region"]}
    configs.check_mapping("fairness", mapping, {"controls": ["region"]})
    with pytest.raises(Invalid) as caught:
        configs.check_mapping("fairness", mapping, config)
    assert caught.value.field == field
