"""The groups of one grouping, within one stratum of the controls or none, and who is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitoring.engine.checks.fairness.counting import denominator, figure
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.checks.tables import Confusion, by_group
from monitoring.engine.cube import Contingency, Group
from monitoring.engine.mapping import UNKNOWN
from monitoring.engine.results import BETWEEN, INSUFFICIENT, MISSING_GROUP, NO_DENOMINATOR


@dataclass(frozen=True)
class Compared:
    """A grouping's groups, with the reason why one is left out of comparisons of a rate."""

    cube: Contingency
    tables: Mapping[Group, Confusion]
    left_out: Mapping[str, Mapping[Group, str]]
    stratum: Mapping[str, str] = field(default_factory=dict)

    @property
    def attributes(self) -> tuple[str, ...]:
        return self.cube.attributes

    def slice(self, group: Group) -> dict[str, str]:
        return {**dict(zip(self.attributes, group, strict=True)), **self.stratum}

    def between(self) -> dict[str, str]:
        """The slice of what compares the groups."""
        return {**dict.fromkeys(self.attributes, BETWEEN), **self.stratum}

    def purpose(self) -> tuple[str, ...]:
        """What tells its random numbers from those of other groupings and strata."""
        return (*self.attributes, *(f"{name}={group}" for name, group in self.stratum.items()))

    def known(self) -> list[Group]:
        """All groups but those that nobody is compared with because their value is missing."""
        return [
            group
            for group in self.tables
            if not any(out.get(group) == MISSING_GROUP for out in self.left_out.values())
        ]

    def kept(self, *rates: str) -> list[Group]:
        return [g for g in self.tables if not any(g in self.left_out[rate] for rate in rates)]

    def excluded(self, *rates: str) -> list[dict[str, Any]]:
        listed = []
        for group, table in self.tables.items():
            reasons = [(self.left_out[r][group], r) for r in rates if group in self.left_out[r]]
            if reasons:
                reason, rate = reasons[0]
                n = denominator(rate, table)
                listed.append({"group": self.slice(group), "reason": reason, "n": n})
        return listed

    def extremes(self, rate: str, kept: Sequence[Group]) -> tuple[Group, Group]:
        """The groups of the highest and of the lowest rate."""

        def value(group: Group) -> float:
            return figure(rate, self.tables[group])

        return max(kept, key=value), min(kept, key=value)


def prepare(
    cube: Contingency,
    rates: Sequence[str],
    settings: Settings,
    stratum: Mapping[str, str] | None = None,
) -> Compared:
    """Count the groups of a cube and decide who is compared."""
    tables = by_group(cube)
    left_out: dict[str, dict[Group, str]] = {rate: {} for rate in rates}
    for group, table in tables.items():
        for rate in rates:
            n = denominator(rate, table)
            if UNKNOWN in group and not settings.groups.include_missing:
                left_out[rate][group] = MISSING_GROUP
            elif n == 0:
                left_out[rate][group] = NO_DENOMINATOR
            elif n < settings.groups.least(rate):
                left_out[rate][group] = INSUFFICIENT
    return Compared(cube, tables, left_out, stratum or {})
