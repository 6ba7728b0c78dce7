"""Models from safe formats, each in a process of its own; hostile files are refused by name."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kernel.errors import CountersignError, Invalid, TooLarge
from monitoring.engine import loaders, sandbox
from monitoring.engine.inputs import InputSpec, encode
from monitoring.engine.loaders import onnx_file
from monitoring.engine.sandbox import SandboxLimits, run_child
from monitoring.engine.sources import ROW
from tests.monitoring.engine.making import SPEC, loans, matrix_of, quiet, train_xgboost, write

MODELS = Path(__file__).parent / "models"


class Bomb:
    def __reduce__(self):
        return os.system, ("touch " + os.environ["BOMB"],)


@pytest.fixture
def rows(tmp_path):
    columns = loans(200)
    kept = {name: columns[name] for name in ("income", "debt", "region")}
    return write(tmp_path / "rows.parquet", {ROW: list(range(200)), **kept})


def score(tmp_path, model, form, rows, spec=SPEC, **limits):
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    task = {
        "operation": "score",
        "artifact": str(model),
        "format": form,
        "input_spec": spec,
        "rows": str(rows),
        "predictions": str(home / "predictions.parquet"),
    }
    answer = run_child(task, home, SandboxLimits(**limits), quiet)
    return answer, pq.read_table(home / "predictions.parquet")


def train(tmp_path, form):
    columns = loans()
    path = tmp_path / f"model{loaders.SUFFIXES[form]}"
    if form.startswith("xgboost"):
        train_xgboost(path, columns)
        import xgboost

        booster = xgboost.Booster(model_file=str(path))
        return path, booster.inplace_predict
    import lightgbm

    data = lightgbm.Dataset(matrix_of(columns), np.asarray(columns["paid"]).astype(int))
    options = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(options, data, 10)
    booster.save_model(path)
    return path, booster.predict


@pytest.mark.parametrize("form", ["xgboost_json", "xgboost_ubj", "lightgbm"])
def test_the_sandbox_scores_as_the_library_does(tmp_path, form):
    columns = loans(200)
    columns["debt"] = [5.0 if value is None else value for value in columns["debt"]]
    kept = {name: columns[name] for name in ("income", "debt", "region")}
    rows = write(tmp_path / "rows.parquet", {ROW: list(range(200)), **kept})
    path, predict = train(tmp_path, form)
    answer, found = score(tmp_path, path, form, rows)
    expected = predict(matrix_of(columns))
    assert found["countersign_score"].to_numpy() == pytest.approx(expected, abs=1e-7)
    assert answer["differing"] == 0
    assert answer["rows"] == 200
    assert answer["isolation"]["network"] in ("namespace", "landlock, TCP alone", "audit hook")
    assert answer["isolation"]["files"] in ("landlock", "audit hook")


def test_skops_is_scored_as_the_same_model_is_from_onnx(tmp_path):
    matrix = np.load(MODELS / "rows.npz")["matrix"]
    named = {f"f{place}": matrix[:, place] for place in range(matrix.shape[1])}
    rows = write(tmp_path / "rows.parquet", {ROW: list(range(len(matrix))), **named})
    spec = {"features": [{"column": name} for name in named]}
    answer, found = score(tmp_path, MODELS / "boosting.skops", "skops", rows, spec=spec)
    expected = onnx_file.open_model(MODELS / "boosting.onnx", 1)[1](matrix)
    assert found["countersign_score"].to_numpy() == pytest.approx(expected, abs=1e-6)
    assert answer["rows"] == len(matrix)


def _onnx_model(path: Path) -> Path:
    """sigmoid(income / 100 + ...), made by hand: no converter is needed."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [3, 1], [0.01, 0.0, -0.5]),
            helper.make_tensor("b", TensorProto.FLOAT, [1], [-0.2]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def test_onnx_is_scored(tmp_path):
    columns = loans(50)
    kept = {"income": columns["income"], "debt": [1.0] * 50, "region": columns["region"]}
    rows = write(tmp_path / "rows.parquet", {ROW: list(range(50)), **kept})
    _, found = score(tmp_path, _onnx_model(tmp_path / "model.onnx"), "onnx", rows)
    matrix = matrix_of(kept)
    expected = 1 / (1 + np.exp(-(0.01 * matrix[:, 0] - 0.5 * matrix[:, 2] - 0.2)))
    assert found["countersign_score"].to_numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", loaders.FORMATS)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_under_any_name_is_refused_and_runs_nothing(
    tmp_path, rows, form, protocol, monkeypatch
):
    mark = tmp_path / "exploded"
    monkeypatch.setenv("BOMB", str(mark))
    model = tmp_path / f"model{loaders.SUFFIXES[form]}"
    model.write_bytes(pickle.dumps(Bomb(), protocol=protocol))
    with pytest.raises(Invalid, match="formats taken") as caught:
        loaders.check_format(model, form)
    assert caught.value.field == "artifact"
    assert not mark.exists()


