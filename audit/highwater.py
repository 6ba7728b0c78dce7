"""The high-water file: the newest tree head that this sequencer has let out, kept outside the database.

A database that was rolled back, truncated or replaced no longer extends it, and the sequencer stops.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from audit.merkle import EMPTY_ROOT


class HighWaterError(Exception):
    """The file cannot be read as what it should be."""


@dataclass(frozen=True)
class HighWater:
    """`root` is hex; `note` the signed checkpoint, empty before the first; `predecessor` the note
    that a new epoch cites."""

    epoch: int
    origin: str
    size: int = 0
    root: str = EMPTY_ROOT.hex()
    note: str = ""
    predecessor: str = ""


class HighWaterFile:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "high-water.json"
        self._halted = folder / "halted.json"

    def read(self) -> HighWater | None:
        """Return what the file holds; None if there is none.

        Raises:
            HighWaterError: if it is damaged.
        """
        try:
            data = json.loads(self.path.read_text())
            return HighWater(**data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise HighWaterError(f"{self.path} cannot be read: {error}") from error

    def write(self, mark: HighWater) -> None:
        """Replace the file at once, and only when its bytes are on the disk."""
        self._replace(self.path, json.dumps(asdict(mark), indent=1))

    def halted(self) -> str | None:
        """Return why the sequencer stands still, if it does."""
        try:
            reason: str = json.loads(self._halted.read_text())["reason"]
        except (OSError, ValueError, KeyError):
            return None
        return reason

    def set_halted(self, reason: str | None) -> None:
        if reason is None:
            self._halted.unlink(missing_ok=True)
        elif reason != self.halted():
            self._replace(self._halted, json.dumps({"reason": reason}))

    def _replace(self, path: Path, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with open(temporary, "w", opener=_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
