"""What may be configured for a check, by kind. Pure, and light: the web process reads it.

Of every kind:

    grade              "recomputed" or "re-performed"; by default the highest the version admits
    filters            [{"column", "equals"} or {"column", "least", "below"}]: rows that are meant
    reference_filters  the same for the reference
    reference_run      {"run", "side"}: the stored profiles of an earlier run (of drift or data
                       quality) stand in for the reference; side "dataset", or "reference" for
                       what that run itself compared with

The rest goes to the check itself; see `OWN` and the check's own documentation.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from kernel.canonical import LARGEST
from kernel.errors import Invalid
from monitoring.configs import fairness, performance
from monitoring.engine import effects, requested
from monitoring.engine.documents import Fields
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.rules import read_rules
from monitoring.engine.sources import Filter
from monitoring.engine.unmeasured import refuse_crossing
from monitoring.metrics.fairness import RATES
from monitoring.metrics.figures import BY_KIND

COMMON: Final = ("grade", "filters", "reference_filters", "reference_run")
GRADES: Final = ("recomputed", "re-performed")
MEDIA_TYPES: Final = {
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "text/csv": "csv",
}
TAKE_REFERENCE: Final = frozenset({"drift", "data_quality"})
NEED_REFERENCE: Final = frozenset({"drift"})
NEED_ROWS: Final = ("window", "multivariate", "conformance")
"""What drift compares only where the rows of a reference are at hand, and not its profiles alone."""
REFERENCE_SIDES: Final = ("dataset", "reference")
NEED_PREDICTIONS: Final = frozenset({"performance", "fairness"})
NEED_LABEL: Final = frozenset({"performance"})
"""Unless what they measure is estimated; of fairness, selection rates need no outcome."""
NEED_MODEL: Final = frozenset({"explainability", "robustness"})
NEED_NO_COLUMNS: Final = frozenset({"oversight"})
"""Kinds whose data have columns of their own, which no mapping declares."""

COLUMN_KINDS: Final = ("numeric", "boolean", "text", "time", "other")

Rule = Callable[[Fields, str], object]


def _flag(fields: Fields, name: str) -> None:
    fields.flag(name, False)


def _level(fields: Fields, name: str) -> None:
    fields.number(name, 0.95, above=0.5, to=0.9999)


def _between(least: int, most: int) -> Rule:
    def rule(fields: Fields, name: str) -> None:
        fields.whole(name, None, least=least, most=most)

    return rule


def _texts(fields: Fields, name: str) -> None:
    fields.texts(name)


def _groupings(fields: Fields, name: str) -> None:
    fairness.groupings(fields, name)


def _minimum(fields: Fields, name: str) -> None:
    for metric, value in fields.mapping(name).items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Invalid(
                "expected a whole number of at least 1", field=f"{fields.name(name)}.{metric}"
            )


def _share(fields: Fields, name: str) -> None:
    fields.number(name, None, above=0, to=0.5)


def _seconds(fields: Fields, name: str) -> None:
    fields.number(name, None, above=0, to=86_400)


def _correction(fields: Fields, name: str) -> None:
    fields.choice(name, effects.CORRECTIONS)


def _numbers(fields: Fields, name: str) -> None:
    for key, value in fields.mapping(name).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e308:
            raise Invalid("expected a number of at least 0", field=f"{fields.name(name)}.{key}")


def _thresholds(fields: Fields, name: str) -> None:
    _numbers(fields, name)
    for key, value in fields.mapping(name).items():
        where = f"{fields.name(name)}.{key}"
        if key not in effects.THRESHOLDS:
            known = ", ".join(effects.THRESHOLDS)
            raise Invalid(f"unknown metric; known are {known}", field=where)
        if value > (most := BY_KIND["drift"][key].most):
            raise Invalid(f"nothing drifts so far: {key} is at most {most:.4g}", field=where)


def _importance(fields: Fields, name: str) -> None:
    """Numbers by feature, or `explainability` for those of the newest such run."""
    if fields.raw(name) != effects.EXPLAINED:
        _numbers(fields, name)


def _window(fields: Fields, name: str) -> None:
    effects.read_window(fields, name)


def _schema(fields: Fields, name: str) -> None:
    for column, kind in fields.mapping(name).items():
        if kind not in COLUMN_KINDS:
            known = ", ".join(COLUMN_KINDS)
            raise Invalid(f"expected one of {known}", field=f"{fields.name(name)}.{column}")


def _rules(fields: Fields, name: str) -> None:
    read_rules(fields.raw(name), fields.name(name))


def _freshness(fields: Fields, name: str) -> None:
    own = Fields(fields.raw(name), fields.name(name), ("most_days",))
    if own.has("most_days"):
        own.number("most_days", None, above=0)


def _volume(fields: Fields, name: str) -> None:
    own = Fields(fields.raw(name), fields.name(name), ("least", "most"))
    if own.whole("least", 0) > own.whole("most", LARGEST):
        raise Invalid("less than least", field=own.name("most"))


def _slices(fields: Fields, name: str) -> None:
    requested.slices(fields, name)


def _reasons(fields: Fields, name: str) -> None:
    requested.reasons(fields, name)


def _perturbations(fields: Fields, name: str) -> None:
    requested.perturbations(fields, name)


_GROUPS: Final[dict[str, Rule]] = {
    "groupings": _groupings,
    "intersections": _flag,
    "minimum": _minimum,
    "level": _level,
    "include_missing": _flag,
}
OWN: Final[dict[str, dict[str, Rule]]] = {
    "performance": {**_GROUPS, **performance.OWN, **performance.SCORING},
    "fairness": {**_GROUPS, **fairness.OWN, **performance.SCORING},
    "drift": {
        "level": _level,
        "minimum": _between(1, 10_000_000),
        "html": _flag,
        "alpha": _share,
        "correction": _correction,
        "thresholds": _thresholds,
        "importance": _importance,
        "exact": _flag,
        "window": _window,
        "multivariate": _flag,
        "conformance": _flag,
    },
    "explainability": {
        "level": _level,
        "rows": _between(30, 100_000),
        "background": _between(10, 1_000),
        "seeds": _between(1, 20),
        "groupings": _groupings,
        "slices": _slices,
        "minimum": _between(11, 1_000_000),
        "proxy_screen": _flag,
        "proxy_rows": _between(200, 50_000),
        "reason_codes": _reasons,
    },
    "robustness": {
        "level": _level,
        "rows": _between(100, 200_000),
        "minimum": _between(1, 1_000_000),
        "groupings": _groupings,
        "perturbations": _perturbations,
    },
    "data_quality": {
        "level": _level,
        "identity": _texts,
        "schema": _schema,
        "rules": _rules,
        "freshness": _freshness,
        "volume": _volume,
        "ranges": _flag,
    },
    "oversight": {
        "level": _level,
        "minimum": _between(1, 10_000_000),
        "fast_seconds": _seconds,
        "slices": _texts,
    },
}


def parse(kind: str, config: object, path: str = "config") -> dict[str, Any]:
    """Check a configuration against the schema of its kind and return it, nulls left out.

    Raises:
        Invalid: naming the field, as `config.minimum.accuracy`.
    """
    own = OWN[kind]
    fields = Fields(config, path, (*COMMON, *own))
    if fields.has("grade"):
        fields.choice("grade", GRADES)
    for name in ("filters", "reference_filters"):
        for index, one in enumerate(fields.items(name)):
            Filter.from_json(one, f"{fields.name(name)}[{index}]")
    if fields.has("reference_run"):
        _reference_run(fields, kind)
    for name, rule in own.items():
        if fields.has(name):
            rule(fields, name)
    assert isinstance(config, Mapping)
    return {str(name): value for name, value in config.items() if value is not None}


def _reference_run(fields: Fields, kind: str) -> None:
    path = fields.name("reference_run")
    if kind not in NEED_REFERENCE:
        raise Invalid(f"a check of {kind} takes no reference run", field=path)
    for name in NEED_ROWS:
        if fields.raw(name):
            raise Invalid("needs the rows of a reference", field=fields.name(name))
    if fields.has("reference_filters"):
        raise Invalid("stored profiles cannot be filtered", field=fields.name("reference_filters"))
    # A resolved one also holds the run's cube and grade.
    told = Fields(fields.raw("reference_run"), path, ("run", "side", "cube", "grade"))
    told.text("run")
    told.choice("side", REFERENCE_SIDES, "dataset")


def of_check(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that the check itself reads."""
    left = (*COMMON, *performance.ABOUT_MODELS)
    return {name: value for name, value in config.items() if name not in left}


