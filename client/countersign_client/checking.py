"""`countersign check`: ask for checks, watch them, print what was measured."""

import time
from pathlib import Path
from typing import Any

from countersign_client.errors import ClientError, Exit
from countersign_client.manifest import Manifest
from countersign_client.screen import Bar, say, warn
from countersign_client.session import Session

POLL = 0.5
SLOWEST = 2.0
"""Seconds between two looks: at first, and at long work."""
ENDED = {"succeeded", "failed", "cancelled"}
SHOWN = 12
"""Figures that are printed of a run: those about everybody and those between groups come first."""


def check_manifest(session: Session, manifest_path: Path, number: int, *, wait: float) -> None:
    """Ask for every check that the manifest lists, then wait for all of them."""
    manifest = Manifest(manifest_path)
    model = manifest.need("model", "name")
    runs = [request(session, model, number, row) for row in manifest.rows("checks")]
    watch(session, [run["id"] for run in runs], wait=wait)


def request(session: Session, model: str, number: int, wanted: dict[str, Any]) -> dict[str, Any]:
    """Ask for one check: {"kind", "dataset", "reference"?, "config"?}."""
    run = session.post(f"models/{model}/versions/{number}/checks/", wanted)
    say(f"check {run['kind']}: run {run['id']} {run['state']}")
    return dict(run)


def watch(session: Session, runs: list[str], *, wait: float) -> None:
    """Follow runs until they end; fail if one failed or `wait` seconds are over."""
    deadline = time.monotonic() + wait
    failed = []
    for run_id in runs:
        run = _follow(session, run_id, deadline)
        if run["state"] != "succeeded":
            failed.append(f"{run['kind']} {run['state']}: {run.get('error') or 'no reason given'}")
            continue
        say(f"check {run['kind']}: succeeded, {run['grade']}, cube sha256 {run['cube_digest']}")
        _figures(session, run_id)
        _compare(run)
    if failed:
        raise ClientError("\n".join(failed), Exit.NO)


def ask_again(session: Session, run_id: str) -> dict[str, Any]:
    """Ask the question of a run that is over once more."""
    run = session.post(f"check-runs/{run_id}/retry/", {})
    say(f"check {run['kind']}: run {run['id']} {run['state']}, repeats {run_id}")
    return dict(run)


def cancel(session: Session, run_id: str) -> None:
    """Call a run off that is queued or under way."""
    run = session.post(f"check-runs/{run_id}/cancel/", {})
    say(f"check {run['kind']}: run {run['id']} {run['state']}")


def _figures(session: Session, run_id: str) -> None:
    """What was measured, and where all of it is."""
    found = session.get(f"check-runs/{run_id}/measurements/", page_size=200)
    rows = sorted(found["results"], key=lambda one: any(v != "*" for v in one["slice"].values()))
    for one in rows[:SHOWN]:
        say(f"  {_figure(one)}")
    if len(rows) > SHOWN or found.get("next"):
        say(f"  more, and the charts: {session.page(f'check-runs/{run_id}/')}")


def _figure(one: dict[str, Any]) -> str:
    by = ", ".join(f"{name}={group}" for name, group in one["slice"].items())
    name = f"{one['metric']} [{by}]" if by else one["metric"]
    if one["value"] is None:
        return f"{name}: undefined ({one['undefined'] or 'no reason given'})"
    between = "" if one["lower"] is None else f" ({one['lower']:.4g} to {one['upper']:.4g})"
    of = "" if one["n"] is None else f", n {one['n']:,}"
    return f"{name}: {one['value']:.4g}{between}{of}"


def _compare(run: dict[str, Any]) -> None:
    """What a run has in common with earlier ones of the same check, and what it has not."""
    if run.get("same_result_as"):
        say(f"  same result digest as run {run['same_result_as']}")
    for one in run.get("library_changes") or []:
        before, now = (one[name] or "not used" for name in ("before", "now"))
        warn(f"  {one['name']} {before} -> {now} since run {run['previous']}")


def _follow(session: Session, run_id: str, deadline: float) -> dict[str, Any]:
    bar: Bar | None = None
    pause = POLL
    while True:
        run = session.get(f"check-runs/{run_id}/")
        bar = bar or Bar(f"check {run['kind']}")
        bar.show(1.0 if run["state"] == "succeeded" else run["progress"], run["stage"])
        if run["state"] in ENDED:
            bar.done()
            return dict(run)
        if time.monotonic() > deadline:
            bar.done()
            raise ClientError(
                f"run {run_id} is still {run['state']}; it goes on, look again with: "
                f"countersign check --run {run_id}",
                Exit.PENDING,
            )
        time.sleep(pause)
        pause = min(SLOWEST, pause * 1.1)
