"""What everybody may see of the parts of a cube that count people: small cells hidden, none told.

The parts of one document count the same people in several ways, so what one hides no other tells: a
group that is too small among the labelled rows is hidden among all rows too. See `suppression`.
"""

from collections.abc import Mapping
from typing import Any, Final

from monitoring.engine.cube import ScoreCube
from monitoring.engine.suppression import Crossed, Key, Node, marked, together

SCORE_BINS: Final = 20
# No attribute is called so: a column's name holds no null.
LABEL, PREDICTION, BIN, SIDE = "\0label", "\0prediction", "\0bin", "\0side"
ABOVE, BELOW = 1, 0
NAMES: Final = ("contingency", "scores", "above_median", "estimated")


def public_counts(document: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """Those of `NAMES` that a document holds, as everybody may see them."""
    given = {name: document[name] for name in NAMES if document.get(name) is not None}
    tables = _tables(given, floor)
    shared = {LABEL, PREDICTION, *(name for one in tables.values() for name in one.attributes)}
    away = together(tables, shared)
    shown: dict[str, Any] = {}
    for name, part in given.items():
        if name == "estimated":
            shown[name] = {
                one: _weighted(cells, tables[_of(one)], away[_of(one)], floor)
                for one, cells in part.items()
            }
        else:
            shown[name] = _SHOWING[name](part, tables[name], away[name])
    return shown


def _of(attribute: str) -> str:
    return f"estimated {attribute}"


def _tables(given: Mapping[str, Any], floor: int) -> dict[str, Crossed]:
    found = {}
    for name, part in given.items():
        if name == "estimated":
            for one, cells in part.items():
                # Weights are whole numbers, `scale` to a row.
                found[_of(one)] = _decided(cells, floor * cells["scale"])
        else:
            found[name] = _COUNTING[name](part, floor)
    return found


def _decided(part: Mapping[str, Any], floor: int) -> Crossed:
    cells = {(*cell[0], cell[1], cell[2]): int(cell[3]) for cell in part["cells"]}
    return Crossed(tuple(part["attributes"]), (LABEL, PREDICTION), cells, floor)


def _scored(part: Mapping[str, Any], floor: int) -> Crossed:
    cells = {key: n for key, (n, _) in _joined(part).items()}
    return Crossed(tuple(part["attributes"]), (LABEL, BIN), cells, floor)


def _halved(part: Mapping[str, Any], floor: int) -> Crossed:
    cells: dict[Key, int] = {}
    for group, above, n in part["cells"]:
        cells |= {(*group, ABOVE): above, (*group, BELOW): n - above}
    return Crossed(tuple(part["attributes"]), (SIDE,), cells, floor)


def _joined(part: Mapping[str, Any]) -> dict[Key, tuple[int, Any]]:
    """Rows and sums of scores by group, label and wide bin."""
    cube = ScoreCube.from_json(part)
    totals: dict[Key, tuple[int, Any]] = {}
    for cell in cube.cells:
        key = (*cell.group, cell.label, cell.bin * SCORE_BINS // cube.bins)
        n, total = totals.get(key, (0, 0))
        totals[key] = n + cell.n, total + cell.score_sum
    return totals


def _ordered(shown: Mapping[Key, Any]) -> list[tuple[Key, Any]]:
    """In the order in which cubes keep their cells: a missing value first."""
    return sorted(shown.items(), key=lambda one: [(part is not None, part) for part in one[0]])


def _contingency(part: Mapping[str, Any], table: Crossed, away: set[Node]) -> dict[str, Any]:
    width = len(table.attributes)
    cells = [[list(key[:width]), *key[width:], n] for key, n in _ordered(table.shown(away))]
    return {**part, "cells": cells}


def _weighted(
    part: Mapping[str, Any], table: Crossed, away: set[Node], floor: int
) -> dict[str, Any]:
    """Of hidden weights neither their sum nor that of their squares."""
    width = len(table.attributes)
    given = {(*cell[0], cell[1], cell[2]): cell[3:] for cell in part["cells"]}
    cells = []
    for key, n in _ordered(table.shown(away)):
        told = [f"<{floor}" if isinstance(n, str) else None, None]
        cells.append(
            [list(key[:width]), *key[width:], *(given[key] if isinstance(n, int) else told)]
        )
    return {**part, "cells": cells}


def _scores(part: Mapping[str, Any], table: Crossed, away: set[Node]) -> dict[str, Any]:
    """Scores in twenty bins; what 4,000 would tell of few rows stays away."""
    width, totals = len(table.attributes), _joined(part)
    cells = [
        [
            list(key[:width]),
            *key[width:],
            n,
            str(totals[key][1]) if isinstance(n, int) else None,
        ]
        for key, n in _ordered(table.shown(away))
    ]
    moments = [
        [group, marked(n, table.floor), *[None] * len(sums)]
        if (table.attributes, tuple(group)) in away
        else [group, n, *sums]
        for group, n, *sums in part["moments"]
    ]
    rest = {name: one for name, one in part.items() if name != "exact"}
    return {**rest, "bins": SCORE_BINS, "cells": cells, "moments": moments}


def _above_median(part: Mapping[str, Any], table: Crossed, away: set[Node]) -> dict[str, Any]:
    """(group, above, n); rows by single scores stay away."""
    shown = table.shown(away)
    cells = [
        [
            group,
            shown[*group, ABOVE],
            marked(n, table.floor) if (table.attributes, tuple(group)) in away else n,
        ]
        for group, _, n in part["cells"]
    ]
    return {**part, "cells": cells, **({"values": None} if "values" in part else {})}


_COUNTING = {"contingency": _decided, "scores": _scored, "above_median": _halved}
_SHOWING = {"contingency": _contingency, "scores": _scores, "above_median": _above_median}
