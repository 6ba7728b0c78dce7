"""Webhooks: signed as Standard Webhooks asks, tried again, and managed by those who may."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from countersign_client import verifier

from audit import checkpoints, outbox, permission, webhooks
from audit.actor import Actor
from audit.models import Delivery, Entry, LogKey, WebhookEndpoint
from audit.writing import Refused
from kernel import keys, outbound
from kernel.errors import CountersignError, Invalid, NotFound
from kernel.moments import now
from tests.audit import samples

pytestmark = pytest.mark.django_db
URL = "https://receiver.example/hook?token=hidden"


class Receiver:
    """Stands where the network would be."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.answers: list[int | Exception] = []

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], **_: Any
    ) -> outbound.Response:
        self.requests.append((url, body, headers))
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return outbound.Response(answer, b"")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Receiver:
    one = Receiver()
    monkeypatch.setattr(outbound, "post", one.post)
    monkeypatch.setattr(outbox, "_subscriptions", {})
    return one


def _only_ada(actor: Actor, action: str) -> None:
    if actor != samples.ADA:
        raise Refused("not_permitted", f"{actor.name} may not {action}")


@pytest.fixture(autouse=True)
def ada_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "_deciders", [_only_ada])


def add(*patterns: str) -> tuple[WebhookEndpoint, str]:
    return webhooks.add_webhook_endpoint(
        URL, patterns=patterns or ["audit.sample.*"], actor=samples.ADA
    )


