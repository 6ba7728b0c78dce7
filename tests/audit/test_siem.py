"""The SIEM stream: OCSF events to a file, syslog and a collector, at least once, with no private word."""

import dataclasses
import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import checks

from audit import catalogue, checkpoints, merkle, ocsf, outbox, siem
from audit.models import Delivery, Entry
from kernel import outbound
from kernel.conf import ConfigurationError
from tests.audit import samples

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_other_subscriber(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_subscriptions", {})


def stream_to(monkeypatch: pytest.MonkeyPatch, url: str, **more: Any) -> None:
    changed = dataclasses.replace(settings.COUNTERSIGN, siem=url, **more)
    monkeypatch.setattr(settings, "COUNTERSIGN", changed)


def leaf(kind: str, public: Mapping[str, Any], actor: str = "person") -> dict[str, Any]:
    return {
        "v": 1,
        "id": "01a1f997-eccb-7a87-b8c2-a296da1f60c0",
        "at": "2026-11-20T15:35:19.250000Z",
        "type": kind,
        "actor": {"kind": actor, "ref": "pseudonym"},
        "object": {"type": "thing", "id": "one"},
        "public": public,
    }


def event(kind: str, public: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return ocsf.event_of(leaf(kind, public, **more), leaf_hash="ab", product_version="1")


@pytest.mark.parametrize(
    ("kind", "public", "expected"),
    [
        ("accounts.session.started", {"user": "u"}, (3002, 1, {"user": {"uid": "u"}})),
        ("accounts.user.created", {"user": "u", "kind": "person"}, (3001, 1, {"user": {"uid": "u"}})),
        ("accounts.password.reset", {"user": "u"}, (3001, 4, {"user": {"uid": "u"}})),
        ("accounts.person.erased", {"user": "u"}, (3001, 6, {"user": {"uid": "u"}})),
        (
            "registry.role.granted",
            {"user": "u", "role": "owner", "model": "m"},
            (3005, 1, {"privileges": ["owner"], "resource": {"name": "m"}}),
        ),
        (
            "accounts.role.ended",
            {"user": "u", "role": "owner"},
            (3005, 2, {"resource": {"name": "organisation"}}),
        ),
        ("audit.process.started", {"component": "web"}, (6002, 3, {"app": {"name": "countersign web", "vendor_name": "Countersign"}})),
        ("registry.version.registered", {}, (3004, 1, {"entity": {"uid": "one", "type": "thing"}})),
        ("registry.model.amended", {}, (3004, 3, {})),
        ("governance.approval.revoked", {}, (3004, 4, {})),
        ("governance.review.signed", {}, (3004, 99, {})),
    ],
)  # fmt: skip
def test_each_entry_has_its_class(kind: str, public: Any, expected: Any) -> None:
    happened = event(kind, public)
    class_uid, activity, attributes = expected
    assert (happened["class_uid"], happened["activity_id"]) == (class_uid, activity)
    assert happened["type_uid"] == class_uid * 100 + activity
    assert happened["category_uid"] == class_uid // 1000
    assert attributes.items() <= happened.items()


def test_an_event_says_what_the_entry_says() -> None:
    happened = event("registry.model.amended", {"model": "m"})
    assert happened["time"] == 1795188919250
    assert happened["metadata"]["event_code"] == "registry.model.amended"
    assert happened["metadata"]["uid"] == "01a1f997-eccb-7a87-b8c2-a296da1f60c0"
    assert happened["message"] == "registry: model amended (thing one)"
    assert happened["actor"]["user"] == {"uid": "pseudonym", "type_id": 1}
    assert happened["unmapped"]["public"] == {"model": "m"}
    assert (happened["status_id"], happened["severity_id"]) == (1, 1)


def test_a_refusal_is_a_failure() -> None:
    happened = event("audit.write.refused", {"operation": "x", "code": "not_permitted"})
    assert (happened["status_id"], happened["status_code"]) == (2, "not_permitted")
    assert happened["severity_id"] == 2


def test_every_defined_type_can_be_told() -> None:
    for one in catalogue.all_types():
        public = dict.fromkeys(one.fields, "x")
        assert event(one.name, public)["metadata"]["event_code"] == one.name


def test_a_file_gets_a_line_for_each_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "siem events.jsonl"
    stream_to(monkeypatch, f"file://{str(path).replace(' ', '%20')}")
    samples.note(actor=samples.ADA, private={"name": "Ada Lovelace"})
    samples.sequence()
    entry = samples.note("two", actor=samples.BEN)
    outbox.sweep()
    outbox.sweep()
    first, second = map(json.loads, path.read_text().splitlines())
    assert second["metadata"]["uid"] == str(entry.uuid)
    assert first["unmapped"]["checkpoint"] == checkpoints.latest()
    assert second["unmapped"]["leaf_hash"] == merkle.leaf_hash(bytes(entry.leaf)).hex()
    assert "Lovelace" not in path.read_text()
    assert path.stat().st_mode & 0o007 == 0


def test_only_chosen_types_are_streamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stream_to(monkeypatch, f"file://{tmp_path}/x", siem_types=("accounts.*", "audit.write.refused"))
    samples.note(actor=samples.ADA)
    outbox.sweep()
    assert not Delivery.objects.exists()
    stream_to(monkeypatch, f"file://{tmp_path}/x", siem_types=("audit.sample.*",))
    samples.note(actor=samples.ADA)
    outbox.sweep()
    assert Delivery.objects.get().subscriber == siem.NAME


def test_without_a_setting_nothing_is_streamed() -> None:
    samples.note(actor=samples.ADA)
    outbox.sweep()
    assert not Delivery.objects.exists()


def test_syslog_over_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        stream_to(monkeypatch, f"syslog://127.0.0.1:{receiver.getsockname()[1]}")
        entry = samples.note(actor=samples.ADA)
        outbox.sweep()
        message = receiver.recv(65535)
    header, _, body = message.partition(b"\xef\xbb\xbf")
    priority, at, host, app, process, kind, data = header.decode().split()
    assert priority == "<110>1"
    assert (host, app, process, kind, data) == (
        "127.0.0.1",
        "countersign",
        "-",
        "audit.sample.noted",
        "-",
    )
    assert at.endswith("Z")
    assert json.loads(body)["metadata"]["uid"] == str(entry.uuid)


def test_syslog_over_tcp_counts_its_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as stream:
                received.append(stream.read())

        thread = threading.Thread(target=accept)
        thread.start()
        stream_to(monkeypatch, f"syslog+tcp://127.0.0.1:{server.getsockname()[1]}")
        samples.note("ä", actor=samples.ADA)
        outbox.sweep()
        thread.join(10)
    count, _, message = received[0].partition(b" ")
    assert int(count) == len(message)
    assert "ä" in message.decode()


def test_a_collector_gets_json_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bytes, Mapping[str, str]]] = []
    answers = [503, 200]

    def post(url: str, body: bytes, headers: Mapping[str, str], **_: Any) -> outbound.Response:
        asked.append((url, body, headers))
        return outbound.Response(answers.pop(0), b"")

    monkeypatch.setattr(outbound, "post", post)
    stream_to(monkeypatch, "https://collector.example/in?x=1", siem_authorization="Splunk abc")
    samples.note(actor=samples.ADA)
    outbox.sweep()
    row = Delivery.objects.get()
    assert (row.state, row.last_error) == ("waiting", "StreamFailed: the collector answered 503")
    Delivery.objects.update(due=Entry.objects.get().at)
    outbox.sweep()
    assert Delivery.objects.get().state == "delivered"
    assert asked[0][0] == "https://collector.example/in?x=1"
    assert asked[0][2]["authorization"] == "Splunk abc"
    assert asked[0][1] == asked[1][1]


def test_a_receiver_that_is_down_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stream_to(monkeypatch, f"file://{tmp_path}/missing/x.jsonl")
    samples.note(actor=samples.ADA)
    outbox.sweep()
    assert Delivery.objects.get().state == "waiting"
    (tmp_path / "missing").mkdir()
    Delivery.objects.update(due=Entry.objects.get().at)
    outbox.sweep()
    assert len((tmp_path / "missing" / "x.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/y",
        "file:x",
        "syslog:",
        "https:///x",
        "nonsense",
        "syslog://h:0",
        "syslog://h:99999",
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ConfigurationError, match="COUNTERSIGN_SIEM"):
        siem.check(url)
    stream_to(monkeypatch, url)
    assert "audit.E002" in {one.id for one in checks.run_checks()}
