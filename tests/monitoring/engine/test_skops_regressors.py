"""Regressors from skops answer as scikit-learn's own objects do, and are explained."""

import os

import numpy as np
import pytest

from kernel.errors import Invalid
from monitoring.engine.attributions.methods import explainer_of
from monitoring.engine.loaders import NUMBER, skops_file
from monitoring.engine.loaders.model import Model
from tests.monitoring.engine.making import (
    FEATURES,
    SPEC,
    data_file,
    find,
    loans,
    matrix_of,
    run,
    sha256,
    write,
)

# As in the sandbox: compiling takes longer than all that these tests ask for.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
RNG = np.random.default_rng(2)
MATRIX = RNG.normal(size=(150, 4)).astype(np.float32)
MATRIX[:, 3] = RNG.integers(0, 3, 150)
WORTH = np.exp(MATRIX[:, 0] + 0.5 * (MATRIX[:, 3] == 1)) * 1_000


def pipelines():
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), [3]), remainder="passthrough"
    )
    return {
        "scaled ridge": make_pipeline(SimpleImputer(), StandardScaler(), Ridge()),
        "scaled trees": make_pipeline(StandardScaler(), GradientBoostingRegressor(n_estimators=4)),
        "encoded line": make_pipeline(encoder, LinearRegression()),
    }


def regressors():
    from sklearn.ensemble import (
        ExtraTreesRegressor,
        GradientBoostingRegressor,
        HistGradientBoostingRegressor,
        RandomForestRegressor,
    )
    from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
    from sklearn.tree import DecisionTreeRegressor

    few = {"n_estimators": 4, "random_state": 0}
    boosting = {
        f"boosting, {loss}": GradientBoostingRegressor(loss=loss, **few)
        for loss in ("squared_error", "absolute_error", "huber", "quantile")
    }
    histograms = {
        f"histograms, {loss}": HistGradientBoostingRegressor(
            loss=loss, quantile=0.3 if loss == "quantile" else None, max_iter=4, random_state=0
        )
        for loss in ("squared_error", "absolute_error", "poisson", "gamma", "quantile")
    }
    return {
        "line": LinearRegression(),
        "ridge": Ridge(),
        "lasso": Lasso(),
        "elastic net": ElasticNet(),
        "forest": RandomForestRegressor(max_depth=4, n_jobs=-1, **few),
        "extra trees": ExtraTreesRegressor(max_depth=4, **few),
        "tree": DecisionTreeRegressor(max_depth=4, random_state=0),
        **boosting,
        **histograms,
        **pipelines(),
    }


def kept(model, path):
    import skops.io

    skops.io.dump(model.fit(MATRIX, WORTH), path)
    return skops_file.open_model(path, NUMBER)


ASKED = {"encoded line"}
LOGS = {"histograms, poisson", "histograms, gamma"}
NAMES = [
    "line",
    "ridge",
    "lasso",
    "elastic net",
    "forest",
    "extra trees",
    "tree",
    "scaled ridge",
    "scaled trees",
    "encoded line",
]
NAMES += [f"boosting, {loss}" for loss in ("squared_error", "absolute_error", "huber", "quantile")]
NAMES += [
    f"histograms, {loss}"
    for loss in ("squared_error", "absolute_error", "poisson", "gamma", "quantile")
]


@pytest.mark.parametrize("name", NAMES)
def test_a_regressor_answers_as_in_scikit_learn_and_is_explained(tmp_path, name):
    native = regressors()[name]
    opened, score, width = kept(native, tmp_path / "m.skops")
    assert width == 4
    if name == "forest":
        # Two threads of scikit-learn's own add the votes in either order.
        native.set_params(n_jobs=1)
    assert np.array_equal(score(MATRIX), native.predict(MATRIX))
    model = Model("skops", opened, score, NUMBER)
    one = explainer_of(model, MATRIX, score(MATRIX), 50)
    assert ("permutation" in one.method) == (name in ASKED)
    assert one.unit == ("log output" if name in LOGS else "output")
    few = MATRIX[: 10 if name in ASKED else 150]
    values, base, output = one.explain(few, MATRIX[:50], 0)
    expected = native.predict(few)
    expected = np.log(expected) if name in LOGS else expected
    # Lines that were fitted to 32-bit floats answer in them.
    small = float(np.abs(expected).max()) * 1e-6
    assert output == pytest.approx(expected, abs=small)
    assert values.sum(axis=1) + base == pytest.approx(output, abs=small)


