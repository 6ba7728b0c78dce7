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
from monitoring.metrics.fairness import DEFAULT, KNOWN, SELECTION_RATE, SHARES

Mode = Literal["selection", "scoring"]
REFERENCES: Final = ("highest", "largest")
_NO_ATTRIBUTE: Final = "{!r} is no sensitive attribute of the mapping"


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


def metrics(fields: Fields, name: str = "metrics") -> tuple[str, ...]:
    given = fields.texts(name) or DEFAULT
    for index, one in enumerate(given):
        if one not in KNOWN:
            raise Invalid(f"{one!r} is not known", field=f"{fields.name(name)}[{index}]")
    return tuple(sorted(given, key=KNOWN.index)) if fields.has(name) else DEFAULT


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
    groupings = []
    for index, one in enumerate(own.items("groupings")):
        names = [one] if isinstance(one, str) else one
        where = f"{own.name('groupings')}[{index}]"
        if not isinstance(names, list) or not names or len(set(map(str, names))) != len(names):
            raise Invalid("expected an attribute or a list of different attributes", field=where)
        groupings.append(tuple(str(part) for part in names))
    share = 0.02
    if own.has("exclude_below") and own.raw("exclude_below") != 0:
        share = own.number("exclude_below", 0.02, above=0.0, to=0.5)
    elif own.has("exclude_below"):
        share = 0.0
    mode = cast(Mode, own.choice("mode", ("selection", "scoring"), "selection"))
    return LocalLaw144(mode, tuple(groupings), share)


def check_mapping(
    config: Mapping[str, Any], sensitive: Collection[str], controls: Collection[str]
) -> None:
    """Does the mapping declare the attributes and controls that a configuration names?

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
    law = ll144(fields)
    for index, grouping in enumerate(law.groupings if law else ()):
        for name in grouping:
            if name not in sensitive:
                where = f"config.ll144.groupings[{index}]"
                raise Invalid(_NO_ATTRIBUTE.format(name), field=where)


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
