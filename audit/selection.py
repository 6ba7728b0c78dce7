"""Which entries an export or a page shows, and reading them in order without holding them all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from audit.models import Entry, Leaf

CHUNK = 2048
ERASED = "audit.payload.erased"


@dataclass(frozen=True)
class Selection:
    """All that is not None must hold. `type` may end in `.*`; indexes count within each epoch and
    `last` is exclusive, as `until` is."""

    scope: UUID | None = None
    actor: UUID | None = None
    type: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    first: int | None = None
    last: int | None = None

    @property
    def everything(self) -> bool:
        return self == Selection()

    def entries(self, prefix: str = "") -> Q:
        """The condition on an entry, reached by `prefix`."""
        condition = Q()
        for name in ("scope", "actor", "object_type", "object_id"):
            if (value := getattr(self, name)) is not None:
                condition &= Q(**{f"{prefix}{name}": value})
        if self.type is not None:
            if self.type.endswith("*"):
                condition &= Q(**{f"{prefix}type__startswith": self.type[:-1]})
            else:
                condition &= Q(**{f"{prefix}type": self.type})
        if self.since is not None:
            condition &= Q(**{f"{prefix}at__gte": self.since})
        if self.until is not None:
            condition &= Q(**{f"{prefix}at__lt": self.until})
        return condition

    def leaves(self, epoch: int, size: int) -> QuerySet[Leaf]:
        """The leaves of an epoch up to a tree of `size`, in order."""
        condition = Q(epoch_id=epoch, index__lt=size) & self.entries("entry__")
        if self.first is not None:
            condition &= Q(index__gte=self.first)
        if self.last is not None:
            condition &= Q(index__lt=self.last)
        return Leaf.objects.filter(condition).order_by("index")


def chunks(leaves: QuerySet[Leaf], chunk: int = CHUNK) -> Iterator[list[Leaf]]:
    """Yield the leaves with their entries, `chunk` at a time, by index and not by offset."""
    after = -1
    while True:
        rows = list(leaves.select_related("entry").filter(index__gt=after)[:chunk])
        if not rows:
            return
        yield rows
        after = rows[-1].index


def erased_among(uuids: list[UUID]) -> set[str]:
    """Return those entries whose payload an entry says was erased."""
    names = [str(one) for one in uuids]
    return set(
        Entry.objects.filter(type=ERASED, object_type="entry", object_id__in=names).values_list(
            "object_id", flat=True
        )
    )
