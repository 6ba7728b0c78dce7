"""`python -m bench.checks.shap_rates`: rows explained a second, by format, beside the native library.

Each line is one model, trained here and now. "native" is what its own library or shap gives for the
live object; "ours" is what the sandbox's child does with the file, the sandbox's start left out. The
two take turns in one process, and the best round of each counts: on a machine that others use too,
the best is nearest to what the work takes. "CPU ratio" is native's processor time by ours. All
values are in double precision, but XGBoost's own. Prints Markdown.
"""

import argparse
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitoring.engine.attributions.methods import explainer_of
from monitoring.engine.loaders import lightgbm_file, onnx_file, skops_file, xgboost_file
from monitoring.engine.loaders.model import Model

FEATURES, TREES = 30, 100
OPENERS: dict[str, Any] = {
    "onnx": onnx_file,
    "skops": skops_file,
    "xgboost_json": xgboost_file,
    "xgboost_ubj": xgboost_file,
    "lightgbm": lightgbm_file,
}


@dataclass(frozen=True)
class Subject:
    """`native` explains rows; `path` is the same model in a safe format. `rows` are explained."""

    name: str
    form: str
    path: Path
    native: Callable[[Any], Any]
    rows: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.checks.shap_rates", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="subjects whose name contains this")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"{FEATURES} features, {TREES} trees, best of {options.rounds} rounds in turn\n")
    print(
        "| model | format | rows | native rows/s | ours rows/s | ratio | CPU ratio | largest gap |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as name:
        for subject in subjects(Path(name), options.rows, options.only):
            if options.only in f"{subject.name} {subject.form}":
                print(line(subject, options.rounds), flush=True)
    return 0


def data(rows: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    signal = matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + np.sin(2 * matrix[:, 3])
    return matrix, (signal + rng.normal(0, 0.7, rows) > 0).astype(int)


def subjects(folder: Path, rows: int, only: str = "") -> Iterator[Subject]:
    """One after the other, trained when its turn comes; none is trained that `only` leaves out."""

    def asked(name: str, *forms: str) -> bool:
        return any(only in f"{name} {form}" for form in forms)

    for depth in (4, 6):
        if asked(f"XGBoost, depth {depth}", "xgboost_json", "xgboost_ubj", "onnx"):
            yield from of_xgboost(folder, rows, depth)
    if asked("LightGBM, 31 leaves", "lightgbm"):
        yield of_lightgbm(folder, rows)
    few = max(300, rows // 10)
    for name, count in (
        ("GradientBoosting, depth 4", rows),
        ("HistGradientBoosting, 31 leaves", rows),
        ("RandomForest, depth 8", few),
        ("LogisticRegression", rows),
    ):
        if asked(name, "skops", "onnx"):
            yield from of_scikit(folder, name, count, rows)


def of_xgboost(folder: Path, rows: int, depth: int) -> Iterator[Subject]:
    import xgboost

    matrix, label = data(rows)
    model = xgboost.XGBClassifier(n_estimators=TREES, max_depth=depth, n_jobs=2)
    booster = model.fit(matrix, label).get_booster()

    def contributions(asked: Any) -> Any:
        return booster.predict(xgboost.DMatrix(asked), pred_contribs=True)[:, :-1]

    for form, suffix in (("xgboost_json", "json"), ("xgboost_ubj", "ubj")):
        path = folder / f"depth{depth}.{suffix}"
        booster.save_model(path)
        yield Subject(f"XGBoost, depth {depth}", form, path, contributions, rows)
    path = folder / f"depth{depth}.onnx"
    path.write_bytes(onnx_of_xgboost(folder / f"depth{depth}.json"))
    yield Subject(f"XGBoost, depth {depth}", "onnx", path, contributions, rows)


def of_lightgbm(folder: Path, rows: int) -> Subject:
    import lightgbm

    matrix, label = data(rows)
    options = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 2}
    booster = lightgbm.train(options, lightgbm.Dataset(matrix, label), TREES)
    booster.save_model(folder / "leaves.txt")

    def own(asked: Any) -> Any:
        return booster.predict(asked, pred_contrib=True, num_threads=2)[:, :-1]

    return Subject("LightGBM, 31 leaves", "lightgbm", folder / "leaves.txt", own, rows)


def of_scikit(folder: Path, name: str, count: int, rows: int) -> Iterator[Subject]:
    import shap
    import skops.io
    from sklearn.ensemble import (
        GradientBoostingClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.linear_model import LogisticRegression

    matrix, label = data(rows)
    linear = name == "LogisticRegression"
    model: Any = {
        "GradientBoosting, depth 4": GradientBoostingClassifier(n_estimators=TREES, max_depth=4),
        "HistGradientBoosting, 31 leaves": HistGradientBoostingClassifier(max_iter=TREES),
        "RandomForest, depth 8": RandomForestClassifier(TREES, max_depth=8, n_jobs=2),
        "LogisticRegression": LogisticRegression(),
    }[name]
    model.fit(matrix.astype(float) if linear else matrix, label)
    if linear:
        explainer, more = shap.LinearExplainer(model, matrix[:50].astype(float)), {}
    else:
        explainer, more = shap.TreeExplainer(model), {"check_additivity": False}

    def shapley(asked: Any) -> Any:
        values = np.asarray(explainer.shap_values(asked, **more))
        return values[..., 1] if values.ndim == 3 else values

    path = folder / f"{name.split(',')[0]}.skops"
    skops.io.dump(model, path)
    yield Subject(name, "skops", path, shapley, count)
    if hasattr(model, "estimators_"):
        path = path.with_suffix(".onnx")
        path.write_bytes(onnx_of_scikit(model))
        yield Subject(name, "onnx", path, shapley, count)


def line(subject: Subject, rounds: int) -> str:
    matrix, _ = data(max(subject.rows, 2_000))
    native, score, _ = OPENERS[subject.form].open_model(subject.path, 1)
    model = Model(subject.form, native, score, 1)
    # Every row weighs the branches of ONNX's trees, as those of the training weighed them.
    explainer = explainer_of(model, matrix, score(matrix), 50)
    asked, known = matrix[: subject.rows], matrix[:50]
    best: dict[str, tuple[float, float]] = {}
    answers: dict[str, Any] = {}
    for _ in range(rounds):
        for who, explain in (
            ("native", lambda: subject.native(asked)),
            ("ours", lambda: explainer.explain(asked, known, 0)[0]),
        ):
            answers.pop(who, None)
            begun = time.perf_counter(), time.process_time()
            answers[who] = explain()
            taken = time.perf_counter() - begun[0], time.process_time() - begun[1]
            before = best.get(who, taken)
            best[who] = min(before[0], taken[0]), min(before[1], taken[1])
    rates = {who: subject.rows / wall for who, (wall, _) in best.items()}
    gap = float(np.abs(np.asarray(answers["ours"]) - np.asarray(answers["native"])).max())
    return (
        f"| {subject.name} | {subject.form} | {subject.rows:,} | {rates['native']:,.0f} "
        f"| {rates['ours']:,.0f} | {rates['ours'] / rates['native']:.2f} "
        f"| {best['native'][1] / best['ours'][1]:.2f} | {gap:.1g} |"
    )


def onnx_of_scikit(model: Any) -> bytes:
    """Trees of scikit-learn in ONNX's words, as skl2onnx writes them."""
    boosted = type(model).__name__.startswith("Gradient")
    trees = []
    for one in np.ravel(np.asarray(model.estimators_, object)):
        tree = one.tree_
        leaf = tree.value[:, 0, -1]
        if boosted:
            weights = model.learning_rate * tree.value[:, 0, 0]
        else:
            weights = leaf / tree.value[:, 0, :].sum(axis=1) / len(model.estimators_)
        thresholds = tree.threshold.astype(np.float64)
        # The greatest 32-bit float that is not above: what a 32-bit value is compared with.
        single = thresholds.astype(np.float32)
        single = np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)
        trees.append((tree.children_left, tree.children_right, tree.feature, single, weights))
    base = [float(model._raw_predict_init(np.zeros((1, FEATURES)))[0, 0])] if boosted else []
    return written(trees, "BRANCH_LEQ", base, "LOGISTIC" if boosted else "NONE")


def onnx_of_xgboost(path: Path) -> bytes:
    import json

    learner = json.loads(path.read_text())["learner"]
    trees = []
    for tree in learner["gradient_booster"]["model"]["trees"]:
        left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
        values = np.array(tree["split_conditions"], np.float32)
        trees.append((left, right, np.array(tree["split_indices"]), values, values))
    score = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
    return written(trees, "BRANCH_LT", [float(np.log(score / (1 - score)))], "LOGISTIC")


def written(trees: list[Any], mode: str, base: list[float], post: str) -> bytes:
    from onnx import TensorProto, helper

    inner: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "featureids")}
    inner |= {name: [] for name in ("values", "modes", "truenodeids", "falsenodeids")}
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, (left, right, feature, threshold, weight) in enumerate(trees):
        for place in range(len(left)):
            leaf = left[place] == -1
            row = (number, place, 0 if leaf else int(feature[place]))
            for name, value in zip(("treeids", "nodeids", "featureids"), row, strict=True):
                inner[name].append(value)
            inner["values"].append(0.0 if leaf else float(threshold[place]))
            inner["modes"].append("LEAF" if leaf else mode)
            inner["truenodeids"].append(0 if leaf else int(left[place]))
            inner["falsenodeids"].append(0 if leaf else int(right[place]))
            if leaf:
                row = (number, place, 0, float(weight[place]))
                for name, value in zip(leaves, row, strict=True):
                    leaves[name].append(value)
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        classlabels_int64s=[0, 1],
        post_transform=post,
        **({"base_values": base} if base else {}),
        **{f"nodes_{name}": values for name, values in inner.items()},
        **{f"class_{name}": values for name, values in leaves.items()},
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=imports, ir_version=9)
    return bytes(made.SerializeToString())


if __name__ == "__main__":
    raise SystemExit(main())
