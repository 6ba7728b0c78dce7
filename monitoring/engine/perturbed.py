"""Inputs that are a little off, and the model's answers to them: in the sandbox's child."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from kernel.errors import CountersignError
from monitoring.engine.inputs import Feature, InputSpec, encode
from monitoring.engine.loaders.model import Model
from monitoring.engine.requested import EVERY, Perturbation
from monitoring.engine.sources import ROW
from monitoring.engine.statistics import generator

BASE: Final = "countersign_score"


def fits(one: Perturbation, feature: Feature) -> bool:
    """Does the perturbation change this input?"""
    if one.column not in (EVERY, feature.column):
        return False
    if one.kind == "missing":
        return True
    if one.kind == "swap_category":
        return feature.kind != "numeric" and len(feature.categories) > 1
    return feature.kind == "numeric"


def answer(model: Model, spec: InputSpec, task: Mapping[str, Any]) -> dict[str, Any]:
    """Score rows as they are and under each perturbation; `task["scores"]` receives the scores.

    A perturbation under which the model gives no probability leaves NaN, and its reason under
    `refused`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(task["rows"]).combine_chunks()
    (batch,) = table.to_batches()
    found: dict[str, Any] = {ROW: table[ROW], BASE: model.score(encode(spec, batch))}
    refused = {}
    for place, value in enumerate(task["perturbations"]):
        one = Perturbation.from_json(value, f"perturbations[{place}]")
        changed = perturbed(batch, spec, one, int(task["seed"]))
        try:
            found[f"score_{place}"] = model.score(encode(spec, changed))
        except (CountersignError, ValueError, RuntimeError) as error:
            detail = error.detail if isinstance(error, CountersignError) else type(error).__name__
            refused[one.name] = detail[:200]
            found[f"score_{place}"] = np.full(batch.num_rows, np.nan)
    pq.write_table(pa.table(found), task["scores"])
    return {"rows": batch.num_rows, "refused": refused}


def perturbed(batch: Any, spec: InputSpec, one: Perturbation, seed: int) -> Any:
    """The rows with their inputs changed, the same for the same seed, name and rows."""
    for feature in spec.features:
        if not fits(one, feature):
            continue
        rng = generator(seed, "perturbation", one.name, feature.column)
        place = batch.schema.get_field_index(feature.column)
        column = batch.column(place)
        if one.kind == "missing":
            changed = _without(column, rng.random(len(column)) < one.amount)
        elif one.kind == "swap_category":
            changed = _swapped(column, feature.categories, one.amount, rng)
        else:
            changed = _moved(column, one, rng)
        batch = batch.set_column(place, feature.column, changed)
    return batch


def _without(column: Any, away: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pa.array(away), pa.scalar(None, column.type), column)


def _swapped(column: Any, categories: tuple[str, ...], share: float, rng: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.cast(column, pa.string())
    at = pc.fill_null(pc.index_in(texts, pa.array(categories)), -1).to_numpy(zero_copy_only=False)
    step = rng.integers(1, len(categories), len(column))
    other = np.where(at < 0, step % len(categories), (at + step) % len(categories))
    moved = (rng.random(len(column)) < share) & ~pc.is_null(column).to_numpy(zero_copy_only=False)
    return pc.if_else(pa.array(moved), pa.array(categories).take(pa.array(other)), texts)


def _moved(column: Any, one: Perturbation, rng: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return column
    spread = float(finite.std())
    if one.kind == "noise":
        moved = numbers + rng.normal(0.0, one.amount * spread, len(numbers))
        moved = np.clip(moved, finite.min(), finite.max())
    elif one.kind == "scale":
        moved = numbers * one.amount
    elif one.kind == "shift":
        moved = numbers + one.amount * spread
    else:
        moved = _significant(numbers, int(one.amount))
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        # What is counted in whole numbers stays so.
        moved = np.rint(moved)
    return pa.array(moved, mask=np.isnan(numbers))


def _significant(numbers: Any, digits: int) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.floor(np.log10(np.abs(numbers)))
    scale = 10.0 ** (digits - 1 - np.where(np.isfinite(power), power, 0.0))
    rounded = np.rint(numbers * scale) / scale
    return np.where(np.isfinite(rounded), rounded, numbers)
