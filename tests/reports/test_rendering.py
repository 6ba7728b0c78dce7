"""The PDF: archival, tagged, the same bytes each time, every number with its evidence."""

import gc
import hashlib
import io
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from pdfminer.high_level import extract_text
from pikepdf import Name, pdfa

from kernel.canonical import dumps
from kernel.errors import Unprocessable
from reports import charts, numbers
from reports.pdf import fonts
from reports.pdf.rendering import BadBundle, render
from tests.reports import sample

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rendered() -> bytes:
    return render(sample.bundle_bytes(), proof=sample.PROOF)


@pytest.fixture(scope="module")
def text(rendered: bytes) -> str:
    return printed(rendered)


def printed(pdf: bytes) -> str:
    return re.sub(r"\s+", " ", extract_text(io.BytesIO(pdf)))


def test_it_is_pdf_a_3b(rendered: bytes) -> None:
    assert pdfa.validate_written(io.BytesIO(rendered), "3b").verdict == "pass"


def test_every_font_is_embedded(rendered: bytes) -> None:
    with pikepdf.open(io.BytesIO(rendered)) as pdf:
        for page in pdf.pages:
            for font in page.obj.Resources.Font.values():
                assert Name.FontFile2 in font.FontDescriptor


def test_the_bundle_is_attached_as_data(rendered: bytes) -> None:
    with pikepdf.open(io.BytesIO(rendered)) as pdf:
        assert pdf.attachments["bundle.json"].get_file().read_bytes() == sample.bundle_bytes()
        assert pdf.attachments["bundle.tlog-proof"].get_file().read_bytes() == sample.PROOF.encode()
        assert pdf.attachments["bundle.json"].obj.AFRelationship == Name.Data
        assert len(pdf.Root.AF) == 2


PROGRAM = """
import sys, hashlib
from tests.reports import sample
from reports.pdf.rendering import render
print(hashlib.sha256(render(sample.bundle_bytes(), proof=sample.PROOF)).hexdigest())
"""


@pytest.mark.parametrize("seed", ["0", "77"])
def test_the_same_bundle_gives_the_same_bytes_in_another_process(
    rendered: bytes, seed: str
) -> None:
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo"},
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert made.stdout.strip() == hashlib.sha256(rendered).hexdigest()


def test_another_fact_gives_other_bytes(rendered: bytes) -> None:
    other: Any = sample.facts()
    other["checks"][0]["measurements"][0]["value"] = 0.9362
    assert render(sample.bundle_bytes(**other), proof=sample.PROOF) != rendered


def structure(pdf: pikepdf.Pdf) -> list[pikepdf.Object]:
    found, left = [], [pdf.Root.StructTreeRoot.K]
    while left:
        node = left.pop()
        if isinstance(node, pikepdf.Array):
            left.extend(reversed(list(node)))
        elif isinstance(node, pikepdf.Dictionary) and node.get(Name.Type) == Name.StructElem:
            found.append(node)
            if Name.K in node:
                left.append(node.K)
    return found


def test_it_is_tagged(rendered: bytes) -> None:
    with pikepdf.open(io.BytesIO(rendered)) as pdf:
        assert pdf.Root.MarkInfo.Marked
        assert str(pdf.Root.Lang) == "en"
        nodes = structure(pdf)
        tags = [str(node.S) for node in nodes]
        assert tags.count("/H1") == 1
        assert {"/Table", "/TH", "/TD", "/Figure", "/L", "/LBody", "/TOC", "/Link"} <= set(tags)
        figures = [node for node in nodes if Name.Figure == node.S]
        assert all(str(node.Alt) for node in figures)
        assert any("True positive rate by sex" in str(node.Alt) for node in figures)
        assert all(node.A.Scope in (Name.Row, Name.Column) for node in nodes if node.S == Name.TH)


