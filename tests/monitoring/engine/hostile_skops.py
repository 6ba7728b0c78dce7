"""skops archives made to hurt; see `test_hostile_models`."""

import json
import zipfile
from pathlib import Path

MODELS = Path(__file__).parent / "models"


def archive(members, compression=zipfile.ZIP_STORED):
    from io import BytesIO

    out = BytesIO()
    with zipfile.ZipFile(out, "w", compression) as made:
        for name, data in members:
            made.writestr(name, data)
    return out.getvalue()


def skops_members():
    with zipfile.ZipFile(MODELS / "descent.skops") as known:
        return [(one, known.read(one)) for one in known.namelist()]


def skops_with(**node):
    members = dict(skops_members())
    schema = json.loads(members["schema.json"])
    schema["content"] = {**node, "content": {"func": "__init__", "obj": schema["content"]}}
    members["schema.json"] = json.dumps(schema).encode()
    return archive(members.items())


def skops_foreign():
    return skops_with(__class__="system", __module__="posix", __loader__="FunctionNode")


def skops_method():
    """A node that looks up a method, under the name of a class that is taken."""
    module = "sklearn.linear_model._logistic"
    return skops_with(__class__="LogisticRegression", __module__=module, __loader__="MethodNode")


def skops_bomb():
    zeros = b"\0" * (64 << 20)
    return archive([*skops_members(), ("zeros.npy", zeros)], zipfile.ZIP_DEFLATED)


def skops_of(name, change):
    """A model of ours, changed in memory and written again as skops writes it."""
    import skops.io

    from monitoring.engine.loaders import skops_file

    model = skops.io.load(MODELS / name, trusted=sorted(skops_file.TRUSTED))
    return skops.io.dumps(change(model) or model)


def trees(model):
    import numpy as np

    return np.ravel(np.asarray(model.estimators_, object))


def far_feature(model):
    trees(model)[0].tree_.feature[0] = 1_000_000


def without_width(model):
    del model.n_features_in_


def wider_tree(model):
    trees(model)[1].n_features_in_ = 4


def more_outputs(model):
    """Native code adds each column of trees to memory that has one column."""
    model.estimators_ = model.estimators_.repeat(3, axis=1)


def far_node(model):
    model._predictors[0][0].nodes["left"][0] = 1_000_000


def far_input_of_histograms(model):
    model._predictors[0][0].nodes["feature_idx"][0] = 1_000_000


def far_category(model):
    nodes = model._predictors[0][0].nodes
    nodes["is_categorical"][0], nodes["bitset_idx"][0] = 1, 1_000


def far_bit(model):
    """Native code sets a bit for each category of the training."""
    model._bin_mapper.is_categorical_[0] = 1
    model._bin_mapper.bin_thresholds_[0][-1] = 1_000_000


def sparse(model):
    """The indices of a sparse matrix are followed as they stand."""
    model.sparsify()


def calling(model):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(FunctionTransformer(func=list), model)


def skops_outside():
    return archive([*skops_members(), ("../../outside.npy", b"x")])


FILES = {
    "skops, a function": ("skops", skops_foreign, "allow-list"),
    "skops, a method": ("skops", skops_method, "allow-list"),
    **{
        f"skops, {what}": ("skops", lambda name=name, change=change: skops_of(name, change), told)
        for what, name, change, told in (
            ("an input far away", "boosting.skops", far_feature, "does not have"),
            ("an input far away in a forest", "forest.skops", far_feature, "does not have"),
            ("inputs that are not said", "forest.skops", without_width, "how many inputs"),
            ("a tree of fewer inputs", "forest.skops", wider_tree, "other inputs"),
            ("more trees than outputs", "boosting.skops", more_outputs, "than outputs"),
            ("a node far away", "histograms.skops", far_node, "circle"),
            (
                "a histogram's input far away",
                "histograms.skops",
                far_input_of_histograms,
                "does not have",
            ),
            ("a set of categories far away", "histograms.skops", far_category, "categories"),
            ("a category far away", "histograms.skops", far_bit, "categories"),
            ("a sparse matrix", "descent.skops", sparse, "allow-list"),
            ("a type that is called", "descent.skops", calling, "function is not on"),
        )
    },
    "skops, a bomb": ("skops", skops_bomb, "unpacks from"),
    "skops, a path that leads out": ("skops", skops_outside, "never opened"),
}
"""By name: the format, what makes the file, and what is said of it."""
