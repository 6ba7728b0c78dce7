"""The configuration of fairness, read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from monitoring.configs import fairness as fairness_config
from monitoring.configs.fairness import LocalLaw144, Reference, Subgroups
from monitoring.engine.checks.tables import GROUP_FIELDS, GroupConfig, read_group_config
from monitoring.engine.documents import Fields
from monitoring.metrics.fairness import COMPARISONS, RATES, Comparison

FIELDS = (*GROUP_FIELDS, *fairness_config.OWN)


@dataclass(frozen=True)
class Settings:
    """What is measured, of which groups. `controls` are the attributes whose strata hold still."""

    groups: GroupConfig
    metrics: tuple[str, ...]
    reference: Reference
    controls: tuple[str, ...]
    calibration: bool
    subgroups: Subgroups | None
    ll144: LocalLaw144 | None
    seed: int

    @property
    def level(self) -> float:
        return self.groups.level

    @cached_property
    def rates(self) -> tuple[str, ...]:
        """The rates that are told by group."""
        return tuple(name for name in self.metrics if name in RATES)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        return tuple(COMPARISONS[name] for name in self.metrics if name in COMPARISONS)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """The rates that are told or compared."""
        compared = {rate for one in self.comparisons for rate in one.rates}
        return tuple(rate for rate in RATES if rate in compared or rate in self.rates)


def read(
    config: Mapping[str, Any],
    attributes: Sequence[str],
    controls: Sequence[str],
    seed: int,
    *,
    labelled: bool = True,
) -> Settings:
    """Read a configuration against the attributes and controls that were counted, with outcomes
    (`labelled`) or without.

    Raises:
        Invalid: naming the field.
    """
    fields = Fields(config, "config", FIELDS)
    fairness_config.check_mapping(config, attributes, controls, labelled=labelled)
    return Settings(
        groups=read_group_config(fields, attributes, RATES),
        metrics=fairness_config.metrics(fields, labelled=labelled),
        reference=fairness_config.reference(fields),
        controls=fields.texts("controls"),
        calibration=fields.flag("calibration", False),
        subgroups=fairness_config.subgroups(fields),
        ll144=fairness_config.ll144(fields),
        seed=seed,
    )
