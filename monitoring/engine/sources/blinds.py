"""Blinds: digests of data's bytes under another prefix, which only who has the data can compute.

They are made while the data are verified, since another reading would take as long again.
"""

from typing import Final

PREFIX: Final = b"countersign blind\0"
_MOST: Final = 1_000
_KEPT: dict[str, str] = {}


def keep(digest: str, blind: str) -> str:
    """Remember the blind of data whose `digest` was just verified, and give it back."""
    while len(_KEPT) >= _MOST:
        _KEPT.pop(next(iter(_KEPT)))
    _KEPT[digest] = blind
    return blind


def kept(digest: str) -> str | None:
    return _KEPT.get(digest)
