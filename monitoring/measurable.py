"""What a check measures of which groups and columns, as it is configured; and limits held against that.

Pure, and light: nothing is opened. A limit on what is never measured, or on what nothing ever breaks
or keeps, watches nothing, so it is refused when it is written. What hangs on the data is not judged
here: a group that the data lack is not measured, which several windows running is a breach.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from kernel.errors import Invalid
from monitoring.configs import fairness as fairness_config
from monitoring.configs import performance as performance_config
from monitoring.engine import requested
from monitoring.engine.documents import Fields
from monitoring.engine.mapping import UNKNOWN, ColumnMapping, SensitiveAttribute
from monitoring.engine.rules import read_rules
from monitoring.limits import BETWEEN, Limit
from monitoring.metrics import fairness as names
from monitoring.metrics import figures, performance
from monitoring.metrics.figures import Figure, figure_of

Values = frozenset[str] | None
"""What may stand for an attribute in a slice; None for any group, whose name only the data know."""
Shape = Mapping[str, Values]
"""What a figure is of: everybody, if it is empty."""

_ALL: Final[Values] = frozenset({BETWEEN})
_ANY_COLUMN: Final = ""
"""In a shape: one column, whose name only the data know."""
_EVERYBODY: Final[Shape] = {}
_MOST_TOLD = 20
_WITHOUT_LABEL: Final = (performance.ESTIMATES, ("selection_rate",))
_OF_SCORES: Final = (
    *("auc", "brier_score", "log_loss", "expected_calibration_error"),
    *("average_precision", "calibration_bias"),
)
_ESTIMATED_RATES: Final = names.DEFAULT_RATES
_ESTIMATED_COMPARISONS: Final = names.DEFAULT_COMPARISONS


@dataclass(frozen=True)
class Asked:
    """A check as it is asked for. `has_reference` says whether data to compare with are named, and
    `inputs` which columns the model is fed; None if that is not known."""

    kind: str
    config: Mapping[str, Any]
    mapping: ColumnMapping
    has_reference: bool = False
    inputs: Collection[str] | None = None

    @property
    def fields(self) -> Fields:
        return Fields(self.config, "config", tuple(self.config))

    def has(self, name: str) -> bool:
        return bool(self.config.get(name))


Offers = dict[str, list[Shape]]


def offers(asked: Asked) -> Offers:
    """By the name of each figure that the check measures, what of."""
    found: Offers = {}
    for name, shape in _KINDS[asked.kind](asked):
        found.setdefault(name, []).append(shape)
    return found


def check_names(limits: Sequence[Limit], kind: str, path: str = "limits") -> None:
    """Are limits on figures that a kind of check knows, and could each be kept and broken?

    Raises:
        Invalid: naming the field, as `limits[0].metric`.
    """
    for index, limit in enumerate(limits):
        where = f"{path}[{index}]"
        figure = figure_of(kind, limit.metric)
        if figure is None:
            known = _told(sorted(figures.BY_KIND[kind]))
            said = f"a check of {kind} measures no {limit.metric}; known are {known}"
            raise Invalid(said, field=f"{where}.metric")
        _check_range(limit, figure, where)


def check_limits(limits: Sequence[Limit], asked: Asked, path: str = "limits") -> None:
    """The same, and are they on what the check measures, configured so, of these columns?

    Raises:
        Invalid: naming the field, as `limits[0].slice`.
    """
    check_names(limits, asked.kind, path)
    known = offers(asked)
    for index, limit in enumerate(limits):
        where = f"{path}[{index}]"
        shapes = known.get(limit.metric)
        if shapes is None:
            raise Invalid(_unmeasured(limit, asked, known), field=f"{where}.metric")
        if not any(_fits(limit.slice, shape) for shape in shapes):
            compared = limit.slice and all(one == BETWEEN for one in limit.slice.values())
            said = f"{limit.metric} is not measured of that, but of {_told(map(_words, shapes))}"
            raise Invalid(said, field=f"{where}.{'attribute' if compared else 'slice'}")
        if limit.metric == "expected_cost":
            costs = performance_config.Costs.read(asked.fields)
            assert costs is not None
            figure = Figure(min(costs.of), max(costs.of), (min(costs.of), max(costs.of)))
            _check_range(limit, figure, where)


def _check_range(limit: Limit, figure: Figure, where: str) -> None:
    least, most = figure.least, figure.most
    if limit.bound != "value":
        if figure.ends is None:
            raise Invalid(
                f"{limit.metric} has no interval; judge it by its value", field=f"{where}.bound"
            )
        least, most = figure.ends
    at_most = limit.op == "<="
    if limit.value >= most if at_most else limit.value <= least:
        what = "nothing could ever break this limit"
    elif limit.value < least if at_most else limit.value > most:
        what = "nothing could ever keep this limit"
    else:
        return
    said = f"{limit.metric} lies from {figure.least:.4g} to {figure.most:.4g}: {what}"
    raise Invalid(said, field=f"{where}.value")


def _unmeasured(limit: Limit, asked: Asked, known: Offers) -> str:
    if not known:
        return f"this check measures nothing of these columns that {limit.metric} could be"
    return (
        f"{limit.metric} is not measured, as the check is configured, of the columns that are "
        f"declared; measured are {_told(sorted(known))}"
    )


def _fits(slice: Mapping[str, str], shape: Shape) -> bool:
    if slice.keys() != shape.keys():
        others = [group for name, group in slice.items() if name not in shape]
        return _ANY_COLUMN in shape and len(slice) == 1 and others != [BETWEEN]
    return all(
        group != BETWEEN if (values := shape[name]) is None else group in values
        for name, group in slice.items()
    )


def _told(words: Iterable[str]) -> str:
    found = list(dict.fromkeys(words))
    more = len(found) - _MOST_TOLD
    return ", ".join(found[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


def _words(shape: Shape) -> str:
    """`everybody`, `between groups of sex`, `each sex`, `feature: age or income`."""
    if not shape:
        return "everybody"
    if all(values == _ALL for values in shape.values()):
        return f"attribute {','.join(shape)}"
    parts = [
        f"any {name}" if values is None else f"{name} {' or '.join(sorted(values)[:_MOST_TOLD])}"
        for name, values in shape.items()
    ]
    return " with ".join(parts)


def _groups(attribute: SensitiveAttribute) -> Values:
    named = attribute.groups()
    return frozenset((*named, UNKNOWN)) if named else None


def _known_groups(mapping: ColumnMapping) -> dict[str, Values]:
    known = {one.name: _groups(one) for one in (*mapping.sensitive, *mapping.controls)}
    for proxied in mapping.proxied:
        known[proxied.name] = frozenset((*(group for group, _ in proxied.columns), UNKNOWN))
    return known


def _group(grouping: Iterable[str], known: Mapping[str, Values]) -> Shape:
    return {name: known[name] for name in grouping}


def _between(grouping: Iterable[str]) -> Shape:
    return dict.fromkeys(grouping, _ALL)


def _groupings(
    given: Sequence[tuple[str, ...]], attributes: Sequence[str], crossed: bool
) -> list[tuple[str, ...]]:
    """Those that are given, else each attribute alone; and all together, where that is asked for."""
    found = list(given) or [(name,) for name in attributes]
    everything = tuple(attributes)
    if crossed and len(everything) > 1 and everything not in found:
        found.append(everything)
    return found


# Performance


def _performance(asked: Asked) -> Iterator[tuple[str, Shape]]:
    mapping, known = asked.mapping, _known_groups(asked.mapping)
    measured = _of_numbers(asked) if mapping.task == "regression" else _of_decisions(asked)
    shapes = [_EVERYBODY, *(_group(one, known) for one in _sliced(asked))]
    for name in measured:
        for shape in shapes:
            yield name, shape
    if mapping.task != "regression" and mapping.label is not None:
        for name in figures.COUNTS:
            yield name, _EVERYBODY


def _sliced(asked: Asked) -> list[tuple[str, ...]]:
    """The groupings of sensitive attributes, and apart from them those of controls."""
    mapping, given = asked.mapping, fairness_config.groupings(asked.fields)
    found: list[tuple[str, ...]] = []
    for part in (mapping.sensitive, mapping.controls):
        attributes = [one.name for one in part]
        own = [one for one in given if set(one) <= set(attributes)]
        if attributes and (own or not given):
            found += _groupings(own, attributes, asked.has("intersections"))
    return found


def _of_decisions(asked: Asked) -> list[str]:
    mapping, config = asked.mapping, asked.config
    scored = mapping.score is not None or config.get("grade") != "recomputed"
    scored = scored or asked.has("scoring_endpoint")
    left: set[str] = set()
    if not asked.has("costs"):
        left.add("expected_cost")
    if not config.get("compare_with"):
        left |= set(performance.GAINS)
    if not asked.has("estimate"):
        left |= set(performance.ESTIMATES)
    if not scored:
        left |= {*_OF_SCORES, "auc_gain", "brier_score_gain"}
    measured = [name for name in performance.OF_DECISIONS if name not in left]
    if mapping.label is None:
        kept = {name for group in _WITHOUT_LABEL for name in group}
        return [name for name in measured if name in kept]
    return measured


def _of_numbers(asked: Asked) -> list[str]:
    measured = performance_config.metrics(asked.config, "regression")
    gains = ("mean_absolute_error_gain", "root_mean_squared_error_gain")
    return [one for one in measured if one not in gains or asked.config.get("compare_with")]


# Fairness


def _fairness(asked: Asked) -> Iterator[tuple[str, Shape]]:
    mapping, known = asked.mapping, _known_groups(asked.mapping)
    labelled = mapping.label is not None
    attributes = [one.name for one in mapping.sensitive]
    apart = {one.name for one in mapping.proxied} | {one.name for one in mapping.not_collected}
    given = fairness_config.groupings(asked.fields)
    own = [one for one in given if not apart & set(one)]
    if attributes and (own or not given):
        groupings = _groupings(own, attributes, asked.has("intersections"))
        yield from _by_groups(asked, groupings, known, labelled=labelled)
        yield from _searched(asked, attributes, known)
        yield from _of_the_law(asked, attributes, known)
    for one in mapping.proxied:
        yield from _estimated(asked, one.name, given, known, labelled=labelled)


def _by_groups(
    asked: Asked,
    groupings: Sequence[tuple[str, ...]],
    known: Mapping[str, Values],
    *,
    labelled: bool,
) -> Iterator[tuple[str, Shape]]:
    fields = asked.fields
    measured = fairness_config.metrics(fields, labelled=labelled)
    controls = fields.texts("controls")
    for grouping in groupings:
        strata = [_EVERYBODY, *([_group(controls, known)] if controls else [])]
        for name in measured:
            one = names.COMPARISONS.get(name)
            for stratum in strata:
                if one is None:
                    yield name, {**stratum, **_group(grouping, known)}
                elif one.against != "reference":
                    yield name, {**stratum, **_between(grouping)}
            if one is not None and one.against == "reference":
                yield name, _group(grouping, known)
            if one is not None and controls and names.is_conditional(one):
                yield names.CONDITIONAL + name, _between(grouping)
        if asked.has("calibration"):
            yield names.GROUP_CALIBRATION_ERROR, _group(grouping, known)
            yield names.CALIBRATION_IN_THE_LARGE, _group(grouping, known)
            yield names.CALIBRATION_DIFFERENCE, _between(grouping)


def _searched(
    asked: Asked, attributes: Sequence[str], known: Mapping[str, Values]
) -> Iterator[tuple[str, Shape]]:
    search = fairness_config.subgroups(asked.fields)
    if search is None:
        return
    among = [*attributes, *(asked.fields.texts("controls") if search.controls else ())]
    for metric in search.metrics:
        for size in range(1, min(search.depth, len(among)) + 1):
            for grouping in combinations(among, size):
                yield f"{names.SUBGROUP}{metric}_difference", _group(grouping, known)


def _of_the_law(
    asked: Asked, attributes: Sequence[str], known: Mapping[str, Values]
) -> Iterator[tuple[str, Shape]]:
    law = fairness_config.ll144(asked.fields)
    if law is None:
        return
    for grouping in _groupings(law.groupings, attributes, not law.groupings):
        yield names.LL144_RATE[law.mode], _group(grouping, known)
        yield names.LL144_IMPACT_RATIO, _group(grouping, known)
        yield names.LL144_UNKNOWN, _between(grouping)


def _estimated(
    asked: Asked,
    name: str,
    given: Sequence[tuple[str, ...]],
    known: Mapping[str, Values],
    *,
    labelled: bool,
) -> Iterator[tuple[str, Shape]]:
    """Of an attribute that a proxy estimates: the usual rates and comparisons, whatever is asked for."""
    groupings = [one for one in given if name in one] if given else [(name,)]
    measured = [one.name for one in asked.mapping.sensitive]
    if asked.has("intersections") and measured and groupings:
        groupings = [*groupings, (*measured, name)]
    for grouping in groupings:
        for rate in _ESTIMATED_RATES:
            if labelled or not names.needs_label(rate):
                yield rate, _group(grouping, known)
        for comparison in _ESTIMATED_COMPARISONS:
            if labelled or not names.needs_label(comparison):
                yield comparison, _between(grouping)


# Drift and data quality


def _drift(asked: Asked) -> Iterator[tuple[str, Shape]]:
    mapping = asked.mapping
    every = frozenset(mapping.features)
    # A feature that is not declared a category may hold booleans, which are compared as such.
    numbers = every - set(mapping.categorical)
    windows: list[Shape] = [_EVERYBODY, *([{"window": None}] if asked.has("window") else [])]
    for own, of in (
        (figures.OF_COLUMNS, every),
        (figures.OF_NUMBERS, numbers),
        (figures.OF_CATEGORIES, every),
    ):
        for name in own if of else ():
            yield name, {"feature": _ALL}
            for window in windows:
                yield name, {"feature": of, **window}
                for answer in _answers(asked, own):
                    yield name, {"output": frozenset({answer}), **window}
    for window in windows:
        for answer in _answers(asked, figures.OF_CATEGORIES):
            yield "positive_rate_difference", {"output": frozenset({answer}), **window}
        yield "drifted_share", window
        if asked.has("importance"):
            yield "drifted_importance_share", window
    if asked.has("multivariate"):
        yield "domain_classifier_auc", _EVERYBODY


def _answers(asked: Asked, of: Sequence[str]) -> list[str]:
    """The model's answers, and the outcome, that such figures are formed of."""
    mapping, number = asked.mapping, asked.mapping.task == "regression"
    found = {"prediction": number, **({"label": number} if mapping.label else {})}
    if not number:
        found["score"] = True
    if of == figures.OF_NUMBERS:
        return [name for name, is_number in found.items() if is_number]
    if of == figures.OF_CATEGORIES:
        return [name for name, is_number in found.items() if not is_number]
    return list(found)


