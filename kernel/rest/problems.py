"""Problem details (RFC 9457) for every error that REST answers with."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from kernel.errors import CountersignError

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


def problem(
    status: int, title: str, detail: str, *, code: str = "", fields: dict[str, str] | None = None
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if code:
        body["code"] = code
    if fields:
        body["errors"] = [{"field": name, "detail": text} for name, text in fields.items()]
    return body


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. Unexpected errors are left to Django's 500, without a traceback."""
    if isinstance(error, CountersignError):
        return _response(
            problem(error.status, error.title, error.detail, code=error.code, fields=error.fields)
        )
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, OperationalError):
        logger.error("database unavailable", exc_info=error)
        return _response(problem(503, "Unavailable", "the database did not answer; try again"))
    if not isinstance(error, exceptions.APIException):
        return None
    fields = _flatten(error.detail) if isinstance(error, exceptions.ValidationError) else {}
    detail = "; ".join(f"{name}: {text}" for name, text in fields.items()) or str(error.detail)
    title = "Invalid input" if fields else str(error.default_detail).rstrip(".")
    headers: dict[str, str] = {}
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        headers["WWW-Authenticate"] = getattr(error, "auth_header", "Bearer")
    return _response(
        problem(error.status_code, title, detail, code=error.default_code, fields=fields), headers
    )


def _response(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


def _flatten(detail: Any, prefix: str = "") -> dict[str, str]:
    """DRF's nested error lists as `{"uses[0].purpose": "This field is required."}`."""
    if isinstance(detail, dict):
        flat: dict[str, str] = {}
        for name, value in detail.items():
            key = prefix if name == "non_field_errors" else f"{prefix}.{name}".lstrip(".")
            if isinstance(name, int):
                key = f"{prefix}[{name}]"
            flat.update(_flatten(value, key))
        return flat
    if isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        flat = {}
        for index, item in enumerate(detail):
            flat.update(_flatten(item, f"{prefix}[{index}]"))
        return flat
    text = " ".join(str(item) for item in detail) if isinstance(detail, list) else str(detail)
    return {prefix or "body": text} if text else {}