@pytest.mark.parametrize("form", ["pickle", "joblib", "keras", "torch", ""])
def test_a_format_that_runs_code_is_refused_by_name(tmp_path, form):
    with pytest.raises(Invalid, match="formats taken: ONNX") as caught:
        loaders.check_format(tmp_path / "model", form)
    assert caught.value.field == "artifact.format"


def test_a_broken_file_is_refused_by_the_sandbox_with_the_field(tmp_path, rows):
    """What else is refused, and how: `test_hostile_models`."""
    path = _onnx_model(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Invalid) as caught:
        score(tmp_path, path, "onnx", rows)
    assert caught.value.field == "artifact"


def test_a_model_that_does_not_open_in_time_is_stopped(tmp_path, rows):
    path = _onnx_model(tmp_path / "model.onnx")
    with pytest.raises(TooLarge, match="could not be loaded within 0 s") as caught:
        score(tmp_path, path, "onnx", rows, loading=0)
    assert caught.value.field == "artifact"


def test_other_inputs_than_the_models_are_refused():
    with pytest.raises(Invalid, match="takes 5 inputs") as caught:
        loaders.load(MODELS / "xgboost.json", "xgboost_json", ("a", "b", "c"), 1)
    assert caught.value.field == "input_spec.features"


def test_an_output_that_is_no_probability_is_refused(tmp_path):
    document = (MODELS / "xgboost.json").read_text()
    path = tmp_path / "model.json"
    path.write_text(document.replace("binary:logistic", "binary:logitraw"))
    opened = loaders.load(path, "xgboost_json", tuple("abcde"), 1)
    with pytest.raises(Invalid, match="not a probability") as caught:
        opened.score(np.load(MODELS / "rows.npz")["matrix"])
    assert caught.value.field == "artifact"


def test_a_giant_file_is_refused_unread(tmp_path):
    path = tmp_path / "model.json"
    with path.open("wb") as stream:
        stream.truncate(3 << 30)
    with pytest.raises(TooLarge):
        loaders.check_format(path, "xgboost_json")


def test_memory_has_a_limit(tmp_path, rows):
    """A model that is a small file and a large one in memory stops at the limit."""
    path = tmp_path / "model.onnx"
    from onnx import TensorProto, helper

    shape = helper.make_tensor("s", TensorProto.INT64, [2], [200_000, 200_000])
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["s"], ["big"]),
            helper.make_node("ReduceSum", ["big"], ["p"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, None)],
        [shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CountersignError) as caught:
        score(tmp_path, path, "onnx", rows, memory=3_000)
    assert caught.value.field == "artifact"


def child(tmp_path, body, given="s.refuse_actions(places)\n"):
    """Run a body in a process that has given up what the sandbox's child gives up."""
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from monitoring.engine import confinement as s\n"
        "print(s.leave_network())\n"
        "places = s.Places.of(Path(sys.argv[1]), [], Path(sys.argv[2]))\n" + given + body
    )
    root = Path(sandbox.__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", code, str(root), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "body",
    [
        "import socket; socket.socket()",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import pickle; pickle.loads(b'cos\\nsystem\\n(S\"true\"\\ntR.')",
        "open('/tmp/countersign-should-not-exist', 'w')",
        "import os; os.open(str(Path(sys.argv[2]).parent / 'outside'), os.O_CREAT | os.O_WRONLY)",
        "open('/etc/passwd')",
        "open(sys.argv[1] + '/pyproject.toml')",
        "open('/proc/1/environ')",
    ],
)
def test_the_child_opens_no_socket_starts_no_process_and_unpickles_nothing(tmp_path, body):
    home = tmp_path / "home"
    home.mkdir()
    done = child(home, body)
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert not Path("/tmp/countersign-should-not-exist").exists()
    assert not (tmp_path / "outside").exists()


