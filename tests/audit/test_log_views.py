"""The log as static tiles: any C2SP client can read it, caches may keep it, leaves are for auditors."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from countersign_client import verifier
from django.core.management import call_command
from django.test import Client

from accounts import access
from accounts.models import OrganisationRole, Role, User
from audit import export, permission, tiles
from kernel.moments import now
from tests.audit import samples

pytestmark = pytest.mark.django_db
LOG = "/audit/log/"


@pytest.fixture(autouse=True)
def accounts_decide(samples_may: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "_deciders", [access.require])


@pytest.fixture
def auditor() -> Client:
    user = User.objects.create(username=f"user-{uuid4()}", name="Uma")
    OrganisationRole.objects.create(user=user, role=Role.AUDITOR, since=now())
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def log() -> None:
    samples.note_many(600, actor=samples.ADA)
    samples.sequence()


def fetch(path: str, client: Client | None = None) -> Any:
    return (client or Client()).get(LOG + path)


def test_a_mirror_made_over_http_verifies(log: None, auditor: Client, tmp_path: Path) -> None:
    paths = ["checkpoint", "vkey"]
    for level, count in tiles.layout(600).items():
        for n in range(-(-count // 256)):
            paths.append(tiles.tile_path(level, n, min(256, count - 256 * n)))
            if level == 0:
                paths.append(tiles.tile_path("entries", n, min(256, count - 256 * n)))
    for path in paths:
        answer = fetch(path, auditor)
        assert answer.status_code == 200, path
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(answer.content)
    vkeys = (tmp_path / "vkey").read_text().split()
    assert verifier.verify_export(tmp_path, vkeys).findings == []


def test_hashes_are_public_and_leaves_are_not(log: None, auditor: Client) -> None:
    assert fetch("tile/0/000").status_code == 200
    assert fetch("tile/entries/000").status_code == 401
    developer = User.objects.create(username="dev", name="Dev")
    OrganisationRole.objects.create(user=developer, role=Role.DEVELOPER, since=now())
    client = Client()
    client.force_login(developer)
    assert fetch("tile/entries/000", client).status_code == 403
    answer = fetch("tile/entries/002.p/88", auditor)
    assert tiles.unbundle(answer.content) == tiles.unbundle(export.entry_bundle(1, 2, 88))
    assert answer["cache-control"] == "private, max-age=31536000, immutable"


def test_cache_headers(log: None) -> None:
    for path in ("tile/0/000", "tile/0/002.p/88", "tile/0/002.p/5", "tile/1/000.p/2"):
        assert fetch(path)["cache-control"] == "public, max-age=31536000, immutable"
    assert fetch("checkpoint")["cache-control"] == "no-cache"
    assert fetch("checkpoint")["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    ["tile/0/002", "tile/0/002.p/89", "tile/0/003", "tile/1/000", "tile/2/000.p/1", "tile/0/2",
     "tile/0/0000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/..", "tile/x/000", "tile/99/000"],
)  # fmt: skip
def test_what_the_tree_has_not_is_not_found(log: None, path: str) -> None:
    assert fetch(path).status_code == 404


def test_a_partial_tile_stays_what_it_was_when_the_tree_grows(log: None) -> None:
    before = fetch("tile/0/002.p/88").content
    samples.note_many(300, actor=samples.ADA)
    samples.sequence()
    assert fetch("tile/0/002.p/88").content == before


def test_before_the_first_checkpoint_there_is_none() -> None:
    for path in ("checkpoint", "vkey", "tile/0/000.p/1"):
        assert fetch(path).status_code == 404


def test_it_cannot_be_written(log: None) -> None:
    for path in ("checkpoint", "vkey", "tile/0/000"):
        assert Client().post(LOG + path).status_code == 405


def test_a_later_epoch_has_its_own_place(log: None) -> None:
    first = fetch("checkpoint").content
    call_command("audit_epoch", "--start", "--reason", "moved")
    samples.sequence()
    frozen = fetch("checkpoint")
    assert frozen.content == first
    assert "epochs/2/checkpoint" in frozen["link"]
    assert b"countersign.local/log/epochs/2\n1\n" in fetch("epochs/2/checkpoint").content
    assert fetch("epochs/2/tile/0/000.p/1").status_code == 200
    assert fetch("epochs/3/checkpoint").status_code == 404
    assert [row["size"] for row in fetch("epochs").json()["epochs"]] == [600, 1]
