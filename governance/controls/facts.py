"""Reading facts strictly: what is missing or mistyped is said by name, and never taken for a value.

Facts are the dossier's document with what is true beside it now:

    {"model": {"name", "kind", ...},
     "version": {"artifact": {"digest", "format"}, "code_commit", "input_spec", "claims", ...},
     "use": {"name", "purpose", "tier", ...},
     "datasets": [{"name", "digest", "purposes", "source", "sources"}],
     "evidence": [{"id", "kind", "digest"}],
     "runs": [{"id", "kind", "purpose", "state", "grade", "dataset", "finished_at",
               "measurements": [{"metric", "slice", "value", "lower", "upper", "level", "n", ...}]}],
     "live": {"dossier": digest, "artifact_stored": bool,
              "runs": [addenda], "evidence": [addenda], "added": {evidence id: instant},
              "validations": [{"id", "dossier", "rating", "written_at"}],
              "findings": {"counts": {severity: int}, "open": [{"id", "severity"}]}}}

`governance.dossiers` builds them.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from kernel.canonical import is_number
from kernel.errors import Invalid
from kernel.moments import parse_rfc3339

Facts = Mapping[str, Any]
T = TypeVar("T")

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Missing(Exception):
    """A fact that a control needs is absent, empty or of the wrong type. `path` names it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


def look(facts: object, path: str) -> Any:
    """Return what stands at a dotted path.

    Raises:
        Missing: if a step of the path leads nowhere, or to null.
    """
    value = facts
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            raise Missing(path, "is missing")
        value = value[step]
    if value is None:
        raise Missing(path, "is null")
    return value


def text(facts: object, path: str) -> str:
    """A text with something in it."""
    value = look(facts, path)
    if not isinstance(value, str):
        raise Missing(path, f"is {_kind(value)}, not a text")
    if not value.strip():
        raise Missing(path, "is empty")
    return value


def number(facts: object, path: str) -> float:
    """A finite number; neither true nor a text that looks like one."""
    value = look(facts, path)
    if not is_number(value):
        raise Missing(path, f"is {_kind(value)}, not a number")
    return float(value)


def whole(facts: object, path: str) -> int:
    """A whole number from 0."""
    value = look(facts, path)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Missing(path, f"is {_kind(value)}, not a whole number")
    return value


def flag(facts: object, path: str) -> bool:
    value = look(facts, path)
    if not isinstance(value, bool):
        raise Missing(path, f"is {_kind(value)}, not true or false")
    return value


def digest(facts: object, path: str) -> str:
    """A SHA-256 as 64 lowercase hex digits."""
    value = text(facts, path)
    if not _DIGEST.fullmatch(value):
        raise Missing(path, "is no SHA-256")
    return value


def instant(facts: object, path: str) -> datetime:
    value = text(facts, path)
    try:
        return parse_rfc3339(value, path)
    except Invalid:
        raise Missing(path, "is no instant") from None


def mapping(facts: object, path: str) -> Mapping[str, Any]:
    value = look(facts, path)
    if not isinstance(value, Mapping):
        raise Missing(path, f"is {_kind(value)}, not an object")
    return value


def items(facts: object, path: str, *, may_be_empty: bool = False) -> Sequence[Any]:
    """A list, by default of something: an empty one shows nothing."""
    value = look(facts, path)
    if not isinstance(value, list | tuple):
        raise Missing(path, f"is {_kind(value)}, not a list")
    if not value and not may_be_empty:
        raise Missing(path, "is empty")
    return value


def objects(facts: object, path: str, *, may_be_empty: bool = False) -> list[Mapping[str, Any]]:
    """A list of objects."""
    found = items(facts, path, may_be_empty=may_be_empty)
    for index, value in enumerate(found):
        if not isinstance(value, Mapping):
            raise Missing(f"{path}[{index}]", f"is {_kind(value)}, not an object")
    return list(found)


def texts(facts: object, path: str) -> list[str]:
    """A list of at least one text, each with something in it."""
    found = items(facts, path)
    for index, value in enumerate(found):
        if not isinstance(value, str) or not value.strip():
            raise Missing(f"{path}[{index}]", "is not a text, or is empty")
    return list(found)


def age_days(at: datetime, now: datetime, path: str) -> float:
    """Days from `at` to `now`.

    Raises:
        Missing: if `at` lies in the future: nothing is known by then.
    """
    age = (now - at).total_seconds() / 86_400
    if age < 0:
        raise Missing(path, "lies in the future")
    return age


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, float) and not is_number(value):
        return "not finite"
    names = {str: "a text", int: "a number", float: "a number", dict: "an object", list: "a list"}
    return names.get(type(value), "of an unknown type")
