"""Tables of the report: a grid with a repeated head, and pairs of a name and what is said of it."""

from collections.abc import Sequence
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.platypus import Flowable, LongTable, Table, TableStyle

from reports.pdf import fonts, text
from reports.pdf.figures import RULE
from reports.pdf.tagging import TableTags

WIDTH = 482.0
"""Of the text, in points: A4 less margins of 20 mm."""

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
) -> LongTable:
    """A table of markup. `widths` are shares of the text's width; `right` columns hold figures."""
    body = [
        [
            text.paragraph(cell, text.CELL_RIGHT if k in right else text.CELL)
            for k, cell in enumerate(row)
        ]
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
    ]
    return LongTable(
        [first, *body],
        colWidths=_points(widths),
        repeatRows=1,
        style=TableStyle(style),
        renderCB=TableTags(head=1, row_heads=row_heads),
        splitInRow=1,
        hAlign="LEFT",
        spaceBefore=2,
        spaceAfter=8,
    )


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
