"""What a field must be, whoever sends it. Each demand names the field in its error."""

import re
from collections.abc import Sequence
from typing import Any

from kernel import canonical
from kernel.canonical import is_number
from kernel.errors import Invalid

_SLUG = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
_NUL = "a null character has no place here"


def text(value: Any, field: str, *, longest: int | None = None) -> str:
    """A text with something in it, without the space around it."""
    if not isinstance(value, str) or not value.strip():
        raise Invalid("this may not be empty", field=field)
    return optional_text(value, field, longest=longest)


def optional_text(value: Any, field: str, *, longest: int | None = None) -> str:
    """A text, perhaps empty."""
    if not isinstance(value, str):
        raise Invalid("expected a text", field=field)
    if "\x00" in value:
        raise Invalid(_NUL, field=field)
    stripped = value.strip()
    if longest is not None and len(stripped) > longest:
        raise Invalid(f"at most {longest} characters", field=field)
    return stripped


def slug(value: Any, field: str, *, longest: int) -> str:
    """A name that never changes: lowercase letters, digits, `-` and `_`."""
    if not isinstance(value, str) or not _SLUG.fullmatch(value):
        raise Invalid(
            "expected lowercase letters, digits, - and _, with a letter or digit at both ends",
            field=field,
        )
    if len(value) > longest:
        raise Invalid(f"at most {longest} characters", field=field)
    return value


def choice(value: Any, known: Sequence[str], field: str) -> str:
    if value not in known:
        raise Invalid(f"expected one of {', '.join(known)}", field=field)
    return str(value)


def json(value: Any, field: str) -> Any:
    """A value that has a canonical JSON form, so that it can be hashed with the dossier."""
    try:
        data = canonical.dumps(value)
    except canonical.NotCanonical as error:
        inner = error.field or ""
        where = f"{field}.{inner}" if inner and not inner.startswith("[") else f"{field}{inner}"
        raise Invalid(f"this has no canonical JSON form: {error.detail}", field=where) from None
    except RecursionError:
        raise Invalid("this is nested too deeply", field=field) from None
    if b"\\u0000" in data:
        raise Invalid(_NUL, field=field)
    return value


def json_object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid("expected an object", field=field)
    return dict(json(value, field))


def texts(value: Any, field: str) -> list[str]:
    if not isinstance(value, list | tuple):
        raise Invalid("expected a list of texts", field=field)
    return [text(one, f"{field}[{index}]") for index, one in enumerate(value)]


def claims(value: Any, field: str = "claims") -> list[dict[str, Any]]:
    """Metrics as the developer states them: `{"metric", "value", "slice": {column: group}, "dataset"}`.

    A value that does not exist is null, never NaN.
    """
    if not isinstance(value, list | tuple):
        raise Invalid("expected a list", field=field)
    known = ("metric", "value", "slice", "dataset")
    result: list[dict[str, Any]] = []
    for index, one in enumerate(value):
        here = f"{field}[{index}]"
        if not isinstance(one, dict):
            raise Invalid("expected an object", field=here)
        if unknown := sorted(set(one) - set(known)):
            raise Invalid(
                f"unknown name; known are: {', '.join(known)}", field=f"{here}.{unknown[0]}"
            )
        if "value" not in one or not (one["value"] is None or is_number(one["value"])):
            raise Invalid("expected a finite number, or null", field=f"{here}.value")
        part = one.get("slice", {})
        if not isinstance(part, dict) or not all(isinstance(group, str) for group in part.values()):
            raise Invalid("expected an object of column and group", field=f"{here}.slice")
        claim = {
            "metric": text(one.get("metric"), f"{here}.metric"),
            "value": one["value"],
            "slice": part,
        }
        if "dataset" in one:
            claim["dataset"] = text(one["dataset"], f"{here}.dataset")
        result.append(claim)
    json(result, field)
    return result
