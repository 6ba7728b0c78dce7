"""A JSON parser that refuses what Python's would let through: NaN, doubled names, megabytes."""

import json
from dataclasses import dataclass
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from kernel.canonical import is_number
from kernel.errors import Invalid, TooLarge

DEEPEST = 64
"""Levels of nesting. What reads a body walks it down, and a stack ends."""


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
        half = b"\\u" in data and _has_half_a_character(value)
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error.msg} at line {error.lineno}") from None
    except ValueError:
        # Python's own limit on digits; RFC 8785 has none beyond 2^53 anyway.
        raise Invalid("a number in the body has too many digits") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply") from None
    if half:
        raise Invalid("half of a surrogate pair is no character")
    if stray := _stray(value, "", 0):
        field, reason = stray
        raise Invalid(reason, field=field or None)
    if b"\\u0000" in data and (field := _null_character(value, "")):
        raise Invalid("a text has a null character, which no database holds", field=field)
    return value


def _has_half_a_character(value: Any) -> bool:
    """Escapes can say what UTF-8, and so no database, can hold."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def _null_character(value: Any, path: str) -> str:
    """The field of the first text or name with a null character; empty if there is none."""
    if isinstance(value, str):
        return (path or "body") if "\x00" in value else ""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        if any("\x00" in name for name in value):
            return path or "body"
        inner = [(f"{path}.{name}" if path else name, one) for name, one in value.items()]
    elif isinstance(value, list):
        inner = [(f"{path}[{index}]", one) for index, one in enumerate(value)]
    return next(filter(None, (_null_character(one, name) for name, one in inner)), "")


@dataclass(frozen=True)
class _NotJSON:
    """NaN or an infinity where a value should be, until the field that it stands in is known."""

    name: str


def _stray(value: Any, path: str, depth: int) -> tuple[str, str] | None:
    """The first value that no reader may rely on: its field, and why. A number that is none, or that
    not all read alike; what lies deeper than anything that is asked for."""
    if depth > DEEPEST:
        return path, "the body is nested too deeply"
    if isinstance(value, dict):
        for name, one in value.items():
            if type(one) is str:
                continue
            if found := _stray(one, f"{path}.{name}" if path else name, depth + 1):
                return found
    elif isinstance(value, list):
        for index, one in enumerate(value):
            if type(one) is str:
                continue
            if found := _stray(one, f"{path}[{index}]", depth + 1):
                return found
    elif isinstance(value, _NotJSON):
        return path, f"{value.name} is not JSON; leave the field out, or say null"
    elif isinstance(value, int | float) and not (isinstance(value, bool) or is_number(value)):
        kind = "a whole number lies from -(2^53 - 1) to 2^53 - 1"
        return path, kind if isinstance(value, int) else "the number is too large"
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise Invalid("the name occurs twice in one object", field=name)
        result[name] = value
    return result
