"""DSSE to the byte, and what a statement binds."""

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from governance import attestations
from governance.attestations import PolicyReference, Subject, Summary
from kernel.errors import Invalid

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def vector():
    root = os.environ.get("COUNTERSIGN_VECTORS")
    folder = Path(root) if root else Path(__file__).resolve().parents[3] / "shared" / "vectors"
    path = folder / "dsse" / "protocol_vector.json"
    if not path.exists():
        pytest.skip("the DSSE test vectors are not here; set COUNTERSIGN_VECTORS")
    return json.loads(path.read_text())


def vector_key(vector) -> ec.EllipticCurvePublicKey:
    numbers = vector["ecdsa_p256"]
    point = ec.EllipticCurvePublicNumbers(int(numbers["X"]), int(numbers["Y"]), ec.SECP256R1())
    return point.public_key()


def test_the_protocols_own_vector(vector):
    body, kind = vector["body"].encode(), vector["payloadType"]
    assert attestations.pae(kind, body).decode() == vector["pae"]
    key = vector_key(vector)
    assert attestations.verify(vector["envelope"], [key], payload_type=kind) == body


def test_the_vectors_private_key_signs_what_its_public_key_verifies(vector):
    key = ec.derive_private_key(int(vector["ecdsa_p256"]["d"]), ec.SECP256R1())
    envelope = attestations.sign(b"hello world", key, payload_type=vector["payloadType"])
    assert envelope["payload"] == vector["envelope"]["payload"]
    verified = attestations.verify(
        envelope, [vector_key(vector)], payload_type=vector["payloadType"]
    )
    assert verified == b"hello world"


@given(st.binary(max_size=200))
def test_what_was_signed_comes_back_byte_for_byte(payload):
    envelope = attestations.sign(payload, KEY)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert attestations.verify(envelope, [other, KEY.public_key()]) == payload
    with pytest.raises(Invalid):
        attestations.verify(envelope, [other])


def test_a_plain_signature_and_url_safe_text_are_taken_too():
    envelope = attestations.sign(b"\xff\xfe>>??", KEY)
    r, s = decode_dss_signature(base64.b64decode(envelope["signatures"][0]["sig"]))
    plain = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    envelope["signatures"] = [{"sig": base64.urlsafe_b64encode(plain).decode()}]
    envelope["payload"] = base64.urlsafe_b64encode(b"\xff\xfe>>??").decode()
    assert attestations.verify(envelope, [KEY.public_key()]) == b"\xff\xfe>>??"


@pytest.mark.parametrize(
    "change",
    [
        {"payload": base64.b64encode(b"{}!").decode()},
        {"payload": "no base64!"},
        {"payload": None},
        {"payloadType": "application/json"},
        {"signatures": []},
        {"signatures": [{"sig": ""}]},
        {"signatures": [{"sig": 7}]},
        {"signatures": ["x"]},
        {"signatures": None},
    ],
)
def test_a_changed_envelope_is_refused(change):
    with pytest.raises(Invalid):
        attestations.verify({**attestations.sign(b"{}", KEY), **change}, [KEY.public_key()])


def test_the_key_id_is_the_thumbprint_that_the_key_set_publishes():
    published = attestations.jwk(KEY.public_key())
    assert attestations.sign(b"{}", KEY)["signatures"][0]["keyid"] == published["kid"]
    x = base64.urlsafe_b64decode(published["x"] + "=")
    assert int.from_bytes(x, "big") == KEY.public_key().public_numbers().x


def test_a_statement_is_a_verification_summary_over_the_artifact():
    payload = attestations.statement(
        Summary(
            subject=Subject("ab" * 32, "income-screening/2", "https://gate.example/models/x/2"),
            verifier="https://gate.example/gate",
            verifier_version="0.1.0",
            verified_at=NOW,
            policy=PolicyReference("https://gate.example/policies/production/1", "cd" * 32),
            passed=True,
            levels=("COUNTERSIGN_PRODUCTION_ALLOWED",),
            extension={"id": "d1"},
            inputs=(("https://gate.example/dossiers/1", "ef" * 32),),
        )
    )
    value = json.loads(payload)
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert value["subject"] == [{"name": "income-screening/2", "digest": {"sha256": "ab" * 32}}]
    predicate = value["predicate"]
    assert predicate["verificationResult"] == "PASSED"
    assert predicate["timeVerified"] == "2026-11-20T12:00:00Z"
    assert predicate["policy"]["digest"] == {"sha256": "cd" * 32}
    assert predicate["inputAttestations"][0]["digest"] == {"sha256": "ef" * 32}
    assert predicate[attestations.EXTENSION] == {"id": "d1"}
