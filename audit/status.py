"""How the log is doing, for `/readyz` and the pages."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Min

from audit import anchors, sequencer, triggers
from audit.checkpoints import newest
from audit.highwater import HighWaterFile
from audit.models import Anchor, Delivery, Entry, OutboxMessage, Pending
from kernel.conf import ConfigurationError
from kernel.moments import now

LAG_ALARM_SECONDS = 5.0


@dataclass(frozen=True)
class LogStatus:
    """`halted` says why the sequencer stands still, where this process can see its folder; the lag
    shows it everywhere. `alarms` holds one sentence for each thing that a person must look at."""

    epoch: int | None
    origin: str | None
    size: int
    checkpoint_at: datetime | None
    pending: int
    lag_seconds: float
    halted: str | None
    outbox: int
    given_up: int
    anchored_size: int | None
    anchored_at: datetime | None
    anchors: tuple[anchors.State, ...]
    alarms: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.alarms

    @property
    def alarm(self) -> str:
        """The alarms as one line; empty if there is none."""
        return "; ".join(self.alarms)


def lag_seconds() -> float:
    """Return the age of the oldest entry that waits for the sequencer; 0 if none does."""
    oldest = Entry.objects.filter(pending__isnull=False).aggregate(oldest=Min("at"))["oldest"]
    return max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0


def current() -> LogStatus:
    """Look at everything that is cheap to see. For the whole truth there is `audit_verify`."""
    head = newest()
    lag = lag_seconds()
    halted = HighWaterFile(sequencer.folder()).halted()
    given_up = Delivery.objects.filter(state=Delivery.State.GIVEN_UP).count()
    anchor = Anchor.objects.order_by("-created").first()
    alarms: list[str] = []
    if halted:
        alarms.append(f"the log is not signed any more: {halted}")
    if lag > LAG_ALARM_SECONDS:
        alarms.append(f"the oldest entry has waited {lag:.0f} s for the sequencer")
    if missing := triggers.missing(connection):
        alarms.append(f"append-only triggers are missing: {', '.join(missing)}")
    held: list[anchors.State] = []
    try:
        held = anchors.states()
    except ConfigurationError as error:
        alarms.append(str(error))
    alarms += [state.alarm for state in held if state.late]
    return LogStatus(
        epoch=head.epoch_id if head else None,
        origin=head.epoch.origin if head else None,
        size=head.size if head else 0,
        checkpoint_at=head.created if head else None,
        pending=Pending.objects.count(),
        lag_seconds=lag,
        halted=halted,
        outbox=OutboxMessage.objects.count(),
        given_up=given_up,
        anchored_size=anchor.size if anchor else None,
        anchored_at=anchor.created if anchor else None,
        anchors=tuple(held),
        alarms=tuple(alarms),
    )
