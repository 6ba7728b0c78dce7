"""The proxy screen: a model is trained, of ours and for this alone, to tell who people are."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from monitoring.engine import cube, rows, statistics
from monitoring.engine.inputs import Feature, InputSpec, encode
from monitoring.engine.mapping import UNKNOWN, ColumnMapping
from monitoring.engine.sources import ROW, Source

FOLDS: Final = 5
LEAST: Final = 30
"""Rows of a group under which it is not asked for."""
MOST_GROUPS: Final = 20
DIGITS: Final = 9


def screen(
    source: Source, spec: InputSpec, mapping: ColumnMapping, size: int, seed: int
) -> list[dict[str, Any]]:
    """For each sensitive attribute: how well the model's inputs tell its groups, out of fold.

    `size` rows with the least digests are looked at. An attribute's own column is left out of the
    inputs, since it would tell itself; a group of fewer than `LEAST` rows, a missing value and all
    but the `MOST_GROUPS` largest groups are left out of the groups.
    """
    columns = spec.columns()
    groups = {
        f"countersign_group_{place}": cube.group_of(source, one)
        for place, one in enumerate(mapping.sensitive)
    }
    table = rows.with_digest(source, columns).mutate(**groups)
    table = table.order_by([rows.DIGEST, ROW]).limit(size)
    drawn = table.select(ROW, *columns, *groups).to_pyarrow().combine_chunks()
    batch = drawn.to_batches()[0]
    screened = []
    for name, attribute in zip(groups, mapping.sensitive, strict=True):
        kept = tuple(one for one in spec.features if one.column != attribute.column)
        found = _attribute(batch, kept, np.array(drawn[name].to_pylist(), object), seed)
        left_out = [attribute.column] if len(kept) < len(spec.features) else []
        screened.append({"attribute": attribute.name, "left_out": left_out, **found})
    return screened


def _attribute(batch: Any, features: tuple[Feature, ...], groups: Any, seed: int) -> dict[str, Any]:
    names, sizes = np.unique(groups.astype(str), return_counts=True)
    order = np.argsort(-sizes, kind="stable")
    enough = [
        str(names[place]) for place in order if sizes[place] >= LEAST and names[place] != UNKNOWN
    ][:MOST_GROUPS]
    few = [
        {"group": str(name), "n": int(size), "auc": None}
        for name, size in zip(names, sizes, strict=True)
        if str(name) not in enough
    ]
    if len(enough) < 2 or not features:
        alone = [
            {"group": str(name), "n": int(size), "auc": None}
            for name, size in zip(names, sizes, strict=True)
        ]
        return {"rows": int(sizes.sum()), "groups": alone, "features": []}
    chosen = np.isin(groups.astype(str), enough)
    who = np.array([enough.index(one) for one in groups[chosen].astype(str)])
    spec = InputSpec(features)
    matrix = encode(spec, batch)[chosen]
    told, shuffled = _out_of_fold(matrix, who, spec, len(enough), seed)
    measured = [_area(told, who, place, name) for place, name in enumerate(enough)]
    mean = float(np.mean([one["auc"] for one in measured]))
    drops = [
        {
            "feature": one.column,
            "drop": _rounded(
                mean
                - float(np.mean([_area(other, who, at, "")["auc"] for at in range(len(enough))]))
            ),
        }
        for one, other in zip(features, shuffled, strict=True)
    ]
    groups_found = sorted([*measured, *few], key=lambda one: str(one["group"]))
    return {"rows": len(who), "groups": groups_found, "features": drops}


def _out_of_fold(
    matrix: Any, who: Any, spec: InputSpec, count: int, seed: int
) -> tuple[Any, list[Any]]:
    """Chances of each group for each row by a model that did not see it; and with each feature
    shuffled among the rows of the fold."""
    # What is loaded later is not limited.
    import sklearn.ensemble  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # Rows stand in the order of their digests: every fifth of a group is as good as drawn.
    fold = np.empty(len(who), int)
    for place in range(count):
        own = np.flatnonzero(who == place)
        fold[own] = np.arange(len(own)) % FOLDS
    told = np.empty((len(who), count))
    shuffled = [np.empty((len(who), count)) for _ in spec.features]
    rng = statistics.generator(seed, "proxy")
    # So small a task is done by one thread; several wait for each other far longer than they work.
    with threadpool_limits(1):
        for number in range(FOLDS):
            _one_fold(fold == number, matrix, who, spec, rng, told, shuffled)
    return told, shuffled


def _one_fold(
    out: Any, matrix: Any, who: Any, spec: InputSpec, rng: Any, told: Any, shuffled: list[Any]
) -> None:
    """Fill the rows `out` of `told` and `shuffled` by a model trained on the others."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    seen = matrix[~out]
    # An input without any value tells nothing, and is not binned; a constant is, and tells nothing.
    seen[:, np.isnan(seen).all(axis=0)] = 0.0
    model = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=0
    ).fit(seen, who[~out])
    told[out] = model.predict_proba(matrix[out])
    start = 0
    for place, one in enumerate(spec.features):
        width = len(one.names())
        mixed = matrix[out].copy()
        order = rng.permutation(len(mixed))
        mixed[:, start : start + width] = mixed[order, start : start + width]
        shuffled[place][out] = model.predict_proba(mixed)
        start += width


def _area(told: Any, who: Any, place: int, name: str) -> dict[str, Any]:
    """The area under the curve of one group against the others, exact: each score is a bin."""
    _, bins = np.unique(np.round(told[:, place], 12), return_inverse=True)
    own = who == place
    size = int(bins.max()) + 1
    area = statistics.area_under_curve(
        np.bincount(bins[own], minlength=size).tolist(),
        np.bincount(bins[~own], minlength=size).tolist(),
    )
    assert area is not None
    shares = np.bincount(who) / len(who)
    best = np.argmax(told / shares, axis=1)
    return {
        "group": name,
        "n": int(own.sum()),
        "others": int((~own).sum()),
        "auc": _rounded(area.value),
        "error": _rounded(area.error),
        "told": int((best[own] == place).sum()),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def document(screened: list[dict[str, Any]]) -> Mapping[str, Any]:
    """What the cube keeps."""
    return {"folds": FOLDS, "least": LEAST, "attributes": screened}
