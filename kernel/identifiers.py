"""Identifiers: UUIDv7 (RFC 9562, section 5.7), slugs and digests as people write them."""

import os
import re
import time
import uuid

from kernel.errors import Invalid

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def parse_digest(text: object, field: str) -> str:
    """Return the 64 lowercase hex digits of a SHA-256, with or without `sha256:` before them.

    Raises:
        Invalid: naming `field`, if `text` is anything else.
    """
    match = _DIGEST.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Invalid("expected a SHA-256 as 64 lowercase hex digits", field=field)
    return match.group(1)
