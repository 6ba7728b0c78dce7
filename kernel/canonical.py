"""Canonical JSON (RFC 8785), the form in which everything that is hashed or signed is kept."""

import hashlib
import math
from typing import Any

import rfc8785


class NotCanonical(ValueError):
    """The value has no canonical JSON form: NaN, an infinity, an integer over 2^53, a non-string key."""


def dumps(value: Any) -> bytes:
    """Return `value` as canonical JSON bytes.

    Raises:
        NotCanonical: if RFC 8785 gives the value no form (section 3.2.2.3 for numbers).
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise NotCanonical(str(error)) from error


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical form of `value`, as 64 lowercase hex digits."""
    return sha256_hex(dumps(value))


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_number(value: object) -> bool:
    """True for a finite int or float; False for bool, NaN, an infinity and everything else."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
