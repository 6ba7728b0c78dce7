"""Universal Binary JSON as XGBoost writes it, read without trusting a length that it claims."""

import struct
from typing import Any, Final

from monitoring.engine.loaders.model import refuse

_NUMBERS: Final = {
    ord("i"): ">i1",
    ord("U"): ">u1",
    ord("I"): ">i2",
    ord("l"): ">i4",
    ord("L"): ">i8",
    ord("d"): ">f4",
    ord("D"): ">f8",
}
_SIZES: Final = {kind: int(name[2:]) for kind, name in _NUMBERS.items()}
_FORMATS: Final = {
    "i1": ">b",
    "u1": ">B",
    "i2": ">h",
    "i4": ">i",
    "i8": ">q",
    "f4": ">f",
    "f8": ">d",
}
_WORDS: Final = {ord("Z"): None, ord("T"): True, ord("F"): False}
DEPTH: Final = 40


def loads(data: bytes) -> Any:
    """The document as Python values; typed arrays become NumPy arrays.

    Raises:
        Invalid: it ends early, nests deeper than `DEPTH`, or claims more than the file holds.
    """
    reader = _Reader(data)
    value = reader.value(reader.byte(), 0)
    if reader.at != len(data):
        refuse("the file goes on after its end")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count < 0 or count > len(self._data) - self.at:
            refuse("the file claims more than it holds")
        self.at += count
        return self._data[self.at - count : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def _peek(self) -> int:
        if self.at >= len(self._data):
            refuse("the file claims more than it holds")
        return self._data[self.at]

    def _number(self, kind: int) -> Any:
        name = _NUMBERS.get(kind)
        if name is None:
            refuse("the file holds an unknown type")
        return struct.unpack(_FORMATS[name[1:]], self.take(_SIZES[kind]))[0]

    def _length(self) -> int:
        kind = self.byte()
        if kind in b"dD":
            refuse("a length is not a whole number")
        return int(self._number(kind))

    def _text(self) -> str:
        try:
            return self.take(self._length()).decode()
        except UnicodeDecodeError as error:
            refuse("a text is not UTF-8", error)

    def value(self, kind: int, depth: int) -> Any:
        if depth > DEPTH:
            refuse(f"the file nests deeper than {DEPTH}")
        if kind in _WORDS:
            return _WORDS[kind]
        if kind == ord("S"):
            return self._text()
        if kind == ord("C"):
            return chr(self.byte())
        if kind == ord("["):
            return self._array(depth)
        if kind == ord("{"):
            return self._object(depth)
        return self._number(kind)

    def _array(self, depth: int) -> Any:
        import numpy as np

        if self._peek() == ord("$"):
            self.at += 1
            kind = self.byte()
            if kind not in _NUMBERS or self.byte() != ord("#"):
                refuse("the file holds an array of an unknown type")
            count = self._length()
            return np.frombuffer(self.take(count * _SIZES[kind]), _NUMBERS[kind])
        if self._peek() == ord("#"):
            self.at += 1
            count = self._length()
            if count < 0 or count > len(self._data) - self.at:
                refuse("the file claims more than it holds")
            return [self.value(self.byte(), depth + 1) for _ in range(count)]
        found = []
        while (kind := self.byte()) != ord("]"):
            found.append(self.value(kind, depth + 1))
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() != ord("}"):
            name = self._text()
            if name in found:
                refuse("a name stands twice in an object")
            found[name] = self.value(self.byte(), depth + 1)
        self.at += 1
        return found
