"""`countersign check`: what people see of a run while it goes on and once it is over."""

import io
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from countersign_client import checking, cli
from countersign_client.errors import ClientError, Exit
from countersign_client.screen import Bar
from countersign_client.session import Session

DONE = {"progress": 1.0, "stage": "done", "grade": "recomputed", "cube_digest": "ab" * 32}


class Service:
    """Answers as the server does: the states of a run, one after the other."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self._states = list(states)
        self.posted: list[str] = []
        self.measured: list[dict[str, Any]] = []

    def page(self, path: str) -> str:
        return f"https://countersign.test/{path}"

    def get(self, path: str, **_: object) -> dict[str, Any]:
        if path.endswith("/measurements/"):
            return {"results": self.measured, "next": None}
        state = self._states[0] if len(self._states) == 1 else self._states.pop(0)
        return {"id": path.split("/")[1], "kind": "drift", "error": "", "stage": "", **state}

    def post(self, path: str, _: object) -> dict[str, Any]:
        self.posted.append(path)
        state = "cancelled" if path.endswith("/cancel/") else "queued"
        return {"id": "new", "kind": "drift", "state": state}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command against a service."""

    def run(service: Service, *arguments: str) -> int:
        monkeypatch.setattr(Session, "from_environment", classmethod(lambda cls: service))
        return cli.main(["check", *arguments])

    return run


def running(share: float, stage: str = "counting") -> dict[str, Any]:
    return {"state": "running", "progress": share, "stage": stage}


def test_plain_lines_where_nobody_sees_a_bar(command: Any, capsys: Any) -> None:
    service = Service(
        running(0.0, "starting"), running(0.31), running(0.35), {"state": "succeeded", **DONE}
    )
    assert command(service, "--run", "r1") == 0
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "check drift 0% starting",
        "check drift 31% counting",
        "check drift 100% done",
    ], "each tenth once, and no control characters"
    assert told.out == f"check drift: succeeded, recomputed, cube sha256 {'ab' * 32}\n"


def test_one_line_that_is_written_over_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    bar = Bar("check drift")
    bar.show(0.5, "counting")
    bar.show(1.0, "done")
    bar.done()
    lines = screen.getvalue().split("\r")
    assert len(lines) == 3
    assert "█" * 15 + "·" * 15 in lines[1]
    assert " 50%" in lines[1]
    assert lines[2].endswith("done\n")


def test_what_runs_have_in_common_and_what_not(command: Any, capsys: Any) -> None:
    changed = [
        {"name": "duckdb", "before": "2.0.0", "now": "2.1.0"},
        {"name": "scipy", "before": None, "now": "1.17.1"},
    ]
    over = {"state": "succeeded", **DONE, "library_changes": changed, "previous": "r0"}
    assert command(Service({**over, "same_result_as": "r0"}), "--run", "r1") == 0
    told = capsys.readouterr()
    assert "same result digest as run r0" in told.out
    assert "duckdb 2.0.0 -> 2.1.0 since run r0" in told.err
    assert "scipy not used -> 1.17.1" in told.err


def test_a_failed_run_is_an_error_that_says_why(command: Any, capsys: Any) -> None:
    failed = {"state": "failed", "progress": 0.2, "error": "the file cannot be read"}
    assert command(Service(failed), "--run", "r1") == Exit.NO
    assert "drift failed: the file cannot be read" in capsys.readouterr().err


def test_who_does_not_wait_is_told_how_to_look_again(command: Any, capsys: Any) -> None:
    assert command(Service(running(0.5)), "--run", "r1", "--wait", "-1") == Exit.PENDING
    assert "countersign check --run r1" in capsys.readouterr().err


def test_long_work_is_looked_at_less_often(no_waiting: list[float]) -> None:
    service: Any = Service(*[running(0.1)] * 40, {"state": "succeeded", **DONE})
    checking.watch(service, ["r1"], wait=600)
    assert no_waiting[0] == checking.POLL
    assert no_waiting[-1] == checking.SLOWEST


def test_asking_again_and_calling_off(command: Any, capsys: Any) -> None:
    service = Service({"state": "succeeded", **DONE})
    assert command(service, "--retry", "r1") == 0
    assert service.posted == ["check-runs/r1/retry/"]
    assert "run new queued, repeats r1" in capsys.readouterr().out
    assert command(service, "--cancel", "r1") == 0
    assert service.posted[-1] == "check-runs/r1/cancel/"
    assert "cancelled" in capsys.readouterr().out


def test_several_runs_that_fail_are_all_named() -> None:
    service: Any = Service({"state": "cancelled", "progress": 0.0})
    with pytest.raises(ClientError) as caught:
        checking.watch(service, ["r1", "r2"], wait=1)
    assert str(caught.value).count("drift cancelled") == 2


@pytest.mark.parametrize("number", ["1e400", "NaN"])
def test_a_number_that_json_has_not_is_a_mistake_in_what_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, number: str
) -> None:
    monkeypatch.setenv("COUNTERSIGN_URL", "http://localhost:1")
    monkeypatch.setenv("COUNTERSIGN_TOKEN", "t")
    config = tmp_path / "config.json"
    config.write_text('{"rules": [{"least": ' + number + "}]}")
    arguments = ["--model", "m", "--version", "1", "--kind", "data_quality", "--dataset", "d"]
    assert cli.main(["check", *arguments, "--config", str(config)]) == Exit.USAGE
    assert "config.rules[0].least" in capsys.readouterr().err


def measured(
    metric: str, slice: dict[str, str], value: float | None, **more: Any
) -> dict[str, Any]:
    figures = {"lower": None, "upper": None, "n": None, "undefined": "", **more}
    return {"metric": metric, "slice": slice, "value": value, **figures}


def test_what_was_measured_is_printed(command: Any, capsys: Any) -> None:
    service = Service({"state": "succeeded", **DONE})
    service.measured = [
        measured("selection_rate", {"sex": "f"}, 0.25, lower=0.2, upper=0.3, n=1200),
        measured("equalized_odds_difference", {"sex": "*"}, None, undefined="insufficient"),
        measured("accuracy", {}, 0.81234),
    ]
    assert command(service, "--run", "r1") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  equalized_odds_difference [sex=*]: undefined (insufficient)",
        "  accuracy: 0.8123",
        "  selection_rate [sex=f]: 0.25 (0.2 to 0.3), n 1,200",
    ]
    service.measured *= 5
    command(service, "--run", "r1")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "  more, and the charts: https://countersign.test/check-runs/r1/"
    assert len(lines) == 2 + checking.SHOWN
