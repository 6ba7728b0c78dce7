"""Each write by who must not: refused on record, and nothing is written."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps

from accounts.models import Role
from audit.actor import Actor
from audit.writing import Refused
from registry import services
from tests import factories as f
from tests.registry.support import refusals

pytestmark = pytest.mark.django_db

Call = Callable[["World", Actor], Any]


class World:
    """One of each thing, so that every write has something to be done to."""

    def __init__(self) -> None:
        self.portfolio = f.make_portfolio()
        self.entity = f.make_legal_entity()
        self.model = f.make_model(portfolio=self.portfolio, legal_entity=self.entity)
        self.use = f.default_use(self.model)
        owner = f.actor_of(f.make_user(None, Role.OWNER))
        self.second = services.add_use(
            self.model, f.use_record(name="other", legal_entity=self.entity), actor=owner
        )
        self.version = f.make_version(self.model)
        self.frozen = f.freeze(f.make_version(self.model))
        self.environment = f.make_environment(mode="warn")
        self.dataset = f.make_dataset()
        self.deployment = f.make_deployment(self.version, self.environment)
        self.user = f.make_user()
        admin = f.actor_of(f.make_user(None, Role.ADMINISTRATOR))
        self.grant = services.grant_role(self.user, Role.AUDITOR, self.model, actor=admin)
        self.stored = f.store_bytes(b"evidence")
        risk = f.actor_of(f.make_user(None, Role.RISK_OFFICER))
        self.proposal = services.set_mode(
            self.environment, "observe", reason="migration", actor=risk
        )
        self.stakeholder = services.add_stakeholder(
            self.model, services.StakeholderRecord(name="N", interest="I"), actor=owner
        )


D, O, V = Role.DEVELOPER, Role.OWNER, Role.VALIDATOR  # noqa: E741
R, P, S = Role.RISK_OFFICER, Role.OPERATOR, Role.ADMINISTRATOR

WRITES: dict[str, tuple[Call, set[Role]]] = {
    "register_legal_entity": (
        lambda w, a: services.register_legal_entity("new", name="N", actor=a),
        {S, R},
    ),
    "register_portfolio": (
        lambda w, a: services.register_portfolio("new", name="N", actor=a),
        {S, R},
    ),
    "register_model": (
        lambda w, a: services.register_model(
            "new",
            title="N",
            kind="tool",
            portfolio=w.portfolio,
            legal_entity=w.entity,
            use=f.use_record(legal_entity=w.entity),
            actor=a,
        ),
        {D, O},
    ),
    "amend_model": (
        lambda w, a: services.amend_model(w.model, changes={"title": "X"}, actor=a),
        {O},
    ),
    "retire_model": (lambda w, a: services.retire_model(w.model, reason="X", actor=a), {O}),
    "declare_columns": (
        lambda w, a: services.declare_columns(w.model, {"label": "y"}, actor=a),
        {O},
    ),
    "add_stakeholder": (
        lambda w, a: services.add_stakeholder(
            w.model, services.StakeholderRecord(name="X", interest="Y"), actor=a
        ),
        {O},
    ),
    "end_stakeholder": (lambda w, a: services.end_stakeholder(w.stakeholder, actor=a), {O}),
    "add_use": (
        lambda w, a: services.add_use(
            w.model, f.use_record(name="second", legal_entity=w.entity), actor=a
        ),
        {O},
    ),
    "amend_use": (
        lambda w, a: services.amend_use(w.use, changes={"purpose": "X"}, actor=a),
        {O},
    ),
    "set_tier": (lambda w, a: services.set_tier(w.use, 1, reason="X", actor=a), {R}),
    "retire_use": (lambda w, a: services.retire_use(w.second, reason="X", actor=a), {O}),
    "register_version": (
        lambda w, a: services.register_version(
            w.model,
            artifact_name="m.onnx",
            code_commit="1" * 40,
            artifact_digest="e" * 64,
            actor=a,
        ),
        {D, O},
    ),
    "amend_version": (
        lambda w, a: services.amend_version(w.version, changes={"label": "X"}, actor=a),
        {D, O},
    ),
    "store_artifact": (
        lambda w, a: services.store_artifact(
            w.version, type(w.stored)(w.version.artifact_digest, 1), actor=a
        ),
        {D, O},
    ),
    "reopen_version": (lambda w, a: services.reopen_version(w.frozen, reason="X", actor=a), {O}),
    "retire_version": (lambda w, a: services.retire_version(w.version, reason="X", actor=a), {O}),
    "add_evidence": (
        lambda w, a: services.add_evidence(w.version, w.stored, kind="note", name="N", actor=a),
        {D, O, V},
    ),
    "register_dataset": (
        lambda w, a: services.register_dataset(
            "new", title="N", contains_personal_data=False, digest="d" * 64, actor=a
        ),
        {D, O, V},
    ),
    "store_dataset": (
        lambda w, a: services.store_dataset(
            w.dataset, type(w.stored)(w.dataset.digest, 1), actor=a
        ),
        {D, O, V},
    ),
    "make_environment": (
        lambda w, a: services.make_environment("new", title="N", mode="warn", position=3, actor=a),
        {R},
    ),
    "set_mode": (
        lambda w, a: services.set_mode(w.environment, "enforce", reason="X", actor=a),
        {R},
    ),
    "second_mode": (lambda w, a: services.second_mode(w.proposal, actor=a), {R}),
    "record_deployment": (
        lambda w, a: services.record_deployment(
            w.version,
            use=w.use,
            environment=w.environment,
            artifact_digest=w.version.artifact_digest,
            kind="shadow",
            actor=a,
        ),
        {P},
    ),
    "end_deployment": (lambda w, a: services.end_deployment(w.deployment, actor=a), {P}),
    "grant_role": (
        lambda w, a: services.grant_role(w.user, Role.OWNER, w.model, actor=a),
        {S},
    ),
    "end_role": (lambda w, a: services.end_role(w.grant, actor=a), {S}),
    "permit": (lambda w, a: services.permit("model.amend", w.model, actor=a), {O}),
}
PERSONS_ONLY = {
    "register_legal_entity",
    "register_portfolio",
    "retire_model",
    "set_tier",
    "reopen_version",
    "retire_version",
    "make_environment",
    "set_mode",
    "second_mode",
    "grant_role",
    "end_role",
}


def rows() -> dict[str, int]:
    return {
        model.__name__: model.objects.count()
        for model in apps.get_app_config("registry").get_models()
    }


def test_every_write_of_the_registry_is_in_the_table() -> None:
    steps = {"blob_of", "bump", "freeze", "lock_model", "lock_version", "lock_versions", "tick"}
    steps |= {"user_id_of", "is_unchanged", "store_document", "register_decision_check"}
    functions = {name for name in services.__all__ if name[0].islower() and name not in steps}
    assert functions == set(WRITES)


@pytest.mark.parametrize("name", WRITES)
def test_each_role_that_must_not_is_refused_and_leaves_nothing(name: str) -> None:
    call, allowed = WRITES[name]
    world = World()
    before = rows()
    for role in set(Role) - allowed:
        actor = f.actor_of(f.make_user(None, role))
        with pytest.raises(Refused):
            call(world, actor)
    with pytest.raises(Refused):
        call(world, f.actor_of(f.make_user(None, is_superuser=True, is_staff=True)))
    with pytest.raises(Refused):
        call(world, Actor.system())
    assert rows() == before
    assert [one["code"] for one in refusals()] == ["not_permitted"] * (len(set(Role) - allowed) + 2)


@pytest.mark.parametrize("name", WRITES)
def test_each_role_that_may_is_let_through(name: str) -> None:
    call, allowed = WRITES[name]
    for role in allowed:
        call(World(), f.actor_of(f.make_user(None, role)))
        _rename("new")
    assert refusals() == []


def _rename(slug: str) -> None:
    """Free the name for the next role's turn."""
    from registry.models import Dataset, Environment, LegalEntity, Portfolio, RegisteredModel

    LegalEntity.objects.filter(slug=slug).update(slug=f.unique("old"))
    Portfolio.objects.filter(slug=slug).update(slug=f.unique("old"))
    for model in (RegisteredModel, Environment):
        model.objects.filter(name=slug).update(name=f.unique("old"))
    Dataset.objects.filter(name=slug).update(
        name=f.unique("old"), digest=f.digest_of(f.unique("x"))
    )


@pytest.mark.parametrize("name", sorted(PERSONS_ONLY))
def test_a_service_account_with_the_role_is_refused_what_is_for_persons(name: str) -> None:
    call, allowed = WRITES[name]
    world = World()
    for role in allowed:
        with pytest.raises(Refused, match="service account"):
            call(world, f.actor_of(f.make_service_account(None, role)))


def test_a_token_does_no_more_than_its_scope() -> None:
    world = World()
    developer = f.make_user(None, Role.DEVELOPER)
    with pytest.raises(Refused, match="scope"):
        WRITES["register_version"][0](world, f.actor_of(developer, "read", "gate"))
    WRITES["register_version"][0](world, f.actor_of(developer, "register"))