def test_everything_drawn_is_tagged_or_decoration(rendered: bytes) -> None:
    painting = {"Tj", "TJ", "'", "f", "f*", "S", "s", "B", "b", "Do"}
    with pikepdf.open(io.BytesIO(rendered)) as pdf:
        for page in pdf.pages:
            depth = 0
            for _, operator in pikepdf.parse_content_stream(page):
                depth += {"BDC": 1, "BMC": 1, "EMC": -1}.get(str(operator), 0)
                assert 0 <= depth <= 1
                assert depth or str(operator) not in painting
            assert depth == 0


def test_a_table_over_several_pages_is_one_table_with_one_head() -> None:
    facts: Any = sample.facts()
    facts["checks"][1]["measurements"] *= 40
    with pikepdf.open(io.BytesIO(render(sample.bundle_bytes(**facts), proof=None))) as pdf:
        rows = [len(list(node.K)) for node in structure(pdf) if Name.Table == node.S]
        assert len(pdf.pages) > 16
    assert max(rows) == 1 + len(facts["checks"][1]["measurements"])


def test_headings_of_levels_do_not_jump(rendered: bytes) -> None:
    with pikepdf.open(io.BytesIO(rendered)) as pdf:
        levels = [int(str(n.S)[2]) for n in structure(pdf) if re.fullmatch(r"/H\d", str(n.S))]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def measurements() -> list[tuple[str, Any]]:
    return [(c["ref"], m) for c in sample.facts()["checks"] for m in c["measurements"]]


def test_every_measurement_is_printed_with_its_evidence(text: str) -> None:
    """In the rows of the tables: figure, interval, n and then the id, in this order."""
    for ref, m in measurements():
        if m["value"] is None:
            assert f"undefined: {m['undefined']}" in text
            continue
        assert numbers.figure(m["value"], m["unit"]) in text
        if m["lower"] is not None:
            assert numbers.interval(m["lower"], m["upper"], m["unit"]) in text
        assert re.search(rf"\b{ref}\b", text)