def test_a_forests_votes_are_added_in_one_order_whatever_the_file_asks_for(tmp_path):
    opened, _, _ = kept(regressors()["forest"], tmp_path / "m.skops")
    assert opened.n_jobs == 1


def test_a_regressor_gives_no_probability_and_a_classifier_no_number(tmp_path):
    import skops.io

    path = tmp_path / "m.skops"
    skops.io.dump(regressors()["ridge"].fit(MATRIX, WORTH), path)
    with pytest.raises(Invalid, match="no probabilities") as caught:
        skops_file.open_model(path, 1)
    assert caught.value.field == "artifact"


@pytest.fixture(scope="module")
def valued(tmp_path_factory):
    """Loans with a worth, a forest that tells it, and the job that re-performs and explains it."""
    import skops.io
    from sklearn.ensemble import RandomForestRegressor

    folder = tmp_path_factory.mktemp("valued")
    columns = loans(300)
    columns["debt"] = [5.0 if one is None else one for one in columns["debt"]]
    columns["worth"] = 1_000 * columns["income"] - 300 * np.array(columns["debt"])
    model = RandomForestRegressor(n_estimators=5, max_depth=5, random_state=0)
    model.fit(matrix_of(columns), columns["worth"])
    skops.io.dump(model, folder / "m.skops")
    path = folder / "m.skops"
    job = {
        "kind": "performance",
        "dataset": data_file(write(folder / "d.parquet", columns)),
        "mapping": {
            "label": "worth",
            "task": "regression",
            "sensitive": ["sex"],
            "features": list(FEATURES),
            "categorical": ["region"],
        },
        "artifact": {"path": str(path), "digest": sha256(path), "format": "skops"},
        "input_spec": {**SPEC, "output": "number"},
    }
    return job, columns, model


def test_a_regression_is_re_performed_from_skops(valued, tmp_path):
    from sklearn.metrics import mean_absolute_error

    job, columns, model = valued
    outcome = run(job, tmp_path)
    assert outcome.grade == "re-performed"
    # Another version of it may answer otherwise.
    assert {"skops", "scikit-learn"} <= set(outcome.libraries)
    error = mean_absolute_error(columns["worth"], model.predict(matrix_of(columns)))
    assert find(outcome, "mean_absolute_error").value == pytest.approx(error, rel=1e-9)


def test_a_regression_is_explained_in_its_own_unit(valued, tmp_path):
    import shap

    job, columns, model = valued
    config = {"reason_codes": {"decision": "any", "top": 1, "most": 5}}
    outcome = run({**job, "kind": "explainability", "config": config}, tmp_path)
    expected = shap.TreeExplainer(model).shap_values(matrix_of(columns))
    got = find(outcome, "mean_abs_shap", feature="income")
    assert got.value == pytest.approx(np.abs(expected[:, 0]).mean(), rel=1e-9)
    assert got.unit == "output"
    assert find(outcome, "deterministic_output").value == 1
    assert b'"decision": null' in outcome.attachments[0].content


@pytest.mark.parametrize(
    ("kind", "config", "field"),
    [
        ("robustness", {}, "input_spec.output"),
        ("explainability", {"reason_codes": {}}, "config.reason_codes.decision"),
    ],
)
def test_what_needs_decisions_is_refused_of_a_regression(valued, tmp_path, kind, config, field):
    with pytest.raises(Invalid) as caught:
        run({**valued[0], "kind": kind, "config": config}, tmp_path)
    assert caught.value.field == field
