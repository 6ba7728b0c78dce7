"""Environments and deployments: modes as intervals, second persons, one champion."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts import services as accounts
from accounts.models import Role
from audit.writing import Refused, RefusedConflict
from kernel.errors import Conflict, Invalid, Unprocessable
from kernel.identifiers import uuid7
from kernel.moments import now
from registry import selectors, services
from registry.models import Deployment, EnvironmentSetting, ModeProposal
from registry.services import deployments
from tests import factories as f
from tests.registry.support import entries, last, refusals

pytestmark = pytest.mark.django_db


@pytest.fixture
def risk() -> Any:
    return f.actor_of(f.make_user("rita", Role.RISK_OFFICER))


@pytest.fixture
def second() -> Any:
    return f.actor_of(f.make_user("ross", Role.RISK_OFFICER))


class TestModes:
    def test_stricter_holds_at_once(self, risk: Any) -> None:
        environment = f.make_environment(mode="observe")
        first = selectors.environment_setting(environment)
        assert first is not None
        row = services.set_mode(environment, "enforce", reason="go live", actor=risk)
        assert isinstance(row, EnvironmentSetting)
        first.refresh_from_db()
        assert first.until == row.since
        assert selectors.environment_setting(environment, at=first.since) == first
        assert selectors.environment_setting(environment) == row
        assert last("registry.environment.changed").public["previous_mode"] == "observe"

    def test_laxer_waits_for_a_second_person(self, risk: Any, second: Any) -> None:
        environment = f.make_environment(mode="enforce")
        proposal = services.set_mode(environment, "observe", reason="fire", actor=risk)
        assert isinstance(proposal, ModeProposal)
        current = selectors.environment_setting(environment)
        assert current is not None
        assert current.mode == "enforce"
        with pytest.raises(Refused) as refused:
            services.second_mode(proposal, actor=risk)
        assert refused.value.code == "second_person"
        row = services.second_mode(proposal, actor=second)
        assert (row.mode, row.decided_by_id, row.seconded_by_id) == ("observe", risk.id, second.id)
        assert last("registry.environment.changed").public["seconded_by"] == str(second.pseudonym)
        with pytest.raises(RefusedConflict):
            services.second_mode(proposal, actor=second)
        assert [one["code"] for one in refusals()] == ["second_person", "closed"]

    def test_the_word_of_who_may_no_more_is_none(self, risk: Any, second: Any) -> None:
        environment = f.make_environment(mode="enforce")
        proposal = services.set_mode(environment, "observe", reason="fire", actor=risk)
        assert isinstance(proposal, ModeProposal)
        administrator = f.actor_of(f.make_user(None, Role.ADMINISTRATOR))
        accounts.end_organisation_role(proposal.proposed_by, "risk_officer", actor=administrator)
        with pytest.raises(RefusedConflict):
            services.second_mode(proposal, actor=second)
        # It stands in nobody's way either.
        again = services.set_mode(environment, "observe", reason="fire", actor=second)
        assert isinstance(again, ModeProposal)
        proposal.refresh_from_db()
        assert proposal.closed_at is not None

    def test_one_proposal_at_a_time_and_a_change_overtakes_it(self, risk: Any, second: Any) -> None:
        environment = f.make_environment(mode="warn")
        proposal = services.set_mode(environment, "observe", reason="x", actor=risk)
        assert isinstance(proposal, ModeProposal)
        with pytest.raises(Conflict) as conflict:
            services.set_mode(environment, "observe", reason="x", actor=second)
        assert conflict.value.field == "mode"
        services.set_mode(environment, "enforce", reason="y", actor=second)
        with pytest.raises(RefusedConflict):
            services.second_mode(proposal, actor=second)
        current = selectors.environment_setting(environment)
        assert current is not None
        assert current.mode == "enforce"

    def test_the_order_is_told_for_any_instant(self, risk: Any) -> None:
        staging = f.make_environment("staging", position=1)
        production = f.make_environment("production", position=2)
        then = now()
        services.set_mode(production, "enforce", reason="x", position=0, actor=risk)
        names = [one.environment for one in selectors.environments_in_order()]
        assert names == [production, staging]
        names = [one.environment for one in selectors.environments_in_order(then)]
        assert names == [staging, production]

    def test_saying_the_same_changes_nothing(self, risk: Any) -> None:
        environment = f.make_environment(mode="warn")
        services.set_mode(environment, "warn", reason="x", actor=risk)
        assert environment.settings.count() == 1
        assert not entries("registry.environment.changed")

    def test_the_database_holds_the_second_person(self, risk: Any) -> None:
        setting = f.make_environment().settings.get()
        with pytest.raises(IntegrityError), transaction.atomic():
            EnvironmentSetting.objects.filter(pk=setting.pk).update(seconded_by=setting.decided_by)

    @pytest.mark.parametrize(
        ("fields", "named"),
        [({"mode": "ignore"}, "mode"), ({"position": -1}, "position"), ({"name": "A"}, "name")],
    )
    def test_malformed_fields_are_named(self, fields: dict[str, Any], named: str) -> None:
        with pytest.raises(Invalid) as error:
            f.make_environment(**fields)
        assert error.value.field == named


class TestDeployments:
    def test_a_new_champion_ends_the_old_one_at_one_instant(self) -> None:
        model, environment = f.make_model(), f.make_environment()
        first, second = f.make_version(model), f.make_version(model)
        old = f.make_deployment(first, environment)
        shadow = f.make_deployment(first, environment, kind="shadow")
        new = f.make_deployment(second, environment)
        old.refresh_from_db()
        shadow.refresh_from_db()
        assert old.live_until == new.live_from
        assert shadow.live_until is None
        assert last("registry.deployment.recorded").public["ended"] == [str(old.pk)]
        assert last("registry.deployment.ended").object_id == str(old.pk)
        live = selectors.live_deployments(environment=environment)
        assert set(live) == {new, shadow}
        assert set(selectors.live_deployments(at=old.live_from)) == {old}
        assert set(selectors.live_deployments(at=new.live_from)) == {new, shadow}
        first.refresh_from_db()
        assert first.moment == new.live_from

    def test_champions_of_other_uses_and_places_live_on(self) -> None:
        version = f.make_version()
        owner = f.actor_of(f.make_user(None, Role.OWNER))
        other = services.add_use(version.model, f.use_record(name="other"), actor=owner)
        environment = f.make_environment()
        f.make_deployment(version, environment)
        f.make_deployment(version, environment, use=other)
        f.make_deployment(version, f.make_environment())
        assert selectors.live_deployments().count() == 3

    def test_what_runs_must_be_the_version(self) -> None:
        version, environment = f.make_version(), f.make_environment()
        for fields, named in (
            ({"artifact_digest": "f" * 64}, "artifact_digest"),
            ({"use": f.default_use(f.make_model())}, "use"),
            ({"is_rollback": True}, "is_rollback"),
        ):
            with pytest.raises(Unprocessable) as error:
                f.make_deployment(version, environment, **fields)
            assert error.value.field == named
        assert not Deployment.objects.exists()

    def test_a_rollback_is_to_what_ran_there(self) -> None:
        model, environment = f.make_model(), f.make_environment()
        first, second = f.make_version(model), f.make_version(model)
        f.make_deployment(first, environment)
        f.make_deployment(second, environment)
        row = f.make_deployment(first, environment, is_rollback=True)
        assert row.is_rollback
        assert selectors.was_live(second, row.use, environment, since=row.live_from)
        assert not selectors.was_live(second, row.use, environment, since=now())

    def test_twice_the_same_is_a_conflict(self) -> None:
        version, environment = f.make_version(), f.make_environment()
        f.make_deployment(version, environment)
        with pytest.raises(Conflict):
            f.make_deployment(version, environment)

    def test_the_database_holds_one_champion(self) -> None:
        row = f.make_deployment(f.make_version(), f.make_environment())
        row.pk = uuid7()
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save(force_insert=True)

    def test_an_ended_deployment_ends_once(self) -> None:
        operator = f.actor_of(f.make_user(None, Role.OPERATOR))
        row = f.make_deployment(f.make_version(), f.make_environment())
        ended = services.end_deployment(row, actor=operator)
        assert ended.live_until is not None
        with pytest.raises(Conflict):
            services.end_deployment(row, actor=operator)

    def test_the_layer_above_says_whether_the_decision_is_one_for_this(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def check(decision: Any, version: Any, use: Any, environment: Any) -> None:
            raise Unprocessable("no such decision", field="gate_decision")

        monkeypatch.setattr(deployments, "_decision_checks", [])
        services.register_decision_check(check)
        version, environment = f.make_version(), f.make_environment()
        with pytest.raises(Unprocessable) as error:
            f.make_deployment(version, environment, gate_decision_id=uuid7())
        assert error.value.field == "gate_decision"
        assert f.make_deployment(version, environment).gate_decision_id is None
