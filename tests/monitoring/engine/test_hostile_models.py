"""Files made to hurt: each is refused by name, within bounds, and nothing in it runs.

All of them meet one confined process, as the sandbox confines its child, which opens one after the
other with the loaders that the sandbox uses and says what became of each.
"""

import json
import os
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from monitoring.engine import loaders
from tests.monitoring.engine import hostile_skops
from tests.monitoring.engine import onnx_making as making

MODELS = Path(__file__).parent / "models"
ROOT = Path(loaders.__file__).parents[3]
MEMORY = 3_000
"""MiB of address space for all of them together, libraries included."""


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def saved(proto):
    return proto.SerializeToString()


def simple():
    return making.older([[("BRANCH_LEQ", 0, 0.0, 1, 2, False), ("LEAF", 0.2), ("LEAF", 0.7)]])


def onnx_truncated():
    whole = (MODELS / "boosting.onnx").read_bytes()
    return whole[: len(whole) * 2 // 3]


def onnx_outside():
    import onnx

    proto = simple()
    tensor = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"
    node = onnx.helper.make_node("Constant", [], ["c"])
    # Hidden in an attribute, where a look at the initializers does not find it.
    node.attribute.append(onnx.helper.make_attribute("value", tensor))
    proto.graph.node.append(node)
    return saved(proto)


def onnx_foreign():
    from onnx import helper

    proto = simple()
    inner = helper.make_graph(
        [helper.make_node("Shell", [], ["z"], domain="evil.ops")], "b", [], []
    )
    node = helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner)
    proto.graph.node.append(node)
    return saved(proto)


def onnx_giant():
    from onnx import TensorProto

    proto = simple()
    tensor = proto.graph.initializer.add()
    tensor.name, tensor.data_type = "w", TensorProto.FLOAT
    tensor.dims.extend([1 << 40, 1 << 20])
    return saved(proto)


def onnx_hollow():
    from onnx import TensorProto

    proto = simple()
    tensor = proto.graph.initializer.add()
    tensor.name, tensor.data_type, tensor.raw_data = "w", TensorProto.FLOAT, b"\0" * 16
    tensor.dims.extend([1 << 26])
    return saved(proto)


def onnx_deep():
    """Graph in attribute in node in graph, hundreds of times: field 7 of a model is its graph."""

    def field(number, data):
        size, out = len(data), bytearray([number << 3 | 2])
        while size > 127:
            out.append(size & 127 | 128)
            size >>= 7
        return bytes(out) + bytes([size]) + data

    body = b""
    for _ in range(400):
        body = field(1, field(5, field(6, body)))
    return b"\x08\x09" + field(7, body)


def xgboost(change):
    document = json.loads((MODELS / "xgboost.json").read_text())
    change(document["learner"]["gradient_booster"]["model"])
    return json.dumps(document).encode()


def lying_nodes(model):
    model["trees"][0]["tree_param"]["num_nodes"] = "2000000000"


def leading_out(model):
    model["trees"][0]["left_children"][0] = 2_000_000


def circle(model):
    model["trees"][0]["left_children"][1] = 0


def far_input(model):
    model["trees"][0]["split_indices"][0] = 1 << 28


def more_trees(model):
    model["gbtree_model_param"]["num_trees"] = "999999999"


def far_output(model):
    """Native code adds the tree's leaves to a number of the row that it has no room for."""
    model["tree_info"][0] = 5_000_000


def far_round(model):
    model["iteration_indptr"][-1] = 5_000_000


def strange_parent(model):
    model["trees"][0]["parents"][1] = 2_000_000


def broken_number(model):
    model["trees"][0]["left_children"][0] = 1.5


def said_twice():
    """Of two values ours might be read here, and the other one there."""
    text = (MODELS / "xgboost.json").read_text()
    return text.replace('"tree_info":', '"tree_info":[9],"tree_info":').encode()


def ubj():
    return (MODELS / "xgboost.ubj").read_bytes()


