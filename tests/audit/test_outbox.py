"""The outbox: each entry reaches each subscriber at least once, whoever dies in between."""

from datetime import timedelta
from unittest import mock

import pytest
import time_machine

from audit import outbox, tasks
from audit.models import Delivery, Entry, OutboxMessage
from kernel.moments import now
from tests.audit import samples
from tests.audit.test_sequencer import OneTurn

pytestmark = pytest.mark.django_db


class Listener:
    """A subscriber that notes what it gets, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.seen: list[Entry] = []
        self.failures: list[BaseException] = []

    def __call__(self, entry: Entry) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.seen.append(entry)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    monkeypatch.setattr(outbox, "_subscriptions", {})
    one = Listener()
    outbox.subscribe("audit.sample.noted", "listener", one)
    return one


def test_a_subscriber_gets_its_entries_and_no_others(listener: Listener) -> None:
    entry = samples.note(actor=samples.ADA)
    samples.raw("audit.sample.detailed", {"state": "s", "digest": "d"}, actor=samples.ADA)
    assert outbox.sweep() == 3
    assert listener.seen == [entry]
    assert outbox.sweep() == 0
    assert not OutboxMessage.objects.exists()
    assert Delivery.objects.get().state == "delivered"


def test_patterns() -> None:
    assert outbox.matches("a.b.c", "a.b.c")
    assert outbox.matches("a.*", "a.b.c")
    assert outbox.matches("*", "a.b.c")
    assert not outbox.matches("a.*", "ab.c.d")
    assert not outbox.matches("a.b.c", "a.b.cd")


def test_several_subscribers_each_get_it(listener: Listener) -> None:
    other = Listener()
    outbox.subscribe("audit.*", "other", other)
    samples.note(actor=samples.ADA)
    outbox.sweep()
    assert (len(listener.seen), len(other.seen)) == (1, 1)


def test_a_name_means_one_handler(listener: Listener) -> None:
    outbox.subscribe("audit.sample.noted", "listener", listener)
    with pytest.raises(ValueError, match="another handler"):
        outbox.subscribe("audit.sample.noted", "listener", Listener())
    with pytest.raises(ValueError, match="colon"):
        outbox.subscribe("audit.sample.noted", "a:b", listener)
    outbox.subscribe("audit.nothing.defined", "x", listener)
    assert outbox.unknown_types() == ["audit.nothing.defined"]


def test_a_failure_is_tried_again_later_and_goes_on_for_ever(listener: Listener) -> None:
    samples.note(actor=samples.ADA)
    listener.failures = [ValueError("no")] * 20
    at = now()
    for _ in range(20):
        with time_machine.travel(at, tick=False):
            outbox.sweep()
            row = Delivery.objects.get()
            assert row.state == "waiting"
            assert row.last_error == "ValueError: no"
            assert outbox.deliver_due() == 0
        at = row.due
    assert row.attempts == 20
    with time_machine.travel(at, tick=False):
        outbox.sweep()
    assert len(listener.seen) == 1
    row.refresh_from_db()
    assert (row.state, row.last_error) == ("delivered", "")


def test_killed_between_dispatch_and_delivery_nothing_is_lost(listener: Listener) -> None:
    samples.note(actor=samples.ADA)
    dying = mock.patch.object(Delivery.objects, "bulk_create", side_effect=KeyboardInterrupt)
    with dying, pytest.raises(KeyboardInterrupt):
        outbox.sweep()
    assert OutboxMessage.objects.exists()
    outbox.dispatch()
    OutboxMessage.objects.create(entry=Entry.objects.get())
    outbox.dispatch()
    assert Delivery.objects.count() == 1
    outbox.deliver_due()
    assert len(listener.seen) == 1


def test_killed_while_delivering_it_is_delivered_when_the_lease_ends(listener: Listener) -> None:
    samples.note(actor=samples.ADA)
    listener.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        outbox.sweep()
    assert Delivery.objects.get().state == "claimed"
    assert outbox.sweep() == 0
    with time_machine.travel(now() + outbox.LEASE + timedelta(seconds=1)):
        assert outbox.sweep() == 1
    assert len(listener.seen) == 1


def test_two_workers_never_deliver_at_the_same_time(listener: Listener) -> None:
    samples.note(actor=samples.ADA)
    outbox.dispatch()
    inner: list[int] = []

    def again(entry: Entry) -> None:
        inner.append(outbox.deliver_due())
        listener.seen.append(entry)

    with mock.patch.object(outbox, "_handler", return_value=again):
        assert outbox.deliver_due() == 1
    assert inner == [0]
    assert len(listener.seen) == 1


def test_a_worker_whose_lease_ran_out_settles_nothing(listener: Listener) -> None:
    samples.note(actor=samples.ADA)
    outbox.dispatch()

    def slow(entry: Entry) -> None:
        later = time_machine.travel(now() + outbox.LEASE + timedelta(seconds=1))
        with later, mock.patch.object(outbox, "_handler", return_value=listener):
            assert outbox.deliver_due() == 1
        raise ValueError("too late")

    with mock.patch.object(outbox, "_handler", return_value=slow):
        outbox.deliver_due()
    assert Delivery.objects.get().state == "delivered"


def test_a_subscriber_that_is_gone_waits(listener: Listener) -> None:
    samples.note(actor=samples.ADA)
    outbox.dispatch()
    outbox._subscriptions.clear()
    outbox.deliver_due()
    assert "nobody is subscribed" in Delivery.objects.get().last_error


def test_a_rolled_back_write_sends_nothing(listener: Listener) -> None:
    with pytest.raises(ZeroDivisionError):
        samples.note_and_fail(actor=samples.ADA)
    assert outbox.sweep() == 0


def test_the_task_and_the_loop_sweep(listener: Listener) -> None:
    samples.note(actor=samples.ADA)
    assert tasks.dispatch_outbox() == 2
    samples.note(actor=samples.ADA)
    with mock.patch(
        "audit.outbox.close_old_connections", side_effect=[ConnectionError, None, None]
    ):
        outbox.run_forever(OneTurn(2))
    assert len(listener.seen) == 2
