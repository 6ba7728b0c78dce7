"""What a request remembers of its actor's roles, and that no write and no other request does."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import access
from accounts.access import can, roles_held, roles_on, visible
from accounts.actors import actor_for
from accounts.models import OrganisationRole, Role, User
from audit.actor import Actor
from audit.writing import Refused, write
from kernel.moments import now
from registry import services
from registry.models import RegisteredModel
from tests import factories as f

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return f.make_user(None, Role.OWNER)


def take_away(user: User) -> None:
    """As another request does, which knows nothing of this one."""
    OrganisationRole.objects.filter(user=user).update(until=now())


def queries(function: object) -> int:
    with CaptureQueriesContext(connection) as captured:
        function()  # type: ignore[operator]
    return len(captured)


class TestOneRequest:
    def test_roles_are_looked_up_once(self, user: User) -> None:
        model, actor = f.make_model(), actor_for(user, for_request=True)

        def asking() -> None:
            for _ in range(5):
                assert can(actor, "model.amend", model)
                assert not can(actor, "policy.publish", model)
                assert visible(RegisteredModel.objects.all(), actor).exists()

        # One for the organisation, two for the model, and what is read itself.
        assert queries(asking) == 3 + 5

    def test_a_role_for_the_organisation_that_does_spares_the_others(self, user: User) -> None:
        model, actor = f.make_model(), actor_for(user)
        assert queries(lambda: can(actor, "model.amend", model)) == 1

    def test_one_model_s_roles_are_not_another_s(self) -> None:
        one, other = f.make_model(), f.make_model()
        person = f.make_user()
        administrator = f.actor_of(f.make_user(None, Role.ADMINISTRATOR))
        services.grant_role(person, "owner", one, actor=administrator)
        actor = actor_for(person, for_request=True)
        for _ in range(2):
            assert can(actor, "model.amend", one)
            assert not can(actor, "model.amend", other)
            assert roles_held(actor, one) == {Role.OWNER}
            assert roles_held(actor, other) == roles_held(actor) == set()

    def test_what_is_handed_out_is_nobody_s_to_change(self, user: User) -> None:
        actor = actor_for(user, for_request=True)
        roles_held(actor).add(Role.RISK_OFFICER)
        assert roles_held(actor) == {Role.OWNER}


class TestWritesAskAfresh:
    def test_a_role_that_ended_after_the_page_looked(self, user: User) -> None:
        model, actor = f.make_model(), actor_for(user, for_request=True)
        assert can(actor, "model.amend", model)
        take_away(user)
        assert can(actor, "model.amend", model), "a read may remember"
        with pytest.raises(Refused):
            services.amend_model(model, changes={"title": "Other"}, actor=actor)
        assert RegisteredModel.objects.get(pk=model.pk).title != "Other"

    def test_a_role_on_the_model_that_ended(self) -> None:
        model, person = f.make_model(), f.make_user()
        administrator = f.actor_of(f.make_user(None, Role.ADMINISTRATOR))
        grant = services.grant_role(person, "owner", model, actor=administrator)
        actor = actor_for(person, for_request=True)
        assert can(actor, "model.amend", model)
        services.end_role(grant, actor=administrator)
        with pytest.raises(Refused):
            services.amend_model(model, changes={"title": "Other"}, actor=actor)

    def test_whatever_is_asked_inside(self, user: User) -> None:
        actor = actor_for(user, for_request=True)
        assert roles_held(actor) == {Role.OWNER}
        take_away(user)

        @write
        def looking(*, actor: Actor) -> tuple[set[Role], bool]:
            return roles_held(actor), bool(can(actor, "model.amend"))

        assert looking(actor=actor) == (set(), False)

    def test_a_write_empties_what_was_remembered(self, user: User) -> None:
        actor = actor_for(user, for_request=True)
        assert roles_held(actor) == {Role.OWNER}
        take_away(user)
        with pytest.raises(Refused):
            services.register_portfolio("p", name="P", actor=actor)
        assert roles_held(actor) == set()


class TestNoOtherRequest:
    def test_each_request_looks_for_itself(self, user: User, client) -> None:  # type: ignore[no-untyped-def]
        model, headers = f.make_model(), f.bearer(user)
        path = f"/api/v1/models/{model.name}/"
        assert client.get(path, headers=headers).status_code == 200
        take_away(user)
        assert client.get(path, headers=headers).status_code == 404

    def test_nor_a_session(self, user: User, client) -> None:  # type: ignore[no-untyped-def]
        model = f.make_model()
        client.force_login(user)
        path = f"/models/{model.name}/"
        assert client.get(path).status_code == 200
        take_away(user)
        assert client.get(path).status_code == 404

    def test_an_actor_outside_of_requests_remembers_nothing(self, user: User) -> None:
        actor = actor_for(user)
        assert roles_held(actor) == {Role.OWNER}
        take_away(user)
        assert roles_held(actor) == set()

    def test_the_memo_tells_actors_not_apart(self, user: User) -> None:
        assert actor_for(user, for_request=True) == actor_for(user)
        assert hash(actor_for(user, for_request=True)) == hash(actor_for(user))


def test_many_at_once_are_as_each_by_itself() -> None:
    administrator = f.actor_of(f.make_user(None, Role.ADMINISTRATOR))
    models = [f.make_model() for _ in range(3)]
    users = [f.make_user(None, Role.AUDITOR), f.make_user(), f.make_user()]
    services.grant_role(users[1], "owner", models[0], actor=administrator)
    services.grant_role(users[1], "validator", models[1].portfolio, actor=administrator)
    ended = services.grant_role(users[2], "owner", models[2], actor=administrator)
    services.end_role(ended, actor=administrator)
    with CaptureQueriesContext(connection) as captured:
        found = roles_on([one.pk for one in users], models)
    assert len(captured) == 3
    assert found == {
        (user.pk, model.pk): access.roles_of(user.pk, model) for user in users for model in models
    }
    assert found[users[1].pk, models[1].pk] == {Role.VALIDATOR}