def _data_quality(asked: Asked) -> Iterator[tuple[str, Shape]]:
    mapping, config = asked.mapping, asked.config
    columns = {*mapping.features, *(one.column for one in mapping.sensitive)}
    columns |= {mapping.label} if mapping.label else set()
    yield "missing_rate", {"feature": frozenset({*columns, BETWEEN})}
    overall = ["rows", "duplicate_rate", "constant_features"]
    overall += ["base_rate"] if mapping.label else []
    overall += ["leakage_rate", "schema_match", "volume_ratio"] if asked.has_reference else []
    overall += ["duplicate_row_rate"] if asked.has("identity") else []
    overall += ["declared_schema_match"] if asked.has("schema") else []
    if config.get("freshness") is not None:
        overall += ["age_days", "future_rate"]
        overall += ["fresh"] if (config["freshness"] or {}).get("most_days") else []
    overall += ["volume_kept"] if config.get("volume") is not None else []
    if asked.has("rules"):
        overall.append("rules_broken")
        rules = frozenset(one.name for one in read_rules(asked.fields.items("rules")))
        yield "rule_share", {"rule": rules}
    if asked.has("ranges") and asked.has_reference:
        numbers = set(mapping.features) - set(mapping.categorical)
        yield "out_of_range_rate", {"feature": frozenset({*numbers, BETWEEN})}
    for name in overall:
        yield name, _EVERYBODY


