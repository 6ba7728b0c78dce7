"""Models, uses, tiers, columns, stakeholders: what is written, recorded and revised."""

from typing import Any

import pytest

from accounts.models import Role
from audit.writing import RefusedConflict
from kernel.errors import Conflict, Invalid
from registry import selectors, services
from registry.models import ColumnMapping, RegisteredModel, Use, UseTier
from tests import factories as f
from tests.registry.support import entries, last, refusals

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Any:
    return f.actor_of(f.make_user("olivia", Role.OWNER))


@pytest.fixture
def risk() -> Any:
    return f.actor_of(f.make_user("rita", Role.RISK_OFFICER))


def test_registering_writes_the_model_its_use_tier_columns_and_stakeholders() -> None:
    alice = f.make_user("alice", Role.DEVELOPER)
    model = f.make_model(
        "income-screening",
        by=alice,
        columns={"label": "y", "positive": 1, "features": ["age", "job"], "categorical": ["job"]},
        stakeholders=[services.StakeholderRecord(name="Works council", interest="fair rota")],
    )
    use = f.default_use(model)
    assert (use.name, use.is_default, use.operator_role) == ("default", True, "provider")
    tier = selectors.tier_of(use)
    assert tier is not None
    assert (tier.tier, tier.set_by) == (2, alice)
    mapping = selectors.mapping_of(model)
    assert mapping is not None
    assert mapping.columns["categorical"] == ["job"]
    assert model.stakeholders.get().name == "Works council"
    entry = last("registry.model.registered")
    assert entry.scope == model.pk
    assert entry.actor == f.actor_of(alice).pseudonym
    assert entry.public["model"] == "income-screening"
    for other in ("use.registered", "tier.set", "columns.declared", "stakeholder.added"):
        found = last(f"registry.{other}")
        assert (found.scope, found.at) == (model.pk, entry.at)
    assert b"Works council" not in bytes(last("registry.stakeholder.added").leaf)


def test_registering_grants_nothing() -> None:
    portfolio = f.make_portfolio()
    admin = f.actor_of(f.make_user(None, Role.ADMINISTRATOR))
    alice = f.make_user("alice")
    services.grant_role(alice, Role.DEVELOPER, portfolio, actor=admin)
    model = f.make_model(by=alice, portfolio=portfolio)
    assert model.grants.count() == 0
    assert f.make_version(model, by=alice).number == 1


def test_a_use_without_a_tier_gets_the_strictest() -> None:
    model = f.make_model(use=f.use_record(tier=None, tier_reason=""))
    tier = selectors.tier_of(f.default_use(model))
    assert tier is not None
    assert tier.tier == 1
    assert "not assessed" in tier.reason


def test_a_name_is_used_once_and_is_a_slug() -> None:
    f.make_model("taken")
    with pytest.raises(Conflict) as conflict:
        f.make_model("taken")
    assert conflict.value.field == "name"
    for name in ("Upper", "-edge", "a b", "", "x" * 81, "ä"):
        with pytest.raises(Invalid) as invalid:
            f.make_model(name)
        assert invalid.value.field == "name"
    assert RegisteredModel.objects.count() == 1
    assert entries("registry.model.registered")[1:] == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": "oracle"}, "kind"),
        ({"title": " "}, "title"),
        ({"columns": {"labl": "y"}}, "columns.labl"),
        ({"columns": {"features": ["a", "a"]}}, "columns.features"),
        ({"columns": {"features": ["a"], "categorical": ["b"]}}, "columns.categorical"),
        (
            {"columns": {"sensitive": [{"name": "age", "edges": [65, 40]}]}},
            "columns.sensitive[0].edges",
        ),
    ],
)
def test_a_malformed_record_names_its_field(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid) as invalid:
        f.make_model(**fields)
    assert named in invalid.value.fields
    assert not RegisteredModel.objects.exists()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"purpose": ""}, "purpose"),
        ({"operator_role": "friend"}, "operator_role"),
        ({"decision_rule": {"threshold": float("nan")}}, "decision_rule.threshold"),
        ({"decision_rule": {"n": 2**60}}, "decision_rule.n"),
        ({"excluded_uses": ["", "x"]}, "excluded_uses[0]"),
        ({"tier": 5, "tier_reason": "x"}, "tier"),
        ({"tier": True, "tier_reason": "x"}, "tier"),
        ({"affected_people": "a\x00b"}, "affected_people"),
    ],
)
def test_a_malformed_use_names_its_field(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid) as invalid:
        f.make_model(use=f.use_record(**fields))
    assert invalid.value.field == named


