"""Rollback and restart rest on what the gate let by, and on nothing that a pipeline says by itself."""

from datetime import timedelta
from uuid import UUID

import pytest

from governance.models import GateDecision
from kernel.moments import now
from registry import services
from tests import factories
from tests.governance import world as worlds
from tests.governance.asking import ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return worlds.make_world()


def let_by(world) -> UUID:
    """The version is approved, and the gate allows it."""
    worlds.approve(world)
    body = ask(world).json()
    assert body["decision"] == "allow"
    return UUID(body["id"])


def lapse(world) -> None:
    services.reopen_version(
        world.version, reason="new facts", actor=factories.actor_of(world.owner)
    )


class TestRestart:
    def test_what_the_gate_never_allowed_is_no_restart(self, world):
        """Who may record deployments could else let any version by, approved or not."""
        factories.make_deployment(world.version, world.environment)
        body = ask(world, purpose="restart").json()
        assert (body["decision"], body["path"], body["verdict"]) == ("deny", "deploy", "FAILED")

    def test_what_the_gate_allowed_is(self, world):
        decision = let_by(world)
        factories.make_deployment(world.version, world.environment, gate_decision_id=decision)
        lapse(world)
        assert ask(world).json()["decision"] == "deny"
        body = ask(world, purpose="restart").json()
        assert (body["decision"], body["path"]) == ("allow", "restart")

    def test_an_allow_that_had_run_out_covers_no_deployment(self, world):
        decision = let_by(world)
        GateDecision.objects.filter(pk=decision).update(not_after=now() - timedelta(minutes=1))
        factories.make_deployment(world.version, world.environment, gate_decision_id=decision)
        lapse(world)
        assert ask(world, purpose="restart").json()["decision"] == "deny"

    def test_what_observing_let_by_goes_on_once_it_is_enforced(self):
        world = worlds.make_world(mode="observe")
        decision = ask(world).json()
        assert (decision["decision"], decision["judged"]) == ("allow", "deny")
        factories.make_deployment(
            world.version, world.environment, gate_decision_id=UUID(decision["id"])
        )
        services.set_mode(
            world.environment,
            "enforce",
            reason="ready",
            actor=factories.actor_of(world.risk_officer),
        )
        assert ask(world, purpose="restart").json()["decision"] == "allow"
        assert ask(world).json()["decision"] == "deny"


class TestRollback:
    def test_to_what_was_deployed_past_the_gate(self, world):
        worlds.approve(world)
        lapse(world)
        deployed = factories.make_deployment(world.version, world.environment)
        services.end_deployment(deployed, actor=factories.actor_of(world.operator))
        body = ask(world, purpose="rollback").json()
        assert (body["decision"], body["path"]) == ("deny", "deploy")