def test_a_receiver_can_check_signature_leaf_and_checkpoint(receiver: Receiver) -> None:
    _, secret = add()
    samples.note(actor=samples.ADA)
    samples.sequence()
    entry = samples.note(actor=samples.ADA, count=7, private={"name": "Ada Lovelace"})
    outbox.sweep()
    url, body, headers = receiver.requests[-1]
    assert url == URL
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(base64.b64decode(secret[6:]), content, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    event = json.loads(body)
    data = event["data"]
    assert event["type"] == "audit.sample.noted"
    assert data["entry"] == str(entry.uuid)
    assert data["public"] == {"count": 7}
    assert data["leaf"].encode() == bytes(entry.leaf)
    assert b"Lovelace" not in body
    assert data["checkpoint"] == checkpoints.latest()
    assert verifier.open_checkpoint(data["checkpoint"], [LogKey.objects.get().vkey]).size == 2


def test_the_id_stays_and_the_time_moves_from_attempt_to_attempt(receiver: Receiver) -> None:
    add()
    samples.note(actor=samples.ADA)
    receiver.answers = [500, 302, ConnectionError("down"), outbound.OutboundRefused("private")]
    at = now()
    for _ in range(5):
        with time_machine.travel(at, tick=False):
            outbox.sweep()
        at = Delivery.objects.get().due
    seen = [headers for _, _, headers in receiver.requests]
    assert len({headers["webhook-id"] for headers in seen}) == 1
    assert len({headers["webhook-timestamp"] for headers in seen}) == 5
    assert Delivery.objects.get().state == "delivered"


@pytest.mark.parametrize("status", [199, 300, 301, 302, 400, 404, 500, 503])
def test_only_2xx_is_success(receiver: Receiver, status: int) -> None:
    add()
    samples.note(actor=samples.ADA)
    receiver.answers = [status]
    outbox.sweep()
    row = Delivery.objects.get()
    assert row.state == "waiting"
    assert str(status) in row.last_error


def test_it_gives_up_in_the_end_and_at_once_on_410(receiver: Receiver) -> None:
    add()
    samples.note(actor=samples.ADA)
    receiver.answers = [500] * 50
    at = now()
    while (row := Delivery.objects.first()) is None or row.state == "waiting":
        with time_machine.travel(at, tick=False):
            outbox.sweep()
        at = Delivery.objects.get().due
    assert row.state == "given_up"
    assert row.attempts == len(outbox.OUTSIDE) + 1
    receiver.answers = [410]
    samples.note(actor=samples.ADA)
    outbox.sweep()
    assert Delivery.objects.filter(state="given_up", attempts=1).count() == 1


def test_only_chosen_types_are_sent(receiver: Receiver) -> None:
    add("audit.sample.detailed")
    samples.note(actor=samples.ADA)
    outbox.sweep()
    assert receiver.requests == []
    samples.raw("audit.sample.detailed", {"state": "s", "digest": "d"}, actor=samples.ADA)
    outbox.sweep()
    assert len(receiver.requests) == 1


def test_a_disabled_endpoint_gets_nothing_more(receiver: Receiver) -> None:
    endpoint, _ = add()
    samples.note(actor=samples.ADA)
    outbox.dispatch()
    webhooks.disable_webhook_endpoint(endpoint.id, actor=samples.ADA)
    samples.note(actor=samples.ADA)
    outbox.sweep()
    assert receiver.requests == []
    assert Delivery.objects.get().state == "given_up"
    with pytest.raises(Refused) as caught:
        webhooks.disable_webhook_endpoint(endpoint.id, actor=samples.ADA)
    assert caught.value.status == 409


def test_the_secret_is_in_no_table_and_differs_by_endpoint_and_generation(
    receiver: Receiver,
) -> None:
    first, secret = add()
    _, other = add()
    _, rotated = webhooks.rotate_webhook_secret(first.id, actor=samples.ADA)
    assert len({secret, other, rotated}) == 3
    assert all(one.startswith("whsec_") for one in (secret, other, rotated))
    stored = json.dumps(list(WebhookEndpoint.objects.values()), default=str)
    leaves = b"".join(bytes(entry.leaf) for entry in Entry.objects.all())
    for one in (secret, other, rotated):
        assert one[6:30] not in stored
        assert one[6:30].encode() not in leaves


def test_a_rotated_pepper_keeps_old_secrets(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = keys.KeyRing(tmp_path / "keys")
    monkeypatch.setattr(keys, "ring", lambda: ring)
    endpoint, secret = add()
    ring.rotate("pepper")
    assert webhooks.secret_of(WebhookEndpoint.objects.get(id=endpoint.id)) == secret
    endpoint.pepper = "lost"
    with pytest.raises(LookupError, match="rotate"):
        webhooks.secret_of(endpoint)


def test_who_manages_endpoints_is_in_the_log_and_the_url_is_erasable() -> None:
    endpoint, _ = add("audit.sample.*", "audit.sample.noted")
    webhooks.rotate_webhook_secret(endpoint.id, actor=samples.ADA)
    webhooks.disable_webhook_endpoint(endpoint.id, actor=samples.ADA)
    entries = list(Entry.objects.order_by("id"))
    assert [entry.type for entry in entries] == [
        "audit.webhook.added", "audit.webhook.secret_rotated", "audit.webhook.disabled",
    ]  # fmt: skip
    assert {entry.object_id for entry in entries} == {str(endpoint.id)}
    assert entries[0].public == {
        "patterns": ["audit.sample.*", "audit.sample.noted"],
        "host": "receiver.example",
    }
    assert b"hidden" not in bytes(entries[0].leaf)


def test_who_may_not_is_refused_and_on_record() -> None:
    endpoint, _ = add()
    for attempt in (
        lambda: webhooks.add_webhook_endpoint(URL, patterns=["*"], actor=samples.BEN),
        lambda: webhooks.disable_webhook_endpoint(endpoint.id, actor=samples.BEN),
        lambda: webhooks.rotate_webhook_secret(endpoint.id, actor=samples.BEN),
    ):
        with pytest.raises(Refused, match="may not webhook"):
            attempt()
    assert (
        Entry.objects.filter(type="audit.write.refused", actor=samples.BEN.pseudonym).count() == 3
    )
    assert WebhookEndpoint.objects.get().disabled is None


def test_while_nobody_decides_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "_deciders", [])
    with pytest.raises(Refused, match="decides"):
        add()


@pytest.mark.parametrize(
    ("url", "patterns", "field"),
    [
        ("ftp://x.example", ["*"], "url"),
        ("receiver", ["*"], "url"),
        ("https://u:p@x.example", ["*"], "url"),
        ("https://x.example/" + "x" * 1000, ["*"], "url"),
        (None, ["*"], "url"),
        (URL, [], "patterns"),
        (URL, "audit.*", "patterns"),
        (URL, ["nothing.*"], "patterns"),
        (URL, ["audit.sam*"], "patterns"),
        (URL, ["audit.sample.unheard"], "patterns"),
        (URL, [7], "patterns"),
    ],
)
def test_malformed_endpoints_are_refused(url: Any, patterns: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        webhooks.add_webhook_endpoint(url, patterns=patterns, actor=samples.ADA)
    assert caught.value.field == field
    assert not WebhookEndpoint.objects.exists()


def test_unknown_endpoints_are_not_found() -> None:
    for change in (webhooks.disable_webhook_endpoint, webhooks.rotate_webhook_secret):
        with pytest.raises(NotFound):
            change(uuid4(), actor=samples.ADA)
    assert issubclass(NotFound, CountersignError)
