"""What administrators do, and what runs, is in the log; the report selects it."""

import csv
import dataclasses
import io
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.test import Client

from accounts import access, services
from accounts.actors import actor_for, names_of
from accounts.models import OrganisationRole, Role, User
from audit import administration, permission, startup, webhooks
from audit.actor import Actor
from audit.models import Entry, PrivatePayload
from kernel.moments import now, rfc3339
from tests.audit import samples

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def accounts_decide(samples_may: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "_deciders", [access.require])
    monkeypatch.setattr(administration, "_names", [names_of])


def user_of(*roles: Role, name: str = "Uma") -> User:
    user = User.objects.create(username=f"user-{uuid4()}", name=name)
    for role in roles:
        OrganisationRole.objects.create(user=user, role=role, since=now())
    return user


def client_of(*roles: Role) -> Client:
    client = Client()
    client.force_login(user_of(*roles))
    return client


def start(component: str = "web") -> Entry:
    return startup.record_start(component, actor=Actor.system(component))


def test_a_start_says_what_runs() -> None:
    entry = start()
    assert (entry.type, entry.object_id) == ("audit.process.started", "web")
    assert entry.public["changed"] == ["code", "settings", "packages", "python"]
    assert entry.public["code"] == startup.code_digest()
    private = json.loads(bytes(PrivatePayload.objects.get(entry=entry).data))
    assert private["packages"]["django"].startswith("5.2")
    assert private["settings"]["organisation"] == "Countersign"


def test_a_start_without_change_says_so_and_each_component_has_its_own_history() -> None:
    start()
    again = start()
    assert again.public["changed"] == []
    assert not PrivatePayload.objects.filter(entry=again).exists()
    assert len(start("worker").public["changed"]) == 4


def test_a_changed_setting_package_or_file_is_another_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    start()
    other = dataclasses.replace(settings.COUNTERSIGN, organisation="Another")
    monkeypatch.setattr(settings, "COUNTERSIGN", other)
    assert start().public["changed"] == ["settings"]
    package = tmp_path / "invented-1.0.dist-info"
    package.mkdir()
    (package / "RECORD").write_text("invented.py,sha256=1,1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert start().public["changed"] == ["packages"]
    (package / "RECORD").write_text("invented.py,sha256=2,1\n")
    assert start().public["changed"] == ["packages"]
    for folder in ("kernel", "templates"):
        (tmp_path / folder).mkdir()
    (tmp_path / "manage.py").write_text("")
    monkeypatch.setattr(settings, "BASE_DIR", tmp_path)
    before = startup.code_digest()
    (tmp_path / "templates" / "a.html").write_text("<p>")
    assert startup.code_digest() != before


def test_no_secret_is_in_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = dataclasses.replace(
        settings.COUNTERSIGN,
        database_url="postgresql://app:hunter2@db/one?password=hunter2&sslmode=require",
        secret_key="hunter2" * 9,
    )
    monkeypatch.setattr(settings, "COUNTERSIGN", secret)
    said = json.dumps(startup.settings_said())
    assert "hunter2" not in said
    assert "postgresql://app@db/one" in said


def test_a_start_that_cannot_be_recorded_keeps_nobody_from_serving(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("the database is away")

    monkeypatch.setattr(startup, "record_start", away)
    monkeypatch.setattr(startup.connections, "close_all", lambda: None)
    startup.at_start("web")
    assert "could not be recorded" in caplog.text


@pytest.fixture
def done() -> User:
    """What one administrator did: two accounts, a role, a webhook, a reset."""
    admin = user_of(Role.ADMINISTRATOR, name="=Root")
    actor = actor_for(admin)
    ada = services.create_person("ada", name="Ada", password=PASSWORD, actor=actor)
    services.create_person("ben", name="Ben", password=PASSWORD, actor=actor)
    services.grant_organisation_role(ada, Role.DEVELOPER, actor=actor)
    services.reset_password(ada, password="another passphrase", actor=actor)
    webhooks.add_webhook_endpoint("https://a.example/x", patterns=["*"], actor=actor)
    samples.note(actor=samples.ADA)
    services.record_sign_in(ada, actor=actor_for(ada))
    start()
    return admin


def test_the_report_holds_what_administrators_do_and_nothing_else(done: User) -> None:
    answer = client_of(Role.AUDITOR).get("/api/v1/audit/administration/").json()
    assert answer["counts"] == {
        "accounts.password.reset": 1,
        "accounts.role.granted": 1,
        "accounts.user.created": 2,
        "audit.process.started": 1,
        "audit.webhook.added": 1,
    }
    rows = answer["results"]
    assert rows[0]["type"] == "audit.process.started"
    assert rows[0]["actor_name"] == "web"
    assert {row["actor_name"] for row in rows[1:]} == {"=Root"}
    assert all("Root" not in json.dumps({**row, "actor_name": ""}) for row in rows)


def test_the_report_is_narrowed_by_actor_and_time(done: User) -> None:
    client = client_of(Role.AUDITOR)
    path = "/api/v1/audit/administration/"
    mine = client.get(path, {"actor": str(actor_for(done).pseudonym)}).json()
    assert sum(mine["counts"].values()) == 5
    assert client.get(path, {"actor": str(UUID(int=9))}).json()["counts"] == {}
    assert (
        client.get(path, {"until": rfc3339(Entry.objects.order_by("id")[0].at)}).json()["counts"]
        == {}
    )
    assert client.get(path, {"nobody": "1"}).status_code == 400


def test_the_table_is_safe_in_a_spreadsheet(done: User) -> None:
    answer = client_of(Role.AUDITOR).get("/api/v1/audit/administration.csv")
    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["type"] for row in rows][:2] == ["accounts.user.created"] * 2
    assert len(rows) == 6
    assert rows[0]["actor_name"] == "'=Root"
    assert json.loads(rows[2]["facts"])["role"] == "developer"


@pytest.mark.parametrize("path", ["audit/administration/", "audit/administration.csv"])
def test_others_do_not_read_the_report(done: User, path: str) -> None:
    assert client_of(Role.DEVELOPER).get(f"/api/v1/{path}").status_code == 403
    assert Client().get(f"/api/v1/{path}").status_code in (401, 403)
