"""What the story is played on: the running product, spoken to as its users do.

People speak REST with their own tokens; the pipeline and the ML engineer use the command
`countersign` as a separate process.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from countersign_client.errors import Answer
from countersign_client.session import Session

from demo.screen import StoryFailed, Teller

PATIENCE = 900.0


class Stage:
    """The product at `url`, the cast's tokens and passwords, and a folder for files."""

    def __init__(self, document: dict[str, Any], folder: Path, teller: Teller) -> None:
        self.url = str(document["url"])
        self.folder = folder
        self._tokens: dict[str, str] = document["tokens"]
        self._passwords = {name: user["password"] for name, user in document["users"].items()}
        self._teller = teller

    def as_(self, who: str) -> Session:
        return Session(self.url, self._tokens[who])

    def command(self, who: str, *arguments: str, expect: int = 0) -> str:
        """Run `countersign` as somebody and return what it printed."""
        shown = " ".join(Path(one).name if one.startswith("/") else one for one in arguments)
        self._teller.tell(f"{who}$ countersign {shown}")
        environment = {
            "PATH": os.environ["PATH"],
            "COUNTERSIGN_URL": self.url,
            "COUNTERSIGN_TOKEN": self._tokens[who],
            "PYTHONPATH": str(Path(__file__).resolve().parent.parent / "client"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "countersign_client", *arguments],
            capture_output=True, text=True, env=environment, timeout=PATIENCE, check=False,
        )  # fmt: skip
        printed = (done.stdout + done.stderr).strip()
        for line in done.stdout.strip().splitlines():
            self._teller.tell(f"  {line}")
        if done.returncode != expect:
            raise StoryFailed(
                f"countersign {shown} ended with {done.returncode}, not {expect}:\n{printed}"
            )
        return printed

    def refused(self, call: Callable[[], Any]) -> Answer:
        """Call something that must be refused and return the refusal."""
        try:
            call()
        except Answer as answer:
            return answer
        raise StoryFailed("this should have been refused, and was not")

    def sign(
        self, who: str, review: dict[str, Any], *, meaning: str, reason: str
    ) -> dict[str, Any]:
        """Re-authenticate as somebody, for this review and digest, and sign."""
        session = self.as_(who)
        proof = session.post(
            "reauthentications/",
            {
                "review": review["id"],
                "signed_digest": review["signed_digest"],
                "password": self._passwords[who],
            },
        )
        return dict(
            session.post(
                f"reviews/{review['id']}/signatures/",
                {
                    "reauthentication": proof["id"],
                    "decision": "approve",
                    "meaning": meaning,
                    "reason": reason,
                },
            )
        )

    def until(self, what: str, found: Callable[[], Any], *, seconds: float = 120.0) -> Any:
        """Ask again and again until `found` answers something true."""
        deadline = time.monotonic() + seconds
        while True:
            value = found()
            if value:
                return value
            if time.monotonic() > deadline:
                raise StoryFailed(f"waited {seconds:.0f} s in vain for {what}")
            time.sleep(0.4)
