"""The one way to change anything: a durable transaction around one service function."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ClassVar, ParamSpec, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit.actor import Actor
from kernel.errors import CountersignError
from kernel.moments import now

P = ParamSpec("P")
T = TypeVar("T")

# For the assertion alone: no service learns from it who asks, or anything else.
_open: ContextVar[bool] = ContextVar("countersign_write_open", default=False)


class Refused(CountersignError):
    """The rules do not let this actor do this now. The write rolls back and the refusal is logged.

    `code` is a word for programs and for the log; `detail` is a sentence for people, and since it
    may name somebody, it is kept in the erasable part of the refusal's entry.
    """

    status: ClassVar[int] = 403
    title: ClassVar[str] = "Refused"

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        object_type: str | None = None,
        object_id: object = None,
        scope: UUID | None = None,
    ) -> None:
        super().__init__(detail, field=field, code=code)
        self.object_type = object_type
        self.object_id = None if object_id is None else str(object_id)
        self.scope = scope


class RefusedConflict(Refused):
    """The state of the record does not admit it."""

    status = 409


class RefusedInvalid(Refused):
    """What was sent is contradicted by what is on record."""

    status = 422


def is_open() -> bool:
    """Say whether a write is open here."""
    return _open.get()


def in_write() -> BaseDatabaseWrapper:
    """Assert that a write is open; return its database. Steps that writes share call it, and never open
    one.

    Raises:
        RuntimeError: if none is.
    """
    database: BaseDatabaseWrapper = transaction.get_connection()
    if not (_open.get() and database.in_atomic_block):
        raise RuntimeError("no write is open: this step runs inside a service marked @write")
    return database


@contextmanager
def _transaction() -> Iterator[None]:
    if _open.get():
        raise RuntimeError("a write cannot be opened inside a write; share a private step instead")
    with transaction.atomic(durable=True):
        token = _open.set(True)
        try:
            yield
        finally:
            _open.reset(token)


def write(function: Callable[P, T]) -> Callable[P, T]:
    """Run a service in one durable transaction; a `Refused` is recorded in a second one.

    The service takes the keyword argument `actor`.
    """
    operation = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        actor = kwargs.get("actor")
        if not isinstance(actor, Actor):
            raise TypeError(f"{operation} needs actor=, an audit.actor.Actor")
        try:
            with _transaction():
                return function(*args, **kwargs)
        except Refused as refusal:
            _record_refusal(refusal, operation, actor)
            raise
        finally:
            if actor.memo is not None:
                actor.memo.clear()

    return wrapper


def _record_refusal(refusal: Refused, operation: str, actor: Actor) -> None:
    from audit.recording import record

    with _transaction():
        record(
            "audit.write.refused",
            actor=actor,
            at=now(),
            object_type=refusal.object_type or "operation",
            object_id=refusal.object_id or operation,
            public={"operation": operation, "code": refusal.code, "field": refusal.field},
            private={"detail": refusal.detail},
            scope=refusal.scope,
        )
