"""skops: an archive whose types we list ourselves, whatever the file or the library says of them."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from kernel.errors import TooLarge
from monitoring.engine.loaders import scikit_trees
from monitoring.engine.loaders.formats import FIELD
from monitoring.engine.loaders.model import NUMBER, Opened, probabilities, refuse

TRUSTED: Final = frozenset(
    {
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.utils._bunch.Bunch",
        "numpy.dtype",
    }
)
"""Types beyond skops' own defaults that were reviewed: arrays and parameters, no behaviour."""

_ESTIMATORS: Final = frozenset(
    f"sklearn.{name}"
    for name in (
        "calibration.CalibratedClassifierCV",
        "compose._column_transformer.ColumnTransformer",
        "discriminant_analysis.LinearDiscriminantAnalysis",
        "discriminant_analysis.QuadraticDiscriminantAnalysis",
        "dummy.DummyClassifier",
        "dummy.DummyRegressor",
        "ensemble._bagging.BaggingClassifier",
        "ensemble._forest.ExtraTreesClassifier",
        "ensemble._forest.ExtraTreesRegressor",
        "ensemble._forest.RandomForestClassifier",
        "ensemble._forest.RandomForestRegressor",
        "ensemble._gb.GradientBoostingClassifier",
        "ensemble._gb.GradientBoostingRegressor",
        "ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
        "ensemble._voting.VotingClassifier",
        "ensemble._weight_boosting.AdaBoostClassifier",
        "feature_selection._variance_threshold.VarianceThreshold",
        "impute._base.MissingIndicator",
        "impute._base.SimpleImputer",
        "isotonic.IsotonicRegression",
        "linear_model._base.LinearRegression",
        "linear_model._coordinate_descent.ElasticNet",
        "linear_model._coordinate_descent.Lasso",
        "linear_model._logistic.LogisticRegression",
        "linear_model._logistic.LogisticRegressionCV",
        "linear_model._ridge.Ridge",
        "linear_model._stochastic_gradient.SGDClassifier",
        "naive_bayes.BernoulliNB",
        "naive_bayes.GaussianNB",
        "naive_bayes.MultinomialNB",
        "neural_network._multilayer_perceptron.MLPClassifier",
        "pipeline.FeatureUnion",
        "pipeline.Pipeline",
        "preprocessing._data.MaxAbsScaler",
        "preprocessing._data.MinMaxScaler",
        "preprocessing._data.PowerTransformer",
        "preprocessing._data.QuantileTransformer",
        "preprocessing._data.RobustScaler",
        "preprocessing._data.StandardScaler",
        "preprocessing._discretization.KBinsDiscretizer",
        "preprocessing._encoders.OneHotEncoder",
        "preprocessing._encoders.OrdinalEncoder",
        "preprocessing._function_transformer.FunctionTransformer",
        "preprocessing._label.LabelBinarizer",
        "preprocessing._label.LabelEncoder",
        "preprocessing._polynomial.PolynomialFeatures",
        "preprocessing._polynomial.SplineTransformer",
        "tree._classes.DecisionTreeClassifier",
        "tree._classes.DecisionTreeRegressor",
        "tree._classes.ExtraTreeClassifier",
        "tree._classes.ExtraTreeRegressor",
    )
)
_LOSSES: Final = frozenset(
    f"sklearn._loss.{name}"
    for name in (
        "link.IdentityLink",
        "link.LogLink",
        *(
            f"{place}{loss}"
            for place in ("loss.", "_loss.Cy")
            for loss in (
                "AbsoluteError",
                "HalfGammaLoss",
                "HalfPoissonLoss",
                "HalfSquaredError",
                "HuberLoss",
                "PinballLoss",
            )
        ),
    )
)
"""What boosted regressors carry of their training."""
_PLAIN: Final = frozenset(
    {
        "builtins.bool",
        "builtins.bytes",
        "builtins.dict",
        "builtins.float",
        "builtins.int",
        "builtins.list",
        "builtins.set",
        "builtins.slice",
        "builtins.str",
        "builtins.tuple",
        "builtins.NoneType",
        "collections.OrderedDict",
        "collections.defaultdict",
        "numpy.ndarray",
        "numpy.ma.MaskedArray",
        "numpy.random.mtrand.RandomState",
        "numpy.random._generator.Generator",
        *(f"numpy.{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        "numpy.float32",
        "numpy.float64",
        "numpy.bool",
        "numpy.bool_",
        "numpy.str_",
    }
)
ALLOWED: Final = TRUSTED | _ESTIMATORS | _LOSSES | _PLAIN

_KINDS: Final = """
    BytearrayBytes Bytes Cached DType DefaultDict Dict Json List Loss Mask MaskedArray NdArray
    Object RandomGenerator RandomState Set Slice Tree Tuple Type
"""
NODES: Final = frozenset(f"{name}Node" for name in _KINDS.split())
"""Kinds of nodes that make data. Those that look up functions or methods are never met."""
MEMBERS: Final = 100_000
UNPACKED: Final = 4 << 30
RATIO: Final = 200
SCHEMA: Final = 64 << 20
DEPTH: Final = 200


def open_model(path: Path, positive_index: int) -> Opened:
    check(path)
    import skops.io

    foreign = set(skops.io.get_untrusted_types(file=path)) - TRUSTED
    if foreign:
        refuse(f"type {sorted(foreign)[0]} is not on the allow-list")
    model = skops.io.load(path, trusted=sorted(TRUSTED))
    answers = "predict" if positive_index == NUMBER else "predict_proba"
    if not hasattr(model, answers):
        given = "numbers" if positive_index == NUMBER else "probabilities"
        refuse(f"the model gives no {given}")
    scikit_trees.check(model)
    for one in scikit_trees.objects(model):
        _tame(one)

    def score(matrix: Any) -> Any:
        return probabilities(getattr(model, answers)(matrix), positive_index)

    width = getattr(model, "n_features_in_", None)
    return model, score, None if width is None else int(width)


def _tame(one: Any) -> None:
    """Take from a part of the model what would call functions, or start as many threads as it says.

    Threads also add a forest's votes in another order each time.
    """
    functions = [vars(one).get(name) for name in ("func", "inverse_func")]
    if type(one).__name__ == "FunctionTransformer" and functions != [None, None]:
        refuse("a FunctionTransformer with a function is not on the allow-list")
    if "n_jobs" in vars(one):
        one.n_jobs = 1


def check(path: Path) -> None:
    """Read the archive's directory and its schema, and refuse what we did not review.

    Raises:
        Invalid: naming the member or the type.
        TooLarge: it unpacks to more than is granted.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members)
            names = {one.filename for one in members}
            if "schema.json" not in names:
                refuse("the archive has no schema.json")
            if archive.getinfo("schema.json").file_size > SCHEMA:
                raise TooLarge("the archive's schema is too large", field=FIELD)
            schema = json.loads(archive.read("schema.json"))
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, ValueError) as error:
        refuse(f"the archive cannot be read ({type(error).__name__})", error)
    except RecursionError as error:
        refuse("the archive's schema nests too deeply", error)
    for node in _nodes(schema):
        kind = str(node.get("__loader__"))
        name = f"{node.get('__module__')}.{node.get('__class__')}"
        if name not in ALLOWED:
            refuse(f"type {name[:100]} is not on the allow-list")
        if kind not in NODES:
            refuse(f"{kind[:60]} of {name[:100]} is not on the allow-list")
        file = node.get("file")
        if file is not None and file not in names:
            refuse("the schema names a file that is not in the archive")


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MEMBERS:
        raise TooLarge(f"the archive has more than {MEMBERS} members", field=FIELD)
    if len({one.filename for one in members}) != len(members):
        refuse("the archive has two members of one name")
    for one in members:
        place = PurePosixPath(one.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or one.is_dir() or one.flag_bits & 1:
            refuse(f"the archive has a member {one.filename[:60]!r}, which is never opened")
    unpacked = sum(one.file_size for one in members)
    packed = sum(one.compress_size for one in members)
    if unpacked > UNPACKED or unpacked > RATIO * packed + (1 << 20):
        raise TooLarge(
            f"the archive unpacks from {packed} to {unpacked} bytes, which is not taken",
            field=FIELD,
        )


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    waiting: list[tuple[Any, int]] = [(schema, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEPTH:
            refuse("the archive's schema nests too deeply")
        if isinstance(value, dict):
            if "__loader__" in value or "__class__" in value:
                yield value
            waiting.extend((one, depth + 1) for one in value.values())
        elif isinstance(value, list):
            waiting.extend((one, depth + 1) for one in value)
