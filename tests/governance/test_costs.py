"""How many queries the gate, standings and lists cost: not more with each row, and few at all."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Role
from governance import queue, records, selectors
from governance.models import Finding, Policy, Review
from governance.services import incidents, policies, suspensions, waivers
from kernel.moments import now
from registry import services
from registry.models import Environment, ModelVersion
from tests import factories
from tests.governance import world as worlds
from tests.governance.asking import DECISIONS, ENFORCE, ask
from tests.governance.support import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    made = worlds.make_world()
    worlds.approve(made)
    made.version = ModelVersion.objects.select_related("model").get(pk=made.version.pk)
    return made


def queries(function: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        function()
    return len(captured)


class TestGate:
    def cost(self, world: Any, path: str = ENFORCE, **more: Any) -> int:
        ask(world, path, **more)
        return queries(lambda: ask(world, path, **more))

    @pytest.mark.parametrize("path", [DECISIONS, ENFORCE])
    def test_an_allow(self, world, path):
        assert self.cost(world, path) <= 17

    def test_a_restart_and_a_denial(self, world):
        assert self.cost(world, purpose="restart") <= 18
        assert self.cost(world, digest="0" * 64) <= 17

    def test_with_a_role_on_the_model_alone(self, world):
        pipeline = factories.make_service_account()
        services.grant_role(
            pipeline,
            "operator",
            world.version.model,
            actor=factories.actor_of(factories.make_user(None, Role.ADMINISTRATOR)),
        )
        world.headers = factories.bearer(pipeline)
        assert self.cost(world) <= 21

    def test_with_all_that_can_be_on_record(self, world):
        worlds.make_breach(world)
        waiver = waivers.request_waiver(
            **world.place,
            controls=["code-recorded"],
            reason="r",
            compensating_control="c",
            ends_at=now() + timedelta(days=1),
            actor=factories.actor_of(world.developer),
        )
        waivers.grant_waiver(waiver, actor=factories.actor_of(world.risk_officer))
        one = self.cost(world)
        assert one <= 19
        worlds.make_breach(world)
        for _ in range(3):
            suspend(world)
        assert self.cost(world) == one


def suspend(world: Any) -> None:
    suspensions.suspend(
        **world.place,
        effect="stop",
        reason="harm",
        actor=factories.actor_of(world.risk_officer),
    )


class TestStandings:
    def places(self, world: Any) -> list[Any]:
        """Places of which some are approved, some suspended, some conditional, and some nothing."""
        versions = [world.version, factories.make_version(world.version.model)]
        environments = [world.environment, factories.make_environment()]
        suspend(world)
        worlds.make_policy(environments[1], name="elsewhere")
        return [
            (version, use, environment)
            for version in versions
            for use in [world.use]
            for environment in environments
        ]

    def test_one_takes_two_queries(self, world):
        place = (world.version, world.use, world.environment)
        assert queries(lambda: selectors.standing_of(*place)) == 2

    def test_many_take_as_many(self, world):
        places = self.places(world)
        assert queries(lambda: selectors.standings_of(places)) == 2
        assert selectors.standings_of([]) == {}

    def test_and_say_the_same(self, world):
        places = self.places(world)
        at = now()
        found = selectors.standings_of(places, at)
        assert len(found) == 4
        for version, use, environment in places:
            alone = selectors.standing_of(version, use, environment, at)
            assert found[version.pk, use.pk, environment.pk] == alone

    def test_a_condition_is_one_more(self, world):
        approval = world.version.approvals.get()
        approval.is_conditional = True
        approval.save()
        finding = Finding.objects.create(
            version=world.version,
            title="Leak",
            detail="label",
            severity="low",
            due_at=now() + timedelta(days=1),
            opened_at=now(),
        )
        finding.approvals.set([approval])
        place = (world.version, world.use, world.environment)
        assert queries(lambda: selectors.standings_of([place])) == 3
        assert selectors.standing_of(*place).standing == "conditional"
        (found,) = selectors.standings_of([place]).values()
        assert found.standing == "conditional"


class TestLists:
    """A list costs the same with one row and with four."""

    def cost(self, path: str, headers: dict[str, str]) -> tuple[int, int]:
        with CaptureQueriesContext(connection) as captured:
            answer = Client().get(f"/api/v1/{path}", headers=headers)
        assert answer.status_code == 200, answer.content
        return len(answer.json()["results"]), len(captured)

    def add(self, world: Any) -> None:
        owner = factories.actor_of(world.owner)
        suspend(world)
        worlds.make_breach(world)
        place = {"use": world.use, "environment": world.environment}
        incidents.open_incident(world.version, **place, summary="harm", actor=owner)
        waivers.request_waiver(
            world.version,
            **place,
            controls=["code-recorded"],
            reason="r",
            compensating_control="c",
            ends_at=now() + timedelta(days=1),
            actor=factories.actor_of(world.developer),
        )
        finding = Finding.objects.create(
            version=world.version, title="t", detail="d", severity="low", opened_at=now()
        )
        finding.approvals.set(world.version.approvals.all())
        ask(world)
        factories.make_evidence(world.version)
        factories.make_dataset()
        factories.make_version(world.version.model)
        environment = Environment.objects.create(name=factories.unique("e"), title="E")
        Review.objects.create(
            version=world.version,
            use=world.use,
            environment=environment,
            revision=1,
            dossier=world.version.dossiers.first(),
            policy_revision=world.policy,
            control_results=[],
            signed_digest="0" * 64,
            signed_document=b"{}",
            submitted_by=factories.make_user(),
            submitted_at=now(),
        )
        factories.make_deployment(world.version, factories.make_environment())
        worlds.make_policy(environment)

    @pytest.mark.parametrize(
        "path",
        [
            "suspensions/",
            "breaches/",
            "monitors/",
            "incidents/",
            "waivers/",
            "findings/",
            "gate/decisions/",
            "datasets/",
            "models/",
            "deployments/",
            "reviews/",
            "policies/",
            "users/",
            "models/{model}/versions/",
            "models/{model}/versions/1/evidence/",
            "models/{model}/versions/1/reviews/",
        ],
    )
    def test_rows_cost_nothing(self, world, path):
        headers = factories.bearer(factories.make_user(None, *Role))
        path = path.format(model=world.version.model.name)
        self.add(world)
        self.cost(path, headers)
        before = self.cost(path, headers)
        for _ in range(3):
            self.add(world)
        after = self.cost(path, headers)
        if path != "models/":
            assert after[0] > before[0]
        assert after[1] == before[1]


class TestQueue:
    def test_a_review_that_wants_a_lost_signature_waits_for_somebody_again(self):
        world = World()
        first, second = (factories.make_user(None, Role.VALIDATOR) for _ in range(2))
        review = world.submit()
        world.validate(review)
        world.sign(review, first)
        assert queue.awaiting([review], world.by(second)) == set()
        first.organisation_roles.update(until=now())
        assert queue.awaiting([review], world.by(second)) == {review.pk}

    def test_more_reviews_take_no_more_queries(self):
        world = World()
        for _ in range(3):
            environment = factories.make_environment()
            policies.bind_policy(
                Policy.objects.get(), environment=environment, actor=world.by(world.officer)
            )
            review = world.submit(environment=environment)
            if not review.dossier.validations.exists():
                world.validate(review)
            world.sign(review, world.officer)
        rows = list(
            Review.objects.select_related("version__model", "policy_revision").order_by("pk")
        )
        actor = world.by(world.validator)
        queue.awaiting(rows, actor)
        cost = [
            queries(lambda count=count: queue.awaiting(rows[:count], actor)) for count in (1, 3)
        ]
        assert cost[0] == cost[1]
        assert queue.awaiting(rows, actor) == {one.pk for one in rows}


class TestPlans:
    def test_a_plan_says_what_a_query_says(self, world):
        """Of the SQL that is made once: for each place its own rows, with values of the same types."""
        worlds.make_breach(world)
        suspend(world)
        factories.make_evidence(world.version)
        other = worlds.make_world()
        worlds.approve(other)
        for one in (world, other, world):
            place = (one.version.pk, one.use.pk, one.environment.pk)
            for planned, legs, ids in (
                (records.of_decision, records._decision, place),
                (records.of_place, records._standing_of_one, place),
                (records.beside_dossier, records._beside, place[:2]),
            ):
                asked = records._read(legs(*ids))
                assert sorted(planned(*ids).rows, key=repr) == sorted(asked.rows, key=repr)
                assert asked.rows
