"""`Idempotency-Key`: a pipeline that asks again after a lost answer gets the first answer."""

import functools
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from accounts.models import IdempotencyRecord
from kernel.errors import Conflict, CountersignError, Invalid, Unprocessable
from kernel.moments import now
from kernel.rest.problems import handle

ABANDONED_AFTER = timedelta(minutes=10)
LIFETIME = timedelta(days=1)
View = Callable[..., Any]


def idempotent(view: View) -> View:
    """Wrap a POST method of a view. Without the header it does nothing.

    The same key with another body or path is 422; with the first still under way 409. An answer
    of 5xx is not kept: asking again is a new try.
    """

    @functools.wraps(view)
    def wrapped(self: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return view(self, request, *args, **kwargs)
        if len(key) > 200:
            raise Invalid("at most 200 characters", field="Idempotency-Key")
        claimed, replay = _claim(request, key)
        if replay is not None:
            return replay
        assert claimed is not None
        try:
            response = _answer(self, view, request, args, kwargs)
        except BaseException:
            claimed.delete()
            raise
        _keep(claimed, response)
        return response

    wrapped.takes_idempotency_key = True  # type: ignore[attr-defined]
    return wrapped


def _answer(self: Any, view: View, request: Request, args: Any, kwargs: Any) -> Response:
    """The view's answer, an expected refusal included: that is an answer too, and is kept."""
    try:
        response: Response = view(self, request, *args, **kwargs)
        return response
    except CountersignError as error:
        answer = handle(error, {})
        assert answer is not None
        return answer


def _claim(request: Request, key: str) -> tuple[IdempotencyRecord | None, HttpResponse | None]:
    digest, path = _request_digest(request), request.path[:300]
    wanted = {"user_id": request.user.pk, "key": key}
    at = now()
    IdempotencyRecord.objects.filter(**wanted, created_at__lt=at - LIFETIME).delete()
    IdempotencyRecord.objects.filter(
        **wanted, status=None, created_at__lt=at - ABANDONED_AFTER
    ).delete()
    try:
        with transaction.atomic():
            return (
                IdempotencyRecord.objects.create(
                    **wanted, path=path, request_digest=digest, created_at=at
                ),
                None,
            )
    except IntegrityError:
        first = IdempotencyRecord.objects.filter(**wanted).first()
    if first is None:
        # It failed, and gave the key back, between the two looks.
        raise Conflict("the first request with this key has just failed", code="in_progress")
    if (first.path, first.request_digest) != (path, digest):
        raise Unprocessable(
            "the key was used for another request; take a new one", field="Idempotency-Key"
        )
    if first.status is None:
        raise Conflict("the first request with this key is still under way", code="in_progress")
    content_type = "application/json" if first.status < 400 else "application/problem+json"
    replay = HttpResponse(bytes(first.body or b""), status=first.status, content_type=content_type)
    replay["Idempotency-Replayed"] = "true"
    return None, replay


def _keep(claimed: IdempotencyRecord, response: Response) -> None:
    if response.status_code >= 500:
        claimed.delete()
        return
    claimed.status = response.status_code
    claimed.body = json.dumps(
        response.data, cls=JSONEncoder, ensure_ascii=False, separators=(",", ":")
    ).encode()
    claimed.save(update_fields=["status", "body"])


def _request_digest(request: Request) -> str:
    """A digest of what was asked: the parsed body, and the bytes of each uploaded file."""
    hasher = hashlib.sha256()
    data = request.data
    items = sorted(data.items()) if hasattr(data, "items") else [("", data)]
    for name, value in items:
        hasher.update(f"{len(name)}:{name}".encode())
        if isinstance(value, UploadedFile):
            for chunk in value.chunks():
                hasher.update(chunk)
            value.seek(0)
        else:
            hasher.update(json.dumps(value, sort_keys=True, default=str).encode())
    return hasher.hexdigest()