def test_native_code_has_no_network_where_the_kernel_grants_a_namespace(tmp_path):
    """The hook binds the interpreter alone; this socket is opened behind its back."""
    body = (
        "import ctypes, struct\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "fd = libc.socket(2, 1, 0)\n"
        "address = struct.pack('=HH4s8s', 2, 0x0900, bytes([127, 0, 0, 1]), b'')\n"
        "print(libc.connect(fd, address, 16), ctypes.get_errno())\n"
    )
    done = child(tmp_path, body)
    if "namespace" not in done.stdout:
        pytest.skip("the kernel grants no network namespace here")
    # ENETUNREACH: not even loopback is up in there.
    assert done.stdout.split()[-2:] == ["-1", "101"]


def test_native_code_opens_no_file_elsewhere_where_the_kernel_has_landlock(tmp_path):
    """Behind the hook's back as well: neither the server's files nor the machine's."""
    home = tmp_path / "home"
    home.mkdir()
    secret = tmp_path / "secret"
    secret.write_text("secret")
    body = (
        "import ctypes\n"
        "held = s.leave_files(places)\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "paths = [str(Path(sys.argv[2]).parent / 'secret'), '/etc/passwd', '/dev/urandom']\n"
        "print(held, *[libc.open(p.encode(), 0) >= 0 for p in paths])\n"
        "print(libc.open((sys.argv[2] + '/own').encode(), 0o101, 0o600) >= 0)\n"
        "print(libc.open((str(Path(sys.argv[2]).parent) + '/other').encode(), 0o101, 0o600) >= 0)\n"
    )
    done = child(home, body, given="")
    said = done.stdout.split()[1:] if "TCP" not in done.stdout else done.stdout.split()[3:]
    if said[0] == "hook":
        said = said[1:]
    if said[0] == "0":
        pytest.skip("the kernel has no Landlock")
    assert said[1:] == ["False", "False", "True", "True", "False"]


def test_nothing_of_the_servers_environment_reaches_the_child(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERSIGN_SECRET_KEY", "secret")
    assert "secret" not in json.dumps(sandbox._environment(tmp_path))


def test_what_progress_raises_ends_the_child(tmp_path, rows):
    class Cancelled(Exception):
        pass

    def cancel(share, text):
        raise Cancelled

    home = tmp_path / "home"
    path = train_xgboost(tmp_path / "model.json", loans())
    task = {
        "operation": "score",
        "artifact": str(path),
        "format": "xgboost_json",
        "input_spec": SPEC,
        "rows": str(rows),
        "predictions": str(home / "p.parquet"),
    }
    with pytest.raises(Cancelled):
        run_child(task, home, SandboxLimits(), cancel)
    assert not (home / "result.json").exists()


def test_inputs_are_encoded_as_declared():
    import pyarrow as pa

    spec = InputSpec.from_json(
        {
            "features": [
                {"column": "n", "missing": -1},
                {
                    "column": "c",
                    "kind": "codes",
                    "categories": {"x": 3, "y": 5},
                    "missing": -1,
                    "unseen": -2,
                },
                {"column": "o", "kind": "one_hot", "categories": ["p", "q"]},
            ]
        }
    )
    batch = pa.record_batch({"n": [1, None, 3], "c": ["y", "other", None], "o": ["q", None, "zzz"]})
    assert encode(spec, batch).tolist() == [[1, 5, 0, 1], [-1, -2, 0, 0], [3, -1, 0, 0]]
    assert spec.names() == ("n", "c", "o=p", "o=q")
    assert InputSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({}, "input_spec.features"),
        ({"features": [{"column": "a"}, {"column": "a"}]}, "input_spec.features"),
        ({"features": [{"column": "a", "kind": "code"}]}, "input_spec.features[0].kind"),
        ({"features": [{"column": "a", "kind": "codes"}]}, "input_spec.features[0].categories"),
        ({"features": [{"column": "a"}], "threshold": "0.5"}, "input_spec.threshold"),
        ({"features": [{"column": "a", "eval": "1+1"}]}, "input_spec.features[0].eval"),
    ],
)
def test_a_malformed_input_spec_names_its_field(value, field):
    with pytest.raises(Invalid) as caught:
        InputSpec.from_json(value)
    assert caught.value.field == field