def check_mapping(kind: str, mapping: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Does the column mapping declare what the check looks at?

    Raises:
        Invalid: naming the part of the mapping, or of the configuration, that does not fit.
    """
    declared = ColumnMapping.from_json(mapping)
    late = kind == "performance" and bool(config.get("estimate"))
    if kind in NEED_LABEL and declared.label is None and not late:
        raise Invalid(f"a check of {kind} needs the label's column", field="mapping.label")
    if kind in ("drift", "data_quality"):
        _fits_columns(kind, declared, config)
    if kind == "performance":
        _fits_task(declared, config)
    known = {one.name for one in declared.sensitive}
    proxied = {one.name for one in declared.proxied}
    absent = {one.name for one in declared.not_collected}
    if kind == "fairness":
        _fits_groups(declared, config, known)
        known |= proxied | absent
    if kind == "performance":
        known |= {one.name for one in declared.controls}
    fields = Fields(config, "config", tuple(config))
    for index, names in enumerate(fairness.groupings(fields)):
        where = f"config.groupings[{index}]"
        for name in names:
            if name not in known:
                raise Invalid(f"{name!r} is no sensitive attribute of the mapping", field=where)
        refuse_crossing(names, proxied, absent, where)


def _fits_groups(
    declared: ColumnMapping, config: Mapping[str, Any], measured: Collection[str]
) -> None:
    """Raises Invalid, naming what fairness needs and the mapping does not declare."""
    if not (measured or declared.proxied or declared.not_collected):
        raise Invalid("a check of fairness needs a sensitive attribute", field="mapping.sensitive")
    if declared.task != "classification":
        raise Invalid("fairness is of decisions, not of numbers", field="mapping.task")
    controls = {one.name for one in declared.controls}
    fairness.check_mapping(config, measured, controls, labelled=declared.label is not None)
    _known(config, "minimum", RATES, "unknown metric")


def _fits_columns(kind: str, declared: ColumnMapping, config: Mapping[str, Any]) -> None:
    """Raises Invalid, naming what needs a column that the mapping does not declare."""
    if not declared.features:
        raise Invalid(f"a check of {kind} needs the features", field="mapping.features")
    if isinstance(config.get("importance"), Mapping):
        _known(config, "importance", declared.features, "no feature of the mapping")
    for name in ("window", "freshness"):
        if config.get(name) is not None and declared.time is None:
            raise Invalid(f"{name} needs the column of time", field="mapping.time")


def _known(config: Mapping[str, Any], name: str, known: Collection[str], wrong: str) -> None:
    """Raises Invalid, naming the key of an object that is none of those known, or `default`."""
    for key in config.get(name) or {}:
        if key not in known and (name, key) != ("minimum", "default"):
            said = f"{wrong}; known are {', '.join(known)}"
            raise Invalid(said, field=f"config.{name}.{key}")


def _fits_task(declared: ColumnMapping, config: Mapping[str, Any]) -> None:
    """Raises Invalid, naming a field that means nothing for decisions, or for numbers."""
    numbers = declared.task == "regression"
    other = ("costs", "sweep", "curves_by_group", "estimate") if numbers else ("quantiles",)
    for name in other:
        if config.get(name):
            task = "a regression" if numbers else "a classification"
            raise Invalid(f"means nothing for {task}", field=f"config.{name}")
    _known(config, "minimum", performance.metrics(config, declared.task), "unknown metric")
    if numbers and declared.prediction is None and not config.get("scoring_endpoint"):
        raise Invalid("a regression needs the prediction's column", field="mapping.prediction")


def data_format(media_type: str) -> str | None:
    """`parquet` or `csv`, or None for bytes that no check reads."""
    return MEDIA_TYPES.get(media_type.split(";")[0].strip().lower())
