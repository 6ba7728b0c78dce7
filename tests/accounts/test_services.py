"""Writes about accounts: what they do, who must not, and what is on record afterwards."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from accounts import services
from accounts.access import can
from accounts.actors import actor_for, pseudonym_of
from accounts.models import ApiToken, OrganisationRole, Reauthentication, Role, User
from audit.actor import Actor
from audit.models import Entry
from audit.writing import Refused
from kernel.errors import Conflict, Invalid
from kernel.moments import now
from tests.accounts.conftest import PASSWORD, person


def entries(type_: str) -> list[dict]:
    return [json.loads(bytes(row.leaf)) for row in Entry.objects.filter(type=type_)]


def test_an_administrator_makes_a_person(admin_actor: Actor) -> None:
    # No name whose letters could stand in a UUID.
    user = services.create_person("lovelace", name="Lovelace", password=PASSWORD, actor=admin_actor)

    assert user.check_password(PASSWORD)
    (entry,) = entries("accounts.user.created")
    assert entry["public"] == {"user": str(pseudonym_of(user.pk)), "kind": "person"}
    assert str(user.pk) not in json.dumps(entry)
    assert "lovelace" not in json.dumps(entry).lower()


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_nobody_else_makes_accounts(db: None, role: Role) -> None:
    actor = actor_for(person("somebody", role))

    with pytest.raises(Refused, match="administrator"):
        services.create_person("ada", name="Ada", password=PASSWORD, actor=actor)

    assert not User.objects.filter(username="ada").exists()
    (refusal,) = entries("audit.write.refused")
    assert refusal["public"]["code"] == "not_permitted"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "with space"}, "username"),
        ({"name": "  "}, "name"),
        ({"password": "short"}, "password"),
        ({"email": "nonsense"}, "email"),
    ],
)
def test_bad_input_names_its_field(admin_actor: Actor, change: dict, field: str) -> None:
    given = {"username": "ada", "name": "Ada", "password": PASSWORD} | change
    with pytest.raises(Invalid) as error:
        services.create_person(given.pop("username"), **given, actor=admin_actor)
    assert field in error.value.fields
    assert not entries("accounts.user.created")


def test_a_service_account_needs_somebody_who_answers_for_it(admin_actor: Actor) -> None:
    with pytest.raises(Invalid) as error:
        services.create_service_account("ci", name="CI", responsible=[], actor=admin_actor)
    assert error.value.field == "responsible"


def test_a_service_account_knows_its_responsible_persons(
    admin_actor: Actor, developer: User
) -> None:
    account = services.create_service_account(
        "ci", name="CI", responsible=[developer], actor=admin_actor
    )
    assert account.responsibles.get().person == developer
    assert not account.has_usable_password()


def test_roles_are_granted_and_ended_as_intervals(admin_actor: Actor, outsider: User) -> None:
    services.grant_organisation_role(outsider, "validator", actor=admin_actor)
    services.grant_organisation_role(outsider, "validator", actor=admin_actor)
    assert can(actor_for(outsider), "validation.write")
    services.end_organisation_role(outsider, "validator", actor=admin_actor)

    assert not can(actor_for(outsider), "validation.write")
    row = OrganisationRole.objects.get(user=outsider)
    assert row.until is not None
    assert len(entries("accounts.role.granted")) == len(entries("accounts.role.ended")) == 1


def test_nobody_grants_roles_to_themselves(admin: User, admin_actor: Actor) -> None:
    with pytest.raises(Refused, match="themselves"):
        services.grant_organisation_role(admin, "risk_officer", actor=admin_actor)
    assert not OrganisationRole.objects.filter(role="risk_officer").exists()


def test_an_administrator_and_a_superuser_cannot_approve(admin: User) -> None:
    User.objects.filter(pk=admin.pk).update(is_superuser=True)
    for action in ("review.sign", "validation.write", "waiver.grant", "policy.publish"):
        assert not can(actor_for(User.objects.get(pk=admin.pk)), action)


def test_the_first_administrator_is_made_once(db: None) -> None:
    system = Actor.system("up")
    services.create_first_administrator("root", name="Root", password=PASSWORD, actor=system)
    with pytest.raises(Conflict):
        services.create_first_administrator("other", name="O", password=PASSWORD, actor=system)


def test_deactivation_ends_tokens_and_roles(admin_actor: Actor, developer: User) -> None:
    services.issue_token(
        developer,
        name="laptop",
        scopes=["read"],
        expires_at=now() + timedelta(days=1),
        actor=actor_for(developer),
    )
    services.deactivate_user(developer, actor=admin_actor)

    assert not User.objects.get(pk=developer.pk).is_active
    assert ApiToken.objects.get(user=developer).revoked_at is not None
    assert not OrganisationRole.objects.filter(user=developer, until=None).exists()
    with pytest.raises(Conflict):
        services.deactivate_user(developer, actor=admin_actor)


def test_a_token_makes_no_token_that_can_do_more(db: None) -> None:
    """Else the scope of any token that people make for themselves would be every scope."""
    user = person("ada", Role.RISK_OFFICER)
    by_token = actor_for(user, scopes=frozenset({"sign", "read"}))
    given = {"name": "next", "expires_at": now() + timedelta(days=1)}
    with pytest.raises(Refused) as refused:
        services.issue_token(user, **given, scopes=["sign", "govern"], actor=by_token)
    assert refused.value.code == "scope_exceeded"
    assert not ApiToken.objects.exists()
    services.issue_token(user, **given, scopes=["read"], actor=by_token)
    services.issue_token(user, **given, scopes=["govern"], actor=actor_for(user))


def test_nobody_makes_a_token_for_another_person(admin_actor: Actor, developer: User) -> None:
    with pytest.raises(Refused, match="another person"):
        services.issue_token(
            developer,
            name="x",
            scopes=["read"],
            expires_at=now() + timedelta(days=1),
            actor=admin_actor,
        )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"expires_at": now() - timedelta(seconds=1)}, "expires_at"),
        ({"expires_at": now() + timedelta(days=400)}, "expires_at"),
    ],
)
def test_a_token_wants_name_scopes_and_an_end(developer: User, change: dict, field: str) -> None:
    given = {"name": "x", "scopes": ["read"], "expires_at": now() + timedelta(days=1)} | change
    with pytest.raises(Invalid) as error:
        services.issue_token(developer, **given, actor=actor_for(developer))
    assert field in error.value.fields


class TestReauthentication:
    digest = "ab" * 32

    def prove(self, user: User, subject: object, password: str = PASSWORD) -> Reauthentication:
        return services.reauthenticate(
            user,
            password=password,
            subject_type="review",
            subject_id=subject,
            signed_digest=self.digest,
            actor=actor_for(user),
        )

    def spend(self, grant: Reauthentication, user: User, **change: object) -> None:
        given = {
            "subject_type": "review",
            "subject_id": grant.subject_id,
            "signed_digest": self.digest,
            "at": now(),
        } | change
        services.consume_reauthentication(grant.pk, actor=actor_for(user), **given)

    def test_counts_once(self, developer: User) -> None:
        grant = self.prove(developer, uuid4())
        self.spend(grant, developer)
        with pytest.raises(Refused):
            self.spend(grant, developer)

    @pytest.mark.parametrize(
        "change",
        [
            {"subject_id": uuid4()},
            {"subject_type": "incident"},
            {"signed_digest": "cd" * 32},
            {"at": now() + timedelta(days=1)},
        ],
    )
    def test_is_bound_to_its_subject_digest_and_time(self, developer: User, change: dict) -> None:
        grant = self.prove(developer, uuid4())
        with pytest.raises(Refused):
            self.spend(grant, developer, **change)
        assert Reauthentication.objects.get(pk=grant.pk).used_at is None

    def test_is_bound_to_its_user(self, developer: User, outsider: User) -> None:
        grant = self.prove(developer, uuid4())
        with pytest.raises(Refused):
            self.spend(grant, outsider)

    def test_a_wrong_password_is_refused_and_on_record(self, developer: User) -> None:
        with pytest.raises(Refused):
            self.prove(developer, uuid4(), password="wrong")
        (refusal,) = entries("audit.write.refused")
        assert refusal["public"]["code"] == "reauthentication_failed"
        assert not Reauthentication.objects.exists()

    def test_too_many_tries_lock_the_account(self, developer: User) -> None:
        for _ in range(5):
            with pytest.raises(Refused):
                self.prove(developer, uuid4(), password="wrong")
        with pytest.raises(Refused):
            self.prove(developer, uuid4())
