"""The OpenAPI document: what each operation is called, takes and answers when it refuses.

A view says what it takes by `extend_schema(request=...)`. What it answers is an object, unless it says more.
"""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="The same key with the same body gets the first answer again; with another, 422.",
)
_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457); `errors` names each field that is wrong.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": _TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": _TEXT, "detail": _TEXT},
            },
        },
    },
}
_REFUSED = {
    "description": "It was refused, or it failed.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class OperationSchema(AutoSchema):
    """Describes one operation of an `APIView`."""

    def get_operation_id(self) -> str:
        """`get_models_by_name`: unique, because it is the method and the path."""
        parts = self.path.removeprefix("/api/v1/").strip("/").replace("-", "_").split("/")
        words = [part.replace("{", "by_").replace("}", "") for part in parts]
        return "_".join([self.method.lower(), *words])

    def get_request_serializer(self) -> Any:
        return None

    def get_response_serializers(self) -> Any:
        return OpenApiTypes.OBJECT

    def get_override_parameters(self) -> list[Any]:
        handler = getattr(self.view, self.method.lower(), None)
        return [IDEMPOTENCY_KEY] if getattr(handler, "takes_idempotency_key", False) else []


def each_path_once(endpoints: list[Any], **_: object) -> list[Any]:
    """Leave out a path that is there a second time without its last slash."""
    paths = {path for path, *_ in endpoints}
    return [one for one in endpoints if f"{one[0]}/" not in paths]


def add_problems(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Say for every operation what a refusal looks like."""
    result["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"].setdefault("default", _REFUSED)
    return result
