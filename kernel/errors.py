"""Errors that a caller can act on. Each carries the HTTP status that REST answers with.

`kernel.rest.problems` turns them into RFC 9457 problem details; services raise them and
know nothing of HTTP beyond the class they choose.
"""

from collections.abc import Mapping
from typing import ClassVar, Self


class CountersignError(Exception):
    """Base of all expected errors. `detail` is one sentence that says what to do next."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Error"

    def __init__(self, detail: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).__name__.lower()
        self.fields: dict[str, str] = {field: detail} if field else {}

    @property
    def field(self) -> str | None:
        return next(iter(self.fields), None)

    @property
    def said(self) -> str:
        """The detail after the name of the field, for where a text is all that is kept."""
        named = self.field is not None and not self.detail.startswith(f"{self.field}: ")
        return f"{self.field}: {self.detail}" if named else self.detail

    @classmethod
    def many(cls, fields: Mapping[str, str]) -> Self:
        """One error that names several fields at once."""
        error = cls("; ".join(f"{name}: {detail}" for name, detail in fields.items()))
        error.fields = dict(fields)
        return error


class Invalid(CountersignError):
    """The input is malformed: missing, of the wrong type, or names nothing known."""

    status = 400
    title = "Invalid input"


class Forbidden(CountersignError):
    status = 403
    title = "Not allowed"


class NotFound(CountersignError):
    status = 404
    title = "Not found"


class Conflict(CountersignError):
    """The input is well formed, but the state of the record does not admit it."""

    status = 409
    title = "Conflict"


class TooLarge(CountersignError):
    status = 413
    title = "Too large"


class Unprocessable(CountersignError):
    """Well formed and understood, and contradicted by what is on record (a digest, say)."""

    status = 422
    title = "Cannot be processed"


class Unavailable(CountersignError):
    status = 503
    title = "Unavailable"
