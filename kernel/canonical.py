"""Canonical JSON (RFC 8785), the form in which everything that is hashed or signed is kept."""

import hashlib
import json
import math
from typing import Any

import rfc8785


class NotCanonical(ValueError):
    """The value has no canonical JSON form: NaN, an infinity, an integer over 2^53, a non-string key."""


# Of the standard library's C: for what `_is_plain` admits it writes what RFC 8785 wants, in a third of
# the time. Keys in ASCII sort alike as code points and as UTF-16.
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode
_LARGEST = 2**53 - 1


def dumps(value: Any) -> bytes:
    """Return `value` as canonical JSON bytes.

    Raises:
        NotCanonical: if RFC 8785 gives the value no form (section 3.2.2.3 for numbers).
    """
    try:
        return _encode(value).encode() if _is_plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise NotCanonical(str(error)) from error


def _is_plain(value: Any) -> bool:
    """Say whether the value is made of dicts with ASCII keys, lists, texts, small integers, true, false
    and null alone: no float, and no subclass of these."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_LARGEST <= value <= _LARGEST)
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
    """True for a finite int or float; False for bool, NaN, an infinity and everything else."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
