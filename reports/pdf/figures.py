"""Charts and the QR code as vectors in the PDF, from the same geometry as on the pages."""

from typing import Any

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfgen.canvas import Canvas

from reports import charts
from reports.pdf import fonts
from reports.pdf.tagging import TaggedFigure

SERIES = tuple(
    HexColor(c) for c in ("#1f5f99", "#c26a1b", "#2b7a5b", "#8a3f7d", "#6b6b1f", "#6a7687")
)
INK, SOFT, RULE, ALARM = (HexColor(c) for c in ("#1b2530", "#55606c", "#d5dae0", "#a3201d"))
_INKS: dict[str, Color] = {
    "grid": RULE,
    "axis": SOFT,
    "interval": INK,
    "limit": ALARM,
    "reference": SOFT,
    "tick": SOFT,
    "unit": SOFT,
}
_WEIGHTS = {"grid": 0.4, "axis": 0.7, "interval": 1.0, "limit": 1.1, "reference": 0.9}


def chart(plot: dict[str, Any], width: float) -> TaggedFigure:
    """A chart as a figure whose alternative text is the chart in words."""
    drawn = charts.scene(plot, width)

    def paint(canvas: Canvas) -> None:
        for mark in drawn.marks:
            _mark(canvas, mark, drawn.height)

    return TaggedFigure(width, drawn.height, charts.describe(plot), paint)


def _ink(role: str) -> Color:
    if role.startswith("series-"):
        return SERIES[int(role[7:]) % len(SERIES)]
    return _INKS.get(role, INK)


def _mark(canvas: Canvas, mark: charts.Mark, height: float) -> None:
    ink = _ink(mark.role)
    canvas.setFillColor(ink)
    match mark:
        case charts.Label(x, y, text, role, anchor):
            _label(canvas, x, height - y, text, role, anchor)
        case charts.Box(x, y, w, h, _, strength):
            canvas.setFillColor(_faded(ink, strength))
            canvas.rect(x, height - y - h, w, h, stroke=0, fill=1)
        case charts.Dot(x, y, r):
            canvas.circle(x, height - y, r, stroke=0, fill=1)
        case charts.Area(points):
            canvas.setFillColor(_faded(ink, 0.18))
            _trace(canvas, points, height, fill=True)
        case charts.Path(points, role):
            canvas.setStrokeColor(ink)
            canvas.setLineWidth(_WEIGHTS.get(role, 1.3))
            canvas.setDash([float(n) for n in charts.dash_of(role).split()])
            _trace(canvas, points, height, fill=False)
            canvas.setDash()


def _faded(ink: Color, strength: float) -> Color:
    """`ink` mixed with white: PDF/A allows transparency, printing does not need it."""
    return Color(*(1 - (1 - part) * strength for part in (ink.red, ink.green, ink.blue)))


def _trace(
    canvas: Canvas, points: tuple[tuple[float, float], ...], height: float, *, fill: bool
) -> None:
    path = canvas.beginPath()
    path.moveTo(points[0][0], height - points[0][1])
    for x, y in points[1:]:
        path.lineTo(x, height - y)
    if fill:
        path.close()
    canvas.drawPath(path, stroke=0 if fill else 1, fill=1 if fill else 0)


def _label(canvas: Canvas, x: float, y: float, text: str, role: str, anchor: str) -> None:
    size = charts.size_of(role) - 0.8
    pieces = fonts.runs(fonts.clean(text), fonts.REGULAR)
    width = sum(canvas.stringWidth(piece, face, size) for face, piece in pieces)
    x -= {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    if role == "limit":
        canvas.setFillColor(Color(1, 1, 1))
        canvas.rect(x - 1.5, y - 1.8, width + 3, size + 1.2, stroke=0, fill=1)
        canvas.setFillColor(_ink(role))
    for face, piece in pieces:
        canvas.setFont(face, size)
        canvas.drawString(x, y, piece)
        x += canvas.stringWidth(piece, face, size)


def qr(text: str, side: float) -> TaggedFigure:
    """A QR code of `text`, error correction M, with the quiet zone that scanners need."""
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    count = code.getModuleCount()
    step = side / (count + 8)

    def paint(canvas: Canvas) -> None:
        canvas.setFillColor(INK)
        for row in range(count):
            column = 0
            while column < count:
                start = column
                while column < count and code.isDark(row, column):
                    column += 1
                if column > start:
                    left, foot = (start + 4) * step, side - (row + 5) * step
                    canvas.rect(left, foot, (column - start) * step, step, stroke=0, fill=1)
                column += 1

    return TaggedFigure(side, side, f"QR code: {text}", paint)
