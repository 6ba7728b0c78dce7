"""Signed notes, checkpoints and tlog-proofs against the C2SP vectors, and what they refuse."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import merkle, notes, tlog_proof
from audit.notes import Checkpoint, NoteError, Signer
from tests.audit.vectors import load, needs_vectors

ORIGIN = "example.com/log"
CHECKPOINT = Checkpoint(ORIGIN, 3, bytes(range(32)))


def make_signer(name: str = ORIGIN) -> Signer:
    return Signer(name, Ed25519PrivateKey.generate())


@needs_vectors
@pytest.mark.parametrize("which", [0, 1])
def test_public_notes_verify(which: int) -> None:
    vector = load("c2sp/tlog_vectors.json")["signed_note"][which]
    key = notes.parse_vkey(vector["vkey"])
    assert key.vkey == vector["vkey"]
    opened = notes.open_note(vector["note"], [key])
    assert opened.verified == (key,)
    with pytest.raises(NoteError):
        notes.open_note("x" + vector["note"], [key])


@needs_vectors
def test_proof_vectors() -> None:
    block = load("c2sp/tlog_vectors.json")["tlog_proof_marshal"]
    names = {"h1": hashlib.sha256(b"hash1").digest(), "h2": hashlib.sha256(b"hash2").digest()}
    for case in block["cases"]:
        extra = case["extra"].encode() if "extra" in case else None
        proof = tlog_proof.TlogProof(
            case["index"], tuple(names[h] for h in case["hashes"]), case["checkpoint"], extra
        )
        want = case["want"]
        for name, value in names.items():
            want = want.replace("{" + name + "}", base64.b64encode(value).decode())
        want = want.replace("{b64(extra)}", base64.b64encode(extra or b"").decode())
        assert tlog_proof.marshal(proof) == want
        assert tlog_proof.parse(want) == proof
    for text in block["reject"]:
        with pytest.raises(NoteError):
            tlog_proof.parse(text)


def test_a_checkpoint_is_signed_and_opened() -> None:
    signer = make_signer()
    note = notes.sign(CHECKPOINT.text(), [signer])
    assert notes.open_checkpoint(note, [signer.verifier]) == CHECKPOINT
    assert note.count("\n") == 5


def test_rotation_two_signatures_and_either_key_is_enough() -> None:
    old, new = make_signer(), make_signer()
    note = notes.sign(CHECKPOINT.text(), [old, new])
    for trusted in ([old.verifier], [new.verifier], [old.verifier, new.verifier]):
        assert notes.open_checkpoint(note, trusted) == CHECKPOINT


def test_what_is_refused() -> None:
    signer, stranger = make_signer(), make_signer()
    note = notes.sign(CHECKPOINT.text(), [signer])
    with pytest.raises(NoteError, match="no trusted key"):
        notes.open_checkpoint(note, [stranger.verifier])
    with pytest.raises(NoteError, match="wrong"):
        notes.open_checkpoint(note.replace("\n3\n", "\n4\n"), [signer.verifier])
    other = make_signer("example.com/other")
    with pytest.raises(NoteError, match="has not signed"):
        notes.open_checkpoint(notes.sign(CHECKPOINT.text(), [other]), [other.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n",
        "a\n1\nAAAA\n",
        "a\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n1\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    with pytest.raises(NoteError):
        notes.parse_checkpoint(text)


@pytest.mark.parametrize(
    "note",
    ["", "text\n", "text\n\n", "text\n\n— a !!\n", "te\x00xt\n\n— a AAAAAAAA\n", "t\n\n— a AAAA\n"],
)
def test_malformed_notes(note: str) -> None:
    with pytest.raises(NoteError):
        notes.parse(note)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a",
        "a+b",
        "a+00000000+AAAA",
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_malformed_vkeys(vkey: str) -> None:
    with pytest.raises(NoteError):
        notes.parse_vkey(vkey)


def test_a_self_contained_proof_verifies_and_only_its_own_leaf() -> None:
    signer = make_signer()
    leaves = [b"a", b"b", b"c"]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    note = notes.sign(Checkpoint(ORIGIN, 3, merkle.tree_root(hashes)).text(), [signer])
    text = tlog_proof.marshal(
        tlog_proof.TlogProof(2, (merkle.node_hash(hashes[0], hashes[1]),), note)
    )
    assert tlog_proof.verify(text, b"c", [signer.verifier]).size == 3
    with pytest.raises(merkle.ProofError):
        tlog_proof.verify(text, b"b", [signer.verifier])
