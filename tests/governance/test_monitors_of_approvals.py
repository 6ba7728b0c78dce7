"""Who approves starts what the policy wants watched, in the same write, or does not approve."""

import pytest

from accounts.models import Role
from audit.actor import Actor
from audit.writing import write
from governance.models import Approval
from governance.policies import parse
from governance.services import loop
from governance.services.policies import publish_policy
from kernel.errors import Conflict, Invalid
from monitoring.models import Monitor
from registry import services
from registry.models import DatasetUse
from tests import factories
from tests.governance import world as worlds
from tests.monitoring import helpers, lakes

pytestmark = pytest.mark.django_db

MONITORS = """
monitors:
  - name: fairness-in-production
    check: fairness
    min_rows: 300
    silent_after_days: 2
    effect: fall_back
    window: week
    wait_hours: 6
    silent_after_windows: 2
    limits:
      - metric: equal_opportunity_difference
        attribute: sex
        bound: lower
        at_most: 0.10
  - name: drift-in-production
    check: drift
    limits:
      - metric: drifted_share
        at_most: 0.5
"""


@pytest.fixture
def world():
    return worlds.make_world(
        source=worlds.SOURCE.format(name="watched", evidence="warn") + MONITORS
    )


def prepare(world) -> None:
    """Say what the columns mean, and what the version was trained on."""
    services.declare_columns(
        world.version.model, helpers.COLUMNS, actor=factories.actor_of(world.owner)
    )
    DatasetUse.objects.create(
        version=world.version, dataset=helpers.dataset(), purpose=DatasetUse.Purpose.TRAINING
    )
    world.refresh()


def start(approval: Approval, source: str) -> list[Monitor]:
    @write
    def approving(*, actor: Actor) -> list[Monitor]:
        approval.version = services.lock_version(approval.version_id)
        at = services.tick(approval.version)
        return loop.start_monitors(approval, parse(source), at, actor)

    return approving(actor=factories.actor_of(factories.make_user()))


def test_each_monitor_of_the_policy_watches_the_place(world):
    prepare(world)
    begun = start(worlds.approve(world), world.policy.source)
    fairness, drift = begun
    assert {(one.version, one.use, one.environment) for one in begun} == {
        (world.version, world.use, world.environment)
    }
    assert (fairness.name, fairness.wanted_effect) == ("fairness-in-production", "fall_back")
    assert fairness.effect == "no_new_deployment", "more takes a backtest"
    assert (fairness.window, fairness.wait_seconds) == ("week", 6 * 3600)
    assert (fairness.silent_after_windows, drift.silent_after_windows) == (2, 3)
    assert drift.silent_after_seconds == 7 * 86_400, "though the policy says nothing of it"
    assert drift.window == "batch"
    assert fairness.silent_after_seconds == 2 * 86_400
    assert fairness.reference is None
    limit = fairness.limits[0]
    assert (limit["metric"], limit["op"], limit["value"]) == (
        "equal_opportunity_difference",
        "<=",
        0.10,
    )
    assert limit["slice"] == {"sex": "*"}
    assert limit["bound"] == "lower"
    assert drift.reference == helpers.dataset()
    assert len(worlds.entries("monitoring.monitor.started")) == 2


def test_approved_again_the_same_monitors_go_on(world):
    prepare(world)
    approval = worlds.approve(world)
    first = start(approval, world.policy.source)
    assert start(approval, world.policy.source) == first
    assert Monitor.objects.count() == 2


def test_what_cannot_be_watched_is_not_approved(world):
    approval = worlds.approve(world)
    with pytest.raises(Conflict) as error:
        start(approval, world.policy.source)
    assert error.value.code == "monitor_impossible"
    assert "fairness-in-production" in error.value.detail
    assert Monitor.objects.count() == 0


