"""The verifier's own Ed25519, P-256, DSSE and proofs against the vectors and against OpenSSL's."""

import base64
import json
from pathlib import Path

import pytest
from countersign_client import dsse, p256, verifier
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import merkle, notes, tiles, tlog_proof
from tests.audit.vectors import files, load, needs_vectors

# RFC 8032, 7.1, tests 1 to 3.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_ed25519_of_rfc_8032(public: str, message: str, signature: str) -> None:
    key, text, sig = (bytes.fromhex(part) for part in (public, message, signature))
    assert verifier.ed25519_verify(key, text, sig)
    assert not verifier.ed25519_verify(key, text + b"x", sig)
    assert not verifier.ed25519_verify(key, text, sig[:-1])
    assert not verifier.ed25519_verify(key[:-1], text, sig)


def test_ed25519_refuses_a_scalar_that_is_not_reduced_and_points_off_the_curve() -> None:
    key, _, sig = (bytes.fromhex(part) for part in RFC_8032[0])
    order = 2**252 + 27742317777372353535851937790883648493
    grown = int.from_bytes(sig[32:], "little") + order
    assert not verifier.ed25519_verify(key, b"", sig[:32] + grown.to_bytes(32, "little"))
    assert not verifier.ed25519_verify(b"\xff" * 32, b"", sig)
    assert not verifier.ed25519_verify((2).to_bytes(32, "little"), b"", sig)


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_ed25519_agrees_with_openssl(seed: bytes, message: bytes, bit: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, sig = private.public_key().public_bytes_raw(), private.sign(message)
    assert verifier.ed25519_verify(public, message, sig)
    broken = bytearray(sig)
    broken[bit // 8] ^= 1 << bit % 8
    assert not verifier.ed25519_verify(public, message, bytes(broken))


def pem_of(key: ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 2**200), st.binary(max_size=200), st.integers(0, 511))
def test_p256_agrees_with_openssl(secret: int, message: bytes, bit: int) -> None:
    private = ec.derive_private_key(secret, ec.SECP256R1())
    key = p256.public_key(pem_of(private.public_key()))
    der = private.sign(message, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert p256.verify(key, message, der)
    assert p256.verify(key, message, raw)
    assert not p256.verify(key, message + b"x", der)
    broken = bytearray(raw)
    broken[bit // 8] ^= 1 << bit % 8
    assert not p256.verify(key, message, bytes(broken))


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (0, 0), (2**256 - 1, 1)])
def test_p256_refuses_numbers_out_of_range(r: int, s: int) -> None:
    key = p256.public_key(pem_of(ec.generate_private_key(ec.SECP256R1()).public_key()))
    assert not p256.verify(key, b"m", r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def test_p256_refuses_der_that_is_not_strict() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    key = p256.public_key(pem_of(private.public_key()))
    der = private.sign(b"m", ec.ECDSA(hashes.SHA256()))
    for bad in (b"", der[:-1], der + b"\0", b"\x31" + der[1:], der[:2] + b"\x03" + der[3:]):
        assert not p256.verify(key, b"m", bad)


def test_p256_reads_der_of_64_bytes_too() -> None:
    r = s = 2**231 + 1  # 29 bytes each make a DER signature of exactly 64 bytes
    der = encode_dss_signature(r, s)
    assert len(der) in range(60, 68)
    assert p256.parse_signature(der) is not None or len(der) == 64


@pytest.mark.parametrize(
    "pem", ["", "x", "-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]
)  # fmt: skip
def test_p256_refuses_what_is_no_key(pem: str) -> None:
    with pytest.raises(p256.KeyFormatError):
        p256.public_key(pem)


def test_p256_refuses_points_off_the_curve() -> None:
    with pytest.raises(p256.KeyFormatError):
        p256.check_point(1, 1)


@needs_vectors
def test_the_dsse_vector() -> None:
    vector = load("dsse/protocol_vector.json")
    key = p256.check_point(int(vector["ecdsa_p256"]["X"]), int(vector["ecdsa_p256"]["Y"]))
    kind = vector["payloadType"]
    assert dsse.pae(kind, vector["body"].encode()).decode() == vector["pae"]
    assert dsse.verify(vector["envelope"], [key], payload_type=kind) == b"hello world"
    assert dsse.verify(json.dumps(vector["envelope"]), [key], payload_type=kind) == b"hello world"
    with pytest.raises(dsse.EnvelopeError, match="payload is not"):
        dsse.verify(vector["envelope"], [key])
    altered = {**vector["envelope"], "payload": base64.b64encode(b"hello worlds").decode()}
    with pytest.raises(dsse.EnvelopeError, match="no signature"):
        dsse.verify(altered, [key], payload_type=kind)


@pytest.mark.parametrize(
    "envelope",
    ["{", "[]", "{}", {"payloadType": dsse.IN_TOTO}, {"payloadType": dsse.IN_TOTO, "payload": "!"},
     {"payloadType": dsse.IN_TOTO, "payload": "", "signatures": []},
     {"payloadType": dsse.IN_TOTO, "payload": "", "signatures": ["x"]}],
)  # fmt: skip
def test_malformed_envelopes(envelope: object) -> None:
    with pytest.raises(dsse.EnvelopeError):
        dsse.verify(envelope, [])  # type: ignore[arg-type]


@needs_vectors
@pytest.mark.parametrize(
    "path", files("transparency-dev-merkle/testdata/inclusion/*/*.json"), ids=lambda p: p.stem
)
def test_inclusion_probe(path: Path) -> None:
    probe = json.loads(path.read_text())
    head = verifier.Checkpoint("o", probe["treeSize"], base64.b64decode(probe["root"]))
    proof = [base64.b64decode(one) for one in probe["proof"] or []]
    leaf = base64.b64decode(probe["leafHash"])
    try:
        verifier.check_inclusion(leaf, probe["leafIdx"], head, proof)
        # Lengths are checked where a proof is read; the probes with empty hashes have no such place.
        holds = len(leaf) == 32
    except verifier.Untrue:
        holds = False
    assert holds is not probe["wantErr"]


@needs_vectors
@pytest.mark.parametrize(
    "path", files("transparency-dev-merkle/testdata/consistency/*/*.json"), ids=lambda p: p.stem
)
def test_consistency_probe(path: Path) -> None:
    probe = json.loads(path.read_text())
    old = verifier.Checkpoint("o", probe["size1"], base64.b64decode(probe["root1"]))
    new = verifier.Checkpoint("o", probe["size2"], base64.b64decode(probe["root2"]))
    try:
        verifier.check_consistency(
            old, new, [base64.b64decode(one) for one in probe["proof"] or []]
        )
        holds = True
    except verifier.Untrue:
        holds = False
    assert holds is not probe["wantErr"]


@needs_vectors
def test_public_notes_and_malformed_proofs() -> None:
    vectors = load("c2sp/tlog_vectors.json")
    sigsum = vectors["signed_note"][1]
    assert verifier.open_checkpoint(sigsum["note"], [sigsum["vkey"]]).size == 10
    for text in vectors["tlog_proof_marshal"]["reject"]:
        with pytest.raises(verifier.Untrue):
            verifier.verify_proof(text, b"", [])


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_it_accepts_what_the_log_makes_and_nothing_near_it(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 600))
    index = data.draw(st.integers(0, size - 1))
    leaves = [b"%d" % i for i in range(size)]
    changed, root = tiles.append({}, 0, [merkle.leaf_hash(leaf) for leaf in leaves])
    signer = notes.Signer("example.com/log", Ed25519PrivateKey.generate())
    note = notes.sign(notes.Checkpoint("example.com/log", size, root).text(), [signer])
    hashes = merkle.prove_inclusion(tiles.TileReader(changed), index, size)
    text = tlog_proof.marshal(tlog_proof.TlogProof(index, tuple(hashes), note, b"extra"))
    vkeys = [signer.verifier.vkey]
    assert verifier.verify_proof(text, leaves[index], vkeys)[0] == index
    with pytest.raises(verifier.Untrue):
        verifier.verify_proof(text, leaves[index] + b"x", vkeys)
    stranger = notes.Signer("example.com/log", Ed25519PrivateKey.generate())
    with pytest.raises(verifier.Untrue):
        verifier.verify_proof(text, leaves[index], [stranger.verifier.vkey])
    old = data.draw(st.integers(1, size))
    older = notes.sign(
        notes.Checkpoint(
            "example.com/log", old, merkle.tree_root(map(merkle.leaf_hash, leaves[:old]))
        ).text(),
        [signer],
    )
    way = merkle.prove_consistency(tiles.TileReader(changed), old, size)
    assert verifier.verify_extension(older, note, way, vkeys).size == size


def test_a_key_vouches_for_later_epochs_of_its_log_and_for_no_other() -> None:
    private = Ed25519PrivateKey.generate()
    vkey = notes.Signer("example.com/log", private).verifier.vkey
    for origin, trusted in (
        ("example.com/log/epochs/2", True),
        ("example.com/log/epochs/0", False),
        ("example.com/log2", False),
        ("example.com/log/epochs/2/3", False),
    ):
        note = notes.sign(
            notes.Checkpoint(origin, 1, bytes(32)).text(), [notes.Signer(origin, private)]
        )
        if trusted:
            assert verifier.open_checkpoint(note, [vkey]).origin == origin
        else:
            with pytest.raises(verifier.Untrue):
                verifier.open_checkpoint(note, [vkey])
