"""The entry types there are, each with the fields of its public facts.

An entry of an unknown type, or with other fields than its type has, cannot be written. Public facts
stay in the log for ever and are sent to receivers: they hold ids, digests, numbers and states, no
names, addresses or free text.
"""

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Union, get_args, get_origin
from uuid import UUID

from kernel.canonical import is_number
from kernel.moments import rfc3339

MAX_TEXT = 500
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2,3}")
_SIMPLE = (str, int, float, bool, list, dict, UUID, datetime)


class CatalogueError(Exception):
    """A type that does not exist, or facts that are not those of their type: a programming error."""


@dataclass(frozen=True)
class Field:
    kind: type
    item: type | None
    optional: bool

    def describe(self) -> str:
        name = f"{self.kind.__name__}[{self.item.__name__}]" if self.item else self.kind.__name__
        return f"{name}, optional" if self.optional else name


@dataclass(frozen=True)
class EntryType:
    """One type of entry. `fields` describes its public facts."""

    name: str
    fields: Mapping[str, Field]

    def check(self, public: Mapping[str, Any]) -> dict[str, Any]:
        """Return `public` as it is written: JSON values, optional fields that are None left out.

        Raises:
            CatalogueError: naming the field that is unknown, missing or of another type.
        """
        unknown = set(public) - set(self.fields)
        if unknown:
            raise CatalogueError(f"{self.name} has no field {', '.join(sorted(unknown))}")
        facts: dict[str, Any] = {}
        for name, field in self.fields.items():
            value = public.get(name)
            if value is None:
                if not field.optional:
                    raise CatalogueError(f"{self.name} needs {name}")
                continue
            facts[name] = _check(f"{self.name}: {name}", value, field)
        return facts


_types: dict[str, EntryType] = {}


def define(name: str, /, **fields: Any) -> EntryType:
    """Add an entry type, `<app>.<noun>.<past participle>`; a field is a type or `Optional[type]`.

    The types are str, int, float, bool, list, dict, UUID, datetime, and `list[str]` and the like.

    Raises:
        CatalogueError: if the name is malformed or defined otherwise before.
    """
    if not _NAME.fullmatch(name):
        raise CatalogueError(f"{name!r}: an entry type is named <app>.<noun>.<past participle>")
    entry_type = EntryType(name, {key: _field(name, key, kind) for key, kind in fields.items()})
    if _types.setdefault(name, entry_type) != entry_type:
        raise CatalogueError(f"{name} is defined twice, with different fields")
    return entry_type


def get(name: str) -> EntryType:
    """Return the entry type.

    Raises:
        CatalogueError: if there is none of that name.
    """
    try:
        return _types[name]
    except KeyError:
        raise CatalogueError(
            f"{name!r} is no entry type; define it in its app's entries.py"
        ) from None


def all_types() -> list[EntryType]:
    return [_types[name] for name in sorted(_types)]


def _field(name: str, key: str, kind: Any) -> Field:
    optional = False
    if get_origin(kind) in (Union, types.UnionType):
        rest = [part for part in get_args(kind) if part is not type(None)]
        if len(rest) != 1 or len(rest) == len(get_args(kind)):
            raise CatalogueError(f"{name}: {key} may be one type or None, nothing else")
        kind, optional = rest[0], True
    item: type | None = None
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        kind = list
    if kind not in _SIMPLE or (item is not None and item not in _SIMPLE):
        raise CatalogueError(f"{name}: {key} cannot be {kind!r}")
    return Field(kind, item, optional)


def _check(where: str, value: Any, field: Field) -> Any:
    if field.kind is list and isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
        if field.item is None:
            return items
        return [_check(where, item, Field(field.item, None, optional=False)) for item in items]
    return _scalar(where, value, field.kind)


def _scalar(where: str, value: Any, kind: type) -> Any:
    if kind is float:
        fits = is_number(value)
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif kind is UUID and isinstance(value, str):
        fits = bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value))
    else:
        fits = isinstance(value, kind)
    if not fits:
        raise CatalogueError(f"{where} is {type(value).__name__}, not {kind.__name__}")
    if isinstance(value, str):
        if len(value) > MAX_TEXT or "\n" in value:
            raise CatalogueError(f"{where} is free text; it belongs into the private payload")
        # A choices enumeration is a str too; the log holds its plain value.
        return str.__str__(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    return value
