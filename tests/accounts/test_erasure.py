"""A person is named in the log by a pseudonym alone, and can be erased from everything but signatures."""

import json

import pytest

from accounts import services
from accounts.actors import actor_for, pseudonym_of
from accounts.models import ApiToken, Pseudonym, Role, User
from audit import verification
from audit.actor import Actor
from audit.models import Entry, PrivatePayload
from audit.writing import Refused, RefusedConflict
from kernel.errors import Invalid
from tests import factories as f
from tests.accounts.conftest import PASSWORD, person
from tests.accounts.test_rest import call, token_for
from tests.governance.support import World

pytestmark = pytest.mark.django_db
GROUND = {"basis": "gdpr_17_1_b", "reason": "asked in writing"}


def codes() -> set[str]:
    return {finding.code for finding in verification.verify().findings}


@pytest.fixture
def ada(admin_actor: Actor) -> User:
    """Ada Lovelace, with a role, a token and a session on record."""
    user = services.create_person(
        "lovelace",
        name="Ada Lovelace",
        email="ada@example.org",
        password=PASSWORD,
        actor=admin_actor,
    )
    services.grant_organisation_role(user, Role.DEVELOPER, actor=admin_actor)
    services.record_sign_in(user, actor=actor_for(user))
    token_for(user)
    return user


def test_no_leaf_holds_the_id_of_an_account(admin_actor: Actor) -> None:
    case = World()
    case.approve()
    services.grant_organisation_role(case.officer, Role.AUDITOR, actor=admin_actor)
    account = services.create_service_account(
        "ci", name="Pipeline", responsible=[case.officer], actor=admin_actor
    )
    services.deactivate_user(account, actor=admin_actor)
    leaves = b"\n".join(bytes(entry.leaf) for entry in Entry.objects.all()).decode()
    for user in User.objects.all():
        assert str(user.pk) not in leaves, user


def test_what_is_erased_leads_to_nobody(ada: User, admin_actor: Actor) -> None:
    pseudonym = pseudonym_of(ada.pk)
    entry = services.erase_person(ada, **GROUND, actor=admin_actor)
    assert entry.type == "accounts.person.erased"
    assert (entry.actor, entry.object_id) == (admin_actor.pseudonym, str(pseudonym))
    assert entry.public == {
        "user": str(pseudonym), "basis": "gdpr_17_1_b", "payloads": 1, "kept": 0,
    }  # fmt: skip
    assert not Pseudonym.objects.filter(pseudonym=pseudonym).exists()
    ada.refresh_from_db()
    assert (ada.is_active, ada.name, ada.email) == (False, "erased person", "")
    assert not ada.has_usable_password()
    assert "lovelace" not in ada.username
    token = ApiToken.objects.get(user=ada)
    assert token.revoked_at is not None
    everything = b"".join(bytes(row.data) for row in PrivatePayload.objects.all())
    assert b"Lovelace" not in everything
    assert Entry.objects.filter(actor=pseudonym).exists()


def test_a_verification_tells_an_erased_person_from_a_lost_one(
    ada: User, admin_actor: Actor
) -> None:
    other = person("ben", Role.AUDITOR)
    services.record_sign_in(other, actor=actor_for(other))
    services.erase_person(ada, **GROUND, actor=admin_actor)
    assert codes() == set()
    Pseudonym.objects.filter(subject=other.pk).delete()
    assert codes() == {"pseudonym_lost"}


def test_names_on_signatures_are_kept_until_retention_ends() -> None:
    case = World()
    review = case.approve()
    admin = f.actor_of(f.make_user(None, Role.ADMINISTRATOR))
    signature = review.signatures.get(user=case.officer)
    held = PrivatePayload.objects.get(
        entry__type="governance.review.signed", entry__actor=pseudonym_of(case.officer.pk)
    )
    entry = services.erase_person(User.objects.get(pk=case.officer.pk), **GROUND, actor=admin)
    assert entry.public["kept"] >= 1
    signature.refresh_from_db()
    assert signature.name == json.loads(bytes(held.data))["name"] == case.officer.name
    assert PrivatePayload.objects.filter(pk=held.pk).exists()
    assert codes() == set()


def test_a_name_counts_as_a_whole_word(admin_actor: Actor) -> None:
    ann = services.create_person("ann", name="Ann", password=PASSWORD, actor=admin_actor)
    other = services.create_person("bo", name="Annual Bo", password=PASSWORD, actor=admin_actor)
    services.erase_person(ann, **GROUND, actor=admin_actor)
    kept = PrivatePayload.objects.filter(entry__object_id=str(pseudonym_of(other.pk)))
    assert kept.count() == 1


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_nobody_else_erases_people(ada: User, role: Role) -> None:
    with pytest.raises(Refused, match="administrator"):
        services.erase_person(ada, **GROUND, actor=actor_for(person("somebody", role)))
    ada.refresh_from_db()
    assert ada.is_active


def test_an_erasure_needs_a_ground_and_happens_once(
    ada: User, admin: User, admin_actor: Actor
) -> None:
    for wrong in ({"basis": "because"}, {"reason": " "}):
        with pytest.raises(Invalid) as error:
            services.erase_person(ada, **{**GROUND, **wrong}, actor=admin_actor)
        assert error.value.field == next(iter(wrong))
    with pytest.raises(Refused, match="their own"):
        services.erase_person(admin, **GROUND, actor=admin_actor)
    services.erase_person(ada, **GROUND, actor=admin_actor)
    ada.refresh_from_db()
    with pytest.raises(RefusedConflict, match="before"):
        services.erase_person(ada, **GROUND, actor=admin_actor)
    assert Entry.objects.filter(type="accounts.person.erased").count() == 1


def test_erasing_and_resetting_over_rest(ada: User, admin: User) -> None:
    token = token_for(admin, "administer")
    answer = call("POST", "/api/v1/users/lovelace/password/", token, {"password": "weak"})
    assert answer.status_code == 400
    answer = call(
        "POST", "/api/v1/users/lovelace/password/", token, {"password": "a new passphrase"}
    )
    assert answer.status_code == 200
    ada.refresh_from_db()
    assert ada.check_password("a new passphrase")
    assert Entry.objects.get(type="accounts.password.reset").public == {
        "user": str(pseudonym_of(ada.pk))
    }
    answer = call("POST", "/api/v1/users/lovelace/erase/", token, GROUND)
    assert answer.status_code == 201
    assert answer.json()["basis"] == "gdpr_17_1_b"
    assert call("POST", "/api/v1/users/lovelace/erase/", token_for(admin), GROUND).status_code in (
        403,
        404,
    )


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_nobody_else_resets_passwords(ada: User, role: Role) -> None:
    with pytest.raises(Refused, match="administrator"):
        services.reset_password(
            ada, password="a new passphrase", actor=actor_for(person("somebody", role))
        )
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)
