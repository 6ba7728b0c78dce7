"""REST of the log: entries, proofs, status, erasure, webhook endpoints."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import erasure, export, permission, proofs, records, status, webhooks
from audit.actor import Actor
from audit.models import Anchor, Delivery, Entry, WebhookEndpoint
from audit.selection import ERASED, Selection
from kernel.errors import Forbidden, Invalid, NotFound, Unavailable
from kernel.moments import parse_rfc3339, rfc3339
from kernel.rest.pagination import NewestFirst
from kernel.rest.serializers import Nothing, StrictCharField, StrictSerializer


def actor_of(request: Request) -> Actor:
    """The actor that authentication found."""
    actor = getattr(request._request, "actor", None)
    if not isinstance(actor, Actor):
        raise Forbidden("who asks is not known")
    return actor


class _View(APIView):
    """Asks for the action before the method runs: reading the log is a right of its own."""

    actions: ClassVar[Mapping[str, str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        name = self.actions.get("GET" if request.method == "HEAD" else request.method or "")
        # Writes are refused by their service, which puts the refusal on record.
        if name is not None and request.method in ("GET", "HEAD"):
            permission.require(actor_of(request), name)


def _checked(serializer: type[StrictSerializer], data: Any) -> dict[str, Any]:
    checked = serializer(data=data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def _uuid(text: str, field: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("expected a UUID", field=field) from None


def _number(text: str, field: str, *, at_most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= at_most:
        raise Invalid(f"expected a number from 0 to {at_most:g}", field=field)
    return value


def describe(entry: Entry) -> dict[str, Any]:
    """An entry as JSON, without what may be erased. `position` is null until it is sequenced."""
    place = getattr(entry, "position", None)
    content = entry.content
    return {
        "entry": str(entry.uuid),
        "at": rfc3339(entry.at),
        "type": entry.type,
        "actor": content["actor"],
        "object": content["object"],
        "scope": content.get("scope"),
        "public": content["public"],
        "committed": "private" in content,
        "position": {"epoch": place.epoch_id, "index": place.index} if place else None,
        "leaf_hash": bytes(place.hash).hex() if place else None,
    }


_FILTERS = ("actor", "type", "object_type", "object_id", "scope", "since", "until")


def selection_of(query: Mapping[str, str]) -> Selection:
    """Read the filters of a query.

    Raises:
        Invalid: naming a filter that is malformed or not known.
    """
    for name in query:
        if name not in (*_FILTERS, "cursor", "page_size"):
            raise Invalid(f"unknown filter; known are: {', '.join(_FILTERS)}", field=name)

    def identity(name: str) -> UUID | None:
        return _uuid(query[name], name) if name in query else None

    def instant(name: str) -> datetime | None:
        zone = settings.COUNTERSIGN.time_zone
        return parse_rfc3339(query[name], name, time_zone=zone) if name in query else None

    return Selection(
        actor=identity("actor"),
        scope=identity("scope"),
        type=query.get("type"),
        object_type=query.get("object_type"),
        object_id=query.get("object_id"),
        since=instant("since"),
        until=instant("until"),
    )


class Entries(_View):
    """Entries, newest first, by actor, object, type, scope and time."""

    actions: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request) -> Response:
        chosen = selection_of(request.query_params)
        rows = Entry.objects.filter(chosen.entries()).select_related("position")
        pages = NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response([describe(row) for row in page or []])


def _entry(uuid: UUID) -> Entry:
    entry = Entry.objects.select_related("position").filter(uuid=uuid).first()
    if entry is None:
        raise NotFound("there is no such entry")
    return entry


class OneEntry(_View):
    """One entry, with its private payload unless that was erased."""

    actions: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request, uuid: UUID) -> Response:
        entry = _entry(uuid)
        described = describe(entry)
        private = records.private_of(entry)
        erased = described["committed"] and private is None
        about = {"type": ERASED, "object_type": "entry", "object_id": str(uuid)}
        recorded = Entry.objects.filter(**about).first() if erased else None
        return Response(
            {
                **described,
                "leaf": bytes(entry.leaf).decode(errors="replace"),
                "private": private,
                "erased_by": str(recorded.uuid) if recorded else None,
            }
        )


class ErasureInput(StrictSerializer):
    basis = StrictCharField()
    reason = StrictCharField(max_length=2000)


class Erasure(_View):
    """Erase the private payload of an entry."""

    actions: ClassVar = {"POST": "payload.erase"}

    @extend_schema(request=ErasureInput, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, uuid: UUID) -> Response:
        wanted = _checked(ErasureInput, request.data)
        entry = erasure.erase_payload(actor=actor_of(request), entry=uuid, **wanted)
        return Response(describe(entry), status=201)


class InclusionProof(_View):
    """A proof that needs nothing but the log's key to verify; waits `?timeout=` seconds for it."""

    actions: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request, uuid: UUID) -> Response:
        text = request.query_params.get("timeout", "0")
        timeout = _number(text, "timeout", at_most=proofs.MAX_WAIT)
        entry = _entry(uuid)
        proof = proofs.inclusion(uuid, timeout)
        if proof is None:
            raise Unavailable(
                "the entry is not in the tree yet; ask again, or wait with ?timeout=10"
            )
        return Response(
            {
                "entry": str(uuid),
                "epoch": proof.epoch,
                "origin": proof.origin,
                "index": proof.index,
                "size": proof.size,
                "leaf": bytes(entry.leaf).decode(errors="replace"),
                "checkpoint": proof.checkpoint,
                "tlog_proof": proof.tlog_proof,
                "vkeys": export.vkeys(proof.epoch),
            }
        )


