"""What a worker without a pool does itself: a task's limits of time, and its own of memory."""

import signal
import time
from types import SimpleNamespace

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from celery.worker import state

from config.management.commands import work

# The timeout of a test is an alarm as well.
pytestmark = pytest.mark.timeout(0)


@pytest.fixture(autouse=True)
def unchanged(monkeypatch):
    monkeypatch.setattr(state, "should_stop", None)
    handler = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, handler)


def test_a_task_is_told_that_its_time_is_over_and_then_ended(monkeypatch):
    ended = []
    monkeypatch.setattr(work.os, "_exit", ended.append)
    work._begin(SimpleNamespace(soft_time_limit=0.02, time_limit=0.04))
    with pytest.raises(SoftTimeLimitExceeded):
        time.sleep(20)
    deadline = time.monotonic() + 20
    while not ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended == [1]


def test_a_task_that_ends_in_time_is_left_alone():
    work._begin(SimpleNamespace(soft_time_limit=30, time_limit=40))
    work._end()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    work._begin(SimpleNamespace(soft_time_limit=None, time_limit=None))
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_worker_that_held_much_makes_room_for_another(monkeypatch):
    def after(limit):
        configured = SimpleNamespace(worker_max_memory_per_child=limit)
        monkeypatch.setattr(work, "app", SimpleNamespace(conf=configured))
        work._end()
        return state.should_stop

    assert after(10**9) is None
    assert after(1) == 0
