"""What a child leaves is not trusted: links, pipes, processes, and files of another shape."""

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernel.errors import Invalid
from monitoring.engine import sandbox
from monitoring.engine.sandbox import SandboxLimits, run_child, table_of
from tests.monitoring.engine.test_sandbox import child


def behaving(monkeypatch, home, body):
    """Run a child that does something else than ours, in its work directory."""
    monkeypatch.setattr(sandbox, "_BOOT", "import json, os, sys, time\n" + body)
    return run_child({"operation": "score"}, home, SandboxLimits(seconds=20), lambda *_: None)


@pytest.mark.parametrize(
    "body",
    [
        "os.symlink('/etc/hostname', 'result.json')",
        "open('result.json', 'w').write('{}'); os.symlink('/etc/hostname', 'values.parquet')",
        "os.mkfifo('result.json')",
        # Whoever opens a pipe that nobody writes to waits for ever.
        "os.mkfifo('progress'); time.sleep(0.5); open('result.json', 'w').write('{}')",
    ],
)
def test_a_link_or_a_pipe_is_neither_followed_nor_waited_for(tmp_path, monkeypatch, body):
    with pytest.raises(Invalid, match="something else than files") as caught:
        behaving(monkeypatch, tmp_path, body)
    assert caught.value.field == "artifact"


def test_links_that_were_there_before_are_ours(tmp_path, monkeypatch):
    (tmp_path / "model.json").symlink_to("/etc/hostname")
    body = "open('result.json', 'w').write('{}')"
    assert behaving(monkeypatch, tmp_path, body) == {}
    with pytest.raises(Invalid):
        behaving(monkeypatch, tmp_path, f"os.remove('model.json'); os.mkdir('model.json'); {body}")


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, "x" * 1_000])
def test_a_result_that_is_no_object_is_refused(tmp_path, monkeypatch, text):
    (tmp_path / "text").write_text(text)
    with pytest.raises(Invalid):
        behaving(monkeypatch, tmp_path, "os.rename('text', 'result.json')")


def test_progress_is_read_up_to_a_line(tmp_path):
    (tmp_path / "progress").write_text("0.5 " + "x" * 10_000_000)
    assert sandbox._progress(tmp_path) == (0.5, "x" * 80)
    (tmp_path / "progress").write_bytes(b"\xff\xfe")
    assert sandbox._progress(tmp_path) == (0.0, "starting the sandbox")


def test_nothing_that_the_child_started_outlives_it(tmp_path, monkeypatch):
    body = (
        "started = os.fork()\n"
        "if not started:\n    time.sleep(60)\n"
        "open('result.json', 'w').write(json.dumps({'started': started}))\n"
    )
    started = behaving(monkeypatch, tmp_path, body)["started"]
    told = Path(f"/proc/{started}/stat")
    for _ in range(200):
        if not told.exists() or told.read_text().rsplit(")", 1)[1].split()[0] in "ZX":
            return
        time.sleep(0.01)
    pytest.fail("the child's child lives")


def test_a_file_does_not_grow_without_end(tmp_path):
    body = (
        "s.WRITTEN = 1_000\n"
        "s.limit({'memory': 3_000, 'cpu': 60})\n"
        "open(sys.argv[2] + '/log', 'wb').write(b'x' * 100_000)\n"
    )
    done = child(tmp_path, body)
    assert done.returncode != 0
    assert "File too large" in done.stderr
    assert (tmp_path / "log").stat().st_size <= 1_000


def test_a_table_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "values.parquet"
    pq.write_table(pa.table({"a": [1, 2, 3], "b": [1.0, 2.0, 3.0]}), path)
    assert table_of(path, ["a", "b"], 3).num_rows == 3
    for columns, rows in ((["a", "b"], 2), (["a"], 3), (["a", "c"], 3)):
        with pytest.raises(Invalid, match="other rows"):
            table_of(path, columns, rows)
    path.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(Invalid, match="no readable result"):
        table_of(path, ["a"], 3)
    with pytest.raises(Invalid, match="no readable result"):
        table_of(tmp_path / "nothing.parquet", ["a"], 3)
