"""What performance may be configured with beyond groups and minima, and how models are scored. Pure.

costs            {"true_positive", "false_positive", "true_negative", "false_negative", "unit"}:
                 what one decision costs by its outcome (a gain is negative), in a unit
sweep            true, or into how many steps the thresholds from 0 to 1 are cut: plots
curves_by_group  true: calibration, ROC and precision-recall with a line for each group
estimate         true: estimates from scores, for rows whose labels are late
quantiles        of a regression's absolute errors; by default 0.5 and 0.9

compare_with     a version's number, or the name of an environment whose live version is meant
rescoring        {"mode": "all" | "sample", "rows", "salt"}: how many rows are scored again where
                 predictions were supplied
scoring_endpoint the name of an endpoint of the operator's that scores in the sandbox's place
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel.errors import Invalid
from monitoring.engine.documents import Fields
from monitoring.metrics.performance import OF_DECISIONS, OF_NUMBERS, quantile_name

OUTCOMES: Final = ("true_positive", "false_positive", "true_negative", "false_negative")
OWN_FIELDS: Final = ("costs", "sweep", "curves_by_group", "estimate")
SWEEP_POINTS: Final = 50
QUANTILES: Final = (0.5, 0.9)
"""Of the sizes of errors, unless others are asked for."""
LEAST_SAMPLE: Final = 10_000
MOST_SAMPLE: Final = 5_000_000
MODES: Final = ("all", "sample")
RANGES: Final = {
    **dict.fromkeys(
        (
            *("accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy", "auc"),
            *("brier_score", "average_precision", "negative_predictive_value"),
            *("expected_calibration_error", "prediction_agreement"),
        ),
        (0.0, 1.0),
    ),
    **dict.fromkeys(
        (
            *("matthews_correlation", "calibration_bias", "accuracy_gain", "recall_gain"),
            *("specificity_gain", "auc_gain", "brier_score_gain", "selection_rate_change"),
        ),
        (-1.0, 1.0),
    ),
}
"""Of metrics that have one: a limit at its end is none."""


@dataclass(frozen=True)
class Costs:
    """What one decision costs by its outcome, in `unit`; a gain is negative."""

    of: tuple[float, float, float, float]
    unit: str

    @classmethod
    def read(cls, config: Fields) -> "Costs | None":
        """The costs of a configuration; None without.

        Raises:
            Invalid: naming the field.
        """
        if not config.has("costs"):
            return None
        fields = Fields(config.raw("costs"), config.name("costs"), (*OUTCOMES, "unit"))
        values = tuple(fields.number(name, 0.0, above=-1e15, to=1e15) for name in OUTCOMES)
        unit = fields.text("unit", "cost")
        if len(unit) > 20:
            raise Invalid("expected up to 20 characters", field=fields.name("unit"))
        if len(set(values)) == 1:
            raise Invalid("every outcome costs the same", field=config.name("costs"))
        return cls((values[0], values[1], values[2], values[3]), unit)

    def to_json(self) -> dict[str, float]:
        return dict(zip(OUTCOMES, self.of, strict=True))

    def mean(self, cells: tuple[int, int, int, int]) -> float:
        """The cost of one decision, from the counts of each outcome in the order of `OUTCOMES`."""
        total = sum(k * cost for k, cost in zip(cells, self.of, strict=True))
        return total / sum(cells)


def sweep_points(fields: Fields) -> int:
    """How many steps a threshold sweep has; 0 if none is wanted."""
    if fields.raw("sweep") is True:
        return SWEEP_POINTS
    if fields.raw("sweep") is None or fields.raw("sweep") is False:
        return 0
    return fields.whole("sweep", None, least=2, most=200)


def quantiles(fields: Fields, name: str = "quantiles") -> tuple[float, ...]:
    """Shares between 0 and 1, each once.

    Raises:
        Invalid: naming the field.
    """
    found = []
    for index, one in enumerate(fields.items(name)):
        if isinstance(one, bool) or not isinstance(one, int | float) or not 0 < one < 1:
            raise Invalid(
                "expected a number between 0 and 1", field=f"{fields.name(name)}[{index}]"
            )
        found.append(float(one))
    if len(set(found)) != len(found):
        raise Invalid("names something twice", field=fields.name(name))
    return tuple(found)


def metrics(config: Mapping[str, Any], task: str) -> tuple[str, ...]:
    """The names of what is measured, of which a least size may be declared."""
    if task != "regression":
        return OF_DECISIONS
    given = quantiles(Fields(config, "config", tuple(config))) or QUANTILES
    return (*OF_NUMBERS, *map(quantile_name, given))


def _costs(fields: Fields, name: str) -> None:
    Costs.read(fields)


def _sweep(fields: Fields, name: str) -> None:
    sweep_points(fields)


def _flag(fields: Fields, name: str) -> None:
    fields.flag(name, False)


def _quantiles(fields: Fields, name: str) -> None:
    quantiles(fields, name)


def _compare_with(fields: Fields, name: str) -> None:
    if isinstance(fields.raw(name), str):
        fields.text(name)
    else:
        fields.whole(name, None, least=1)


def _rescoring(fields: Fields, name: str) -> None:
    own = Fields(fields.raw(name), fields.name(name), ("mode", "rows", "salt"))
    own.choice("mode", MODES, "all")
    own.whole("rows", LEAST_SAMPLE, least=LEAST_SAMPLE, most=MOST_SAMPLE)
    if own.has("salt"):
        own.text("salt")


def _endpoint(fields: Fields, name: str) -> None:
    fields.text(name)


OWN: Final = {
    "costs": _costs,
    "sweep": _sweep,
    "curves_by_group": _flag,
    "estimate": _flag,
    "quantiles": _quantiles,
    "compare_with": _compare_with,
}
SCORING: Final = {"rescoring": _rescoring, "scoring_endpoint": _endpoint}
ABOUT_MODELS: Final = ("compare_with", *SCORING)
"""What the check itself does not read: it decides who scores which rows."""
