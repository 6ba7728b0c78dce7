"""A JSON parser that refuses what Python's would let through: NaN, doubled names, megabytes."""

import json
from dataclasses import dataclass
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from kernel.errors import Invalid, TooLarge


class StrictJSONParser(BaseParser):
    """Parses `application/json` up to the configured size."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        limit = settings.COUNTERSIGN.max_json_bytes
        data = stream.read(limit + 1)
        if len(data) > limit:
            raise TooLarge(f"the JSON body is larger than {limit} bytes", field="body")
        return loads(data)


def loads(data: bytes) -> Any:
    """Read JSON strictly (RFC 8259; names unique, as RFC 8785 asks).

    Raises:
        Invalid: with the field where one can be named.
    """
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_NotJSON, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error.msg} at line {error.lineno}") from None
    except ValueError:
        # Python's own limit on digits; RFC 8785 has none beyond 2^53 anyway.
        raise Invalid("a number in the body has too many digits") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply") from None
    if b"\\u" in data and _has_half_a_character(value):
        raise Invalid("half of a surrogate pair is no character")
    if reason := _stray(value):
        raise Invalid(reason)
    return value


def _has_half_a_character(value: Any) -> bool:
    """Escapes can say what UTF-8, and so no database, can hold."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


@dataclass(frozen=True)
class _NotJSON:
    """NaN or an infinity where a value should be, until the name it stands under is known."""

    name: str


def _stray(value: Any) -> str:
    """Why `value`, or an item of it, is no JSON number; empty if all is well."""
    if isinstance(value, _NotJSON):
        return f"{value.name} is not JSON; leave the field out, or say null"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "the number is too large"
    if isinstance(value, list):
        return next(filter(None, map(_stray, value)), "")
    return ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise Invalid("the name occurs twice in one object", field=name)
        if reason := _stray(value):
            raise Invalid(reason, field=name)
        result[name] = value
    return result
