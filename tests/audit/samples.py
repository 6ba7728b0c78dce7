"""Writes that the audit tests make: an invented noun, so that no layer above is needed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from audit.actor import Actor
from audit.catalogue import define
from audit.models import Entry
from audit.recording import record
from audit.writing import write
from kernel.moments import now

define("audit.sample.noted", count=int | None)
define(
    "audit.sample.detailed",
    state=str,
    digest=str,
    share=float | None,
    ids=list[UUID] | None,
    when=datetime | None,
    note=str | None,
    many=list[str] | None,
)

ADA = Actor("person", UUID(int=1), "Ada Lovelace", UUID(int=101))
BEN = Actor("person", UUID(int=2), "Ben Jonson", UUID(int=102))


def step(
    actor: Actor,
    object_id: str,
    *,
    count: int | None = None,
    private: Mapping[str, Any] | None = None,
    scope: UUID | None = None,
) -> Entry:
    return record(
        "audit.sample.noted",
        actor=actor,
        at=now(),
        object_type="sample",
        object_id=object_id,
        public={"count": count},
        private=private,
        scope=scope,
    )


@write
def note(
    object_id: str = "one",
    *,
    actor: Actor,
    count: int | None = None,
    private: Mapping[str, Any] | None = None,
    scope: UUID | None = None,
) -> Entry:
    return step(actor, object_id, count=count, private=private, scope=scope)


@write
def note_many(number: int, *, actor: Actor, private: bool = False) -> list[Entry]:
    return [
        step(actor, f"object-{i}", count=i, private={"name": f"person {i}"} if private else None)
        for i in range(number)
    ]


@write
def note_and_fail(*, actor: Actor) -> None:
    step(actor, "one")
    1 / 0  # noqa: B018


@write
def raw(entry_type: str, public: Mapping[str, Any], *, actor: Actor) -> Entry:
    return record(
        entry_type, actor=actor, at=now(), object_type="sample", object_id="one", public=public
    )


def sequence() -> int:
    """Let the sequencer take everything that is pending."""
    from audit.sequencer import Sequencer

    return Sequencer().drain()