def test_amending_a_use_revises_every_version_but_retired_ones(owner: Any) -> None:
    model = f.make_model()
    first, second = f.make_version(model), f.freeze(f.make_version(model))
    retired = services.retire_version(f.make_version(model), reason="old", actor=owner)
    use = services.amend_use(f.default_use(model), changes={"purpose": "Other"}, actor=owner)
    assert use.purpose == "Other"
    for version, revision in ((first, 2), (second, 2), (retired, 1)):
        version.refresh_from_db()
        assert version.revision == revision
    assert second.frozen_at is None
    assert first.moment == second.moment
    assert last("registry.use.amended").public == {
        "model": model.name,
        "use": "default",
        "fields": ["purpose"],
        "versions": 2,
    }
    assert second.revision_changes.get(revision=2).at == second.moment


def test_changing_nothing_writes_nothing(owner: Any) -> None:
    model = f.make_model(columns={"label": "y"})
    version = f.make_version(model)
    use = f.default_use(model)
    services.amend_use(use, changes={"purpose": use.purpose}, actor=owner)
    services.amend_model(model, changes={"title": model.title}, actor=owner)
    services.declare_columns(model, {"label": "y"}, actor=owner)
    version.refresh_from_db()
    assert version.revision == 1
    assert not entries("registry.use.amended")
    assert not entries("registry.model.amended")
    assert len(entries("registry.columns.declared")) == 1


def test_a_further_use_touches_no_version(owner: Any) -> None:
    model = f.make_model()
    version = f.make_version(model)
    services.add_use(model, f.use_record(name="triage"), actor=owner)
    version.refresh_from_db()
    assert version.revision == 1
    with pytest.raises(Conflict):
        services.add_use(model, f.use_record(name="triage"), actor=owner)


def test_retiring_a_use_touches_no_revision_and_spares_the_default(owner: Any) -> None:
    model = f.make_model()
    version = f.make_version(model)
    use = services.add_use(model, f.use_record(name="triage"), actor=owner)
    services.retire_use(use, reason="over", actor=owner)
    version.refresh_from_db()
    assert version.revision == 1
    with pytest.raises(RefusedConflict):
        services.amend_use(use, changes={"purpose": "x"}, actor=owner)
    with pytest.raises(Conflict):
        services.retire_use(f.default_use(model), reason="over", actor=owner)


def test_tiers_are_intervals_without_gap(risk: Any) -> None:
    model = f.make_model()
    version = f.make_version(model)
    use = f.default_use(model)
    before = selectors.tier_of(use)
    assert before is not None
    services.set_tier(use, 1, reason="annex III", actor=risk)
    version.refresh_from_db()
    assert version.revision == 2
    services.set_tier(use, 1, reason="confirmed", actor=risk)
    version.refresh_from_db()
    assert version.revision == 2
    rows = list(UseTier.objects.filter(use=use).order_by("since"))
    assert [row.tier for row in rows] == [2, 1, 1]
    assert [row.until for row in rows[:2]] == [row.since for row in rows[1:]]
    then = selectors.tier_of(use, at=before.since)
    assert then is not None
    assert then.tier == 2
    assert last("registry.tier.set").public["previous"] == 1


def test_declaring_columns_ends_the_old_mapping_and_revises(owner: Any) -> None:
    model = f.make_model(columns={"label": "y"})
    version = f.make_version(model)
    services.declare_columns(model, {"label": "z", "sensitive": ["sex"]}, actor=owner)
    version.refresh_from_db()
    assert version.revision == 2
    assert ColumnMapping.objects.filter(model=model, until=None).count() == 1
    current, old = selectors.mapping_of(model), ColumnMapping.objects.exclude(until=None).get()
    assert current is not None
    assert current.since == old.until
    then = selectors.mapping_of(model, at=old.since)
    assert then == old


def test_a_retired_model_is_closed_and_its_name_stays(owner: Any) -> None:
    model = f.make_model("finished")
    version = f.make_version(model)
    services.retire_model(model, reason="replaced", actor=owner)
    version.refresh_from_db()
    assert version.retired_at is not None
    assert Use.objects.get(model=model).retired_at == version.retired_at
    for call in (
        lambda: f.make_version(model),
        lambda: services.amend_model(model, changes={"title": "x"}, actor=owner),
        lambda: services.add_use(model, f.use_record(name="more"), actor=owner),
        lambda: services.retire_model(model, reason="again", actor=owner),
    ):
        with pytest.raises(RefusedConflict):
            call()
    assert [one["code"] for one in refusals()] == ["retired"] * 4
    with pytest.raises(Conflict):
        f.make_model("finished")


def test_stakeholders_end_once(owner: Any) -> None:
    model = f.make_model()
    row = services.add_stakeholder(
        model, services.StakeholderRecord(name="N", interest="I"), actor=owner
    )
    ended = services.end_stakeholder(row, actor=owner)
    assert ended.until is not None
    assert ended.until > ended.since
    with pytest.raises(Conflict):
        services.end_stakeholder(row, actor=owner)
    assert len(entries("registry.stakeholder.ended")) == 1
