"""How many measurements a configuration makes of the groups there are, refused before they are made.

Each attribute multiplies the groups of an intersection: nobody reads tens of thousands of figures,
and to form them takes a worker minutes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.engine.checks.fairness.groups import Compared, prepare
from monitoring.engine.checks.fairness.law import law_groupings
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.checks.tables import field_of_grouping, refuse_too_many
from monitoring.engine.cube import Contingency


def refuse_what_nobody_reads(
    cube: Contingency, attributes: Sequence[str], settings: Settings, config: Mapping[str, Any]
) -> None:
    """Raises Invalid, naming the largest part of `config`, if it makes too many measurements."""
    parts: Counter[str] = Counter()
    for place, grouping in enumerate(settings.groups.groupings):
        compared = prepare(cube.by(grouping), settings.needed, settings)
        parts[field_of_grouping(grouping, place, attributes, config)] += _of_grouping(
            compared, settings
        )
        if settings.calibration:
            parts["config.calibration"] += 2 * len(compared.tables)
        if settings.controls:
            strata = len(cube.by([*settings.controls, *grouping]).groups())
            parts["config.controls"] += strata * (len(settings.rates) + len(settings.comparisons))
    if settings.ll144:
        for grouping in law_groupings(attributes, settings.ll144):
            parts["config.ll144"] += 2 * len(cube.by(grouping).groups())
    refuse_too_many(parts)


def _of_grouping(compared: Compared, settings: Settings) -> int:
    """Rates of each group; of a comparison one for all, and one for each group that it leaves out."""
    groups = len(compared.tables)
    found = groups * len(settings.rates)
    for one in settings.comparisons:
        referred = one.against == "reference"
        found += groups if referred else 1 + groups - len(compared.kept(*one.rates))
    return found
