"""What an explanation may be configured with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel.errors import Invalid
from monitoring.engine import requested
from monitoring.engine.documents import Fields
from monitoring.engine.mapping import ColumnMapping

FIELDS: Final = (
    "level",
    "rows",
    "background",
    "seeds",
    "groupings",
    "slices",
    "minimum",
    "proxy_screen",
    "proxy_rows",
    "reason_codes",
)
ROWS: Final = 2_000
BACKGROUND: Final = 50
PROXY_ROWS: Final = 5_000
MINIMUM: Final = 30


@dataclass(frozen=True)
class Settings:
    """`rows` are explained, `background` of them known to methods that need some; figures of
    fewer than `minimum` rows of a group or slice are insufficient."""

    level: float = 0.95
    rows: int = ROWS
    background: int = BACKGROUND
    seeds: int = 1
    groupings: tuple[tuple[str, ...], ...] = ()
    slices: tuple[requested.Slice, ...] = ()
    minimum: int = MINIMUM
    proxy_screen: bool = False
    proxy_rows: int = PROXY_ROWS
    reasons: requested.Reasons | None = None


def settings(config: Mapping[str, Any], mapping: ColumnMapping | None = None) -> Settings:
    """Read `config`; groupings must name attributes of `mapping` if it is given.

    Raises:
        Invalid: naming the field.
    """
    fields = Fields(config, "config", FIELDS)
    groupings = []
    known = {one.name for one in mapping.sensitive} if mapping else None
    for index, value in enumerate(fields.items("groupings")):
        names = (value,) if isinstance(value, str) else tuple(value)
        for name in names:
            if known is not None and name not in known:
                raise Invalid(
                    f"{name!r} is no sensitive attribute of the mapping",
                    field=f"config.groupings[{index}]",
                )
        groupings.append(names)
    rows = fields.whole("rows", ROWS, least=30, most=100_000)
    return Settings(
        level=fields.number("level", 0.95, above=0.5, to=0.9999),
        rows=rows,
        background=fields.whole("background", BACKGROUND, least=10, most=1_000),
        seeds=fields.whole("seeds", 1, least=1, most=20),
        groupings=tuple(groupings),
        slices=requested.slices(fields, "slices"),
        minimum=fields.whole("minimum", MINIMUM, least=11, most=1_000_000),
        proxy_screen=fields.flag("proxy_screen", False),
        proxy_rows=fields.whole("proxy_rows", PROXY_ROWS, least=200, most=50_000),
        reasons=requested.reasons(fields, "reason_codes"),
    )
