"""That an attribute is not collected is signed, ends, and is no pass; estimates name their proxy."""

from datetime import timedelta

import pytest

from accounts.models import Role
from accounts.services import reauthenticate
from audit.writing import Refused
from kernel.errors import Conflict, Invalid
from kernel.moments import now, rfc3339
from monitoring import executor, services
from monitoring.models import NotCollectedDeclaration
from monitoring.services import declarations
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db(transaction=True)
COLUMNS = {**helpers.COLUMNS, "sensitive": ["sex", {"name": "faith", "state": "not_collected"}]}
WHY = "the law of the land forbids to ask"


def prove(user, model, until, *, attribute="faith", reason=WHY):
    digest = declarations.statement_digest(model, attribute, reason, until)
    return reauthenticate(
        user,
        password=factories.PASSWORD,
        subject_type="not_collected",
        subject_id=model.pk,
        signed_digest=digest,
        actor=factories.actor_of(user),
    ).pk


def declare(model, *, role=Role.RISK_OFFICER, days=30, proof=None, **fields):
    user = factories.make_user(None, role)
    known = {"attribute": "faith", "reason": WHY, "until": now() + timedelta(days=days), **fields}
    return services.declare_not_collected(
        model,
        **known,
        reauthentication=proof or prove(user, model, known["until"]),
        actor=factories.actor_of(user),
    )


def faith(of):
    run = executor.execute(helpers.request(of, kind="fairness").pk, beat=None)
    assert run.state == "succeeded", run.error
    found = run.measurements.get(metric="demographic_parity_ratio", attribute="faith")
    assert found.value is None
    return found


def test_a_signed_declaration_is_its_own_state_until_it_lapses():
    of = helpers.version(columns=COLUMNS)
    assert faith(of).undefined == "declaration_lapsed"
    made = declare(of.model)
    shown = faith(of)
    assert shown.undefined == "not_collected"
    assert shown.detail["declaration"] == str(made.pk)
    (entry,) = helpers.entries("monitoring.declaration.declared", made.pk)
    assert entry.public["statement_digest"] == made.statement_digest
    assert WHY not in str(entry.public)
    passed = now() - timedelta(days=2)
    NotCollectedDeclaration.objects.update(since=passed, until=passed + timedelta(days=1))
    assert faith(of).undefined == "declaration_lapsed"


def test_a_proof_is_of_one_statement_and_counts_once():
    model = helpers.version(columns=COLUMNS).model
    user = factories.make_user(None, Role.OWNER)
    until = now() + timedelta(days=9)
    actor = factories.actor_of(user)
    said = {"attribute": "faith", "reason": WHY, "until": until, "actor": actor}
    proof = prove(user, model, until, reason="another reason")
    with pytest.raises(Refused) as caught:
        services.declare_not_collected(model, **said, reauthentication=proof)
    assert caught.value.code == "reauthentication_needed"
    proof = prove(user, model, until)
    services.declare_not_collected(model, **said, reauthentication=proof)
    with pytest.raises(Refused):
        services.declare_not_collected(model, **said, reauthentication=proof)
    assert NotCollectedDeclaration.objects.count() == 1


@pytest.mark.parametrize(
    "role", [role for role in Role if role not in (Role.OWNER, Role.RISK_OFFICER)], ids=str
)
def test_nobody_else_declares_or_withdraws(role):
    model = helpers.version(columns=COLUMNS).model
    with pytest.raises(Refused) as caught:
        declare(model, role=role)
    assert caught.value.code == "not_permitted"
    made = declare(model)
    with pytest.raises(Refused):
        services.withdraw_declaration(
            made, actor=factories.actor_of(factories.make_user(None, role))
        )


@pytest.mark.parametrize(("days", "field"), [(-1, "until"), (400, "until")])
def test_it_has_an_end_within_a_year(days, field):
    with pytest.raises(Invalid) as caught:
        declare(helpers.version(columns=COLUMNS).model, days=days)
    assert caught.value.field == field


def test_a_declaration_is_withdrawn_once():
    of = helpers.version(columns=COLUMNS)
    made = declare(of.model)
    owner = factories.actor_of(factories.make_user(None, Role.OWNER))
    services.withdraw_declaration(made, actor=owner)
    assert helpers.entries("monitoring.declaration.withdrawn", made.pk)
    mapping = declarations.resolved(of.model_id, COLUMNS, now())
    assert mapping["sensitive"][1] == {"name": "faith", "state": "not_collected"}
    with pytest.raises(Conflict):
        services.withdraw_declaration(made, actor=owner)


def test_over_rest(client):
    model = helpers.version(columns=COLUMNS).model
    user = factories.make_user(None, Role.OWNER)
    headers = {"headers": factories.bearer(user)}
    until = now() + timedelta(days=30)
    digest = declarations.statement_digest(model, "faith", WHY, until)
    body = {
        "subject_type": "not_collected",
        "model": str(model.pk),
        "signed_digest": digest,
        "password": factories.PASSWORD,
    }

    def post(path, said):
        path = f"/api/v1/{path}"
        return client.post(path, data=said, content_type="application/json", **headers)

    proof = post("reauthentications/", body)
    assert proof.status_code == 201, proof.content
    said = {
        "attribute": "faith",
        "reason": WHY,
        "until": rfc3339(until),
        "reauthentication": proof.json()["id"],
    }
    told = post(f"models/{model.name}/not-collected/", said)
    assert told.status_code == 201, told.content
    listed = client.get(f"/api/v1/models/{model.name}/not-collected/", **headers).json()
    assert [one["id"] for one in listed["results"]] == [told.json()["id"]]
    assert post(f"not-collected/{told.json()['id']}/end/", {}).status_code == 200
    missing = post("reauthentications/", {**body, "model": None})
    assert missing.status_code == 400


def test_groups_are_compared_within_the_strata_of_a_declared_control():
    halves = {"name": "half", "column": "x", "edges": [0.5]}
    of = helpers.version(columns={**helpers.COLUMNS, "features": [], "controls": [halves]})
    asked = helpers.request(of, kind="fairness", config={"controls": ["half"]})
    run = executor.execute(asked.pk, beat=None)
    assert run.state == "succeeded", run.error
    found = run.measurements.get(metric="conditional_demographic_parity_difference")
    assert found.value is not None
    assert found.detail["strata"] == 2
