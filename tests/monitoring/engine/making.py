"""Small datasets, models and jobs for the engine's tests."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitoring.engine.job import CheckJob
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.results import CheckOutcome, CheckResult, MeasurementValue
from monitoring.engine.run import run_check
from monitoring.engine.sources import DataFile, Source, open_source


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def data_file(path: Path, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "digest": sha256(path), **more}


def source_of(path: Path, workdir: Path, **more: Any) -> Source:
    return open_source(DataFile.from_json(data_file(path, **more), "dataset"), workdir)


def mapping(**fields: Any) -> ColumnMapping:
    return ColumnMapping.from_json(fields)


def quiet(share: float, text: str) -> None:
    assert 0 <= share <= 1
    assert text


def run(job: dict[str, Any], workdir: Path) -> CheckOutcome:
    read = CheckJob.from_json(job)
    return run_check(read.kind, job=read, workdir=workdir, progress=quiet)


def find(result: CheckResult | CheckOutcome, metric: str, **about: str) -> MeasurementValue:
    found = [one for one in result.measurements if (one.metric, dict(one.slice)) == (metric, about)]
    assert len(found) == 1, (metric, about, len(found))
    return found[0]


FEATURES = ("income", "debt", "region")
SPEC = {
    "features": [
        {"column": "income"},
        {"column": "debt"},
        {"column": "region", "kind": "codes", "categories": {"north": 0, "south": 1}, "unseen": 2},
    ],
    "threshold": 0.5,
}


def loans(rows: int = 600, seed: int = 5) -> dict[str, Any]:
    """Rows with a learnable outcome, two sensitive attributes, some values missing."""
    rng = np.random.default_rng(seed)
    income, debt = rng.normal(50, 12, rows), rng.normal(10, 4, rows)
    region = rng.choice(["north", "south"], rows)
    sex = rng.choice(["Female", "Male"], rows)
    paid = income - 2 * debt + 4 * (sex == "Male") + rng.normal(0, 8, rows) > 30
    return {
        "income": income,
        "debt": [None if index % 37 == 0 else value for index, value in enumerate(debt.tolist())],
        "region": region,
        "sex": sex,
        "race": rng.choice(["A", "B", "C"], rows, p=[0.6, 0.37, 0.03]),
        "paid": paid,
    }


def matrix_of(columns: dict[str, Any]) -> Any:
    debt = [np.nan if value is None else value for value in columns["debt"]]
    region = [{"north": 0.0, "south": 1.0}[value] for value in columns["region"]]
    return np.column_stack([columns["income"], debt, region]).astype(np.float32)


def train_xgboost(path: Path, columns: dict[str, Any]) -> Path:
    from xgboost import XGBClassifier

    model = XGBClassifier(n_estimators=12, max_depth=3, n_jobs=1, random_state=1)
    model.fit(matrix_of(columns), np.asarray(columns["paid"]).astype(int))
    model.get_booster().save_model(path)
    return path


def loan_job(kind: str, data: Path, model: Path | None, **more: Any) -> dict[str, Any]:
    job: dict[str, Any] = {
        "kind": kind,
        "dataset": data_file(data),
        "mapping": {
            "label": "paid",
            "sensitive": ["sex", "race"],
            "features": list(FEATURES),
            "categorical": ["region"],
        },
    }
    if model is not None:
        job["artifact"] = {"path": str(model), "digest": sha256(model), "format": "xgboost_json"}
        job["input_spec"] = SPEC
    return {**job, **more}
