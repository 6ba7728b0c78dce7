"""Data for the bench of the checks, made from a seed: the same bytes' worth of rows on every machine."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 1_000_000
NUMERIC, CATEGORICAL = 20, 5
RACES = np.array(["White", "Black", "Asian", "Indian", "Other"])
SEXES = np.array(["Female", "Male"])


def decisions(path: Path, rows: int, seed: int = 1) -> Path:
    """Write a file of outcomes, decisions and scores of people in five by two groups."""
    rng = np.random.default_rng(seed)
    writer: pq.ParquetWriter | None = None
    for start in range(0, rows, CHUNK):
        table = _people(rng, min(CHUNK, rows - start))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return path


def _people(rng: np.random.Generator, n: int) -> pa.Table:
    race = rng.choice(5, n, p=[0.70, 0.15, 0.08, 0.04, 0.03])
    sex = rng.integers(0, 2, n)
    truth = rng.beta(2, 3, n) * (0.85 + 0.15 * sex)
    score = np.clip(truth + rng.normal(0, 0.08, n) - 0.02 * race, 0.0, 1.0)
    return pa.table(
        {
            "race": pa.DictionaryArray.from_arrays(pa.array(race, pa.int8()), pa.array(RACES)),
            "sex": pa.DictionaryArray.from_arrays(pa.array(sex, pa.int8()), pa.array(SEXES)),
            "label": pa.array(rng.random(n) < truth, pa.int8()),
            "prediction": pa.array(score >= 0.5, pa.int8()),
            "score": pa.array(np.round(score, 6)),
        }
    )


def wide(path: Path, rows: int, *, shift: float, seed: int) -> Path:
    """Write a file of 20 numeric and 5 categorical columns, some of them shifted by `shift` deviations."""
    rng = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    for number in range(NUMERIC):
        values = rng.normal(size=rows) if number % 2 else rng.lognormal(0.0, 0.5, rows)
        columns[f"n{number:02d}"] = pa.array(values + (shift if number % 5 == 0 else 0.0))
    for number in range(CATEGORICAL):
        weights = rng.dirichlet(np.full(8, 4.0)) if not number else np.full(8, 1 / 8)
        letters = rng.choice(list("abcdefgh"), rows, p=weights)
        columns[f"c{number}"] = pa.array(letters).dictionary_encode()
    pq.write_table(pa.table(columns), path)
    return path


def numeric_names() -> list[str]:
    return [f"n{number:02d}" for number in range(NUMERIC)]


def categorical_names() -> list[str]:
    return [f"c{number}" for number in range(CATEGORICAL)]
