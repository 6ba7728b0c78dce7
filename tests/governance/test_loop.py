"""What follows from a breach, from a version trained anew, and from a deployment past the gate."""

import pytest

from accounts.models import Role
from audit import outbox
from audit.actor import Actor
from audit.models import Delivery
from audit.writing import Refused
from governance.models import (
    Finding,
    GateDecision,
    Incident,
    RetrainingRequest,
    Suspension,
)
from governance.services import deployments, loop, retraining
from kernel.errors import Unprocessable
from registry import services
from tests import factories
from tests.governance import world as worlds

pytestmark = pytest.mark.django_db

FOLLOWS = (
    "governance.finding.opened",
    "governance.suspension.started",
    "governance.incident.opened",
    "governance.retraining.requested",
)


@pytest.fixture
def world():
    made = worlds.make_world()
    worlds.approve(made)
    made.refresh()
    return made


def work() -> None:
    """What the worker does, until there is nothing left."""
    while outbox.sweep():
        pass


class TestBreach:
    def test_the_worker_opens_everything_that_follows_each_on_record(self, world):
        breach = worlds.make_breach(world, effect="fall_back")
        work()
        finding = Finding.objects.get(breach=breach)
        suspension = Suspension.objects.get(breach=breach)
        incident = Incident.objects.get(breach=breach)
        request = RetrainingRequest.objects.get(breach=breach)
        assert finding.severity == "high"
        assert suspension.effect == "fall_back"
        assert suspension.until is None
        assert suspension.suspended_by is None
        assert incident.state == "suspected"
        assert incident.aware_at is None
        assert request.incident == incident
        assert "0.41 against <= 0.2" in finding.detail
        recorded = worlds.entries(*FOLLOWS)
        assert [entry.type for entry in recorded] == list(FOLLOWS)
        assert {entry.public["breach"] for entry in recorded} == {str(breach.pk)}
        assert {entry.scope for entry in recorded} == {world.version.model_id}
        assert len({entry.at for entry in recorded}) == 1

    def test_the_finding_is_owned_by_the_models_owner(self, world):
        admin = factories.actor_of(factories.make_user(None, Role.ADMINISTRATOR))
        owner = factories.make_user()
        services.grant_role(owner, Role.OWNER, world.version.model, actor=admin)
        worlds.make_breach(world)
        work()
        assert Finding.objects.get().owner == owner

    def test_delivered_twice_it_is_done_once(self, world):
        breach = worlds.make_breach(world)
        work()
        (entry,) = worlds.entries("monitoring.breach.opened")
        loop.react_to_breach(entry)
        assert loop.follow_up(breach, actor=loop.SYSTEM) is False
        assert Suspension.objects.count() == Finding.objects.count() == 1
        assert len(worlds.entries(*FOLLOWS)) == 4
        assert Delivery.objects.exclude(state="delivered").count() == 0

    def test_two_breaches_are_followed_up_apart(self, world):
        worlds.make_breach(world)
        worlds.make_breach(world)
        work()
        assert Suspension.objects.count() == Incident.objects.count() == 2

    def test_one_that_a_person_resolved_first_is_left_alone(self, world):
        from monitoring.services import resolve_breach

        breach = worlds.make_breach(world)
        resolve_breach(breach, resolution="a bad batch", actor=factories.actor_of(world.owner))
        work()
        assert Suspension.objects.count() == 0

    def test_an_effect_that_nobody_knows_stops(self, world):
        worlds.make_breach(world, effect="shrug")
        work()
        assert Suspension.objects.get().effect == "stop"

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.AUDITOR, Role.VALIDATOR])
    def test_who_may_not_suspend_does_not_follow_up_either(self, world, role):
        breach = worlds.make_breach(world)
        person = factories.make_user(None, role)
        with pytest.raises(Refused):
            loop.follow_up(breach, actor=factories.actor_of(person))
        assert Suspension.objects.count() == 0


class TestRetraining:
    def test_the_version_trained_anew_answers(self, world):
        worlds.make_breach(world)
        work()
        successor = factories.make_version(world.version.model, parent=world.version)
        work()
        request = RetrainingRequest.objects.get()
        assert request.answered_by == successor
        (entry,) = worlds.entries("governance.retraining.answered")
        assert entry.public["answered_by"] == successor.number
        assert request.answered_at == entry.at

    def test_another_version_does_not(self, world):
        actor = factories.actor_of(world.owner)
        retraining.request_retraining(world.version, reason="old data", actor=actor)
        factories.make_version(world.version.model)
        factories.make_version()
        work()
        assert RetrainingRequest.objects.get().answered_by is None

    def test_the_first_answer_stays(self, world):
        actor = factories.actor_of(world.owner)
        retraining.request_retraining(world.version, reason="old data", actor=actor)
        first = factories.make_version(world.version.model, parent=world.version)
        work()
        factories.make_version(world.version.model, parent=world.version)
        work()
        assert RetrainingRequest.objects.get().answered_by == first

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.AUDITOR, Role.OPERATOR])
    def test_who_may_not_ask(self, world, role):
        actor = factories.actor_of(factories.make_user(None, role))
        with pytest.raises(Refused):
            retraining.request_retraining(world.version, reason="x", actor=actor)


def decided(world, client, **question) -> GateDecision:
    body = client.post(
        "/api/v1/gate/decisions/",
        world.question(**question),
        content_type="application/json",
        headers=world.headers,
    ).json()
    return GateDecision.objects.get(pk=body["id"])


class TestDeployments:
    def test_with_an_allow_there_is_nothing_to_say(self, world, client):
        decision = decided(world, client)
        factories.make_deployment(world.version, world.environment, gate_decision_id=decision.pk)
        work()
        assert Finding.objects.count() == 0

    def test_past_the_gate_leaves_a_finding_once(self, world):
        deployment = factories.make_deployment(world.version, world.environment)
        work()
        finding = Finding.objects.get()
        assert "past the gate" in finding.title
        assert len(worlds.entries("governance.finding.opened")) == 1
        assert deployments.note_bypass(deployment, actor=loop.SYSTEM) is None

    def test_after_the_allow_has_run_out_too(self, world, client):
        decision = decided(world, client)
        GateDecision.objects.filter(pk=decision.pk).update(not_after=decision.decided_at)
        factories.make_deployment(world.version, world.environment, gate_decision_id=decision.pk)
        work()
        assert Finding.objects.count() == 1

    def test_a_decision_that_is_no_allow_for_this_is_refused(self, world, client):
        allowed = decided(world, client)
        other = factories.make_environment()
        worlds.make_breach(world)
        denied = decided(world, client)
        for decision, environment in [
            (denied.pk, world.environment),
            (allowed.pk, other),
            (world.version.pk, world.environment),
        ]:
            with pytest.raises(Unprocessable) as error:
                factories.make_deployment(world.version, environment, gate_decision_id=decision)
            assert error.value.field == "gate_decision"

    def test_only_the_service_and_those_who_manage_findings_note_it(self, world):
        deployment = factories.make_deployment(world.version, world.environment)
        actor = factories.actor_of(world.developer)
        with pytest.raises(Refused):
            deployments.note_bypass(deployment, actor=actor)


def test_the_system_actor_is_the_same_at_each_start():
    assert Actor.system("governance") == loop.SYSTEM
