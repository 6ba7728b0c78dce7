"""Canonical JSON (RFC 8785), the form in which everything that is hashed or signed is kept."""

import hashlib
import json
import math
from typing import Any

import rfc8785

from kernel.errors import Invalid


class NotCanonical(Invalid, ValueError):
    """The value has no canonical JSON form: NaN, an infinity, an integer over 2^53, a non-string key.

    It names the field, within what was to be written, that has none.
    """


# Of the standard library's C: for what `_is_plain` admits it writes what RFC 8785 wants, in a third of
# the time. Keys in ASCII sort alike as code points and as UTF-16.
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode
LARGEST = 2**53 - 1
"""The largest whole number that every reader of JSON reads as the same number."""


def dumps(value: Any) -> bytes:
    """Return `value` as canonical JSON bytes.

    Raises:
        NotCanonical: if RFC 8785 gives the value no form (section 3.2.2.3 for numbers).
    """
    try:
        return _encode(value).encode() if _is_plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        field, reason = unwritable(value) or ("", "it has no canonical form")
        raise NotCanonical(reason, field=field or None) from error


def unwritable(value: Any, path: str = "") -> tuple[str, str] | None:
    """The first part of a JSON value that no canonical form can say, as `config.minimum.auc`, and why.

    Values of other types are not looked at.
    """
    if isinstance(value, dict):
        for name, one in value.items():
            if found := unwritable(one, f"{path}.{name}" if path else str(name)):
                return found
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            if found := unwritable(one, f"{path}[{index}]"):
                return found
    elif isinstance(value, float):
        if not math.isfinite(value):
            return path, f"{value} is no number of JSON"
    elif isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        return path, "a whole number lies from -(2^53 - 1) to 2^53 - 1"
    return None


def _is_plain(value: Any) -> bool:
    """Say whether the value is made of dicts with ASCII keys, lists, texts, small integers, true, false
    and null alone: no float, and no subclass of these."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-LARGEST <= value <= LARGEST)
    if kind is dict:
        return all(
            type(key) is str and key.isascii() and (type(one) is str or _is_plain(one))
            for key, one in value.items()
        )
    return (kind is list or kind is tuple) and all(map(_is_plain, value))


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical form of `value`, as 64 lowercase hex digits."""
    return sha256_hex(dumps(value))


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_number(value: object) -> bool:
    """True for an int or a float that JSON can say; False for bool, NaN, an infinity, an integer beyond
    2^53 - 1 and everything else."""
    if isinstance(value, int):
        return not isinstance(value, bool) and -LARGEST <= value <= LARGEST
    return isinstance(value, float) and math.isfinite(value)
