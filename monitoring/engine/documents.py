"""Reading JSON documents field by field, with errors that name the field."""

from collections.abc import Mapping, Sequence
from typing import Any

from kernel.errors import Invalid


class Fields:
    """A JSON object being read. `path` is where it stands in the document, for messages."""

    def __init__(self, value: object, path: str, known: Sequence[str]) -> None:
        if not isinstance(value, Mapping):
            raise Invalid("expected an object", field=path or "document")
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

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value.get(key, default)
        if not isinstance(value, str) or not value:
            raise Invalid("expected a non-empty text", field=self.name(key))
        return value

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if self.has(key) else None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._value.get(key) or ()
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) and v for v in value):
            raise Invalid("expected a list of texts", field=self.name(key))
        if len(set(value)) != len(value):
            raise Invalid("names something twice", field=self.name(key))
        return tuple(value)

    def items(self, key: str) -> list[Any]:
        value = self._value.get(key) or []
        if not isinstance(value, list | tuple):
            raise Invalid("expected a list", field=self.name(key))
        return list(value)

    def number(
        self,
        key: str,
        default: float | None,
        *,
        above: float | None = None,
        to: float | None = None,
    ) -> float:
        value = self._value.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Invalid("expected a number", field=self.name(key))
        if (
            value != value
            or (above is not None and value <= above)
            or (to is not None and value > to)
        ):
            raise Invalid(f"expected a number above {above} up to {to}", field=self.name(key))
        return float(value)

    def whole(self, key: str, default: int | None, *, least: int = 0, most: int = 2**53 - 1) -> int:
        value = self._value.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Invalid(f"expected a whole number from {least} to {most}", field=self.name(key))
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._value.get(key, default)
        if not isinstance(value, bool):
            raise Invalid("expected true or false", field=self.name(key))
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise Invalid(f"expected one of {', '.join(choices)}", field=self.name(key))
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self._value.get(key) or {}
        if not isinstance(value, Mapping):
            raise Invalid("expected an object", field=self.name(key))
        return dict(value)


def scalar(value: object, path: str) -> str | int | float | bool:
    """A JSON scalar other than null, NaN or an infinity."""
    if isinstance(value, str | bool | int) or (isinstance(value, float) and abs(value) < 1e308):
        return value
    raise Invalid("expected a text, a number, true or false", field=path)
