"""Wrong changes of a valid body, made from what the OpenAPI document says that the body holds.

So the document and the server must agree: what it calls required is missed, what it gives a type is refused
when it is of another.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator

UNKNOWN = "no_such_name"
Place = tuple[str | int, ...]
_WRONG: dict[str, tuple[Any, ...]] = {
    "string": (7, True, ["x"], {"a": "x"}),
    "integer": ("1", 1.5, True, [1]),
    "number": ("1", True, [1]),
    "boolean": ("true", 1, []),
    "array": ("x", 7, {"a": 1}),
    "object": ("x", 7, [1]),
}


@dataclass(frozen=True)
class Change:
    """A body with one thing wrong, and the field that the answer must name."""

    what: str
    field: str
    body: Any


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


def body_schema(
    method: str, path: str, media_type: str = "application/json"
) -> dict[str, Any] | None:
    """The schema of a body; None if the operation takes none. `path` as OpenAPI spells it."""
    operation = document()["paths"][path][method.lower()]
    content = operation.get("requestBody", {}).get("content", {})
    return _resolved(content[media_type]["schema"]) if media_type in content else None


def wrong(schema: dict[str, Any], body: dict[str, Any]) -> Iterator[Change]:
    """Every change: a required field left out, each field of another type, an unknown name."""
    yield from _of_object(schema, body, body, ())


def missing(body: dict[str, Any], name: str) -> Change:
    return Change("missing", name, {key: value for key, value in body.items() if key != name})


def _of_object(
    schema: dict[str, Any], part: dict[str, Any], whole: dict[str, Any], place: Place
) -> Iterator[Change]:
    for name in schema.get("required", ()):
        yield Change("missing", _name((*place, name)), _without(whole, (*place, name)))
    yield Change("unknown", _name((*place, UNKNOWN)), _with(whole, (*place, UNKNOWN), 1))
    for name, property_ in schema.get("properties", {}).items():
        inner = (*place, name)
        known = _resolved(property_)
        for value in _wrong_values(known):
            yield Change(f"{value!r} in", _name(inner), _with(whole, inner, value))
        if name in part:
            yield from _inside(known, part[name], whole, inner)


def _inside(
    schema: dict[str, Any], value: Any, whole: dict[str, Any], place: Place
) -> Iterator[Change]:
    if isinstance(value, dict) and "properties" in schema:
        yield from _of_object(schema, value, whole, place)
    elif isinstance(value, list) and value and "items" in schema:
        item, inner = _resolved(schema["items"]), (*place, 0)
        for wrong_item in _wrong_values(item):
            yield Change(f"{wrong_item!r} in", _name(inner), _with(whole, inner, wrong_item))
        yield from _inside(item, value[0], whole, inner)


def _wrong_values(schema: dict[str, Any]) -> tuple[Any, ...]:
    found = _WRONG.get(str(schema.get("type")), ())
    if "enum" in schema or schema.get("format") in ("uuid", "date"):
        return ("no such choice", *found)
    return found


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its references followed."""
    if "$ref" in schema:
        return _resolved(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for several in ("allOf", "oneOf"):
        if several in schema:
            parts = [_resolved(part) for part in schema[several]]
            return {**schema, **parts[0]} if parts else schema
    return schema


def _name(place: Place) -> str:
    """`("stakeholders", 0, "name")` as `stakeholders[0].name`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _without(whole: Any, place: Place) -> Any:
    changed = copy.deepcopy(whole)
    part = changed
    for step in place[:-1]:
        part = part[step]
    part.pop(place[-1], None)
    return changed


def _with(whole: Any, place: Place, value: Any) -> Any:
    changed = copy.deepcopy(whole)
    part = changed
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    return changed
