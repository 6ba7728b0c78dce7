"""Who acts: a person, a service account, or the system itself."""

from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID, uuid5

ActorKind = Literal["person", "service", "system"]

# Fixed for ever: the ids of system actors derive from it, so the log names them alike everywhere.
_SYSTEM = UUID("6f2f2a52-6d0c-5c53-9f0b-6a1f8a0a7c11")


@dataclass(frozen=True)
class Actor:
    """One who can be answerable for a write.

    `id` is the account; `pseudonym` is what the log says instead, and the map from one to the other
    can be erased. `scopes` are those of the API token that was used; None stands for a session, or the
    system. `memo` is where the reads of one request remember what was looked up about the actor; None
    outside of requests. No write reads it, and each write of the actor's empties it.
    """

    kind: ActorKind
    id: UUID
    name: str
    pseudonym: UUID
    scopes: frozenset[str] | None = None
    memo: dict[object, Any] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def system(cls, name: str = "system") -> "Actor":
        """The system, or the part of it called `name`; the same ids at each call."""
        identity = uuid5(_SYSTEM, name)
        return cls("system", identity, name, identity)