def test_every_decimal_printed_is_in_the_bundle(text: str) -> None:
    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)
        elif isinstance(value, str):
            yield from re.findall(r"\d+\.\d{3,}", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield numbers.figure(value)

    known = set(walk(sample.bundle()))
    for check in sample.facts()["checks"]:
        for plot in check["plots"]:
            scene = charts.scene(plot)
            known |= {
                m.text for m in scene.marks if isinstance(m, charts.Label) and m.role == "tick"
            }
    known.add("0.001")  # the rule of rounding names it
    known = {word.replace(numbers.MINUS, "") for word in known}
    found = set(re.findall(r"(?<![\d.a-f-])\d+\.\d{3,}(?![\d.])", text))
    assert len(found) > 20
    assert found <= known


def test_every_evidence_id_printed_is_in_the_index_and_a_link_leads_there(
    rendered: bytes, text: str
) -> None:
    index = {row["ref"]: row for row in sample.bundle()["evidence"]}
    assert {f"E{n}" for n in re.findall(r"\bE(\d+)\b", text)} - {"E1", "E2"} <= set(index)
    squeezed = text.replace(" ", "")
    for row in index.values():
        assert row["sha256"] in squeezed
        assert row["entry"] in squeezed
    with pikepdf.open(io.BytesIO(rendered)) as pdf:
        places = {page.obj.objgen for page in pdf.pages}
        links = [a for page in pdf.pages for a in page.obj.get(Name.Annots, [])]
        assert len(links) > 40
        assert {link.Dest[0].objgen for link in links} <= places


def test_signatures_print_name_time_meaning_method_and_digest(text: str) -> None:
    for s in sample.bundle()["signatures"]:
        for word in (s["name"], s["meaning"], s["method"], s["at"][11:19] + " UTC"):
            assert word in text
        assert s["signed_digest"] in text.replace(" ", "")


def test_not_stated_is_printed_and_compliant_never(text: str) -> None:
    assert "Nobody recorded: exposure." in text
    assert "not stated" in text
    assert "complian" not in text.lower()


def test_a_report_of_next_to_nothing_is_drawn() -> None:
    bare: Any = {
        key: [] if isinstance(value, list) else value for key, value in sample.facts().items()
    }
    bare.update(policy=None, dossier=None, log=None, evidence=sample.facts()["evidence"][:1])
    bare["standing"] = {"environment": "", "state": "not_approved", "reason": ""}
    bare["use"] |= {"purpose": "", "tier": None, "decision_rule": {}, "affected_people": ""}
    pdf = render(sample.bundle_bytes(**bare), proof=None)
    said = printed(pdf)
    assert "Not supported" in said
    assert "No policy was in force" in said
    assert "had not yet given a proof of inclusion" in said


@pytest.mark.parametrize("name", ["Model ≥ 2 ✓ é Ж → α", "Ærøskøbing ﬁ ₤ ½"])
def test_a_name_that_the_fonts_cover_is_printed_whole(name: str) -> None:
    facts: Any = sample.facts()
    facts["model"]["title"] = name
    said = printed(render(sample.bundle_bytes(**facts), proof=None)).replace("ﬁ", "fi")
    for word in name.split():
        assert word.replace("ﬁ", "fi") in said


@pytest.mark.parametrize("where", ["model", "signature"])
def test_a_name_that_they_do_not_cover_is_refused(where: str) -> None:
    facts: Any = sample.facts()
    if where == "model":
        facts["model"]["title"] = "漢字"
    else:
        facts["signatures"][0]["name"] = "漢字"
    with pytest.raises(fonts.Unprintable, match=r"U\+6F22"):
        render(sample.bundle_bytes(**facts), proof=None)


def test_a_character_in_a_free_text_is_shown_by_its_code_point() -> None:
    facts: Any = sample.facts()
    facts["signatures"][0]["reason"] = "Good \U0001f44d\x00\u200b work"
    assert "Good [U+1F44D] work" in printed(render(sample.bundle_bytes(**facts), proof=None))


@pytest.mark.parametrize(
    "hostile", ["<b>bold</b> & <a href='x'>", "]]> --> <font size='90'>", "{\\rtf1}", "x" * 4000]
)
def test_markup_and_long_words_in_texts_are_only_text(hostile: str) -> None:
    facts: Any = sample.facts()
    facts["signatures"][0]["reason"] = hostile
    facts["policy"]["controls"][0]["reason"] = hostile * 3
    facts["use"]["purpose"] = hostile
    said = printed(render(sample.bundle_bytes(**facts), proof=None))
    assert hostile.replace(" ", "")[:60] in said.replace(" ", "")


def test_a_cell_longer_than_a_page_flows_on() -> None:
    facts: Any = sample.facts()
    facts["policy"]["controls"][0]["reason"] = "Because it is so. " * 900
    assert (
        len(pikepdf.open(io.BytesIO(render(sample.bundle_bytes(**facts), proof=None))).pages) > 14
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"not json",
        dumps({"schema": "other"}),
        b'{ "schema": "countersign.report-bundle/1" }',
    ],
)
def test_bytes_that_are_no_bundle_are_refused(data: bytes) -> None:
    with pytest.raises(BadBundle):
        render(data, proof=None)


def test_a_bundle_that_cites_evidence_it_does_not_list_is_refused() -> None:
    with pytest.raises(BadBundle, match=r"E1\b"):
        render(sample.bundle_bytes(evidence=sample.facts()["evidence"][1:]), proof=None)


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(Unprocessable, match="template"):
        render(sample.bundle_bytes(), proof=None, template_version="0")


def test_a_file_that_somebody_else_left_open_is_no_fault_of_the_report(tmp_path: Path) -> None:
    """The validator counts any warning of the moment; garbage is not collected under its eyes."""

    class Cycle:
        def __init__(self) -> None:
            self.file = (tmp_path / "open").open("wb")
            self.me = self

    expected = render(sample.bundle_bytes(), proof=None)
    thresholds = gc.get_threshold()
    gc.set_threshold(20, 1, 1)
    try:
        for _ in range(3):
            Cycle()
        assert render(sample.bundle_bytes(), proof=None) == expected
    finally:
        gc.set_threshold(*thresholds)
