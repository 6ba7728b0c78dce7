"""`countersign report`: ask for a report, wait for it, save it."""

import time
from pathlib import Path
from typing import Any

from countersign_client.errors import ClientError, Exit
from countersign_client.screen import Bar, say
from countersign_client.session import Session

POLL = 0.5


def report(session: Session, record: dict[str, Any], target: Path, *, wait: float) -> None:
    """Save the PDF that `reports/` makes of a version to `target`."""
    row = session.post("reports/", record)
    bar = Bar("report")
    deadline = time.monotonic() + wait
    while row["state"] not in {"issued", "failed"}:
        if time.monotonic() > deadline:
            raise ClientError(f"report {row['id']} is still {row['state']}", Exit.PENDING)
        time.sleep(POLL)
        row = session.get(f"reports/{row['id']}/")
        bar.show(row.get("progress", 0.0), row["state"])
    bar.done()
    if row["state"] == "failed":
        raise ClientError(f"report {row['id']} failed: {row.get('error')}", Exit.NO)
    size = session.download(f"reports/{row['id']}/pdf/", target)
    say(f"report {row['id']}: saved to {target}, {size} bytes, sha256 {row['file_digest']}")
