"""The outbox: each entry reaches each of its subscribers at least once, in the worker.

`record()` leaves one message in the business transaction. `dispatch()` turns it into one delivery for
each subscriber; `deliver_due()` claims deliveries one by one and calls their handlers. Whoever dies in
between loses nothing: the message is still there, or the lease runs out. Handlers are idempotent by
`entry.uuid`.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from django.db import close_old_connections, transaction
from django.db.models import F, Q

from audit import catalogue
from audit.models import Delivery, Entry, OutboxMessage
from kernel.moments import now

logger = logging.getLogger(__name__)

Handler = Callable[[Entry], None]


class GiveUp(Exception):
    """Trying again would not help: the receiver is disabled, or says that it is gone for good."""


# Seconds between attempts. What happens inside the installation is tried again for ever; what goes
# out is given up after about three days, as Standard Webhooks suggests.
INSIDE = (1, 2, 5, 10, 30, 60, 300, 900, 3600)
OUTSIDE = (5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
LEASE = timedelta(minutes=5)
_BATCH = 200


@dataclass(frozen=True)
class Subscription:
    """`pattern` is an entry type, a prefix that ends in `.*`, or `*`."""

    pattern: str
    name: str
    handler: Handler

    def wants(self, entry_type: str) -> bool:
        return matches(self.pattern, entry_type)


class Fanout:
    """Subscribers that are rows, not code: webhook endpoints, say.

    `names` says who wants an entry; `deliver` does it for one name that starts with `prefix`.
    """

    def __init__(
        self,
        prefix: str,
        names: Callable[[str], Iterable[str]],
        deliver: Callable[[Delivery, Entry], None],
    ) -> None:
        self.prefix = prefix
        self.names = names
        self.deliver = deliver


_subscriptions: dict[tuple[str, str], Subscription] = {}
_fanouts: dict[str, Fanout] = {}


def matches(pattern: str, entry_type: str) -> bool:
    """Say whether an entry type fits `registry.version.registered`, `registry.*` or `*`."""
    if pattern.endswith("*"):
        return entry_type.startswith(pattern[:-1])
    return entry_type == pattern


def subscribe(entry_type: str, name: str, handler: Handler) -> None:
    """Have `handler` called in the worker for each entry of the type, at least once.

    `name` identifies the subscriber in its deliveries and never changes. Called in
    `AppConfig.ready()`, where the types of other apps may not be defined yet.

    Raises:
        ValueError: if another handler has that name for that type.
    """
    if ":" in name:
        raise ValueError(f"{name!r}: a subscriber's name holds no colon")
    subscription = Subscription(entry_type, name, handler)
    if _subscriptions.setdefault((entry_type, name), subscription) != subscription:
        raise ValueError(f"{name} has subscribed to {entry_type} with another handler")


def subscribe_rows(fanout: Fanout) -> None:
    _fanouts[fanout.prefix] = fanout


def unknown_types() -> list[str]:
    """Return the types that are subscribed to and that nobody has defined."""
    known = {entry_type.name for entry_type in catalogue.all_types()}
    patterns = {s.pattern for s in _subscriptions.values() if not s.pattern.endswith("*")}
    return sorted(patterns - known)


def _subscribers(entry_type: str) -> list[str]:
    names = {s.name for s in _subscriptions.values() if s.wants(entry_type)}
    for fanout in _fanouts.values():
        names.update(fanout.names(entry_type))
    return sorted(names)


def dispatch(limit: int = _BATCH) -> int:
    """Turn up to `limit` messages into deliveries and return how many. Safe to run twice at once."""
    messages = list(
        OutboxMessage.objects.order_by("entry_id").values_list("entry_id", "entry__type")[:limit]
    )
    if not messages:
        return 0
    due = now()
    wanted: dict[str, list[str]] = {kind: _subscribers(kind) for _, kind in messages if kind}
    deliveries = [
        Delivery(entry_id=entry_id, subscriber=name, due=due)
        for entry_id, kind in messages
        for name in wanted.get(kind, [])
    ]
    with transaction.atomic():
        Delivery.objects.bulk_create(deliveries, ignore_conflicts=True)
        OutboxMessage.objects.filter(entry_id__in=[entry_id for entry_id, _ in messages]).delete()
    return len(messages)


def deliver_due(limit: int = _BATCH) -> int:
    """Attempt up to `limit` deliveries that are due, oldest first, and return how many."""
    done = 0
    due = (
        Delivery.objects.filter(_claimable())
        .order_by("due", "entry_id")
        .values_list("id", flat=True)
    )
    for identity in list(due[:limit]):
        lease = uuid4()
        claimed = Delivery.objects.filter(_claimable(), id=identity).update(
            state=Delivery.State.CLAIMED,
            lease=lease,
            due=now() + LEASE,
            attempts=F("attempts") + 1,
        )
        if claimed:
            _attempt(Delivery.objects.select_related("entry").get(id=identity), lease)
            done += 1
    return done


def _claimable() -> Q:
    # A claimed delivery whose lease ran out belongs to a worker that died.
    return Q(state__in=[Delivery.State.WAITING, Delivery.State.CLAIMED], due__lte=now())


def _attempt(delivery: Delivery, lease: UUID) -> None:
    inside = True
    try:
        prefix = delivery.subscriber.partition(":")[0]
        if ":" in delivery.subscriber:
            inside = False
            _fanouts[prefix].deliver(delivery, delivery.entry)
        else:
            _handler(delivery)(delivery.entry)
    except Exception as error:
        logger.warning("delivery %s to %s failed", delivery.id, delivery.subscriber, exc_info=error)
        _settle(delivery, lease, _after_failure(delivery, error, inside))
        return
    _settle(
        delivery,
        lease,
        {"state": Delivery.State.DELIVERED, "delivered": now(), "last_error": ""},
    )


def _handler(delivery: Delivery) -> Handler:
    for subscription in _subscriptions.values():
        if subscription.name == delivery.subscriber and subscription.wants(delivery.entry.type):
            return subscription.handler
    raise LookupError(f"nobody is subscribed as {delivery.subscriber}")


def _after_failure(delivery: Delivery, error: Exception, inside: bool) -> dict[str, object]:
    schedule = INSIDE if inside else OUTSIDE
    text = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, GiveUp) or (not inside and delivery.attempts > len(schedule)):
        return {"state": Delivery.State.GIVEN_UP, "last_error": text}
    wait = schedule[min(delivery.attempts, len(schedule)) - 1]
    return {
        "state": Delivery.State.WAITING,
        "due": now() + timedelta(seconds=wait),
        "last_error": text,
    }


def _settle(delivery: Delivery, lease: UUID, change: dict[str, object]) -> None:
    # Only the holder of the current lease may: another may have claimed it after ours ran out.
    Delivery.objects.filter(id=delivery.id, lease=lease).update(lease=None, **change)


def sweep(limit: int = _BATCH) -> int:
    """Dispatch and deliver once; return how many messages and deliveries were handled."""
    return dispatch(limit) + deliver_due(limit)


def run_forever(stop: threading.Event, *, interval: float = 0.2) -> None:
    """Sweep until `stop` is set. A database that does not answer is asked again."""
    while not stop.is_set():
        try:
            close_old_connections()
            busy = sweep()
        except Exception:
            logger.exception("the outbox could not be swept")
            busy = 0
        if not busy:
            stop.wait(interval)
