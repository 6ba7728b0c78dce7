"""Something of everything that the API writes about, and a person with every role who asks."""

from datetime import timedelta
from functools import cached_property
from typing import Any

from accounts.models import ApiToken, Role, User
from accounts.services import reauthenticate
from audit.models import Entry
from audit.webhooks import add_webhook_endpoint
from governance.models import PolicyBinding, Review
from governance.services import findings, incidents, suspensions, waivers
from kernel.moments import now, parse_rfc3339, rfc3339
from monitoring import services
from monitoring.models import Backtest, Breach, CheckRun, Monitor, NotCollectedDeclaration
from monitoring.services.declarations import statement_digest
from registry import services as registry
from tests import factories as f
from tests.governance import world as worlds
from tests.governance.support import World
from tests.monitoring import helpers


def later(**more: int) -> str:
    return rfc3339(now() + timedelta(**(more or {"days": 5})))


class Scene:
    """Each thing is made when it is first asked for."""

    def __init__(self) -> None:
        self.asker = f.make_user("everybody", *Role)
        self.headers = f.bearer(self.asker)
        self.world = World()
        registry.declare_columns(
            self.version.model, helpers.COLUMNS, actor=f.actor_of(f.make_user(None, Role.OWNER))
        )
        self.version.refresh_from_db()

    @property
    def version(self) -> Any:
        return self.world.version

    @property
    def model(self) -> str:
        return str(self.version.model.name)

    @property
    def base(self) -> str:
        return f"models/{self.model}/versions/{self.version.number}/"

    @property
    def place(self) -> dict[str, Any]:
        """As bodies say it."""
        return {
            "model": self.model,
            "version": self.version.number,
            "use": self.world.use.name,
            "environment": self.environment,
        }

    @property
    def environment(self) -> str:
        return str(self.world.environment.name)

    @property
    def _rows(self) -> dict[str, Any]:
        return {"use": self.world.use, "environment": self.world.environment}

    @property
    def _officer(self) -> Any:
        return f.actor_of(self.world.officer)

    @cached_property
    def review(self) -> Review:
        return self.world.submit()

    @cached_property
    def approval(self) -> Any:
        return self.world.approve().approval

    @cached_property
    def monitor(self) -> Monitor:
        return helpers.monitor(self.version, environment=self.world.environment)

    @cached_property
    def breach(self) -> Breach:
        governed = worlds.make_world()
        return worlds.make_breach(governed)

    @cached_property
    def dataset(self) -> Any:
        return helpers.dataset(name="census-1995")

    @cached_property
    def run(self) -> CheckRun:
        return helpers.request(self.version, data=self.dataset)

    @cached_property
    def counted_run(self) -> CheckRun:
        """One whose cube holds small counts."""
        run = helpers.request(self.version, data=helpers.dataset())
        return helpers.finish(run, helpers.outcome(kind=run.kind, public_cube=b"{}"))

    def not_collected_body(self, by: Any = None) -> dict[str, Any]:
        """A statement that `by` has just proved to be theirs."""
        by = by or self.asker
        model, until = self.version.model, later(days=30)
        digest = statement_digest(model, "faith", "nobody asks", parse_rfc3339(until, "until"))
        proof = reauthenticate(
            by,
            password=f.PASSWORD,
            subject_type="not_collected",
            subject_id=model.pk,
            signed_digest=digest,
            actor=f.actor_of(by),
        )
        return {
            "attribute": "faith",
            "reason": "nobody asks",
            "until": until,
            "reauthentication": str(proof.pk),
        }

    @cached_property
    def declaration(self) -> NotCollectedDeclaration:
        said = self.not_collected_body()
        said["until"] = parse_rfc3339(said["until"], "until")
        actor = f.actor_of(self.asker)
        return services.declare_not_collected(self.version.model, **said, actor=actor)

    @cached_property
    def counting(self) -> Monitor:
        """A monitor that has judged a day."""
        made = helpers.monitor(self.version, environment=self.world.environment, name="counting")
        helpers.batch(made)
        helpers.finish(made.windows.get().run)
        return made

    @cached_property
    def ended_run(self) -> CheckRun:
        return helpers.finish(self.run)

    @cached_property
    def unarmed(self) -> Monitor:
        """A monitor whose wanted effect takes a backtest."""
        return helpers.monitor(
            self.version, environment=self.world.environment, name="unarmed", effect="stop"
        )

    @cached_property
    def backtest(self) -> Backtest:
        """One of the unarmed monitor's definition that has judged a batch."""
        made = self.running_backtest
        helpers.finish(made.windows.get().run)
        return made

    @cached_property
    def running_backtest(self) -> Backtest:
        helpers.batch(self.unarmed)
        return services.request_backtest(
            self.version,
            **self._rows,
            name="unarmed",
            kind="performance",
            limits=[helpers.LIMIT],
            min_rows=10,
            since=helpers.START,
            until=helpers.START + helpers.DAY,
            actor=helpers.developer(),
        )

    @cached_property
    def waiver(self) -> Any:
        return waivers.request_waiver(
            self.version,
            **self._rows,
            controls=["code"],
            reason="it comes on Monday",
            compensating_control="somebody reads all",
            ends_at=now() + timedelta(days=3),
            actor=f.actor_of(self.world.developer),
        )

    @cached_property
    def suspension(self) -> Any:
        return suspensions.suspend(
            self.version,
            **self._rows,
            effect="no_new_deployment",
            reason="complaints",
            actor=self._officer,
        )

    @cached_property
    def incident(self) -> Any:
        return incidents.open_incident(
            self.version, **self._rows, summary="many refusals", actor=self._officer
        )

    @cached_property
    def confirmed(self) -> Any:
        """An incident that a person has classified."""
        return incidents.classify(
            self.incident, incident_class="serious", aware_at=now(), actor=self._officer
        )

    @cached_property
    def binding(self) -> Any:
        return PolicyBinding.objects.get(policy__name="small", until=None).pk

    @cached_property
    def finding(self) -> Any:
        return findings.open_finding(
            self.version, title="Odd", detail="Very", severity="low", actor=self._officer
        )

    @cached_property
    def proposal(self) -> Any:
        found = registry.set_mode(
            self.world.environment, "observe", reason="for a trial", actor=self._officer
        )
        return found.pk

    @cached_property
    def trial(self) -> str:
        """An environment whose mode can be made stricter."""
        return str(f.make_environment("trial", mode="observe").name)

    @cached_property
    def person(self) -> User:
        return f.make_user("somebody")

    @cached_property
    def token(self) -> ApiToken:
        f.token_for(self.asker, "read")
        return ApiToken.objects.filter(user=self.asker).latest("created_at")

    @cached_property
    def endpoint(self) -> Any:
        row, _ = add_webhook_endpoint(
            "https://receiver.example/", patterns=["registry.*"], actor=f.actor_of(self.asker)
        )
        return row.id

    @cached_property
    def entry(self) -> Any:
        """An entry with a private payload."""
        self.incident  # noqa: B018  # its summary is private
        return Entry.objects.get(type="governance.incident.opened").uuid

    @cached_property
    def grant(self) -> Any:
        return registry.grant_role(
            self.person, Role.OWNER, self.version.model, actor=f.actor_of(self.asker)
        )

    @cached_property
    def portfolio(self) -> str:
        return str(f.make_portfolio("lending").slug)

    @cached_property
    def legal_entity(self) -> str:
        return str(f.make_legal_entity("bank").slug)

    @cached_property
    def use(self) -> str:
        """A further use, beside the default one."""
        record = f.use_record(name="further", legal_entity=self.version.model.legal_entity)
        owner = f.actor_of(f.make_user(None, Role.OWNER))
        return str(registry.add_use(self.version.model, record, actor=owner).name)

    @cached_property
    def stakeholder(self) -> Any:
        record = registry.StakeholderRecord(name="Ada", interest="is screened")
        owner = f.actor_of(f.make_user(None, Role.OWNER))
        return registry.add_stakeholder(self.version.model, record, actor=owner)

    @cached_property
    def deployment(self) -> Any:
        return f.make_deployment(self.version, self.world.environment)

    def use_body(self) -> dict[str, Any]:
        return {
            "name": "another",
            "purpose": "Rank files",
            "excluded_uses": ["hiring"],
            "success_criteria": ["nobody waits"],
            "affected_people": "Adults",
            "decision_rule": {"threshold": 0.5},
            "exposure": "a thousand a year",
            "operator_role": "deployer",
            "legal_entity": self.legal_entity,
            "tier": 2,
            "tier_reason": "a person decides",
        }
