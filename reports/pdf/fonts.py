"""The faces of the report: which files, that they are the right ones, and which can draw a character.

ReportLab draws nothing at all for a character that its face lacks. So every text is cut into runs
that each face can draw, and a character that none can draw is refused or shown by its code point;
it is never blank.
"""

import hashlib
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Final

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from kernel.errors import Unprocessable

FOLDER: Final = Path(__file__).resolve().parent.parent / "fonts"

REGULAR: Final = "Report-Regular"
BOLD: Final = "Report-Bold"
ITALIC: Final = "Report-Italic"
MONO: Final = "Report-Mono"
MATH: Final = "Report-Math"
SYMBOLS: Final = "Report-Symbols"

FILES: Final = {
    REGULAR: (
        "NotoSans-Regular.ttf",
        "48ed14c274d9c9bd3fc525b4c600e6879161f29ba98320afb00eeca31299c2d3",
    ),
    BOLD: (
        "NotoSans-Bold.ttf",
        "67b4d865f44fdb24eded08d84c54d62dc88cab9345db53f350b1cdb60c71810f",
    ),
    ITALIC: (
        "NotoSans-Italic.ttf",
        "fb8a221ae8ea8ff438fa495fc0476248cca6222289d750f4726af56d4cff80e8",
    ),
    MONO: (
        "NotoSansMono-Regular.ttf",
        "d6c11b8c1abf721e03a37b06e040c2db4124d84f5899b4ce616c39aa752738d5",
    ),
    MATH: (
        "NotoSansMath-Regular.ttf",
        "4eba70dc098c75a115c995189dc39a5c7e82245917cc58b41b18231044836188",
    ),
    SYMBOLS: (
        "NotoSansSymbols2-Regular.ttf",
        "05bdf84d24bb3a422fbe1ffd1ea71afd7ec600a3e5028afd8e27cb293cb36c89",
    ),
}
_FALLBACKS: Final = {
    REGULAR: (MATH, SYMBOLS),
    BOLD: (MATH, SYMBOLS),
    ITALIC: (REGULAR, MATH, SYMBOLS),
    MONO: (REGULAR, MATH, SYMBOLS),
}


class Unprintable(Unprocessable):
    """A name holds characters that no face of the report can draw."""

    def __init__(self, text: str, characters: list[str]) -> None:
        shown = ", ".join(f"U+{ord(c):04X}" for c in characters)
        super().__init__(
            f"the report's fonts cannot draw {shown} in {text!r}, and a report must not leave a name blank"
        )
        self.characters = characters


@lru_cache(maxsize=1)
def load() -> dict[str, frozenset[int]]:
    """Register the faces once and return the code points that each can draw.

    Raises:
        RuntimeError: a font file differs from the one that this template version was made with.
    """
    coverage = {}
    for name, (file, expected) in FILES.items():
        path = FOLDER / file
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise RuntimeError(f"{file} has sha256 {found}, the report's template needs {expected}")
        font = TTFont(name, str(path))
        pdfmetrics.registerFont(font)
        coverage[name] = frozenset(font.face.charToGlyph)
    for name in FILES:
        pdfmetrics.registerFontFamily(name, normal=name, bold=BOLD, italic=ITALIC, boldItalic=BOLD)
    return coverage


def clean(text: str) -> str:
    """Compose accents and drop what has no shape: control and zero-width characters."""
    composed = unicodedata.normalize("NFC", text).replace("\u00ad", "")
    return "".join(
        c if c in "\n\t " or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else ""
        for c in composed
    ).replace("\t", " ")


def runs(text: str, face: str) -> list[tuple[str, str]]:
    """Cut `text` into (face, piece) such that each face can draw its piece.

    A character that none can draw becomes its code point, as `[U+6F22]`, in the first face.
    """
    coverage = load()
    cut: list[tuple[str, str]] = []
    for character in text:
        able = next((f for f in (face, *_FALLBACKS[face]) if ord(character) in coverage[f]), None)
        piece = character if able or character == "\n" else f"[U+{ord(character):04X}]"
        chosen = able or face
        if cut and cut[-1][0] == chosen:
            cut[-1] = (chosen, cut[-1][1] + piece)
        else:
            cut.append((chosen, piece))
    return cut


def uncovered(text: str, face: str = REGULAR) -> list[str]:
    """The characters of `text` that no face can draw, each once, in order."""
    coverage = load()
    faces = (face, *_FALLBACKS[face])
    return [
        c
        for c in dict.fromkeys(clean(text))
        if c != "\n" and not any(ord(c) in coverage[f] for f in faces)
    ]


def require(text: str) -> str:
    """Return `text` if it can be drawn whole.

    Raises:
        Unprintable: naming the characters that cannot.
    """
    missing = uncovered(text)
    if missing:
        raise Unprintable(text, missing)
    return text
