"""Reading JSON documents field by field, with errors that name the field."""

from collections.abc import Mapping, Sequence
from typing import Any

from kernel.canonical import LARGEST, is_number, unwritable
from kernel.errors import Invalid


class Fields:
    """A JSON object being read. `path` is where it stands in the document, for messages.

    Whatever is read comes into a digest: an object is refused, by the field, if it holds a number at
    any depth that canonical JSON cannot say. A field that is null is as one that is left out; any
    other value, `0`, `false` and `""` too, must be of the type that is asked for.
    """

    def __init__(self, value: object, path: str, known: Sequence[str]) -> None:
        if not isinstance(value, Mapping):
            raise Invalid("expected an object", field=path or "document")
        if stray := unwritable(dict(value), path):
            raise Invalid(stray[1], field=stray[0])
        self._value: Mapping[str, Any] = value
        self._path = path
        unknown = sorted(str(name) for name in value if name not in known)
        if unknown:
            raise Invalid(
                f"unknown field; known are {', '.join(known)}", field=self.name(unknown[0])
            )

    def name(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def has(self, key: str) -> bool:
        return self._value.get(key) is not None

    def raw(self, key: str) -> Any:
        return self._value.get(key)

    def _given(self, key: str, default: Any) -> Any:
        value = self._value.get(key)
        return default if value is None else value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._given(key, default)
        if not isinstance(value, str) or not value:
            raise Invalid("expected a non-empty text", field=self.name(key))
        return value

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if self.has(key) else None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._given(key, ())
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) and v for v in value):
            raise Invalid("expected a list of texts", field=self.name(key))
        if len(set(value)) != len(value):
            raise Invalid("names something twice", field=self.name(key))
        return tuple(value)

    def items(self, key: str) -> list[Any]:
        value = self._given(key, [])
        if not isinstance(value, list | tuple):
            raise Invalid("expected a list", field=self.name(key))
        return list(value)

    def number(
        self,
        key: str,
        default: float | None,
        *,
        above: float | None = None,
        least: float | None = None,
        to: float | None = None,
    ) -> float:
        """A number that is more than `above`, no less than `least` and no more than `to`."""
        value = self._given(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Invalid("expected a number", field=self.name(key))
        if (
            value != value
            or (above is not None and value <= above)
            or (least is not None and value < least)
            or (to is not None and value > to)
        ):
            bounds = (("above", above), ("from", least), ("up to", to))
            said = " ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
            raise Invalid(f"expected a number {said}", field=self.name(key))
        return float(value)

    def whole(self, key: str, default: int | None, *, least: int = 0, most: int = LARGEST) -> int:
        value = self._given(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Invalid(f"expected a whole number from {least} to {most}", field=self.name(key))
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._given(key, default)
        if not isinstance(value, bool):
            raise Invalid("expected true or false", field=self.name(key))
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise Invalid(f"expected one of {', '.join(choices)}", field=self.name(key))
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self._given(key, {})
        if not isinstance(value, Mapping):
            raise Invalid("expected an object", field=self.name(key))
        return dict(value)


def scalar(value: object, path: str) -> str | int | float | bool:
    """A JSON scalar other than null."""
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float) and is_number(value):
        return value
    raise Invalid("expected a text, a number, true or false", field=path)
