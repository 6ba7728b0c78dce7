"""The leaves' canonical JSON against the public vectors of RFC 8785."""

import json
from pathlib import Path

import pytest

from kernel import canonical
from tests.audit.vectors import files, needs_vectors


@needs_vectors
@pytest.mark.parametrize(
    "path", files("jcs-cyberphone/testdata/input/*.json"), ids=lambda path: path.stem
)
def test_jcs_vectors(path: Path) -> None:
    expected = path.parents[1] / "output" / path.name
    assert canonical.dumps(json.loads(path.read_text())) == expected.read_bytes()
