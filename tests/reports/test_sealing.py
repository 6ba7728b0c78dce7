"""The seal, and what the file alone says of itself."""

import io
from pathlib import Path

import pikepdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.errors import Invalid
from kernel.keys import Key, KeyRing
from reports.pdf.rendering import render
from reports.pdf.sealing import seal
from reports.pdf.verification import verify_pdf
from tests.reports import sample


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return KeyRing(tmp_path_factory.mktemp("keys"), organisation="Example Bank plc").current("seal")


@pytest.fixture(scope="module")
def unsigned() -> bytes:
    return render(sample.bundle_bytes(), proof=sample.PROOF)


@pytest.fixture(scope="module")
def sealed(unsigned: bytes, key: Key) -> bytes:
    assert key.certificate is not None
    return seal(unsigned, key.p256, key.certificate)


def test_the_sealed_file_begins_with_the_unsigned_bytes(unsigned: bytes, sealed: bytes) -> None:
    assert sealed.startswith(unsigned)
    assert len(sealed) > len(unsigned)


def test_a_sealed_report_is_valid_and_can_be_drawn_again(sealed: bytes, key: Key) -> None:
    assert key.certificate is not None
    verdict = verify_pdf(sealed, trusted=[key.certificate], reproduce=True)
    assert verdict["problems"] == []
    assert verdict["valid"]
    assert verdict["reproduced"]
    assert verdict["printed_sha256"] == verdict["bundle_sha256"] != ""
    assert verdict["proof"] == sample.PROOF
    assert verdict["report_id"] == sample.facts()["report"]["id"]
    assert verdict["seal"] is not None
    assert verdict["seal"]["trusted"]
    assert "Example Bank plc" in verdict["seal"]["signer"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_one_flipped_bit_anywhere_breaks_it(sealed: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(8, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    verdict = verify_pdf(bytes(changed))
    contents = sealed.rindex(b"/Contents <")
    in_padding = contents <= place <= contents + 20000 and sealed[place : place + 1] == b"0"
    assert not verdict["valid"] or in_padding


def test_an_unsealed_file_is_not_valid(unsigned: bytes) -> None:
    verdict = verify_pdf(unsigned)
    assert not verdict["valid"]
    assert "0 signatures" in verdict["problems"][0]


def test_what_is_added_after_the_seal_is_noticed(sealed: bytes) -> None:
    assert not verify_pdf(sealed + b"\n% added")["valid"]


def test_a_seal_by_a_stranger_is_named(unsigned: bytes, sealed: bytes, tmp_path: Path) -> None:
    stranger = KeyRing(tmp_path, organisation="Somebody Else").current("seal")
    assert stranger.certificate is not None
    verdict = verify_pdf(sealed, trusted=[stranger.certificate])
    assert not verdict["valid"]
    assert verdict["seal"] is not None
    assert verdict["seal"]["intact"]
    assert verdict["seal"]["trusted"] is False


def test_a_swapped_attachment_is_noticed_even_when_sealed_anew(unsigned: bytes, key: Key) -> None:
    """The stranger who holds a key of their own can seal, but not make the pages agree."""
    facts = sample.facts()
    facts["model"]["description"] = "another story"
    with pikepdf.open(io.BytesIO(unsigned)) as pdf:
        del pdf.attachments["bundle.json"]
        pdf.attachments["bundle.json"] = pikepdf.AttachedFileSpec(
            pdf, sample.bundle_bytes(**facts), filename="bundle.json"
        )
        out = io.BytesIO()
        pdf.save(out)
    assert key.certificate is not None
    verdict = verify_pdf(seal(out.getvalue(), key.p256, key.certificate))
    assert not verdict["valid"]
    assert any("printed digest" in problem for problem in verdict["problems"])
    assert any("foot of a page" in problem for problem in verdict["problems"])


def test_no_pdf_at_all_is_refused_by_field() -> None:
    with pytest.raises(Invalid) as caught:
        verify_pdf(b"hello")
    assert caught.value.field == "file"
