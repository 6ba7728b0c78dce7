from pathlib import Path

import pytest

from tests.web.scene import Scene


@pytest.fixture
def scene(db: None, own_sequencer_folder: Path) -> Scene:
    return Scene()
