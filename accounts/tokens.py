"""API tokens: how they look, how they are kept, how one is recognised. Pure but for the pepper."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from kernel import keys

_SHAPE = re.compile(r"cs_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class NewToken:
    """A fresh token. `text` is shown once and kept nowhere."""

    text: str
    key: str
    secret_hmac: str
    pepper_id: str


def generate() -> NewToken:
    """Return a new token with 256 secret bits. `cs_` lets secret scanners know it."""
    key = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    pepper = keys.current("pepper")
    return NewToken(f"cs_{key}_{secret}", key, _hmac(pepper.secret, secret), pepper.id)


def split(text: str) -> tuple[str, str] | None:
    """Return (key, secret), or None if `text` does not look like a token of ours."""
    match = _SHAPE.fullmatch(text)
    return (match.group(1), match.group(2)) if match else None


def matches(secret: str, *, secret_hmac: str, pepper_id: str) -> bool:
    """True if `secret` is the one whose HMAC was kept under the pepper `pepper_id`."""
    pepper = next((key for key in keys.history("pepper") if key.id == pepper_id), None)
    return pepper is not None and hmac.compare_digest(_hmac(pepper.secret, secret), secret_hmac)


def _hmac(pepper: bytes, secret: str) -> str:
    return hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()