def ubj_truncated():
    whole = ubj()
    return whole[: len(whole) // 2]


def ubj_lying():
    whole = ubj()
    at = whole.index(b"base_weights[$d#L") + len(b"base_weights[$d#L")
    return whole[:at] + (1 << 60).to_bytes(8, "big") + whole[at + 8 :]


def lightgbm(pattern, put):
    text = (MODELS / "lightgbm.txt").read_text()
    found = re.sub(pattern, put, text, count=1, flags=re.MULTILINE)
    assert found != text
    return found.encode()


def pickled(protocol=5):
    return lambda mark: pickle.dumps(Bomb(mark), protocol=protocol)


HOSTILE = {
    "onnx, cut short": ("onnx", onnx_truncated, "ONNX"),
    "onnx, weights in another file": ("onnx", onnx_outside, "other files"),
    "onnx, an operator of a stranger in a branch": ("onnx", onnx_foreign, "evil.ops"),
    "onnx, a tensor of 2^60 numbers": ("onnx", onnx_giant, "claims more than"),
    "onnx, a tensor that is not there": ("onnx", onnx_hollow, "does not hold them"),
    "onnx, nested without end": ("onnx", onnx_deep, "ONNX|nest"),
    **hostile_skops.FILES,
    "xgboost, nodes that are not there": (
        "xgboost_json",
        lambda: xgboost(lying_nodes),
        "claims 2000000000 nodes",
    ),
    "xgboost, a child outside": ("xgboost_json", lambda: xgboost(leading_out), "not a tree"),
    "xgboost, a circle": ("xgboost_json", lambda: xgboost(circle), "not a tree"),
    "xgboost, an input far away": ("xgboost_json", lambda: xgboost(far_input), "does not have"),
    "xgboost, trees that are not there": ("xgboost_json", lambda: xgboost(more_trees), "claims"),
    "xgboost, an output far away": ("xgboost_json", lambda: xgboost(far_output), "tree_info"),
    "xgboost, a round far away": ("xgboost_json", lambda: xgboost(far_round), "iteration_indptr"),
    "xgboost, a parent far away": (
        "xgboost_json",
        lambda: xgboost(strange_parent),
        "another parent",
    ),
    "xgboost, half a node": ("xgboost_json", lambda: xgboost(broken_number), "whole numbers"),
    "xgboost, a name twice": ("xgboost_json", said_twice, "stands twice"),
    "xgboost ubj, a name twice": ("xgboost_ubj", lambda: b"{i\x01aTi\x01aT}", "stands twice"),
    "xgboost, nested without end": (
        "xgboost_json",
        lambda: b'{"learner":' + b"[" * 200_000,
        "nests|XGBoost",
    ),
    "xgboost ubj, cut short": ("xgboost_ubj", ubj_truncated, "claims more than it holds"),
    "xgboost ubj, an array of 2^60": ("xgboost_ubj", ubj_lying, "claims more than it holds"),
    "xgboost ubj, nested without end": (
        "xgboost_ubj",
        lambda: b"{" + b"i\x01a{" * 100_000,
        "nests deeper",
    ),
    "lightgbm, absurd leaves": (
        "lightgbm",
        lambda: lightgbm("^num_leaves=.*$", "num_leaves=2000000000"),
        "num_leaves",
    ),
    "lightgbm, a child outside": (
        "lightgbm",
        lambda: lightgbm("^left_child=[-0-9]+", "left_child=1999999"),
        "not a tree",
    ),
    "lightgbm, an input far away": (
        "lightgbm",
        lambda: lightgbm("^split_feature=[0-9]+", "split_feature=1999999"),
        "does not have",
    ),
    "lightgbm, more outputs than room": (
        "lightgbm",
        lambda: lightgbm("^num_tree_per_iteration=1$", "num_tree_per_iteration=4"),
        "several numbers of classes",
    ),
    "lightgbm, an objective of more classes": (
        "lightgbm",
        lambda: lightgbm("^objective=.*$", "objective=multiclass num_class:5000"),
        "several numbers of classes",
    ),
    "lightgbm, a line within a line": (
        "lightgbm",
        lambda: lightgbm("^internal_weight=.*$", "internal_weight=0\rleft_child=1999999"),
        "carriage return",
    ),
    "lightgbm, an array twice": (
        "lightgbm",
        lambda: lightgbm("^internal_weight=.*$", "left_child=1999999"),
        "stands twice",
    ),
    "lightgbm, a tree before the trees": (
        "lightgbm",
        lambda: lightgbm("^Tree=0$", " Tree=0\nTree=0"),
        "indented",
    ),
    "lightgbm, sizes that lead out": (
        "lightgbm",
        lambda: lightgbm("^tree_sizes=[0-9]+", "tree_sizes=99999999"),
        "tree_sizes",
    ),
}
PICKLES = {
    f"a pickle of protocol {protocol} named {loaders.SUFFIXES[form]}": (form, protocol)
    for form in loaders.FORMATS
    for protocol in (0, 2, 5)
}

BROKEN = {
    f"{form}, {how}": (form, name, how)
    for form, name in (
        ("onnx", "boosting.onnx"),
        ("skops", "descent.skops"),
        ("xgboost_json", "xgboost.json"),
        ("xgboost_ubj", "xgboost.ubj"),
        ("lightgbm", "lightgbm.txt"),
    )
    for how in ("half of it", "its beginning", "nothing", "scrambled", "half of it, and an end")
}


def broken(name, how):
    whole = (MODELS / name).read_bytes()
    return {
        "half of it": whole[: len(whole) // 2],
        "its beginning": whole[:40],
        "nothing": b"",
        "scrambled": whole[:40] + random.Random(1).randbytes(400),
        # LightGBM's own parser never ends on this.
        "half of it, and an end": whole[: len(whole) // 2] + b"\nend of trees\n",
    }[how]


_OPENING = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from monitoring.engine import confinement
from kernel.errors import CountersignError
from monitoring.engine import loaders
folder = Path(sys.argv[2])
order = json.loads((folder / "order.json").read_text())
confinement.leave_network()
confinement.limit({"memory": order["memory"], "cpu": 120})
places = confinement.Places.of(Path(sys.argv[1]), [str(folder)], folder / "work")
confinement.leave_files(places)
import numpy, onnx, onnxruntime
confinement.refuse_actions(places)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, (file, form) in order["files"].items():
    try:
        loaders.load(folder / file, form, ("a", "b", "c", "d", "e"), 1)
        said = ["opened", "", ""]
    except CountersignError as error:
        said = [type(error).__name__, error.detail, error.field]
    except BaseException as error:
        said = ["stray " + type(error).__name__, str(error), ""]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([name, *said, (after - before) // 1024]), flush=True)
"""


@pytest.fixture(scope="module")
def met(tmp_path_factory):
    """What became of each file, by its name: (kind of error, detail, field, MiB grown so far)."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "work").mkdir()
    mark, files = folder / "exploded", {}
    made = {name: (form, make()) for name, (form, make, _) in HOSTILE.items()}
    made |= {name: (form, pickled(protocol)(mark)) for name, (form, protocol) in PICKLES.items()}
    made |= {name: (form, broken(file, how)) for name, (form, file, how) in BROKEN.items()}
    made["a good file, at the end"] = ("onnx", (MODELS / "boosting.onnx").read_bytes())
    for place, (name, (form, data)) in enumerate(made.items()):
        file = f"{place}{loaders.SUFFIXES[form]}"
        (folder / file).write_bytes(data)
        files[name] = (file, form)
    (folder / "order.json").write_text(json.dumps({"files": files, "memory": MEMORY}))
    done = subprocess.run(
        [sys.executable, "-I", "-c", _OPENING, str(ROOT), str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder / "work"), "OMP_NUM_THREADS": "1"},
    )
    found = {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}
    assert len(found) == len(files), done.stderr[-2000:]
    assert not mark.exists()
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_name(met, name):
    kind, detail, field, _ = met[name]
    assert kind in ("Invalid", "TooLarge"), (kind, detail)
    assert field == "artifact"
    assert re.search(HOSTILE[name][2], detail), detail


@pytest.mark.parametrize("name", BROKEN)
def test_a_truncated_or_scrambled_file_is_refused(met, name):
    kind, _, field, _ = met[name]
    assert (kind, field) == ("Invalid", "artifact")


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_under_any_name_is_refused_and_runs_nothing(met, name):
    kind, detail, field, _ = met[name]
    assert (kind, field) == ("Invalid", "artifact")
    assert "formats taken" in detail


def test_memory_stays_bounded_whatever_the_files_claim(met):
    assert max(grown for *_, grown in met.values()) < 400


def test_a_good_file_is_opened_after_all_of_them(met):
    assert met["a good file, at the end"][0] == "opened"
