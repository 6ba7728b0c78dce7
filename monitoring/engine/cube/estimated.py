"""The contingency cube of an attribute that nobody asked for: groups by probability.

A proxy (Bayesian surname geocoding, say) gives each row the probability of each group. A row then
counts for every group by its probability, as Chen et al. (2019) weigh them, in whole millionths, so
that sums are exact and each row counts for one. Crossed with measured attributes a row keeps its
weights: it counts in the cells of its own measured group.
"""

from collections.abc import Sequence
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.cube.contingency import Cell, Contingency, added, bounded
from monitoring.engine.cube.expressions import group_of, label_of, prediction_of
from monitoring.engine.mapping import UNKNOWN, ColumnMapping, SensitiveAttribute
from monitoring.engine.sources import Source
from monitoring.engine.unmeasured import ProxiedAttribute

SCALE = 1_000_000
TOLERANCE = 1e-6
"""How far probabilities may sum past 1, a group, before they are refused."""


def estimated_contingency(
    source: Source,
    mapping: ColumnMapping,
    attribute: ProxiedAttribute,
    measured: Sequence[SensitiveAttribute] = (),
) -> Contingency:
    """Sum the rows' weights by estimated group, the groups of `measured`, label and prediction.

    What the probabilities of a row leave of 1 counts for the group `unknown`; so does a row that
    lacks one of them.

    Raises:
        Invalid: naming the attribute if a probability lies outside 0 to 1, or a row's sum past 1;
            a measured attribute is an identifier.
    """
    import ibis

    weights, wrong = _weights(source, attribute)
    nothing = ibis.null("int32")
    label, predicted = label_of(source, mapping), prediction_of(source, mapping)
    groups = {f"group_{place}": group_of(source, one) for place, one in enumerate(measured)}
    rows = source.table.select(
        **groups,
        label=nothing if label is None else label,
        prediction=nothing if predicted is None else predicted,
        wrong=wrong,
        **weights,
    )
    sums: dict[str, Any] = {"wrong": rows.wrong.sum()}
    for name in weights:
        whole = rows[name].cast("decimal(38, 0)")
        sums[name] = whole.sum().cast("decimal(38, 0)").cast("string")
        squared = (rows[name] * rows[name]).cast("decimal(38, 0)")
        sums[f"{name}_2"] = squared.sum().cast("decimal(38, 0)").cast("string")
    counted = bounded(rows.group_by([*groups, "label", "prediction"]).agg(**sums))
    if any(row["wrong"] for row in counted):
        raise Invalid(
            f"{sum(int(row['wrong']) for row in counted)} rows have probabilities of "
            f"{attribute.name} that lie outside 0 to 1 or sum past 1",
            field="mapping.sensitive",
        )
    of_row = [*((f"w{place}", group) for place, (group, _) in enumerate(attribute.columns))]
    cells = [
        Cell(
            (group, *(row[one] for one in groups)),
            row["label"],
            row["prediction"],
            int(row[name]),
            int(row[f"{name}_2"]),
        )
        for row in counted
        for name, group in [*of_row, ("rest", UNKNOWN)]
        if int(row[name])
    ]
    names = (attribute.name, *(one.name for one in measured))
    return Contingency(names, added(cells), SCALE)


def _weights(source: Source, attribute: ProxiedAttribute) -> tuple[dict[str, Any], Any]:
    """A row's weight for each group, `w0` and so on, and for none of them, `rest`; and 1 where its
    probabilities are none."""
    import ibis

    given = [source.table[column].cast("float64") for _, column in attribute.columns]
    absent = ibis.or_(*[column.isnull() | column.isnan() for column in given])
    running: Any = None
    weights: dict[str, Any] = {}
    before: Any = ibis.literal(0).cast("int64")
    for place, column in enumerate(given):
        # Running sums are rounded, so that the parts of a row sum to what their total rounds to.
        running = column if running is None else running + column
        until = (ibis.least(running, 1.0) * float(SCALE) + 0.5).floor().cast("int64")
        weights[f"w{place}"] = ibis.ifelse(absent, 0, until - before).cast("int64")
        before = until
    weights["rest"] = ibis.ifelse(absent, SCALE, SCALE - before).cast("int64")
    wrong = [(~absent) & ((column < 0) | (column > 1)) for column in given]
    wrong.append((~absent) & (running > 1 + TOLERANCE * len(given)))
    return weights, ibis.ifelse(ibis.or_(*wrong), 1, 0).cast("int64")
