"""Nothing that everybody may read of a run tells a small group, a rare value or the ends of a column.

Each run draws data with a group of a few people, categories that few rows share and outliers that are
somebody's, and every public byte is searched for them: measurements, charts, notes, attachments and
the public cube.
"""

import json
import math

import numpy as np
import pytest

from tests.monitoring.engine import making

FLOOR = 11
FEW, RARE = "Zembla", "Rockall"
LEAST, MOST = -98765.4321, 87654.3219
COMMON = ("A", "B")
TOLD = {"floor", "n_below", "below", "minimum", "level", "rank", "rows_below"}
"""What numbers beside a small group may be: none of them counts its people."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "model.json"
    return making.train_xgboost(path, making.loans(600))


def drawn(seed):
    """Rows with a few people of the group `FEW`."""
    rng = np.random.default_rng(seed)
    columns = making.loans(int(rng.integers(300, 500)), seed=seed)
    rows = len(columns["sex"])
    race = np.array(rng.choice(COMMON, rows), object)
    race[rng.choice(rows, int(rng.integers(2, FLOOR)), replace=False)] = FEW
    region = np.array(columns["region"], object)
    rare = rng.choice(rows, 3, replace=False)
    region[rare] = RARE
    income = np.array(columns["income"])
    income[rare[0]], income[rare[1]] = LEAST, MOST
    columns |= {"race": race, "region": region, "income": income}
    columns["score"] = np.round(rng.beta(2, 2, rows), 2)
    columns["decision"] = columns["score"] >= 0.5
    columns["level"] = rng.choice(["low", "high"], rows)
    columns["day"] = np.datetime64("2026-01-01") + rng.integers(0, 3, rows).astype("m8[D]")
    columns["p_x"] = rng.uniform(0, 0.04, rows)
    columns["p_y"] = 1 - columns["p_x"]
    return columns


SUPPLIED = {
    "label": "paid",
    "prediction": "decision",
    "score": "score",
    "time": "day",
    "sensitive": ["sex", "race"],
    "controls": ["level"],
    "features": list(making.FEATURES),
    "categorical": ["region"],
}
PROXIED = {
    "name": "origin",
    "state": "proxied",
    "proxy": {
        "version": "01900000-0000-7000-8000-000000000000",
        "columns": {"X": "p_x", "Y": "p_y"},
    },
}
ONE = {"minimum": {"default": 1}}
FAIR = {
    **ONE,
    "conformance": True,
    "calibration": True,
    "intersections": True,
    "controls": ["level"],
    "ll144": {"mode": "scoring"},
    "subgroups": {"controls": True, "minimum": 1},
}
CURVES = {**ONE, "curves_by_group": True, "sweep": True, "estimate": True}
DRIFT = {"html": True, "conformance": True, "window": "day", "multivariate": True, "minimum": 1}
REASONS = {
    "groupings": ["race", ["sex", "race"]],
    "proxy_screen": True,
    "reason_codes": {"top": 2, "most": 5},
}
PERTURBED = {"minimum": 1, "groupings": ["race", ["sex", "race"]]}
QUESTIONS = [
    ("fairness", FAIR, False, SUPPLIED),
    ("fairness", {**ONE}, False, {**SUPPLIED, "sensitive": ["sex", "race", PROXIED]}),
    ("performance", CURVES, False, SUPPLIED),
    ("drift", DRIFT, False, SUPPLIED),
    ("data_quality", {"ranges": True}, False, SUPPLIED),
    ("explainability", REASONS, True, {**SUPPLIED, "prediction": None, "score": None}),
    ("robustness", PERTURBED, True, {**SUPPLIED, "prediction": None, "score": None}),
]


def public_bytes(outcome):
    """All that everybody may read of a run, by name."""
    told = outcome.to_json()
    found = {name: told[name] for name in ("measurements", "plots", "notes")}
    found["cube.json"] = json.loads(outcome.public_cube)
    for one in outcome.attachments:
        if not one.restricted:
            as_text = one.content.decode()
            found[one.name] = json.loads(as_text) if one.name.endswith("json") else as_text
    return found


def beside(value, name, where=""):
    """The numbers that are told of what is called `name`: in its object, its cell, or under it."""
    if isinstance(value, dict):
        for key, part in value.items():
            if name in key:
                yield from numbers(part, f"{where}.{key}")
        if any(_names(key, part, name) for key, part in value.items()):
            yield from numbers(value, where)
        else:
            for key, part in value.items():
                yield from beside(part, name, f"{where}.{key}")
    elif isinstance(value, list):
        if value and isinstance(value[0], list) and name in value[0]:
            # A cell: its group, its label and prediction or bin, and what is counted.
            first = 1 if "moments" in where or "above_median" in where else 3
            yield from numbers(value[first:], where)
        else:
            for place, part in enumerate(value):
                yield from beside(part, name, f"{where}[{place}]")


def _names(key, part, name):
    if isinstance(part, str):
        return name in part and key not in ("title", "x_label", "y_label")
    return isinstance(part, dict) and key in ("slice", "group") and name in part.values()


def numbers(value, where):
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in TOLD:
                yield from numbers(part, f"{where}.{key}")
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from numbers(part, f"{where}[{place}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield where, value


def every(value, where=""):
    if isinstance(value, dict):
        for key, part in value.items():
            yield from every(part, f"{where}.{key}")
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from every(part, f"{where}[{place}]")
    else:
        yield where, value


def ends(value):
    """Where the smallest or the largest value of the column stands."""
    for where, one in every(value):
        if isinstance(one, float | int):
            if any(math.isclose(one, end, rel_tol=1e-9) for end in (LEAST, MOST)):
                yield where
        elif isinstance(one, str) and any(end in one for end in ("98765.4", "87654.3")):
            yield where


@pytest.mark.parametrize(("kind", "config", "scored", "columns"), QUESTIONS)
def test_no_public_byte_tells_a_small_group(kind, config, scored, columns, model, tmp_path):
    seed = len(kind) + len(config)
    data = making.write(tmp_path / "now.parquet", drawn(seed))
    mapping = {name: one for name, one in columns.items() if one is not None}
    job = making.loan_job(kind, data, model if scored else None, mapping=mapping, config=config)
    if kind in ("drift", "data_quality"):
        job["reference"] = making.data_file(
            making.write(tmp_path / "then.parquet", drawn(seed + 9))
        )
    outcome = making.run(job, tmp_path / "w")
    for name, document in public_bytes(outcome).items():
        text = document if isinstance(document, str) else json.dumps(document)
        assert RARE not in text, name
        assert list(ends(document)) == [], name
        # That nobody is counted (0) is no one's secret.
        assert [one for one in beside(document, FEW, name) if one[1]] == []
    # The whole cube has them: what is searched for is there to be found.
    whole = json.loads(outcome.cube)
    if kind in ("fairness", "performance", "robustness"):
        assert any(0 < n < FLOOR for _, n in beside(whole, FEW))
    if kind in ("drift", "data_quality"):
        assert RARE in json.dumps(whole)
        assert list(ends(whole))
    (restricted,) = [one for one in outcome.attachments if one.restricted] or (None,)
    assert (restricted is not None) == (kind == "explainability")


def test_a_comparison_with_a_few_people_is_not_made(tmp_path):
    """Of two groups the gap and one rate tell the other rate, whatever minimum was asked for."""
    data = making.write(tmp_path / "d.parquet", drawn(3))
    job = making.loan_job("fairness", data, None, mapping=SUPPLIED, config=ONE)
    outcome = making.run(job, tmp_path / "w")
    gap = making.find(outcome, "demographic_parity_difference", race="*")
    assert {"race": FEW} in [one["group"] for one in gap.detail["excluded"]]
    assert FEW not in (gap.detail["highest"]["race"], gap.detail["lowest"]["race"])


def test_a_conformance_run_compares_what_it_does_not_tell(tmp_path):
    data = making.write(tmp_path / "d.parquet", drawn(3))
    config = {**ONE, "conformance": True}
    outcome = making.run(
        making.loan_job("fairness", data, None, mapping=SUPPLIED, config=config), tmp_path / "w"
    )
    (proof,) = outcome.attachments
    lines = json.loads(proof.content)["compared"]
    gaps = {one["metric"]: one for one in lines if one["about"] == {"race": "*"}}
    hidden = gaps["demographic_parity_difference"]
    assert (hidden["ours"], hidden["native"], hidden["difference"]) == (None, None, None)
    assert (hidden["below"], hidden["agrees"]) == (FLOOR, True)
    sexes = [one for one in lines if one["about"] == {"sex": "*"}]
    assert all(one["ours"] is not None and "below" not in one for one in sexes)
    assert not [one for one in lines if FEW in one["about"].values()]
