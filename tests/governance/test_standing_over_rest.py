"""The standing over REST: now, and as it was on record at any instant."""

from datetime import timedelta

import pytest

from governance import selectors
from governance.models import Suspension
from governance.services import suspensions
from kernel.moments import now, rfc3339
from registry import services
from registry.models import RevisionChange
from tests import factories
from tests.governance import world as worlds

pytestmark = pytest.mark.django_db
TICK = timedelta(microseconds=1)


@pytest.fixture
def world():
    return worlds.make_world()


@pytest.fixture
def ask(client):
    def asking(world, headers=None, **query):
        path = (
            f"/api/v1/models/{world.version.model.name}/versions/{world.version.number}/standing/"
        )
        query = {"environment": world.environment.name, **query}
        return client.get(path, query, headers=headers or world.headers)

    return asking


def test_a_life_and_every_instant_of_it(world, ask):
    approval = worlds.approve(world)
    owner = factories.actor_of(world.owner)
    suspended = suspensions.suspend(
        world.version,
        use=world.use,
        environment=world.environment,
        effect="stop",
        reason="complaints",
        actor=owner,
    )
    lifted = suspensions.lift(
        suspended, reason="mended", actor=factories.actor_of(world.risk_officer)
    )
    services.reopen_version(world.version, reason="new facts", actor=owner)
    reopened = RevisionChange.objects.get(version=world.version, revision=2)
    again = worlds.approve(world)
    retired = services.retire_version(world.version, reason="old", actor=owner).retired_at
    life = [
        (approval.granted_at - TICK, "not_approved"),
        (approval.granted_at, "approved"),
        (suspended.since - TICK, "approved"),
        (suspended.since, "suspended"),
        (lifted.until, "approved"),
        (reopened.at - TICK, "approved"),
        (reopened.at, "lapsed"),
        (again.granted_at, "approved"),
        (retired - TICK, "approved"),
        (retired, "retired"),
    ]
    told = [ask(world, at=rfc3339(at)).json()["standing"] for at, _ in life]
    assert told == [standing for _, standing in life]
    assert ask(world).json()["standing"] == "retired"


def test_what_it_says(world, ask):
    approval = worlds.approve(world)
    body = ask(world).json()
    assert body["standing"] == "approved"
    assert body["in_force"] is True
    assert body["until"] == rfc3339(approval.valid_until)
    assert body["approval"]["id"] == str(approval.pk)
    assert body["policy_revision"] == str(world.policy.pk)
    assert body["revision"] == 1
    assert body["use"] == "default"


def test_each_change_of_a_fact_is_remembered_with_its_instant(world):
    developer = factories.actor_of(world.developer)
    services.amend_version(world.version, changes={"description": "better"}, actor=developer)
    factories.make_evidence(world.version)
    world.refresh()
    changes = RevisionChange.objects.filter(version=world.version).order_by("revision")
    assert [one.revision for one in changes] == list(range(1, world.version.revision + 1))
    assert changes.last().at == world.version.moment


def test_it_is_never_asked_as_of_before_what_is_recorded(world):
    """A clock that lags behind the newest record must not hide it."""
    worlds.approve(world)
    ahead = now() + timedelta(seconds=30)
    Suspension.objects.create(**world.place, effect="stop", reason="x", since=ahead)
    type(world.version).objects.filter(pk=world.version.pk).update(moment=ahead)
    found = selectors.standing_of(world.refresh(), world.use, world.environment)
    assert found.standing == "suspended"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"environment": ""}, "environment"),
        ({"environment": "nowhere"}, "environment"),
        ({"use": "nothing"}, "use"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2000-01-01"}, "at"),
        ({"on": "2000-01-01"}, "on"),
    ],
)
def test_wrong_questions_name_the_parameter(world, ask, query, field):
    response = ask(world, **query)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_to_whom_may_not_read_the_model_it_is_not_there(world, ask, client):
    outsider = factories.bearer(factories.make_service_account())
    assert ask(world, headers=outsider).status_code == 404
    path = f"/api/v1/models/{world.version.model.name}/versions/1/standing/"
    assert client.get(path).status_code == 401
    gate_alone = factories.bearer(world.pipeline, "gate")
    assert ask(world, headers=gate_alone).status_code == 403
