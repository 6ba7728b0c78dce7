"""Tables of the report: a grid with a repeated head, and pairs of a name and what is said of it."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Flowable, LongTable, Table, TableStyle

from reports.pdf import fonts, text
from reports.pdf.figures import INK, RULE
from reports.pdf.tagging import TableTags, TaggedParagraph

WIDTH = 482.0
"""Of the text, in points: A4 less margins of 20 mm."""

_MARKUP = re.compile(r"[<&\n]")
LONGEST = 60
"""Rows of one drawn table."""

_SHADE, _HEAD = HexColor("#f6f8fa"), HexColor("#e9eef4")
_BASE: list[tuple[Any, ...]] = [
    ("FONT", (0, 0), (-1, -1), fonts.REGULAR, 7.9, 10.6),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 5),
    ("RIGHTPADDING", (0, 0), (-1, -1), 5),
    ("TOPPADDING", (0, 0), (-1, -1), 3),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
    ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
]


def grid(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[float],
    *,
    right: Sequence[int] = (),
    row_heads: bool = True,
) -> Iterator[LongTable]:
    """A table of markup. `widths` are shares of the text's width; `right` columns hold figures.

    A long one is drawn as several that share one structure element, because splitting a table over
    pages costs the square of its length.
    """
    tags = TableTags(head=1, row_heads=row_heads)
    for start in range(0, max(len(rows), 1), LONGEST):
        part = _part(head, rows[start : start + LONGEST], widths, right, tags)
        part.spaceBefore = 2 if start == 0 else 0
        part.spaceAfter = 8 if start + LONGEST >= len(rows) else 0
        yield part


def _part(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[float],
    right: Sequence[int],
    tags: TableTags,
) -> LongTable:
    points = _points(widths)
    body = [
        [_cell(cell, points[k] - 10, right=k in right) for k, cell in enumerate(row)]
        for row in rows
    ]
    first = [
        text.paragraph(
            text.plain(name, fonts.BOLD), text.CELL_HEAD_RIGHT if k in right else text.CELL_HEAD
        )
        for k, name in enumerate(head)
    ]
    style = [
        *_BASE,
        ("BACKGROUND", (0, 0), (-1, 0), _HEAD),
        ("LINEABOVE", (0, 0), (-1, 0), 0.8, text.ACCENT),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("TEXTCOLOR", (0, 0), (-1, -1), INK),
        *(("ALIGN", (k, 0), (k, -1), "RIGHT") for k in right),
    ]
    return LongTable(
        [first, *body],
        colWidths=points,
        repeatRows=1,
        style=TableStyle(style),
        renderCB=tags,
        splitInRow=1,
        hAlign="LEFT",
    )


def _cell(markup: str, room: float, *, right: bool) -> str | TaggedParagraph:
    """A cell. What fits one line and needs no markup stays a plain text, drawn many times as fast."""
    if not _MARKUP.search(markup) and stringWidth(markup, fonts.REGULAR, 7.9) <= room:
        return markup
    return text.paragraph(markup, text.CELL_RIGHT if right else text.CELL)


def pairs(rows: Sequence[tuple[str, str]], *, share: float = 0.27, width: float = WIDTH) -> Table:
    """Name at the left, what is said (markup) at the right."""
    cells = [
        [
            text.paragraph(text.plain(name, fonts.BOLD), text.CELL_HEAD),
            text.paragraph(said, text.CELL),
        ]
        for name, said in rows
    ]
    style = [
        *_BASE,
        ("BACKGROUND", (0, 0), (0, -1), _SHADE),
        ("LINEABOVE", (0, 0), (-1, 0), 0.4, RULE),
    ]
    return LongTable(
        cells,
        colWidths=[width * share, width * (1 - share)],
        style=TableStyle(style),
        renderCB=TableTags(head=0, row_heads=True),
        splitInRow=1,
        hAlign="LEFT",
        spaceBefore=2,
        spaceAfter=8,
    )


def frame(
    cells: Sequence[Sequence[list[Flowable]]], widths: Sequence[float], *style: tuple[Any, ...]
) -> Table:
    """A table that only lays things out: a reader's software hears its content alone."""
    return Table(
        [list(row) for row in cells],
        colWidths=_points(widths),
        style=TableStyle(
            [
                ("FONT", (0, 0), (-1, -1), fonts.REGULAR, 8, 11),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                *style,
            ]
        ),
        renderCB=TableTags(tags=None),
        hAlign="LEFT",
        spaceAfter=8,
    )


def _points(shares: Sequence[float]) -> list[float]:
    whole = sum(shares)
    return [WIDTH * share / whole for share in shares]
