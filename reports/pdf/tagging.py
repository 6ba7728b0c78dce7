"""Tagged PDF on ReportLab: what is a heading, a paragraph, a table cell, a figure or decoration.

ReportLab writes no structure. `TaggedCanvas` brackets what is drawn in marked content and grows a
tree of `Node`; `reports.pdf.archival` writes that tree into the file. A paragraph or table that
flows over pages keeps one node, because its parts share a `key`; repeated table heads, rules, page
heads and feet are artifacts, which a screen reader skips.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, Table
from reportlab.platypus.tables import TableRenderCB


@dataclass
class Node:
    """An element of the structure tree. `content` holds (page, mark) of marked content, child nodes
    in reading order, and the annotations that belong to it as (page, position on the page)."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    content: "list[Node | tuple[int, int]]" = field(default_factory=list)
    annotations: list[tuple[int, int]] = field(default_factory=list)


class TaggedCanvas(Canvas):  # type: ignore[misc]
    """A canvas that knows which element it is drawing."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tree = Node("Document")
        self.marks: list[list[Node]] = []
        self._open: list[Node] = [self.tree]
        self._known: dict[int, tuple[object, Node]] = {}
        self._page_marks: list[Node] = []
        self._page_links = 0
        self._artifacts = 0
        self._inside = 0

    def node(self, key: object, tag: str, parent: Node | None = None, **attributes: str) -> Node:
        """The node of `key`, made under `parent` (or what is open) when it is first asked for."""
        if id(key) not in self._known:
            made = Node(tag, attributes)
            (parent or self._open[-1]).content.append(made)
            self._known[id(key)] = (key, made)
        return self._known[id(key)][1]

    @property
    def decorating(self) -> bool:
        """Whether what is drawn now is an artifact, which has no element."""
        return self._artifacts > 0

    def knows(self, key: object) -> bool:
        return id(key) in self._known

    @contextmanager
    def element(self, node: Node) -> Iterator[None]:
        """Open `node`: what is tagged meanwhile goes under it."""
        self.open_element(node)
        yield
        self.close_element()

    def open_element(self, node: Node) -> None:
        self._open.append(node)

    def close_element(self) -> None:
        self._open.pop()

    @contextmanager
    def content(self, node: Node) -> Iterator[None]:
        """What is drawn meanwhile is the content of `node`."""
        if self._artifacts or self._inside:
            yield
            return
        self.begin_content(node)
        yield
        self.end_content()

    def begin_content(self, node: Node) -> None:
        mark = len(self._page_marks)
        self._page_marks.append(node)
        node.content.append((len(self.marks), mark))
        self._code.append(f"/{node.tag} <</MCID {mark}>> BDC")
        self._inside += 1
        self.open_element(node)

    def end_content(self) -> None:
        self.close_element()
        self._inside -= 1
        self._code.append("EMC")

    @contextmanager
    def artifact(self, kind: str = "Layout") -> Iterator[None]:
        """What is drawn meanwhile is decoration."""
        self.begin_artifact(kind)
        yield
        self.end_artifact()

    def begin_artifact(self, kind: str = "Layout") -> None:
        if not self._artifacts and not self._inside:
            self._code.append(f"/Artifact <</Type /{kind}>> BDC")
        self._artifacts += 1

    def end_artifact(self) -> None:
        self._artifacts -= 1
        if not self._artifacts and not self._inside:
            self._code.append("EMC")

    def _addAnnotation(self, annotation: Any, name: str | None = None, addtopage: int = 1) -> None:
        if addtopage:
            link = Node("Link", {"Alt": "link"})
            link.annotations.append((len(self.marks), self._page_links))
            self._open[-1].content.append(link)
            self._page_links += 1
        super()._addAnnotation(annotation, name, addtopage)

    def showPage(self) -> None:
        self.marks.append(self._page_marks)
        self._page_marks, self._page_links = [], 0
        super().showPage()


class Key:
    """Names a flowable through its splits."""


class TaggedParagraph(Paragraph):  # type: ignore[misc]
    """A paragraph with a tag. `parents` are outer elements, shared by key, outermost first."""

    tag = "P"
    parents: tuple[tuple[Key, str], ...] = ()

    def __init__(self, text: Any, *args: Any, **options: Any) -> None:
        super().__init__(text, *args, **options)
        self.key = Key()

    def split(self, available_width: float, available_height: float) -> list[Paragraph]:
        parts: list[Paragraph] = super().split(available_width, available_height)
        for part in parts:
            part.tag, part.key, part.parents = self.tag, self.key, self.parents
            for name in ("heading", "anchor"):
                if hasattr(self, name) and part is parts[0]:
                    setattr(part, name, getattr(self, name))
        return parts

    def draw(self) -> None:
        canvas = self.canv
        if not isinstance(canvas, TaggedCanvas) or canvas.decorating:
            super().draw()
            return
        outer = None
        for key, tag in self.parents:
            outer = canvas.node(key, tag, outer)
        with canvas.content(canvas.node(self.key, self.tag, outer)):
            super().draw()


class TaggedFigure(Flowable):  # type: ignore[misc]
    """A drawing with a text that stands for it. `paint(canvas)` draws it from (0, 0) upwards."""

    def __init__(self, width: float, height: float, alt: str, paint: Any) -> None:
        super().__init__()
        self.width, self.height, self.alt, self.paint = width, height, alt, paint
        self.key = Key()

    def wrap(self, *_: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        canvas = self.canv
        if not isinstance(canvas, TaggedCanvas) or canvas.decorating:
            self.paint(canvas)
            return
        x, y = canvas.absolutePosition(0, 0)
        box = f"{x:.2f} {y:.2f} {x + self.width:.2f} {y + self.height:.2f}"
        with canvas.content(canvas.node(self.key, "Figure", Alt=self.alt, BBox=box)):
            self.paint(canvas)


class TableTags(TableRenderCB):  # type: ignore[misc]
    """Tags one table through ReportLab's drawing callback. All parts of a split table share it.

    Args:
        head: rows that head the columns and are repeated on each page.
        row_heads: whether the first cell of a row heads it.
        tags: names for table, row and cell; `None` for a table that only lays things out.
    """

    def __init__(
        self,
        *,
        head: int = 1,
        row_heads: bool = False,
        tags: tuple[str, str, str] | None = ("Table", "TR", "TD"),
    ) -> None:
        self.head, self.row_heads, self.tags = head, row_heads, tags
        self.key = Key()
        self._continued = False

    def startTable(self, table: Table) -> None:
        if self.tags:
            self._continued = table.canv.knows(self.key)
            table.canv.open_element(table.canv.node(self.key, self.tags[0]))

    def endTable(self, table: Table) -> None:
        if self.tags:
            table.canv.close_element()

    def startBG(self, table: Table) -> None:
        table.canv.begin_artifact()

    def endBG(self, table: Table) -> None:
        table.canv.end_artifact()

    startLines, endLines = startBG, endBG

    def startRow(self, table: Table, row: int) -> None:
        self._artifact_row = self._continued and row < self.head
        if self._artifact_row:
            table.canv.begin_artifact("Pagination")
        elif self.tags:
            table.canv.open_element(table.canv.node(Key(), self.tags[1]))

    def endRow(self, table: Table) -> None:
        if self._artifact_row:
            table.canv.end_artifact()
        elif self.tags:
            table.canv.close_element()

    def startCell(self, table: Table, row: int, column: int, value: Any, *_: Any) -> None:
        if not self.tags or self._artifact_row:
            return
        heads = self.tags[2] == "TD" and (row < self.head or (self.row_heads and column == 0))
        scope = {"Scope": "Column" if row < self.head else "Row"} if heads else {}
        tag = "TH" if heads else self.tags[2]
        node = table.canv.node(Key(), tag, **scope)
        # A plain text is the cell's own content; a paragraph brackets itself.
        self._is_text = isinstance(value, str)
        if self._is_text:
            table.canv.begin_content(node)
        else:
            table.canv.open_element(node)

    def endCell(self, table: Table) -> None:
        if not self.tags or self._artifact_row:
            return
        if self._is_text:
            table.canv.end_content()
        else:
            table.canv.close_element()
