"""The cubes that a check rests on: exact, mergeable, reproducible aggregates of rows.

Counts are integers; sums are of DECIMAL values at a declared scale and kept as texts, since a sum
of floats depends on the order in which threads meet. Each cube is a JSON document; `seal` makes
its canonical bytes and digest.
"""

from collections.abc import Mapping
from typing import Any

from kernel import canonical
from monitoring.engine.cube.contingency import Cell, Contingency, contingency, merge
from monitoring.engine.cube.estimated import estimated_contingency
from monitoring.engine.cube.expressions import (
    PREDICTION,
    SCORE,
    Group,
    flag,
    group_of,
    label_of,
    prediction_of,
    score_of,
)
from monitoring.engine.cube.scores import (
    LOG_FLOOR,
    SCORE_BINS,
    SCORE_SCALE,
    Moments,
    ScoreCell,
    ScoreCube,
    merge_scores,
    score_cube,
)

__all__ = [
    "LOG_FLOOR",
    "PREDICTION",
    "SCORE",
    "SCORE_BINS",
    "SCORE_SCALE",
    "Cell",
    "Contingency",
    "Group",
    "Moments",
    "ScoreCell",
    "ScoreCube",
    "contingency",
    "estimated_contingency",
    "flag",
    "group_of",
    "label_of",
    "merge",
    "merge_scores",
    "prediction_of",
    "score_cube",
    "score_of",
    "seal",
]


def seal(document: Mapping[str, Any]) -> tuple[bytes, str]:
    """The canonical bytes of a cube document and their SHA-256."""
    data = canonical.dumps(document)
    return data, canonical.sha256_hex(data)
