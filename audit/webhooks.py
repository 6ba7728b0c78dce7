"""Signed webhooks (Standard Webhooks 1.0): entries of chosen types, with the newest log checkpoint.

The secret of an endpoint is HMAC-SHA256 of its id and generation under the pepper, which lies outside
the database: no table holds it, and who copies the database cannot sign. Source of the format:
https://github.com/standard-webhooks/standard-webhooks
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from audit import catalogue, checkpoints, merkle, outbox, permission
from audit.actor import Actor
from audit.models import Delivery, Entry, WebhookEndpoint
from audit.recording import record
from audit.writing import RefusedConflict, write
from kernel import keys, outbound
from kernel.errors import Invalid, NotFound
from kernel.moments import now, rfc3339

PREFIX = "webhook"
TIMEOUT = 10.0
_GONE = 410


class DeliveryFailed(Exception):
    """The receiver did not answer with 2xx."""


def secret_of(endpoint: WebhookEndpoint) -> str:
    """Return the endpoint's secret as its receiver keeps it, `whsec_` and base64.

    Raises:
        LookupError: if the pepper that it derives from is gone.
    """
    pepper = next((key for key in keys.history("pepper") if key.id == endpoint.pepper), None)
    if pepper is None:
        raise LookupError(f"the pepper {endpoint.pepper} is gone; rotate the endpoint's secret")
    purpose = f"countersign webhook {endpoint.id} {endpoint.generation}".encode()
    derived = hmac.new(pepper.secret, purpose, hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(derived).decode()


@write
def add_webhook_endpoint(
    url: str, *, patterns: Sequence[str], actor: Actor
) -> tuple[WebhookEndpoint, str]:
    """Send entries whose type fits one of `patterns` to `url`; return the endpoint and its secret.

    A pattern is an entry type, a prefix as `governance.*`, or `*`.

    Raises:
        Refused: if the actor may not, code `not_permitted`.
        Invalid: naming `url` or `patterns`.
    """
    permission.require(actor, "webhook.manage")
    endpoint = WebhookEndpoint(
        url=outbound.check_url(_text(url), "url"),
        patterns=_checked(patterns),
        pepper=keys.current("pepper").id,
        created=now(),
    )
    if len(url) > 1000:
        raise Invalid("at most 1000 characters", field="url")
    endpoint.save(force_insert=True)
    _record(
        "audit.webhook.added",
        endpoint,
        actor,
        {"patterns": endpoint.patterns, "host": urlsplit(url).hostname},
        private={"url": url},
    )
    return endpoint, secret_of(endpoint)


@write
def disable_webhook_endpoint(endpoint_id: UUID, *, actor: Actor) -> WebhookEndpoint:
    """Send nothing there any more; what waits is given up.

    Raises:
        Refused: if the actor may not, code `not_permitted`.
        NotFound, RefusedConflict: if there is none, or it is disabled already.
    """
    permission.require(actor, "webhook.manage")
    endpoint = _enabled(endpoint_id)
    endpoint.disabled = now()
    endpoint.save(update_fields=["disabled"])
    _record("audit.webhook.disabled", endpoint, actor, {})
    return endpoint


@write
def rotate_webhook_secret(endpoint_id: UUID, *, actor: Actor) -> tuple[WebhookEndpoint, str]:
    """Give the endpoint another secret, from the current pepper; the old one signs nothing more.

    Raises:
        Refused: if the actor may not, code `not_permitted`.
        NotFound, RefusedConflict: if there is none, or it is disabled.
    """
    permission.require(actor, "webhook.manage")
    endpoint = _enabled(endpoint_id)
    endpoint.generation += 1
    endpoint.pepper = keys.current("pepper").id
    endpoint.save(update_fields=["generation", "pepper"])
    facts = {"generation": endpoint.generation}
    _record("audit.webhook.secret_rotated", endpoint, actor, facts)
    return endpoint, secret_of(endpoint)


def _record(
    kind: str,
    endpoint: WebhookEndpoint,
    actor: Actor,
    public: dict[str, Any],
    private: dict[str, Any] | None = None,
) -> None:
    record(
        kind,
        actor=actor,
        at=now(),
        object_type="webhook_endpoint",
        object_id=str(endpoint.id),
        public=public,
        private=private,
    )


def _text(url: object) -> str:
    if not isinstance(url, str):
        raise Invalid("expected an absolute http or https URL", field="url")
    return url


def _checked(patterns: object) -> list[str]:
    if not isinstance(patterns, list | tuple) or not patterns:
        raise Invalid("expected a list of entry types, as governance.*", field="patterns")
    known = [entry_type.name for entry_type in catalogue.all_types()]
    for pattern in patterns:
        whole = isinstance(pattern, str) and (
            pattern == "*" or pattern.endswith(".*") or "*" not in pattern
        )
        if not whole or not any(outbox.matches(pattern, name) for name in known):
            raise Invalid(f"no entry type fits {pattern!r}", field="patterns")
    return sorted(set(patterns))


def _enabled(endpoint_id: UUID) -> WebhookEndpoint:
    endpoint = WebhookEndpoint.objects.select_for_update().filter(id=endpoint_id).first()
    if endpoint is None:
        raise NotFound("there is no such webhook endpoint")
    if endpoint.disabled is not None:
        raise RefusedConflict(
            "disabled",
            "the webhook endpoint is disabled",
            object_type="webhook_endpoint",
            object_id=endpoint_id,
        )
    return endpoint


def body_of(entry: Entry) -> bytes:
    """Return what a receiver gets: the entry's public facts, its exact leaf, the newest checkpoint.

    No private payload leaves the house. Whoever keeps the checkpoints is a witness of the log.
    """
    leaf = bytes(entry.leaf)
    content = entry.content
    return json.dumps(
        {
            "type": entry.type,
            "timestamp": rfc3339(entry.at),
            "data": {
                "entry": str(entry.uuid),
                "object": content["object"],
                "actor": content["actor"],
                "scope": content.get("scope"),
                "public": content["public"],
                "leaf": leaf.decode(),
                "leaf_hash": merkle.leaf_hash(leaf).hex(),
                "checkpoint": checkpoints.latest(),
            },
        },
        separators=(",", ":"),
    ).encode()


def sign(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: `v1,` and base64 of HMAC-SHA256(id.timestamp.body)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def _names(entry_type: str) -> Iterable[str]:
    for endpoint in WebhookEndpoint.objects.filter(disabled=None):
        if any(outbox.matches(pattern, entry_type) for pattern in endpoint.patterns):
            yield endpoint.subscriber


def _deliver(delivery: Delivery, entry: Entry) -> None:
    endpoint = WebhookEndpoint.objects.get(id=delivery.subscriber.removeprefix(f"{PREFIX}:"))
    if endpoint.disabled is not None:
        raise outbox.GiveUp("the webhook endpoint is disabled")
    body = body_of(entry)
    # The id stays the same at each attempt, so that a receiver knows what it has seen.
    identity, timestamp = str(delivery.id), int(now().timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": "countersign-webhooks/1",
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret_of(endpoint), identity, timestamp, body),
    }
    answer = outbound.post(endpoint.url, body, headers, timeout=TIMEOUT)
    if answer.status == _GONE:
        raise outbox.GiveUp("the receiver answered 410: it wants no more")
    if not 200 <= answer.status < 300:
        raise DeliveryFailed(f"the receiver answered {answer.status}")


def connect() -> None:
    """Have the outbox fan entries out to the endpoints. Called in `AppConfig.ready()`."""
    outbox.subscribe_rows(outbox.Fanout(PREFIX, _names, _deliver))
