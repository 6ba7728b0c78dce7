"""What differs between two versions: a list of fields with both values, nothing judged. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MISSING = "–"


@dataclass(frozen=True)
class Change:
    """One field that differs. Each side is printed as it stands, `–` where there is none."""

    field: str
    before: Any
    after: Any


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Compare two records field by field; nested mappings by path, lists as a whole.

    >>> changes({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3, "d": 4}})
    [Change(field='b: c', before=2, after=3), Change(field='b: d', before='–', after=4)]
    """
    return list(_walk(before, after, ""))


def _walk(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, MISSING), after.get(name, MISSING)
        where = f"{path}: {name}" if path else str(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _walk(old, new, where)
        elif old != new:
            yield Change(where, old, new)


@dataclass(frozen=True)
class Shift:
    """One metric measured on both versions."""

    metric: str
    slice: Mapping[str, str]
    attribute: str
    unit: str
    before: Any
    after: Any


def shifts(before: Iterable[Any], after: Iterable[Any]) -> list[Shift]:
    """Pair measurements by metric, slice and attribute; those found on one side only are left out."""
    old = {_key(one): one for one in before}
    return [
        Shift(one.metric, one.slice, one.attribute, one.unit, old[_key(one)], one)
        for one in after
        if _key(one) in old
    ]


def _key(one: Any) -> tuple[Any, ...]:
    return (one.metric, tuple(sorted(one.slice.items())), one.attribute)
