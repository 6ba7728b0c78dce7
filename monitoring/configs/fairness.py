"""What fairness may be configured with beyond groups and minima. Pure, and light.

metrics      names of `metrics.fairness.KNOWN`; by default those of `DEFAULT`
reference    "highest", "largest", or {attribute: group}: what `impact_ratio` and the other
             comparisons to a reference are made with
controls     names of the mapping's controls: comparisons again within each of their strata
calibration  true: are the scores right within each group?
conformance  true: the same figures by Fairlearn and scikit-learn on up to 20,000 rows
subgroups    {"metrics", "depth", "controls", "top", "minimum"}: the subgroups that differ most
ll144        {"mode", "groupings", "exclude_below"}: rates and impact ratios of New York's
             Local Law 144
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from kernel.errors import Invalid
from monitoring.engine.documents import Fields
from monitoring.metrics.fairness import DEFAULT, KNOWN, SELECTION_RATE, SHARES, needs_label

Mode = Literal["selection", "scoring"]
REFERENCES: Final = ("highest", "largest")
_NO_ATTRIBUTE: Final = "{!r} is no sensitive attribute of the mapping"
_NO_LABEL: Final = "needs outcomes, and the mapping names no column of the label"


@dataclass(frozen=True)
class Reference:
    """`named` holds a group for some attributes; `rule` chooses where it does not."""

    rule: str = "highest"
    named: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Subgroups:
    """Search all groups that up to `depth` attributes make; tell of the `top` that differ most."""

    metrics: tuple[str, ...] = (SELECTION_RATE,)
    depth: int = 2
    controls: bool = False
    top: int = 10
    minimum: int | None = None


@dataclass(frozen=True)
class LocalLaw144:
    """Categories of less than the share `exclude_below` set no rate of reference."""

    mode: Mode = "selection"
    groupings: tuple[tuple[str, ...], ...] = ()
    exclude_below: float = 0.02


def metrics(fields: Fields, name: str = "metrics", *, labelled: bool = True) -> tuple[str, ...]:
    """What is to be measured: what is named, or what is usual. Without outcomes (not `labelled`) only
    selection rates and their comparisons.

    Raises:
        Invalid: naming a metric that is not known, or that needs outcomes there are none of.
    """
    given = fields.texts(name)
    for index, one in enumerate(given):
        where = f"{fields.name(name)}[{index}]"
        if one not in KNOWN:
            raise Invalid(f"{one!r} is not known", field=where)
        if not labelled and needs_label(one):
            raise Invalid(f"{one} {_NO_LABEL}", field=where)
    if given:
        return tuple(sorted(given, key=KNOWN.index))
    return tuple(one for one in DEFAULT if labelled or not needs_label(one))


def reference(fields: Fields, name: str = "reference") -> Reference:
    given = fields.raw(name)
    if given is None:
        return Reference()
    if isinstance(given, Mapping):
        for attribute, group in given.items():
            if not isinstance(attribute, str) or not isinstance(group, str):
                where = f"{fields.name(name)}.{attribute}"
                raise Invalid("expected the name of a group", field=where)
        return Reference(named=dict(given))
    return Reference(fields.choice(name, REFERENCES))


def subgroups(fields: Fields, name: str = "subgroups") -> Subgroups | None:
    if not fields.has(name):
        return None
    known = ("metrics", "depth", "controls", "top", "minimum")
    own = Fields(fields.raw(name), fields.name(name), known)
    chosen = own.texts("metrics") or (SELECTION_RATE,)
    for index, one in enumerate(chosen):
        if one not in SHARES:
            where = f"{own.name('metrics')}[{index}]"
            raise Invalid(f"expected one of {', '.join(SHARES)}", field=where)
    return Subgroups(
        metrics=chosen,
        depth=own.whole("depth", 2, least=1, most=4),
        controls=own.flag("controls", False),
        top=own.whole("top", 10, least=1, most=100),
        minimum=own.whole("minimum", None, least=1) if own.has("minimum") else None,
    )


def ll144(fields: Fields, name: str = "ll144") -> LocalLaw144 | None:
    if not fields.has(name):
        return None
    own = Fields(fields.raw(name), fields.name(name), ("mode", "groupings", "exclude_below"))
    share = own.number("exclude_below", 0.02, least=0.0, to=0.5)
    mode = cast(Mode, own.choice("mode", ("selection", "scoring"), "selection"))
    return LocalLaw144(mode, groupings(own), share)


def groupings(fields: Fields, name: str = "groupings") -> tuple[tuple[str, ...], ...]:
    """Attributes, or lists of different attributes, whose groups are formed together.

    Raises:
        Invalid: naming the grouping.
    """
    found = []
    for index, one in enumerate(fields.items(name)):
        names = [one] if isinstance(one, str) else one
        if (
            not isinstance(names, list)
            or not names
            or not all(isinstance(part, str) and part for part in names)
            or len(set(names)) != len(names)
        ):
            where = f"{fields.name(name)}[{index}]"
            raise Invalid("expected an attribute or a list of different attributes", field=where)
        found.append(tuple(names))
    return tuple(found)


def check_mapping(
    config: Mapping[str, Any],
    sensitive: Collection[str],
    controls: Collection[str],
    *,
    labelled: bool = True,
) -> None:
    """Does the mapping declare the attributes, controls and outcomes that a configuration needs?

    Raises:
        Invalid: naming the part of the configuration.
    """
    fields = Fields(config, "config", tuple(config))
    for index, one in enumerate(fields.texts("controls")):
        if one not in controls:
            raise Invalid(
                f"{one!r} is no control of the mapping", field=f"config.controls[{index}]"
            )
    for name in reference(fields).named:
        if name not in sensitive:
            raise Invalid(_NO_ATTRIBUTE.format(name), field=f"config.reference.{name}")
    if not labelled:
        _check_without_label(fields)
    law = ll144(fields)
    for index, grouping in enumerate(law.groupings if law else ()):
        for name in grouping:
            if name not in sensitive:
                where = f"config.ll144.groupings[{index}]"
                raise Invalid(_NO_ATTRIBUTE.format(name), field=where)


def _check_without_label(fields: Fields) -> None:
    metrics(fields, labelled=False)
    if fields.flag("calibration", False):
        raise Invalid(f"calibration {_NO_LABEL}", field="config.calibration")
    search = subgroups(fields)
    for index, one in enumerate(search.metrics if search else ()):
        if needs_label(one):
            raise Invalid(f"{one} {_NO_LABEL}", field=f"config.subgroups.metrics[{index}]")


def _texts(fields: Fields, name: str) -> None:
    fields.texts(name)


def _flag(fields: Fields, name: str) -> None:
    fields.flag(name, False)


OWN: Final[dict[str, Callable[[Fields, str], object]]] = {
    "metrics": metrics,
    "reference": reference,
    "controls": _texts,
    "calibration": _flag,
    "subgroups": subgroups,
    "ll144": ll144,
    "conformance": _flag,
}
