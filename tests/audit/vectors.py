"""Where the public test vectors are, and a skip with its reason where they are not."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "vectors"
FOLDER = Path(os.environ.get("COUNTERSIGN_VECTORS", str(_DEFAULT)))

needs_vectors = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="no test vectors here: name their folder in COUNTERSIGN_VECTORS"
)


def load(path: str) -> Any:
    return json.loads((FOLDER / path).read_text())


def files(pattern: str) -> list[Path]:
    return sorted(FOLDER.glob(pattern))