# Explainability, robustness and oversight


def _explainability(asked: Asked) -> Iterator[tuple[str, Shape]]:
    mapping, known = asked.mapping, _known_groups(asked.mapping)
    inputs: Values = frozenset(asked.inputs) if asked.inputs is not None else None
    parts: list[Shape] = [_group(one, known) for one in fairness_config.groupings(asked.fields)]
    slices = frozenset(one.name for one in requested.slices(asked.fields, "slices"))
    parts += [{"slice": slices}] if slices else []
    yield "mean_abs_shap", {"feature": inputs}
    for part in parts:
        yield "mean_abs_shap", {"feature": inputs, **part}
        yield "mean_shap", {"feature": inputs, **part}
    for name in ("shap_additivity_error", "attribution_stability", "deterministic_output"):
        yield name, _EVERYBODY
    attributes = {one.name for one in mapping.sensitive} | {one.name for one in mapping.proxied}
    if attributes:
        yield "sensitive_attribute_not_an_input", _EVERYBODY
        yield "sensitive_attribute_not_an_input", {"attribute": frozenset(attributes)}
    for one in mapping.sensitive if asked.has("proxy_screen") else ():
        yield "proxy_auc", {one.name: known[one.name]}
        yield "proxy_auc", _between([one.name])
        yield "proxy_balanced_accuracy", _between([one.name])
        yield "proxy_auc_drop", {"feature": inputs, one.name: _ALL}


def _robustness(asked: Asked) -> Iterator[tuple[str, Shape]]:
    known = _known_groups(asked.mapping)
    declared = requested.perturbations(asked.fields, "perturbations")
    tried = frozenset(one.name for one in declared or requested.usual(True, True))
    yield "baseline_accuracy", _EVERYBODY
    yield "baseline_auc", _EVERYBODY
    for name in figures.OF_PERTURBATIONS:
        yield name, {"perturbation": tried}
    for name in figures.LARGEST_OF_PERTURBATIONS:
        yield name, {"perturbation": _ALL}
    for grouping in fairness_config.groupings(asked.fields):
        yield "flip_rate", {"perturbation": tried, **_group(grouping, known)}


def _oversight(asked: Asked) -> Iterator[tuple[str, Shape]]:
    for name in figures.BY_KIND["oversight"]:
        yield name, _EVERYBODY
    for column in ("model_output", "reviewer", *(asked.fields.texts("slices") or (_ANY_COLUMN,))):
        yield "override_rate", {column: None}


_KINDS: Final = {
    "performance": _performance,
    "fairness": _fairness,
    "drift": _drift,
    "data_quality": _data_quality,
    "explainability": _explainability,
    "robustness": _robustness,
    "oversight": _oversight,
}
