"""On pages: what state each sensitive attribute is in, signing that one is not collected, withdrawing."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role
from kernel.moments import now
from monitoring.models import NotCollectedDeclaration
from registry.models import ModelVersion
from registry.services import declare_columns, grant_role
from tests import factories as f
from tests.governance.support import entries, refusals
from tests.monitoring import helpers
from tests.web.scene import client_of

pytestmark = pytest.mark.django_db
WHY = "The law of the land forbids to ask"


def columns(*more: object) -> dict[str, Any]:
    absent = {"name": "faith", "state": "not_collected"}
    return {**helpers.COLUMNS, "sensitive": ["sex", absent, *more]}


@pytest.fixture
def version() -> ModelVersion:
    return helpers.version(columns=columns())


def path(version: ModelVersion) -> str:
    return f"/models/{version.model.name}/not-collected/"


def statement(**changes: Any) -> dict[str, Any]:
    day = (now() + timedelta(days=90)).date().isoformat()
    return {"attribute": "faith", "reason": WHY, "until": day, "password": f.PASSWORD, **changes}


def seen(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize("role", [Role.OWNER, Role.RISK_OFFICER], ids=str)
def test_from_unsigned_over_signed_to_withdrawn(version: ModelVersion, role: Role) -> None:
    user = f.make_user("olga", role, name="Olga Owner")
    client, model = client_of(user), f"/models/{version.model.name}/"
    assert "nobody has signed it" in seen(client, model)
    assert client.post(path(version), statement())["Location"] == path(version)
    made = NotCollectedDeclaration.objects.get()
    assert (made.attribute, made.reason, made.signed_by) == ("faith", WHY, user)
    assert made.until.strftime("%H:%M:%S") == "23:59:59", "a date means its end"
    assert [one.object_id for one in entries("monitoring.declaration.declared")] == [str(made.pk)]
    for address in (model, path(version)):
        assert "signed by Olga Owner, until" in seen(client, address)
    withdrawal = f"/not-collected/{made.pk}/withdraw/"
    assert withdrawal in seen(client, path(version))
    assert client.post(withdrawal)["Location"] == path(version)
    assert len(entries("monitoring.declaration.withdrawn")) == 1
    page = seen(client, path(version))
    assert "Withdrawn" in page
    assert withdrawal not in page
    again = client.post(withdrawal)
    assert again.status_code == 409
    assert "has ended already" in again.content.decode()


def test_a_declaration_that_lapsed_says_so(version: ModelVersion) -> None:
    client = client_of(f.make_user(None, Role.OWNER))
    client.post(path(version), statement())
    passed = now() - timedelta(days=2)
    NotCollectedDeclaration.objects.update(since=passed, until=passed + timedelta(days=1))
    assert "it lapsed" in seen(client, f"/models/{version.model.name}/")
    client.post(path(version), statement())
    assert "it lapsed" not in seen(client, f"/models/{version.model.name}/")
    assert "Lapsed" in seen(client, path(version)), "the earlier one stays on record"


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"password": "not-mine"}, 403, 'id="id_password-problem"'),
        ({"until": "2001-01-01"}, 400, 'id="id_until-problem"'),
        ({"until": "2999-01-01"}, 400, 'id="id_until-problem"'),
        ({"until": ""}, 400, 'id="id_until-problem"'),
        ({"until": "soon"}, 400, 'id="id_until-problem"'),
        ({"attribute": "sex"}, 400, 'id="id_attribute-problem"'),
        ({"attribute": "shoe size"}, 400, 'id="id_attribute-problem"'),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_the_words_stay(
    version: ModelVersion, changes: dict[str, Any], status: int, told: str
) -> None:
    client = client_of(f.make_user(None, Role.OWNER))
    answer = client.post(path(version), statement(**changes))
    page = answer.content.decode()
    assert answer.status_code == status
    assert told in page
    assert WHY in page
    assert "not-mine" not in page
    assert f.PASSWORD not in page
    assert not NotCollectedDeclaration.objects.exists()


def test_a_reason_is_needed_and_has_its_limit(version: ModelVersion) -> None:
    client = client_of(f.make_user(None, Role.OWNER))
    for reason in ("  ", "x" * 5_001):
        answer = client.post(path(version), statement(reason=reason))
        assert answer.status_code == 400
        assert 'id="id_reason-problem"' in answer.content.decode()
    assert not NotCollectedDeclaration.objects.exists()


def test_too_many_wrong_passwords_lock_and_keep_the_words(version: ModelVersion) -> None:
    client = client_of(f.make_user(None, Role.OWNER))
    for _ in range(5):
        client.post(path(version), statement(password="wrong"))
    answer = client.post(path(version), statement())
    assert answer.status_code == 403
    assert WHY in answer.content.decode()
    assert not NotCollectedDeclaration.objects.exists()


@pytest.mark.parametrize(
    "role", [role for role in Role if role not in (Role.OWNER, Role.RISK_OFFICER)], ids=str
)
def test_others_read_it_and_sign_nothing(version: ModelVersion, role: Role) -> None:
    client_of(f.make_user(None, Role.OWNER)).post(path(version), statement())
    made = NotCollectedDeclaration.objects.get()
    client = client_of(f.make_user(None, role))
    page = seen(client, path(version))
    assert "You cannot sign one" in page
    assert "<textarea" not in page
    assert "/withdraw/" not in page
    answer = client.post(path(version), statement(reason="Mine"))
    assert answer.status_code == 403
    assert "Mine" in answer.content.decode()
    assert client.post(f"/not-collected/{made.pk}/withdraw/").status_code == 403
    assert NotCollectedDeclaration.objects.get().withdrawn_at is None
    assert refusals() == ["not_permitted", "not_permitted"]


def test_an_outsider_learns_nothing_and_a_stranger_signs_in(version: ModelVersion) -> None:
    client_of(f.make_user(None, Role.OWNER)).post(path(version), statement())
    made = NotCollectedDeclaration.objects.get()
    outsider = client_of(f.make_user(None))
    assert outsider.get(path(version)).status_code == 404
    assert outsider.post(path(version), statement()).status_code == 404
    assert outsider.post(f"/not-collected/{made.pk}/withdraw/").status_code == 404
    answer = Client().get(path(version))
    assert answer["Location"].startswith("/sign-in/")
    assert client_of(f.make_user(None, Role.OWNER)).get(
        f"/not-collected/{made.pk}/withdraw/"
    ).status_code == 405  # fmt: skip


def test_the_owner_of_one_model_signs_for_that_one_alone(version: ModelVersion) -> None:
    other = helpers.version(columns=columns())
    alice = f.make_user("alice")
    admin = f.make_user(None, Role.ADMINISTRATOR)
    grant_role(alice, Role.OWNER, version.model, actor=f.actor_of(admin))
    client = client_of(alice)
    assert client.post(path(version), statement()).status_code == 303
    assert client.post(path(other), statement()).status_code == 404
    assert NotCollectedDeclaration.objects.get().model == version.model


def test_a_form_sent_after_the_session_ended_is_given_back(version: ModelVersion) -> None:
    f.make_user("olga", Role.OWNER)
    client = Client()
    answer = client.post(path(version), statement())
    assert answer["Location"] == f"/sign-in/?next={path(version)}"
    data = {"username": "olga", "password": f.PASSWORD, "next": path(version)}
    assert client.post("/sign-in/", data)["Location"] == path(version)
    page = seen(client, path(version))
    assert WHY in page
    assert f.PASSWORD not in page


def test_a_proxy_is_named_to_those_who_may_read_it(version: ModelVersion) -> None:
    proxy = f.make_version(f.make_model(title="Surname reader"))
    proxied = {
        "name": "origin",
        "state": "proxied",
        "proxy": {"version": str(proxy.pk), "columns": {"A": "p_a", "B": "p_b"}},
    }
    declare_columns(
        version.model, columns(proxied), actor=f.actor_of(f.make_user(None, Role.OWNER))
    )
    model = f"/models/{version.model.name}/"
    page = seen(client_of(f.make_user(None, Role.AUDITOR)), model)
    assert "Surname reader" in page
    assert "p_a" in page
    alice = f.make_user("alice")
    admin = f.make_user(None, Role.ADMINISTRATOR)
    grant_role(alice, Role.DEVELOPER, version.model, actor=f.actor_of(admin))
    page = seen(client_of(alice), model)
    assert "Surname reader" not in page
    assert "a registered model" in page


def test_a_model_without_such_an_attribute_has_no_form() -> None:
    made = helpers.version()
    page = seen(client_of(f.make_user(None, Role.OWNER)), path(made))
    assert "call no attribute" in page
    assert "<textarea" not in page
    bare = f.make_version()
    assert "name no sensitive attribute" in seen(
        client_of(f.make_user(None, Role.OWNER)), path(bare)
    )
