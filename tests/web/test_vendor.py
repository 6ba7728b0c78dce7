"""What was brought along from elsewhere is what the manifest says, and nothing else was."""

import hashlib
import json
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "static"
MANIFEST = json.loads((STATIC / "vendor" / "manifest.json").read_text())["files"]


@pytest.mark.parametrize("one", MANIFEST, ids=lambda one: one["path"])
def test_each_file_has_its_digest(one: dict[str, str]) -> None:
    data = (STATIC / one["path"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == one["sha256"]
    assert one["version"] in one["source"]
    assert one["licence"]


def test_nothing_is_there_that_the_manifest_does_not_name() -> None:
    named = {one["path"] for one in MANIFEST} | {"vendor/manifest.json"}
    found = {
        str(path.relative_to(STATIC))
        for folder in ("vendor", "fonts")
        for path in (STATIC / folder).iterdir()
    }
    assert {name for name in found - named if not name.endswith(".txt")} == set()
    assert {"vendor/htmx-LICENSE.txt", "fonts/OFL.txt"} <= found


def test_the_stylesheet_names_only_files_that_are_there() -> None:
    import re

    css = (STATIC / "countersign.css").read_text()
    for name in re.findall(r'url\("([^"]+)"\)', css):
        assert (STATIC / name).is_file(), name
    assert "@import" not in css
    assert "http" not in css
