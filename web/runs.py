"""What stands on a run's page beside its measurements: the files it left, and the other attempts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from kernel.errors import CountersignError
from monitoring.models import CheckAttachment, CheckRun
from monitoring.selectors import WHOLE
from registry.models import Blob
from registry.store import open_blob

CUBE = "cube.json"
CONFORMANCE = "conformance.json"
_CONFORMANCE_SCHEMA = "countersign.conformance/1"
# A document of more bytes than these is offered as a file alone.
_SHOWN = 1024**2
_ABOUT = {
    CUBE: "The counts that every measurement is computed from",
    WHOLE: "The same with its small counts",
    "evidently.html": "Evidently's report, to open in a browser",
    "evidently.json": "Evidently's report as data",
    CONFORMANCE: "Our figures beside those of the libraries on the same rows",
    "reason-codes.json": "For single rows, the features that weighed most in the answer",
}


@dataclass(frozen=True)
class File:
    """`why_not` says why this person cannot have it; then its size, which tells of it, is None."""

    name: str
    about: str
    size: int | None
    why_not: str = ""


def files_of(
    run: CheckRun, attachments: Iterable[CheckAttachment], *, may_read: bool, erased: bool
) -> list[File]:
    """The cube first, then what the check left beside it. `may_read`: what is restricted, too."""
    withheld = "erased" if erased else "" if may_read else "restricted: it tells small counts"
    found = []
    if run.public_cube is not None and run.cube is not None:
        about = f"{_ABOUT[CUBE]}, without small ones"
        found.append(File(CUBE, about, run.public_cube.size))
        found.append(_file(WHOLE, run.cube, withheld))
    elif run.cube is not None:
        found.append(File(CUBE, _ABOUT[CUBE], run.cube.size))
    for one in attachments:
        why_not = withheld if one.restricted else ""
        found.append(_file(one.name, one.blob, why_not))
    return found


def _file(name: str, blob: Blob, why_not: str) -> File:
    return File(name, _ABOUT.get(name, ""), None if why_not else blob.size, why_not)


def conformance_of(attachments: Iterable[CheckAttachment]) -> dict[str, Any] | None:
    """What our figures were compared with, those that differ first; None if there is nothing to show.

    `{"compared": [{"library", "metric", "about", "ours", "native", "difference", "agrees"}],
    "differing": int, "libraries": {name: version}, "differs_by_intent": [text]}`
    """
    found = next((one for one in attachments if one.name == CONFORMANCE), None)
    if found is None or found.restricted or found.blob.size > _SHOWN:
        return None
    try:
        with open_blob(found.blob_id, verify=True) as stream:
            document = json.load(stream)
    except (CountersignError, ValueError):
        # The file is listed all the same, and says what is wrong when it is asked for.
        return None
    if not isinstance(document, dict) or document.get("schema") != _CONFORMANCE_SCHEMA:
        return None
    return {**document, "compared": sorted(document["compared"], key=lambda one: one["agrees"])}


def attempts_of(run: CheckRun) -> QuerySet[CheckRun]:
    """Every run of the same check of the same version on the same data, newest first, itself too.

    The data are the dataset; of a monitor or a backtest, the window; of a roll-up, the monitor's
    windows of the same period. Failed and cancelled ones count: nobody tries until it fits.
    """
    same = CheckRun.objects.filter(version=run.version_id, kind=run.kind, purpose=run.purpose)
    if run.window_id is not None:
        same = same.filter(window=run.window_id)
    elif run.rollup_of_id is not None:
        period = {name: run.made_of.get(name) for name in ("since", "until")}
        same = same.filter(
            rollup_of=run.rollup_of_id,
            made_of__since=period["since"],
            made_of__until=period["until"],
        )
    else:
        same = same.filter(dataset=run.dataset_id)
    return same.select_related("reference", "requested_by").defer("mapping", "plots", "config")