class ConsistencyProof(_View):
    """A proof that the newest checkpoint extends the one of `?from=` entries that a client holds."""

    actions: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request) -> Response:
        old = _number(request.query_params.get("from", ""), "from", at_most=2**53)
        epoch = request.query_params.get("epoch")
        found = proofs.consistency(
            int(old), epoch=int(_number(epoch, "epoch", at_most=32767)) if epoch else None
        )
        return Response(
            {
                "epoch": found.epoch,
                "from": found.old,
                "to": found.new,
                "proof": [one.hex() for one in found.hashes],
                "checkpoint": found.checkpoint,
            }
        )


class Status(_View):
    """How the log is doing."""

    actions: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request) -> Response:
        seen = status.current()
        return Response(
            {
                "ok": seen.ok,
                "alarms": list(seen.alarms),
                "epoch": seen.epoch,
                "origin": seen.origin,
                "size": seen.size,
                "checkpoint_at": rfc3339(seen.checkpoint_at) if seen.checkpoint_at else None,
                "pending": seen.pending,
                "lag_seconds": round(seen.lag_seconds, 3),
                "outbox": seen.outbox,
                "given_up": seen.given_up,
                "anchors": [
                    {
                        "kind": one.kind,
                        "target": one.target,
                        "epoch": one.epoch,
                        "size": one.size,
                        "at": rfc3339(one.at) if one.at else None,
                        "waiting_seconds": round(one.waiting_seconds, 3),
                        "late": one.late,
                    }
                    for one in seen.anchors
                ],
            }
        )


class Anchors(_View):
    """The receipts of checkpoints that are held outside, newest first."""

    actions: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        page = pages.paginate_queryset(Anchor.objects.all(), request, view=self)
        return pages.get_paginated_response(
            [
                {
                    "id": str(one.id),
                    "kind": one.kind,
                    "target": one.target,
                    "epoch": one.epoch_id,
                    "size": one.size,
                    "created": rfc3339(one.created),
                    "receipt": base64.b64encode(bytes(one.receipt)).decode(),
                }
                for one in page or []
            ]
        )


def _endpoint(row: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "url": row.url,
        "patterns": row.patterns,
        "generation": row.generation,
        "created": rfc3339(row.created),
        "disabled": rfc3339(row.disabled) if row.disabled else None,
    }


class EndpointInput(StrictSerializer):
    url = StrictCharField(max_length=1000)
    patterns = serializers.ListField(child=StrictCharField(max_length=100), min_length=1)


class Endpoints(_View):
    """The webhook endpoints. The secret is told once, in the answer to POST."""

    actions: ClassVar = {"GET": "webhook.manage", "POST": "webhook.manage"}

    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        page = pages.paginate_queryset(WebhookEndpoint.objects.all(), request, view=self)
        return pages.get_paginated_response([_endpoint(row) for row in page or []])

    @extend_schema(request=EndpointInput, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        wanted = _checked(EndpointInput, request.data)
        row, secret = webhooks.add_webhook_endpoint(
            wanted["url"], patterns=wanted["patterns"], actor=actor_of(request)
        )
        return Response({**_endpoint(row), "secret": secret}, status=201)


class EndpointDisabling(_View):
    """Send nothing to an endpoint any more."""

    actions: ClassVar = {"POST": "webhook.manage"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        _checked(Nothing, request.data)
        row = webhooks.disable_webhook_endpoint(endpoint_id, actor=actor_of(request))
        return Response(_endpoint(row))


class EndpointSecret(_View):
    """Give an endpoint a new secret."""

    actions: ClassVar = {"POST": "webhook.manage"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        _checked(Nothing, request.data)
        row, secret = webhooks.rotate_webhook_secret(endpoint_id, actor=actor_of(request))
        return Response({**_endpoint(row), "secret": secret})


class EndpointDeliveries(_View):
    """What was sent to an endpoint, newest first."""

    actions: ClassVar = {"GET": "webhook.manage"}

    def get(self, request: Request, endpoint_id: UUID) -> Response:
        row = WebhookEndpoint.objects.filter(id=endpoint_id).first()
        if row is None:
            raise NotFound("there is no such webhook endpoint")
        rows = Delivery.objects.filter(subscriber=row.subscriber).select_related("entry")
        pages = NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(
            [
                {
                    "id": str(one.id),
                    "entry": str(one.entry.uuid),
                    "type": one.entry.type,
                    "state": one.state,
                    "attempts": one.attempts,
                    "due": rfc3339(one.due),
                    "delivered": rfc3339(one.delivered) if one.delivered else None,
                    "last_error": one.last_error,
                }
                for one in page or []
            ]
        )
