"""Reads the text that a report prints, piece by piece, through the fonts' own tables.

Enough for files that `render` wrote: single-byte subsets with a ToUnicode table each.
"""

import re
from collections.abc import Iterator

import pikepdf
from pikepdf import Name, Page, Pdf

_CHARACTERS = re.compile(rb"beginbfchar(.*?)endbfchar", re.S)
_RANGES = re.compile(rb"beginbfrange(.*?)endbfrange", re.S)
_HEX = re.compile(rb"<([0-9A-Fa-f]+)>")


def pieces(page: Page) -> Iterator[str]:
    """The strings that `page` shows, in the order of drawing."""
    found = page.obj.get(Name.Resources, pikepdf.Dictionary()).get(Name.Font, pikepdf.Dictionary())
    tables = {str(name): _table(font) for name, font in found.items()}
    table: dict[int, str] = {}
    for operands, operator in pikepdf.parse_content_stream(page):
        match str(operator):
            case "Tf":
                table = tables.get(str(operands[0]), {})
            case "Tj" | "'":
                yield _decode(bytes(operands[0]), table)
            case "TJ":
                shown = (bytes(one) for one in operands[0] if isinstance(one, pikepdf.String))
                yield "".join(_decode(one, table) for one in shown)


def text(pdf: Pdf) -> list[str]:
    """The text of each page, its pieces joined by spaces."""
    return [" ".join(pieces(page)) for page in pdf.pages]


def _decode(shown: bytes, table: dict[int, str]) -> str:
    return "".join(table.get(code, "\N{REPLACEMENT CHARACTER}") for code in shown)


def _table(font: pikepdf.Object) -> dict[int, str]:
    if Name.ToUnicode not in font:
        return {}
    source = font[Name.ToUnicode].read_bytes()
    table: dict[int, str] = {}
    for block in _CHARACTERS.findall(source):
        found = _HEX.findall(block)
        for code, shape in zip(found[::2], found[1::2], strict=False):
            table[int(code, 16)] = _utf16(shape)
    for block in _RANGES.findall(source):
        for line in block.strip().splitlines():
            first, last, *shapes = _HEX.findall(line)
            for place, code in enumerate(range(int(first, 16), int(last, 16) + 1)):
                if b"[" in line and place < len(shapes):
                    table[code] = _utf16(shapes[place])
                elif b"[" not in line:
                    table[code] = chr(ord(_utf16(shapes[0])) + place)
    return table


def _utf16(digits: bytes) -> str:
    return bytes.fromhex(digits.decode()).decode("utf-16-be")
