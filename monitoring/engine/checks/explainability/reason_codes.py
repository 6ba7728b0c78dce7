"""Reasons for single decisions: the features that moved a score most, in order.

As the notices of adverse action under Regulation B (12 CFR 1002.9) want them: the specific
principal reasons, at most a handful. A reason is a feature and its contribution, never its value.
The file tells of single rows, and so is restricted; the cube counts how often a feature was a reason.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from monitoring.engine.inputs import InputSpec
from monitoring.engine.requested import Reasons
from monitoring.engine.results import Attachment
from monitoring.engine.sources import ROW

SCHEMA: Final = "countersign.reasons/1"
TIES: Final = (
    "by size of the contribution, largest first; contributions that agree to 9 significant digits "
    "stand in the order of the input spec; a feature that contributes nothing is no reason"
)
DIGITS: Final = 9


def document(
    asked: Reasons,
    counts: Mapping[str, int],
    table: Any,
    spec: InputSpec,
    explained: Mapping[str, Any],
    model: Mapping[str, str],
) -> dict[str, Any]:
    """The reasons of each row of `table`, the sandbox's values of the rows asked for."""
    features = [one.column for one in spec.features]
    values = np.column_stack(
        [table[f"value_{place}"].to_numpy() for place in range(len(features))]
    ).reshape(-1, len(features))
    numbers = table[ROW].to_pylist()
    score = table["countersign_score"].to_pylist()
    base = table["countersign_base"].to_pylist()
    output = table["countersign_output"].to_pylist()
    return {
        "schema": SCHEMA,
        "model": dict(model),
        "method": explained["method"],
        "unit": explained["unit"],
        "threshold": None if spec.gives_number else spec.threshold,
        "direction": asked.direction,
        "decision": asked.decision,
        "top": asked.top,
        "ties": TIES,
        "rows_meant": counts["meant"],
        "rows_looked_at": counts["offered"],
        "rows": [
            {
                "row": int(number),
                "score": _rounded(score[place]),
                "decision": _decision(score[place], spec),
                "base": _rounded(base[place]),
                "output": _rounded(output[place]),
                "reasons": reasons(features, values[place].tolist(), asked.top, asked.direction),
            }
            for place, number in enumerate(numbers)
        ],
    }


def _decision(score: float, spec: InputSpec) -> str | None:
    """None of a regression, which decides nothing."""
    if spec.gives_number:
        return None
    return "positive" if score >= spec.threshold else "negative"


def reasons(
    features: list[str], contributions: list[float], top: int, direction: str
) -> list[dict[str, Any]]:
    """The `top` features of one row by `TIES`, of those that count in `direction`."""
    signs = {"against": (-1,), "for": (1,), "either": (-1, 1)}[direction]
    kept = [
        (place, value)
        for place, value in enumerate(map(_rounded, contributions))
        if value and (1 if value > 0 else -1) in signs
    ]
    kept.sort(key=lambda one: (-abs(one[1]), one[0]))
    return [
        {
            "rank": rank,
            "feature": features[place],
            "contribution": value,
            "direction": "for" if value > 0 else "against",
        }
        for rank, (place, value) in enumerate(kept[:top], 1)
    ]


def counted(document: Mapping[str, Any]) -> dict[str, Any]:
    """How often each feature was the first reason, and a reason at all: what the cube keeps."""
    first: dict[str, int] = {}
    any_rank: dict[str, int] = {}
    for row in document["rows"]:
        for one in row["reasons"]:
            any_rank[one["feature"]] = any_rank.get(one["feature"], 0) + 1
            if one["rank"] == 1:
                first[one["feature"]] = first.get(one["feature"], 0) + 1
    return {
        "rows": len(document["rows"]),
        "meant": document["rows_meant"],
        "direction": document["direction"],
        "decision": document["decision"],
        "top": document["top"],
        "first": first,
        "any": any_rank,
    }


def attachment(document: Mapping[str, Any]) -> Attachment:
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return Attachment("reason-codes.json", "application/json", text.encode(), restricted=True)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
