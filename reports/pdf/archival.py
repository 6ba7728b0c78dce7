"""From a laid-out file to an archival one: structure tree, attachments, metadata, PDF/A-3b.

Nothing here depends on the clock or on chance: dates are the report's cut-off, identifiers derive
from the content, so the same bundle gives the same bytes.
"""

import gc
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Pdf, String, pdfa

from reports.pdf.tagging import Node, TaggedCanvas

FLAVOUR = "3b"


@dataclass(frozen=True)
class Attachment:
    """A file inside the PDF. `relationship` as ISO 32000-2, 7.11.3: Data, Supplement, Source."""

    name: str
    description: str
    media_type: str
    content: bytes
    relationship: str = "Data"


@dataclass(frozen=True)
class Metadata:
    title: str
    author: str
    subject: str
    keywords: str
    instant: datetime


class NotArchival(RuntimeError):
    """The written file is no PDF/A-3b; the message holds the rules that it breaks."""


def archive(
    laid_out: bytes, canvas: TaggedCanvas, metadata: Metadata, attachments: Sequence[Attachment]
) -> bytes:
    """Return the archival file.

    Raises:
        NotArchival: the result does not pass as PDF/A-3b.
    """
    with Pdf.open(io.BytesIO(laid_out)) as pdf:
        for page in pdf.pages:
            if Name.Trans in page.obj:
                del page.obj[Name.Trans]
            page.obj[Name.Tabs] = Name.S
        _write_tree(pdf, canvas)
        for attachment in attachments:
            _attach(pdf, attachment, metadata.instant)
        _describe(pdf, metadata)
        pdfa.prepare(pdf, FLAVOUR)
        _date(pdf, metadata)
        return _save(pdf)


def _save(pdf: Pdf) -> bytes:
    out = io.BytesIO()
    try:
        with _no_collection():
            pdfa.save(pdf, out, FLAVOUR, repair=False, deterministic_id=True)
    except pdfa.PdfaError as error:
        found = "; ".join(sorted({str(finding) for finding in error.report.findings}))
        raise NotArchival(f"PDF/A-3b: {error.report.verdict}: {found}") from error
    return out.getvalue()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Collect garbage before, and none meanwhile.

    The validator takes any Python warning that appears while it reads a page for the page's fault,
    one about a file that somebody else left open and that is collected just then included.
    """
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _describe(pdf: Pdf, metadata: Metadata) -> None:
    pdf.Root[Name.Lang] = String("en")
    pdf.Root[Name.ViewerPreferences] = Dictionary(DisplayDocTitle=True)
    pdf.Root[Name.MarkInfo] = Dictionary(Marked=True)
    pdf.Root[Name.PageMode] = Name.UseOutlines
    stamp = pikepdf.models.metadata.encode_pdf_date(metadata.instant)
    for key in list(pdf.docinfo.keys()):
        del pdf.docinfo[key]
    said = {
        "/Title": metadata.title,
        "/Author": metadata.author,
        "/Subject": metadata.subject,
        "/Keywords": metadata.keywords,
        "/Creator": "Countersign",
        "/Producer": "Countersign",
        "/CreationDate": stamp,
        "/ModDate": stamp,
    }
    for key, value in said.items():
        pdf.docinfo[key] = String(value)
    with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as xmp:
        xmp.load_from_docinfo(pdf.docinfo)
        xmp["dc:language"] = {"en"}


def _date(pdf: Pdf, metadata: Metadata) -> None:
    """`prepare` stamps the present; the report's own instant takes its place."""
    with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as xmp:
        xmp["xmp:MetadataDate"] = metadata.instant.isoformat()


def _attach(pdf: Pdf, attachment: Attachment, instant: datetime) -> None:
    stamp = pikepdf.models.metadata.encode_pdf_date(instant)
    pdf.attachments[attachment.name] = pikepdf.AttachedFileSpec(
        pdf,
        attachment.content,
        description=attachment.description,
        filename=attachment.name,
        mime_type=attachment.media_type,
        creation_date=stamp,
        mod_date=stamp,
        relationship=Name("/" + attachment.relationship),
    )


def _write_tree(pdf: Pdf, canvas: TaggedCanvas) -> None:
    """Write the structure tree, and the way back from marked content and links to it."""
    root = pdf.make_indirect(Dictionary(Type=Name.StructTreeRoot))
    elements: dict[int, Object] = {}
    owners: dict[tuple[int, int], Object] = {}
    root[Name.K] = _element(pdf, canvas.tree, root, elements, owners)
    numbers = Array()
    for place, (page, marks) in enumerate(zip(pdf.pages, canvas.marks, strict=True)):
        page.obj[Name.StructParents] = place
        parents = pdf.make_indirect(Array([elements[id(node)] for node in marks]))
        numbers.extend([place, parents])
    key = len(pdf.pages)
    for (place, position), element in sorted(owners.items(), key=lambda item: item[0]):
        annotation = pdf.pages[place].obj[Name.Annots][position]
        annotation[Name.StructParent] = key
        numbers.extend([key, element])
        key += 1
    root[Name.ParentTree] = pdf.make_indirect(Dictionary(Nums=numbers))
    root[Name.ParentTreeNextKey] = key
    pdf.Root[Name.StructTreeRoot] = root


def _element(
    pdf: Pdf,
    node: Node,
    parent: Object,
    elements: dict[int, Object],
    owners: dict[tuple[int, int], Object],
) -> Object:
    made = pdf.make_indirect(Dictionary(Type=Name.StructElem, S=Name("/" + node.tag), P=parent))
    elements[id(node)] = made
    _attributes(made, node)
    kids = Array()
    for content in node.content:
        if isinstance(content, Node):
            kids.append(_element(pdf, content, made, elements, owners))
        else:
            place, mark = content
            kids.append(Dictionary(Type=Name.MCR, Pg=pdf.pages[place].obj, MCID=mark))
    for place, position in node.annotations:
        page = pdf.pages[place].obj
        kids.append(Dictionary(Type=Name.OBJR, Pg=page, Obj=page[Name.Annots][position]))
        owners[place, position] = made
    if len(kids):
        made[Name.K] = kids
    return made


def _attributes(made: Object, node: Node) -> None:
    said = node.attributes
    if "Alt" in said:
        made[Name.Alt] = String(said["Alt"])
    if "Scope" in said:
        made[Name.A] = Dictionary(O=Name.Table, Scope=Name("/" + said["Scope"]))
    if "BBox" in said:
        box = Array([round(float(n), 2) for n in said["BBox"].split()])
        made[Name.A] = Dictionary(O=Name.Layout, BBox=box, Placement=Name.Block)
