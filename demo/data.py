"""The demo's datasets, cut from the bundled census file. The same bytes come out on every run.

- `train_1994.parquet`, `validation_1994.parquet`: the publisher's own division of 1994;
- `production_1995.parquet`: all of 1995;
- `batch_1995_01.parquet` ... `_12.parquet`: a year of production, drawn from 1995 without
  replacement, to which people aged 65 and over are added in growing numbers, as if the service were
  opened to pensioners in spring.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUNDLED = Path(__file__).resolve().parent / "data" / "census_income_1994_1995.parquet"
LABEL = "income_over_50k"
ADULT = 18
BATCH_ROWS = 4_000
SHIFTED_AGE = 65
SHIFTED_SHARES = (0.0, 0.0, 0.0, 0.02, 0.05, 0.09, 0.14, 0.20, 0.26, 0.33, 0.40, 0.48)
"""The share of each month's rows that are added from the shifted sub-population."""


@dataclass(frozen=True)
class MadeFile:
    """A dataset made: where it lies, its SHA-256, its rows."""

    name: str
    path: Path
    digest: str
    rows: int


def make(target: Path) -> dict[str, MadeFile]:
    """Write all the datasets to `target` and return them by name (the file's stem)."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    target.mkdir(parents=True, exist_ok=True)
    everybody = pq.read_table(BUNDLED)
    adults = everybody.filter(pc.greater_equal(everybody["age"], ADULT))
    of_1994 = adults.filter(pc.equal(adults["year"], 1994))
    of_1995 = adults.filter(pc.equal(adults["year"], 1995))
    tables = {
        "train_1994": of_1994.filter(pc.equal(of_1994["split"], "train")),
        "validation_1994": of_1994.filter(pc.equal(of_1994["split"], "test")),
        "production_1995": of_1995,
    }
    for month, table in enumerate(_batches(of_1995), start=1):
        tables[f"batch_1995_{month:02d}"] = table
    return {name: _write(target / f"{name}.parquet", table) for name, table in tables.items()}


def ranks(rows: int, purpose: str) -> Any:
    """A fixed pseudo-random order of row numbers, the same on every machine."""
    import numpy as np

    seed = int.from_bytes(
        hashlib.sha256(f"countersign demo {purpose}".encode()).digest()[:8], "big"
    )
    # Sorting SHA-derived keys, not a library's shuffle, whose algorithm may change.
    keys = [hashlib.sha256(f"{seed}:{row}".encode()).digest() for row in range(rows)]
    return np.asarray(sorted(range(rows), key=keys.__getitem__), np.int64)


def _batches(of_1995: Any) -> list[Any]:
    """Draw the months: first the general part of each, then the added pensioners."""
    import numpy as np
    import pyarrow.compute as pc

    order = ranks(of_1995.num_rows, "months of 1995")
    old = np.asarray(pc.greater_equal(of_1995["age"], SHIFTED_AGE))
    added = [round(share * BATCH_ROWS) for share in SHIFTED_SHARES]
    general = [BATCH_ROWS - count for count in added]
    drawn, rest = order[: sum(general)], order[sum(general) :]
    shifted = rest[old[rest]][: sum(added)]
    if len(shifted) < sum(added):
        raise ValueError("the census has too few people for the shifted batches")
    batches = []
    for month in range(len(SHIFTED_SHARES)):
        start, extra = sum(general[:month]), sum(added[:month])
        rows = np.concatenate(
            [drawn[start : start + general[month]], shifted[extra : extra + added[month]]]
        )
        batches.append(of_1995.take(np.sort(rows)))
    return batches


def _write(path: Path, table: Any) -> MadeFile:
    import pyarrow.parquet as pq

    part = path.with_suffix(".part")
    pq.write_table(table, part, compression="zstd")
    part.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return MadeFile(path.stem, path, digest, table.num_rows)
