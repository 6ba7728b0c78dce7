"""What a data file must be before a library is let at it: whoever made it may mean harm.

Cheap looks at the ends of a file, in bounded memory, so that what follows has bounds as well.
"""

import csv
import io
import struct
from pathlib import Path

MOST_COLUMNS = 10_000
LONGEST_FOOTER = 16 * 1024**2
LONGEST_LINE = 1024**2
RESERVED = "countersign_"
"""How no column's name may begin: what the service computes for each row is named so."""
_MAGIC = b"PAR1"
_LEAST_PARQUET = 12


class Malformed(ValueError):
    """The file is not what it is said to be. The message quotes nothing of it."""


def check_parquet(path: Path) -> None:
    """Is it framed as parquet, with a footer that fits into the file and into memory?

    Raises:
        Malformed: saying what is wrong.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
        if size < _LEAST_PARQUET or head != _MAGIC:
            raise Malformed("it is not a parquet file")
        file.seek(size - 8)
        tail = file.read(8)
    if tail[4:] != _MAGIC:
        raise Malformed("its end is missing: the file is cut off, or no parquet file")
    footer = int(struct.unpack("<I", tail[:4])[0])
    if not 0 < footer <= size - _LEAST_PARQUET:
        raise Malformed("its footer does not fit into the file")
    if footer > LONGEST_FOOTER:
        raise Malformed(
            f"its footer has {footer} bytes, more than {LONGEST_FOOTER}: too many columns or row "
            "groups"
        )


def check_csv(path: Path) -> list[str]:
    """Is its first line a heading: names in UTF-8 between commas, each once? Return the names.

    Raises:
        Malformed: saying what is wrong.
    """
    with path.open("rb") as file:
        start = file.read(LONGEST_LINE)
    if not start.strip():
        raise Malformed("the file is empty")
    cut = start.rfind(b"\n") + 1 if len(start) == LONGEST_LINE else len(start)
    if not cut:
        raise Malformed(f"its first line is longer than {LONGEST_LINE} bytes")
    try:
        text = start[:cut].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = start[:cut].count(b"\n", 0, error.start) + 1
        raise Malformed(f"it is not text in UTF-8, at line {line}") from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise Malformed(f"it has null characters, which no text has, at line {line}")
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (csv.Error, StopIteration):
        raise Malformed("its first line is no heading of columns") from None
    return check_names(names)


def check_names(names: list[str], *, is_own: bool = False) -> list[str]:
    """Is each column named, once, and are they few enough? Has none a name of the service's, unless the
    file `is_own`, written by it?

    Raises:
        Malformed: naming the column.
    """
    if len(names) > MOST_COLUMNS:
        raise Malformed(f"it has {len(names)} columns; at most {MOST_COLUMNS} are read")
    seen: set[str] = set()
    for place, name in enumerate(names, 1):
        if not name.strip():
            raise Malformed(f"column {place} has no name")
        if "\x00" in name:
            raise Malformed(f"the name of column {place} has a null character")
        if name.casefold() in seen:
            raise Malformed(f"column {name!r} is there twice")
        if is_reserved(name) and not is_own:
            raise Malformed(f"column {name!r} has a name that is the service's own: rename it")
        seen.add(name.casefold())
    return names


def is_reserved(name: str) -> bool:
    return name.casefold().startswith(RESERVED)
