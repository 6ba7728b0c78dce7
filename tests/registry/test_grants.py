"""Roles on models and portfolios: granted, inherited, ended, and what they let one see and do."""

import pytest
from django.db import IntegrityError, transaction

from accounts.access import can, visible, who_can
from accounts.actors import pseudonym_of
from accounts.models import Role, User
from audit.actor import Actor
from audit.writing import Refused
from kernel.errors import Conflict, Invalid
from kernel.identifiers import uuid7
from registry import services
from registry.grants import grants_at
from registry.models import ModelVersion, RegisteredModel, RegisteredModelUserPermission, RoleGrant
from tests import factories as f
from tests.registry.support import last

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Actor:
    return f.actor_of(f.make_user("ada", Role.ADMINISTRATOR))


@pytest.fixture
def alice() -> User:
    return f.make_user("alice")


def test_a_role_on_a_model_reaches_that_model_alone(admin: Actor, alice: User) -> None:
    mine, other = f.make_model(), f.make_model()
    services.grant_role(alice, Role.OWNER, mine, actor=admin)
    actor = f.actor_of(alice)
    assert can(actor, "model.amend", mine)
    assert not can(actor, "model.amend", other)
    assert not can(actor, "model.amend")
    assert list(visible(RegisteredModel.objects.all(), actor)) == [mine]
    version = f.make_version(mine)
    f.make_version(other)
    assert list(visible(ModelVersion.objects.all(), actor, "model")) == [version]
    assert can(actor, "version.reopen", version)
    assert alice in who_can("model.amend", mine)
    assert alice not in who_can("model.amend", other)
    entry = last("registry.role.granted")
    assert entry.public == {
        "user": str(pseudonym_of(alice.pk)),
        "role": "owner",
        "model": mine.name,
    }


def test_a_role_on_a_portfolio_reaches_every_model_in_it(admin: Actor, alice: User) -> None:
    portfolio = f.make_portfolio()
    first = f.make_model(portfolio=portfolio)
    services.grant_role(alice, Role.DEVELOPER, portfolio, actor=admin)
    later = f.make_model(by=alice, portfolio=portfolio)
    outside = f.make_model()
    actor = f.actor_of(alice)
    assert can(actor, "version.register", first)
    assert can(actor, "version.register", later)
    assert not can(actor, "version.register", outside)
    assert set(visible(RegisteredModel.objects.all(), actor)) == {first, later}
    assert alice in who_can("version.register", later)
    assert alice in who_can("model.register", portfolio)
    with pytest.raises(Refused):
        f.make_model(by=alice)


def test_ending_a_role_ends_what_it_gave(admin: Actor, alice: User) -> None:
    model = f.make_model()
    grant = services.grant_role(alice, Role.OWNER, model, actor=admin)
    ended = services.end_role(grant, actor=admin)
    assert ended.until is not None
    assert not RegisteredModelUserPermission.objects.exists()
    assert not can(f.actor_of(alice), "model.read", model)
    assert list(grants_at(model, grant.since)) == [grant]
    assert not grants_at(model, ended.until).exists()
    assert not grants_at(model).exists()
    with pytest.raises(Conflict):
        services.end_role(grant, actor=admin)
    again = services.grant_role(alice, Role.OWNER, model, actor=admin)
    assert again.pk != grant.pk


def test_nobody_grants_a_role_to_themselves(admin: Actor) -> None:
    ada = User.objects.get(username="ada")
    with pytest.raises(Refused) as refused:
        services.grant_role(ada, Role.RISK_OFFICER, f.make_model(), actor=admin)
    assert refused.value.code == "own_role"
    assert not RoleGrant.objects.exists()


def test_a_role_is_held_once(admin: Actor, alice: User) -> None:
    model = f.make_model()
    row = services.grant_role(alice, Role.OWNER, model, actor=admin)
    with pytest.raises(Conflict):
        services.grant_role(alice, Role.OWNER, model, actor=admin)
    row.pk = uuid7()
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_unknown_roles_and_inactive_accounts_are_named(admin: Actor) -> None:
    model = f.make_model()
    with pytest.raises(Invalid) as error:
        services.grant_role(f.make_user(), "king", model, actor=admin)
    assert error.value.field == "role"
    with pytest.raises(Invalid) as error:
        services.grant_role(f.make_user(is_active=False), Role.OWNER, model, actor=admin)
    assert error.value.field == "user"


def test_an_administrator_of_one_model_grants_there_alone(admin: Actor, alice: User) -> None:
    model, other = f.make_model(), f.make_model()
    services.grant_role(alice, Role.ADMINISTRATOR, model, actor=admin)
    bob = f.make_user("bob")
    services.grant_role(bob, Role.VALIDATOR, model, actor=f.actor_of(alice))
    with pytest.raises(Refused):
        services.grant_role(bob, Role.VALIDATOR, other, actor=f.actor_of(alice))
