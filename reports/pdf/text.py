"""From plain text to what the layout takes: escaped, cut into runs of faces that can draw it.

Nothing that a person or a client wrote reaches the layout's mini-markup unescaped.
"""

import html
from collections.abc import Iterable

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle

from reports import numbers
from reports.pdf import fonts
from reports.pdf.figures import ALARM, INK, SOFT
from reports.pdf.tagging import Key, TaggedParagraph

ACCENT = HexColor("#17406d")
GOOD, DOUBT = HexColor("#1d6b43"), HexColor("#8a5a00")


def _style(name: str, size: float, leading: float, **options: object) -> ParagraphStyle:
    settings = {"fontName": fonts.REGULAR, "textColor": INK, "splitLongWords": 1, **options}
    return ParagraphStyle(
        name, fontSize=size, leading=leading, bulletFontName=fonts.REGULAR, **settings
    )


BODY = _style("body", 9.2, 13.2, spaceAfter=5)
LEAD = _style("lead", 10.6, 15, spaceAfter=6)
SMALL = _style("small", 7.8, 10.8, textColor=SOFT, spaceAfter=3)
TITLE = _style("title", 21, 26, fontName=fonts.BOLD, textColor=ACCENT, spaceAfter=2)
SUBTITLE = _style("subtitle", 11, 15, textColor=SOFT, spaceAfter=8)
HEADING = _style(
    "heading",
    14.5,
    19,
    fontName=fonts.BOLD,
    textColor=ACCENT,
    spaceBefore=16,
    spaceAfter=6,
    keepWithNext=1,
)
SUBHEADING = _style(
    "subheading", 10.6, 14, fontName=fonts.BOLD, spaceBefore=9, spaceAfter=4, keepWithNext=1
)
CAPTION = _style(
    "caption", 8.6, 11.6, fontName=fonts.BOLD, spaceBefore=7, spaceAfter=3, keepWithNext=1
)
CELL = _style("cell", 7.9, 10.6)
CELL_HEAD = _style("cell-head", 7.5, 10, fontName=fonts.BOLD, textColor=ACCENT)
CELL_RIGHT = _style("cell-right", 7.9, 10.6, alignment=TA_RIGHT)
CELL_HEAD_RIGHT = _style(
    "cell-head-right", 7.5, 10, fontName=fonts.BOLD, textColor=ACCENT, alignment=TA_RIGHT
)
CODE = _style("code", 7.2, 10.2, fontName=fonts.MONO, spaceBefore=2, spaceAfter=8)
BULLET = _style("bullet", 9.2, 13.2, leftIndent=12, bulletIndent=2, spaceAfter=2.5)

_COLOURS = {"good": GOOD, "doubt": DOUBT, "bad": ALARM, "soft": SOFT, "link": ACCENT}


def plain(text: object, face: str = fonts.REGULAR) -> str:
    """Escape `text` for the layout, keeping its line breaks."""
    pieces = []
    for chosen, piece in fonts.runs(fonts.clean(str(text)), face):
        safe = html.escape(piece, quote=False).replace("\n", "<br/>")
        pieces.append(safe if chosen == face else f'<font name="{chosen}">{safe}</font>')
    return "".join(pieces)


def stated(text: object, face: str = fonts.REGULAR) -> str:
    """`text`, or "not stated" where there is none."""
    if text is None or text == "" or text == [] or text == {}:
        return f'<font name="{fonts.ITALIC}" color="{_hex("soft")}">{numbers.NOT_STATED}</font>'
    return plain(text, face)


def bold(text: object) -> str:
    return f'<font name="{fonts.BOLD}">{plain(text, fonts.BOLD)}</font>'


def mono(text: object) -> str:
    if text is None or text == "":
        return stated("")
    return f'<font name="{fonts.MONO}" size="7">{plain(text, fonts.MONO)}</font>'


def coloured(markup: str, colour: str) -> str:
    return f'<font color="{_hex(colour)}">{markup}</font>'


def _hex(colour: str) -> str:
    return f"#{_COLOURS[colour].hexval()[2:]}"


def refs(found: Iterable[str]) -> str:
    """Evidence ids, each a link to its row of the index."""
    links = [f'<a href="#{ref}" color="{_hex("link")}">{ref}</a>' for ref in found if ref]
    return ", ".join(links) if links else "–"


def paragraph(
    markup: str,
    style: ParagraphStyle = BODY,
    *,
    tag: str = "P",
    parents: tuple[tuple[Key, str], ...] = (),
    bullet: str | None = None,
) -> TaggedParagraph:
    made = TaggedParagraph(markup, style, bulletText=bullet)
    made.tag, made.parents = tag, parents
    return made


def heading(text: str, anchor: str, *, level: int = 1) -> TaggedParagraph:
    """A section's heading: in the contents, in the outline, and the target of links to `anchor`."""
    face = fonts.BOLD
    style = HEADING if level == 1 else SUBHEADING
    made = paragraph(f'<a name="{anchor}"/>{plain(text, face)}', style, tag=f"H{level + 1}")
    made.heading = (level, text, anchor)
    return made


def bullets(items: Iterable[str], style: ParagraphStyle = BULLET) -> list[TaggedParagraph]:
    """A list; `items` are markup."""
    key = Key()
    return [
        paragraph(item, style, tag="LBody", parents=((key, "L"), (Key(), "LI")), bullet="•")
        for item in items
    ]


HEADING_BOX = _style("word", 15, 20, fontName=fonts.BOLD)


def colour_of(name: str) -> HexColor:
    return _COLOURS[name]
