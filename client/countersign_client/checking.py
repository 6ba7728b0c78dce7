"""`countersign check`: ask for checks, watch them, print what was measured."""

import time
from pathlib import Path
from typing import Any

from countersign_client.errors import ClientError, Exit
from countersign_client.manifest import Manifest
from countersign_client.screen import Bar, say
from countersign_client.session import Session

POLL = 0.5
ENDED = {"succeeded", "failed", "cancelled"}


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
    if failed:
        raise ClientError("\n".join(failed), Exit.NO)


def _follow(session: Session, run_id: str, deadline: float) -> dict[str, Any]:
    bar: Bar | None = None
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
        time.sleep(POLL)
