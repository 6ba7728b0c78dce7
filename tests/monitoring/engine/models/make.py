"""Makes the small models beside this file, which tests read. Not run by the tests.

    pip install skl2onnx onnxmltools
    python -m tests.monitoring.engine.models.make

The converters are needed here alone: what they write is what customers bring.
"""

import zipfile
from pathlib import Path

import lightgbm
import numpy as np
import onnxmltools
import skops.io
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
WIDTH = 5


def rows():
    """Training rows, their label, and the same rows with values missing."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, WIDTH)).astype(np.float32)
    matrix[:, 4] = rng.integers(0, 6, 300)
    label = matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + (matrix[:, 4] == 3)
    label = (label + rng.normal(0, 0.5, 300) > 0).astype(int)
    missing = matrix.copy()
    missing[::7, 1] = np.nan
    return matrix, label, missing


def main():
    matrix, label, missing = rows()
    np.savez_compressed(HERE / "rows.npz", matrix=matrix, label=label, missing=missing)
    small = {"random_state": 0}
    for name, model in (
        ("boosting", GradientBoostingClassifier(n_estimators=5, **small)),
        ("forest", RandomForestClassifier(n_estimators=4, max_depth=4, **small)),
        ("scaled", make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=3, **small))),
        ("logistic", make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())),
        ("descent", SGDClassifier(loss="log_loss", **small)),
    ):  # fmt: skip
        model.fit(matrix, label)
        options = {} if name == "scaled" else {"zipmap": False}
        proto = to_onnx(model, matrix[:1], options={id(model): options})
        (HERE / f"{name}.onnx").write_bytes(proto.SerializeToString())
        if name != "scaled":
            skops.io.dump(model, HERE / f"{name}.skops", compression=zipfile.ZIP_DEFLATED)
    # skl2onnx does not take this one.
    model = HistGradientBoostingClassifier(max_iter=4, max_leaf_nodes=7, **small)
    model.fit(missing, label)
    skops.io.dump(model, HERE / "histograms.skops", compression=zipfile.ZIP_DEFLATED)
    shape = [("x", FloatTensorType([None, WIDTH]))]
    model = xgboost.XGBClassifier(n_estimators=4, max_depth=3, n_jobs=1).fit(missing, label)
    model.get_booster().save_model(HERE / "xgboost.json")
    model.get_booster().save_model(HERE / "xgboost.ubj")
    proto = onnxmltools.convert_xgboost(model, initial_types=shape)
    (HERE / "xgboost.onnx").write_bytes(proto.SerializeToString())
    common = {"verbosity": -1, "num_leaves": 7, "num_threads": 1, "seed": 0}
    for name, given, categories in (("lightgbm", missing, []), ("categories", matrix, [4])):
        options = {"objective": "binary", "min_data_per_group": 5, "cat_smooth": 1, **common}
        data = lightgbm.Dataset(given, label, categorical_feature=categories)
        booster = lightgbm.train({**options, "max_cat_to_onehot": 1}, data, 4)
        booster.save_model(HERE / f"{name}.txt")
        proto = onnxmltools.convert_lightgbm(booster, initial_types=shape, zipmap=False)
        (HERE / f"{name}.onnx").write_bytes(proto.SerializeToString())
    classes = np.digitize(matrix[:, 0], [-0.5, 0.5])
    model = GradientBoostingClassifier(n_estimators=2, **small).fit(matrix, classes)
    proto = to_onnx(model, matrix[:1], options={id(model): {"zipmap": False}})
    (HERE / "classes.onnx").write_bytes(proto.SerializeToString())


if __name__ == "__main__":
    main()
