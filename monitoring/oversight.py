"""Batches of human decisions: whose ids are replaced by pseudonyms before a byte is kept. Pure.

A CSV file with a header. A row is one decision of a person who saw what the model said:

    decision_id or decision_hmac   the decision's id; or its HMAC-SHA256 (64 hex) by a key of the sender
    model_output, human_decision   what each of the two said, in the same words
    reason_code                    why the person decided otherwise: a code, no text
    seconds                        how long the person took
    reviewer                       who decided: kept as a pseudonym, stable within the model
    outcome                        what turned out to be right, in the same words, once it is known
    decided_at                     RFC 3339; kept to the hour

The first and the two after it are needed. Any other column is a slice, as `sex` or `region`.
"""

import csv
import hmac
import io
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from hashlib import sha256
from typing import IO, Any, Final

from kernel.errors import Invalid
from kernel.moments import parse_rfc3339, rfc3339

FIELD: Final = "file"
NEEDED: Final = ("model_output", "human_decision")
OPTIONAL: Final = ("reason_code", "seconds", "reviewer", "outcome", "decided_at")
KEPT: Final = ("decision", *NEEDED, *OPTIONAL)
MOST_SLICES: Final = 10
MOST_TEXT: Final = 100
MOST_SECONDS: Final = 31 * 24 * 3600.0
_HMAC: Final = re.compile(r"[0-9a-f]{64}")
_SLICE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SECONDS: Final = re.compile(r"\d{1,8}(\.\d{1,6})?")


def pseudonymise(source: IO[bytes], target: IO[bytes], pepper: bytes, model: str) -> int:
    """Write the rows of `source` to `target`, its ids replaced; return how many there are.

    The same rows under the same pepper give the same bytes. `model` keeps a reviewer of one model
    from being told to be one of another.

    Raises:
        Invalid: naming the file, the line and the column. No value of the file is repeated.
    """
    text = io.TextIOWrapper(io.BufferedReader(_Kept(source)), encoding="utf-8-sig", newline="")
    # A column's width is bounded below; the module's own bound would be met first.
    reader = csv.reader(text, strict=True)
    out = io.TextIOWrapper(io.BufferedWriter(_Kept(target)), encoding="utf-8", newline="")
    writer = csv.writer(out, lineterminator="\n")
    count = 0
    try:
        header = next(reader, [])
        slices = _slices(header)
        columns = [name for name in OPTIONAL if name in header]
        writer.writerow(["decision", *NEEDED, *columns, *slices])
        for row in reader:
            if len(row) != len(header):
                raise _wrong(reader.line_num, "has another number of columns than the header")
            values = dict(zip(header, row, strict=True))
            kept = _row(values, columns, slices, _Hidden(pepper, model), reader.line_num)
            writer.writerow(kept)
            count += 1
    except UnicodeDecodeError as error:
        raise Invalid("the file is no UTF-8 text", field=FIELD) from error
    except csv.Error as error:
        raise _wrong(reader.line_num, "is no CSV") from error
    out.flush()
    return count


class _Kept(io.RawIOBase):
    """A stream that a text layer above it does not close with itself."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        return self._stream.write(bytes(data))


class _Hidden:
    """Pseudonyms of one model's ids under a pepper."""

    def __init__(self, pepper: bytes, model: str) -> None:
        self._pepper, self._model = pepper, model

    def decision(self, text: str) -> str:
        return self._of("decision", text)

    def reviewer(self, text: str) -> str:
        # A letter first: no reader takes it for a number.
        return f"r{self._of('reviewer', text)[:16]}"

    def _of(self, what: str, text: str) -> str:
        message = f"countersign oversight {what}\x1f{self._model}\x1f{text}"
        return hmac.new(self._pepper, message.encode(), sha256).hexdigest()


def _slices(header: Sequence[str]) -> list[str]:
    if len(set(header)) != len(header):
        raise Invalid("the header names a column twice", field=FIELD)
    ids = [name for name in ("decision_id", "decision_hmac") if name in header]
    if len(ids) != 1:
        raise Invalid("expected one of the columns decision_id and decision_hmac", field=FIELD)
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise Invalid(f"the file has no column {missing[0]}", field=FIELD)
    slices = [name for name in header if name not in (*ids, *NEEDED, *OPTIONAL)]
    if "decision" in slices or any(not _SLICE.fullmatch(name) for name in slices):
        raise Invalid(
            "a slice's column is named in lower-case letters, digits and _, and is not `decision`",
            field=FIELD,
        )
    if len(slices) > MOST_SLICES:
        raise Invalid(f"there are more than {MOST_SLICES} slices", field=FIELD)
    return sorted(slices)


def _row(
    values: dict[str, str],
    columns: Sequence[str],
    slices: Sequence[str],
    hidden: _Hidden,
    line: int,
) -> Iterator[str]:
    own = {
        "reason_code": _short,
        "seconds": _seconds,
        "outcome": _short,
        "decided_at": _hour,
        "reviewer": lambda text, name, line: hidden.reviewer(text) if text else "",
    }
    if "decision_hmac" in values:
        if not _HMAC.fullmatch(values["decision_hmac"]):
            raise _wrong(line, "has a decision_hmac that is not 64 lower-case hex digits")
        yield values["decision_hmac"]
    elif not values["decision_id"]:
        raise _wrong(line, "has no decision_id")
    else:
        yield hidden.decision(values["decision_id"])
    for name in NEEDED:
        if not values[name]:
            raise _wrong(line, f"has no {name}")
        yield _short(values[name], name, line)
    for name in columns:
        check: Callable[[str, str, int], str] = own[name]
        yield check(values[name], name, line)
    for name in slices:
        yield _short(values[name], name, line)


def _short(text: str, name: str, line: int) -> str:
    if len(text) > MOST_TEXT or any(ord(letter) < 32 for letter in text):
        raise _wrong(line, f"has a {name} of more than {MOST_TEXT} letters, or with unseen ones")
    return text


def _seconds(text: str, name: str, line: int) -> str:
    if text and (not _SECONDS.fullmatch(text) or float(text) > MOST_SECONDS):
        raise _wrong(line, "has seconds that are no number from 0 to 31 days")
    return text


def _hour(text: str, name: str, line: int) -> str:
    if not text:
        return ""
    try:
        at = parse_rfc3339(text, name)
    except Invalid as error:
        raise _wrong(line, "has a decided_at that is no RFC 3339 instant") from error
    return rfc3339(at.astimezone(UTC).replace(minute=0, second=0, microsecond=0))


def _wrong(line: int, what: str) -> Invalid:
    return Invalid(f"line {line} {what}", field=FIELD)
