"""DSSE envelopes (secure-systems-lab/dsse, protocol.md): verification with P-256."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any

from countersign_client import p256

IN_TOTO = "application/vnd.in-toto+json"


class EnvelopeError(ValueError):
    """The envelope is malformed, of another type, or not signed by a trusted key."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def verify(
    envelope: Mapping[str, Any] | str | bytes,
    public_keys: Iterable[str | p256.Point],
    *,
    payload_type: str = IN_TOTO,
) -> bytes:
    """Return the payload if one of `public_keys` (PEM texts or points) has signed the envelope.

    The key id is only a hint and is not looked at.

    Raises:
        EnvelopeError: if it is malformed, of another type, or none of the keys has signed it.
        p256.KeyFormatError: if a key cannot be read.
    """
    if isinstance(envelope, str | bytes):
        try:
            envelope = json.loads(envelope)
        except ValueError:
            raise EnvelopeError("the envelope is not JSON") from None
    if not isinstance(envelope, Mapping):
        raise EnvelopeError("the envelope is no JSON object")
    if envelope.get("payloadType") != payload_type:
        raise EnvelopeError(f"the payload is not {payload_type}")
    payload = _decode(envelope.get("payload"), "the payload")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or not signatures:
        raise EnvelopeError("the envelope has no signature")
    message = pae(payload_type, payload)
    keys = [p256.public_key(key) if isinstance(key, str) else key for key in public_keys]
    for one in signatures:
        sig = _decode(one.get("sig") if isinstance(one, Mapping) else None, "a signature")
        if any(p256.verify(key, message, sig) for key in keys):
            return payload
    raise EnvelopeError("no signature is by a key that you trust")


def _decode(text: object, what: str) -> bytes:
    """Standard or URL-safe base64, as DSSE lets a signer choose."""
    if not isinstance(text, str):
        raise EnvelopeError(f"{what} is missing")
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeError(f"{what} is not base64") from None
