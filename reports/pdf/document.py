"""The report as a document: page heads and feet, contents, outline, and the passes that fix pages."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Table

from reports.pdf import fonts, tables, text
from reports.pdf.figures import RULE, SOFT
from reports.pdf.tagging import Key, TableTags, TaggedCanvas

MARGIN = (A4[0] - tables.WIDTH) / 2
_TOP, _FOOT = 62.0, 58.0


@dataclass(frozen=True)
class Furniture:
    """What stands on every page: plain texts."""

    head_left: str
    head_right: str
    foot_left: str


class Contents(Flowable):  # type: ignore[misc]
    """The table of contents; knows the pages of the pass before.

    `expect` tells it the headings beforehand, so that the first pass leaves the right room.
    """

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[tuple[int, str, str, int]] = []
        self._last: list[tuple[int, str, str, int]] = []
        self._tags = TableTags(head=0, tags=("TOC", "TOCI", "Reference"))
        self._table: Table | None = None

    def expect(self, headings: Sequence[tuple[int, str, str]]) -> None:
        self.entries = [(*heading, 0) for heading in headings]

    def isIndexing(self) -> int:
        return 1

    def isSatisfied(self) -> int:
        return int(self.entries == self._last)

    def beforeBuild(self) -> None:
        self._last, self.entries = self.entries, []
        self._tags = TableTags(head=0, tags=("TOC", "TOCI", "Reference"))

    def afterBuild(self) -> None:
        """Nothing: the next pass reads what this one found."""

    def notify(self, kind: str, stuff: tuple[int, str, str, int]) -> None:
        if kind == "heading":
            self.entries.append(stuff)

    def _build(self) -> Table:
        rows = [
            [
                text.paragraph(f'<a href="#{anchor}">{text.plain(title)}</a>', text.BODY),
                text.paragraph(str(page), text.CELL_RIGHT),
            ]
            for level, title, anchor, page in self._last
            if level == 1
        ]
        blank = [[text.paragraph("–"), text.paragraph("–")]]
        style = [
            ("FONT", (0, 0), (-1, -1), fonts.REGULAR, 9, 12),
            ("LINEBELOW", (0, 0), (-1, -1), 0.3, RULE),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
        ]
        return Table(
            rows or blank,
            colWidths=[tables.WIDTH - 40, 40],
            style=style,
            renderCB=self._tags,
        )

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        self._table = self._build()
        self.width, self.height = self._table.wrapOn(self.canv, width, height)
        return self.width, self.height

    def draw(self) -> None:
        assert self._table is not None
        self._table.drawOn(self.canv, 0, 0)


class Document(BaseDocTemplate):  # type: ignore[misc]
    """Lays a story out until page numbers and their total no longer change."""

    def __init__(self, target: io.BytesIO, furniture: Furniture, title: str) -> None:
        super().__init__(
            target,
            pagesize=A4,
            invariant=1,
            pageCompression=1,
            initialFontName=fonts.REGULAR,
            title=title,
            lang="en",
        )
        self.furniture = furniture
        self.total = 0
        self._settled = False
        frame = Frame(MARGIN, _FOOT, tables.WIDTH, A4[1] - _TOP - _FOOT, 0, 0, 0, 0, id="text")
        self.addPageTemplates(PageTemplate("page", [frame], onPage=self._furnish))

    def _furnish(self, canvas: Canvas, _: object) -> None:
        canvas.saveState()
        with canvas.artifact("Pagination"):
            top, foot, right = A4[1] - 40, 36.0, MARGIN + tables.WIDTH
            canvas.setStrokeColor(RULE)
            canvas.setLineWidth(0.5)
            canvas.line(MARGIN, top - 6, right, top - 6)
            canvas.line(MARGIN, foot + 11, right, foot + 11)
            canvas.setFillColor(SOFT)
            _write(canvas, MARGIN, top, self.furniture.head_left, room=300)
            _write(canvas, right, top, self.furniture.head_right, end=True, room=180)
            _write(canvas, MARGIN, foot, self.furniture.foot_left, room=420)
            page = f"Page {canvas.getPageNumber()} of {self.total or 1}"
            _write(canvas, right, foot, page, end=True)
        canvas.restoreState()

    def afterFlowable(self, flowable: Flowable) -> None:
        found = getattr(flowable, "heading", None)
        if found:
            level, title, anchor = found
            self.canv.addOutlineEntry(title, anchor, level - 1, closed=level > 1)
            self.notify("heading", (level, title, anchor, self.page))

    def afterPage(self) -> None:
        self._seen = self.page

    def _allSatisfied(self) -> int:
        settled = self._seen == self.total and bool(super()._allSatisfied())
        self.total = self._seen
        return int(settled)


def _write(
    canvas: Canvas, x: float, y: float, words: str, *, end: bool = False, room: float = 120.0
) -> None:
    size, pieces = 7.2, fonts.runs(fonts.clean(words).replace("\n", " "), fonts.REGULAR)

    def width() -> float:
        return float(sum(canvas.stringWidth(piece, face, size) for face, piece in pieces))

    while pieces and width() > room:
        face, piece = pieces.pop()
        if len(piece) > 2:
            pieces.append((face, piece[:-2].rstrip() + "…"))
    x -= width() if end else 0.0
    for face, piece in pieces:
        canvas.setFont(face, size)
        canvas.drawString(x, y, piece)
        x += canvas.stringWidth(piece, face, size)


def build(
    story: Sequence[Flowable], furniture: Furniture, title: str
) -> tuple[bytes, TaggedCanvas]:
    """Lay out `story` and return the file with the canvas that holds its structure tree."""
    target = io.BytesIO()
    document = Document(target, furniture, title)
    headings = [found.heading for found in story if hasattr(found, "heading")]
    for flowable in story:
        if isinstance(flowable, Contents):
            flowable.expect(headings)
    document.multiBuild(list(story), canvasmaker=TaggedCanvas)
    return target.getvalue(), document.canv


__all__ = ["Contents", "Document", "Furniture", "Key", "build"]
