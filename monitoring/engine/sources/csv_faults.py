"""Where a CSV file is not what it should be: the line, and nothing of what stands in it."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from registry.datafiles import LONGEST_LINE

MOST_RECORDS = 5_000_000
"""Records that are looked at: a minute of time."""
_TOLD = re.compile(r"CSV Error on Line: (\d+)")


def fault_of(path: Path, message: str) -> str:
    """What can be said of why DuckDB did not read a file; empty if nothing can.

    DuckDB tells the line of a value. Where the shape of a line is wrong it tells none: the file is then
    looked through for the first record that has not as many fields as the header.
    """
    told = _TOLD.search(message)
    if told:
        return f"line {told[1]}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _shape(_lines(file))
    except OSError:
        return ""


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise csv.Error("a line is longer than is read")
        yield line


def _shape(lines: Iterator[str]) -> str:
    reader, width = csv.reader(lines, strict=True), 0
    try:
        for number, record in enumerate(reader):
            if number > MOST_RECORDS:
                return ""
            if not width:
                width = len(record)
            elif record and len(record) != width:
                return f"line {reader.line_num} has {len(record)} fields and the header {width}"
    except UnicodeDecodeError:
        return f"line {reader.line_num + 1} or one of the next is not UTF-8"
    except csv.Error:
        return f"a quote is out of place, or a field too long, at line {reader.line_num} or before"
    return ""