def test_reference_data_go_before_those_it_was_trained_on(world):
    prepare(world)
    reference = helpers.dataset(helpers.rows(seed=2))
    DatasetUse.objects.create(
        version=world.version, dataset=reference, purpose=DatasetUse.Purpose.REFERENCE
    )
    assert loop.reference_of(world.version, "drift") == reference
    assert loop.reference_of(world.version, "performance") is None


def test_a_policy_has_the_versions_production_table_watched(world, tmp_path, monkeypatch):
    lakes.Lake(tmp_path, monkeypatch)
    source = world.policy.source.replace("wait_hours: 6", "source: production\n    recheck: 2")
    source = source.replace("silent_after_days: 2", "silent_after_days: 8")
    services.declare_columns(
        world.version.model, lakes.COLUMNS, actor=factories.actor_of(world.owner)
    )
    for purpose in (DatasetUse.Purpose.TRAINING, DatasetUse.Purpose.PRODUCTION):
        DatasetUse.objects.create(version=world.version, dataset=helpers.dataset(), purpose=purpose)
    world.refresh()
    approval = worlds.approve(world)
    with pytest.raises(Conflict) as error:
        start(approval, source)
    assert "names no table as its production data" in error.value.detail
    assert not Monitor.objects.exists()
    table = lakes.dataset()
    DatasetUse.objects.create(
        version=world.version, dataset=table, purpose=DatasetUse.Purpose.PRODUCTION
    )
    fairness, drift = start(approval, source)
    assert (fairness.source, fairness.recheck, fairness.config["grade"]) == (table, 2, "recomputed")
    assert (drift.source, drift.recheck) == (None, 0)
    assert start(approval, source) == [fairness, drift]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("equal_opportunity_difference", "equal_oportunity", "monitors[0].limits[0].metric"),
        ("at_most: 0.10", "at_most: 1.0", "monitors[0].limits[0].value"),
        ("drifted_share", "drifted_share\n        bound: upper", "monitors[1].limits[0].bound"),
        ("check: drift", "check: drift\n    config: {alpha: 2}", "monitors[1].config.alpha"),
        ("min_rows: 300", "min_rows: 1000000000", "monitors[0].min_rows"),
        ("silent_after_days: 2", "silent_after_days: 999", "monitors[0].silent_after_days"),
    ],
)
def test_a_limit_that_holds_nothing_is_no_policy(world, old, new, field):
    assert old in world.policy.source
    with pytest.raises(Invalid) as error:
        publish_policy(
            world.policy.source.replace(old, new),
            actor=factories.actor_of(factories.make_user(None, Role.RISK_OFFICER)),
        )
    assert field in error.value.fields


def test_a_limit_on_what_a_version_does_not_have_is_found_when_it_is_approved(world):
    prepare(world)
    approval = worlds.approve(world)
    source = world.policy.source.replace("attribute: sex", "attribute: age")
    with pytest.raises(Conflict) as error:
        start(approval, source)
    assert "attribute sex" in error.value.detail


def test_outside_a_write_nothing_starts(world):
    with pytest.raises(RuntimeError):
        loop.start_monitors(
            worlds.approve(world), parse(world.policy.source), world.version.moment, loop.SYSTEM
        )


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("window: fortnight", "monitors[0].window"),
        ("wait_hours: -1", "monitors[0].wait_hours"),
        ("silent_after_windows: 0", "monitors[0].silent_after_windows"),
        ("source: elsewhere", "monitors[0].source"),
        ("recheck: 1", "monitors[0].recheck"),
        ("source: production\n    recheck: 32", "monitors[0].recheck"),
        ("source: production\n    window: batch", "monitors[0].window"),
    ],
)
def test_a_window_that_is_none_is_named(world, line, field):
    known = {"window": "window: week", "silent_after_windows": "silent_after_windows: 2"}
    old = "window: week" if "window: batch" in line else known.get(line.split(":")[0])
    old = old or "wait_hours: 6"
    with pytest.raises(Invalid) as error:
        parse(world.policy.source.replace(old, line))
    assert field in error.value.fields
