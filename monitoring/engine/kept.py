"""Predictions of a pinned artifact on hashed data, kept for the next check that needs the same ones.

A model that was scored on a file answers for every check of that file: three monitors that look at a
batch score it once, and the reference of a drift check is scored once for a year of batches. What is
kept is named by everything that decides it (artifact, input specification, data, filters, versions
of the libraries), and its bytes by their SHA-256, which is verified before it is used. Whoever scores
holds a lock meanwhile, so that checks that start together do not score the same twice.

They are somebody's scores, row by row, so they are kept for `MOST_SECONDS` at most, and forgotten at
once when the whole of a cube that rests on them is erased.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from kernel import canonical
from monitoring.engine.job import Artifact
from monitoring.engine.loaders import RESTS_ON
from monitoring.engine.sources import DataFile, verify_digest

MOST_FILES = 200
MOST_BYTES = 2 << 30
MOST_SECONDS = 30 * 86_400
"""Counted from when they were made, however often they were used since."""
_PAUSE = 0.2
_FORMAT = 1
"""Raised when what the sandbox writes changes its meaning."""


def name_of(artifact: Artifact, spec: Mapping[str, Any], data: DataFile) -> str:
    """The digest of all that decides the predictions of `artifact` on `data`."""
    return canonical.digest(
        {
            "format": _FORMAT,
            "artifact": artifact.digest,
            "artifact_format": artifact.format,
            "input_spec": dict(spec),
            "data": data.identity(),
            "data_format": data.format,
            "libraries": {name: _version(name) for name in (*RESTS_ON[artifact.format], "numpy")},
        }
    )


def _version(module: str) -> str:
    for name in (module, f"{module}-cpu"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return "unknown"


class Shelf:
    """A folder of kept predictions. `None` as folder keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def alone(self, name: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Be the only one who scores `name`; `waiting` is called a few times a second till then."""
        if self._folder is None:
            yield
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / f"{name}.lock").open("wb") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    waiting()
                    time.sleep(_PAUSE)
            # The kernel releases the lock with the process, however that ends.
            yield

    def take(self, name: str, target: Path) -> dict[str, Any] | None:
        """Put kept predictions to `target` and return what the sandbox said of them, or None."""
        if self._folder is None:
            return None
        rows, said = self._files(name)
        try:
            about = json.loads(said.read_text())
            if _too_old(rows):
                return None
            _place(rows, target)
            verify_digest(target, about["digest"], "predictions")
            os.utime(said)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        except Exception:  # bytes that are not what was kept are as good as none
            target.unlink(missing_ok=True)
            return None
        return dict(about["answer"])

    def keep(self, name: str, predictions: Path, answer: Mapping[str, Any]) -> None:
        """Keep predictions for the next check; if the disk refuses, the next check scores again."""
        if self._folder is None:
            return
        rows, said = self._files(name)
        with contextlib.suppress(OSError):
            rows.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = rows.with_suffix(".part")
            shutil.copyfile(predictions, part)
            digest = canonical.sha256_hex(part.read_bytes())
            part.replace(rows)
            note = said.with_suffix(".note")
            note.write_text(json.dumps({"digest": digest, "answer": dict(answer)}))
            note.replace(said)
            self.tidy()

    def forget(self, names: Iterable[str]) -> None:
        """Remove what is kept under these names; a name that is not there is no error."""
        if self._folder is None:
            return
        for name in names:
            self._remove(name)

    def _files(self, name: str) -> tuple[Path, Path]:
        assert self._folder is not None
        return self._folder / f"{name}.parquet", self._folder / f"{name}.json"

    def tidy(self) -> None:
        """Remove what is too old, and beyond the bounds what was longest not used."""
        if self._folder is None:
            return
        with contextlib.suppress(FileNotFoundError):
            used = sorted((-one.stat().st_mtime, one) for one in self._folder.glob("*.json"))
            total = 0
            for place, (_, note) in enumerate(used):
                rows = note.with_suffix(".parquet")
                total += rows.stat().st_size if rows.exists() else 0
                beyond = place >= MOST_FILES or total > MOST_BYTES
                if beyond or not rows.exists() or _too_old(rows):
                    self._remove(note.stem)

    def _remove(self, name: str) -> None:
        rows, said = self._files(name)
        # Without its note nobody takes the file, whatever happens in between.
        for one in (said, rows, rows.with_suffix(".lock")):
            one.unlink(missing_ok=True)


def _too_old(rows: Path) -> bool:
    return time.time() - rows.stat().st_mtime > MOST_SECONDS


def _place(source: Path, target: Path) -> None:
    """A name of the check's own for the bytes: it keeps them if the shelf forgets theirs."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
