"""What the gate says, signed: a DSSE envelope around an in-toto statement with a SLSA summary.

Standards: DSSE v1 (secure-systems-lab/dsse, protocol.md), in-toto Statement v1, SLSA Verification
Summary Attestation v1. What none of them has a place for stands in one extension field, whose name is
`EXTENSION`. Signatures are ECDSA P-256 with SHA-256, DER-encoded, as cosign makes and takes them.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from kernel import canonical
from kernel.errors import Invalid
from kernel.moments import rfc3339

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/verification_summary/v1"
# The same in every installation, so that a verifier finds the field without knowing who signed.
EXTENSION = "https://countersign.dev/gate-decision/v1"
_P256_BYTES = 32


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(
    payload: bytes, key: ec.EllipticCurvePrivateKey, *, payload_type: str = PAYLOAD_TYPE
) -> dict[str, Any]:
    """Return the DSSE envelope of `payload` with one signature."""
    signature = key.sign(pae(payload_type, payload), ec.ECDSA(hashes.SHA256()))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [
            {"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}
        ],
    }


def verify(
    envelope: Mapping[str, Any],
    keys: Iterable[ec.EllipticCurvePublicKey],
    *,
    payload_type: str = PAYLOAD_TYPE,
) -> bytes:
    """Return the payload's bytes if one of `keys` has signed it.

    The key id is only a hint and decides nothing. A signature may be DER or the plain 64 bytes
    r || s, standard or URL-safe Base64.

    Raises:
        Invalid: if the envelope is malformed, is of another type, or none has.
    """
    if envelope.get("payloadType") != payload_type:
        raise Invalid(f"expected {payload_type}", field="payloadType")
    payload = _decode(envelope.get("payload"), "payload")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or not signatures:
        raise Invalid("expected at least one signature", field="signatures")
    message = pae(payload_type, payload)
    candidates = list(keys)
    for index, one in enumerate(signatures):
        sig = _decode(one.get("sig") if isinstance(one, Mapping) else None, f"signatures[{index}]")
        if any(_signed(key, sig, message) for key in candidates):
            return payload
    raise Invalid("no signature is by a known key", field="signatures")


def _signed(key: ec.EllipticCurvePublicKey, sig: bytes, message: bytes) -> bool:
    forms = [sig]
    if len(sig) == 2 * _P256_BYTES:
        half = [int.from_bytes(part, "big") for part in (sig[:_P256_BYTES], sig[_P256_BYTES:])]
        forms.append(encode_dss_signature(half[0], half[1]))
    for form in forms:
        try:
            key.verify(form, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return True
    return False


def _decode(text: object, field: str) -> bytes:
    if not isinstance(text, str):
        raise Invalid("expected Base64", field=field)
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("expected Base64", field=field) from None


def jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """The key as a JSON Web Key (RFC 7517), its id the thumbprint of RFC 7638."""
    numbers = key.public_numbers()
    members = {
        "crv": "P-256",
        "kty": "EC",
        "x": _base64url(numbers.x.to_bytes(_P256_BYTES, "big")),
        "y": _base64url(numbers.y.to_bytes(_P256_BYTES, "big")),
    }
    thumbprint = hashlib.sha256(
        json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    ).digest()
    return {**members, "kid": _base64url(thumbprint), "alg": "ES256", "use": "sig"}


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    return jwk(key)["kid"]


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Subject:
    """What was judged: the artifact by its digest, and where its record is."""

    digest: str
    name: str
    uri: str


@dataclass(frozen=True)
class PolicyReference:
    """The policy revision that it was judged by; an empty digest where no policy governs."""

    uri: str
    digest: str = ""


@dataclass(frozen=True)
class Summary:
    """What a statement says. `extension` is the decision itself, ready for JSON."""

    subject: Subject
    verifier: str
    verifier_version: str
    verified_at: datetime
    policy: PolicyReference
    passed: bool
    levels: tuple[str, ...]
    extension: Mapping[str, Any]
    inputs: tuple[tuple[str, str], ...] = field(default=())


def statement(summary: Summary) -> bytes:
    """Return the in-toto statement as canonical JSON.

    `inputs` are (URI, SHA-256) of what the judgement rests on; SLSA wants all of them or none.
    """
    policy: dict[str, Any] = {"uri": summary.policy.uri}
    if summary.policy.digest:
        policy["digest"] = {"sha256": summary.policy.digest}
    predicate: dict[str, Any] = {
        "verifier": {
            "id": summary.verifier,
            "version": {"countersign": summary.verifier_version},
        },
        "timeVerified": rfc3339(summary.verified_at),
        "resourceUri": summary.subject.uri,
        "policy": policy,
        "verificationResult": "PASSED" if summary.passed else "FAILED",
        "verifiedLevels": list(summary.levels),
        EXTENSION: dict(summary.extension),
    }
    if summary.inputs:
        predicate["inputAttestations"] = [
            {"uri": uri, "digest": {"sha256": digest}} for uri, digest in summary.inputs
        ]
    return canonical.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": summary.subject.name, "digest": {"sha256": summary.subject.digest}}
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }
    )
