"""A place where something of everything is on record, for tests of the pages."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.test import Client

from accounts.models import Role, User
from audit.models import Entry
from audit.sequencer import Sequencer
from governance.gate import Question
from governance.models import GateDecision, Incident, Review, Suspension
from governance.services import findings, gate, incidents, suspensions, waivers
from kernel.moments import now
from monitoring import services as monitoring
from monitoring.models import Backtest, Breach, CheckRun, Monitor
from reports.models import Report
from tests import factories as f
from tests.governance.support import World
from tests.monitoring import helpers
from tests.reports import world as reports


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@dataclass
class Scene:
    """An approved, measured, deployed and breached version, and one that waits for its review."""

    world: World = field(default_factory=reports.approved)
    auditor: User = field(default_factory=lambda: f.make_user(None, Role.AUDITOR))
    admin: User = field(
        default_factory=lambda: f.make_user(None, Role.ADMINISTRATOR, is_staff=True)
    )
    outsider: User = field(default_factory=lambda: f.make_user(None))
    open_review: Review = field(init=False)
    run: CheckRun = field(init=False)
    queued: CheckRun = field(init=False)
    monitor: Monitor = field(init=False)
    breach: Breach = field(init=False)
    backtest: Backtest = field(init=False)
    failed: CheckRun = field(init=False)
    incident: Incident = field(init=False)
    suspension: Suspension = field(init=False)
    decision: GateDecision = field(init=False)

    def __post_init__(self) -> None:
        world = self.world
        place: dict[str, Any] = {"use": world.use, "environment": world.environment}
        self.run = CheckRun.objects.get(version=world.version)
        f.make_deployment(world.version, world.environment)
        operator = f.make_user(None, Role.OPERATOR)
        question = Question(
            environment=world.environment.name, digest=world.version.artifact_digest
        )
        self.decision = gate.ask(question, actor=f.actor_of(operator))
        self.monitor = helpers.monitor(world.version, environment=world.environment)
        batch = helpers.batch(self.monitor)
        run = CheckRun.objects.filter(batch=batch).first() or monitoring.evaluate_monitor(
            self.monitor, batch, actor=helpers.SYSTEM
        )
        helpers.finish(run, helpers.outcome(helpers.measured("accuracy", 0.5)))
        self.breach = Breach.objects.get()
        self.backtest = monitoring.request_backtest(
            world.version,
            name="would-it-have-acted",
            kind="performance",
            limits=[helpers.LIMIT],
            min_rows=10,
            since=helpers.START,
            until=helpers.START + helpers.DAY,
            actor=world.by(world.developer),
            **place,
        )
        looked_back = self.backtest.windows.get().run
        assert looked_back is not None
        helpers.finish(looked_back, helpers.outcome(helpers.measured("accuracy", 0.5)))
        officer = world.by(world.officer)
        self.incident = Incident.objects.first() or incidents.open_incident(
            world.version, summary="People were passed over", actor=officer, **place
        )
        self.suspension = Suspension.objects.first() or suspensions.suspend(
            world.version, effect="stop", reason="Wait", actor=officer, **place
        )
        self.finding = findings.open_finding(
            world.version, title="Mend it", detail="It errs", severity="low", actor=officer
        )
        self.waiver = waivers.request_waiver(
            world.version,
            controls=["lineage"],
            reason="Soon",
            compensating_control="By hand",
            ends_at=now().replace(microsecond=0) + helpers.DAY,
            actor=world.by(world.submitter),
            **place,
        )
        second = f.make_version(world.version.model, by=world.developer)
        from governance.services import reviews

        self.open_review = reviews.submit(second, actor=world.by(world.submitter), **place)
        self.second = second
        self.queued = helpers.request(second)
        self.failed = helpers.request(second)
        claimed = monitoring.claim_run(self.failed.pk, actor=helpers.SYSTEM)
        assert claimed is not None
        monitoring.fail_run(
            self.failed.pk, claimed.attempt, "unreadable", retryable=False, actor=helpers.SYSTEM
        )
        Sequencer().drain()

    @cached_property
    def report(self) -> Report:
        """Rendering and sealing a PDF takes seconds, and most tests need none."""
        made = reports.issued(self.world)
        Sequencer().drain()
        return made

    @cached_property
    def waiting_report(self) -> Report:
        made = reports.requested(self.world)
        Sequencer().drain()
        return made

    def paths(self) -> dict[str, str]:
        """Every page that answers GET with HTML for somebody who reads the whole organisation."""
        model = self.world.version.model.name
        home = f"/models/{model}"
        return {
            "home": "/",
            "reviews": "/reviews/",
            "open review": f"/reviews/{self.open_review.pk}/",
            "ended review": f"/reviews/{self.world.version.reviews.get().pk}/",
            "models": "/models/",
            "model": f"{home}/",
            "not collected": f"{home}/not-collected/",
            "version": f"{home}/versions/1/",
            "second version": f"{home}/versions/2/",
            "runs": f"{home}/versions/2/runs/",
            "new waiver": f"{home}/versions/1/waiver/",
            "waiver": f"/waivers/{self.waiver.pk}/",
            "suspension": f"/suspensions/{self.suspension.pk}/",
            "finding": f"/findings/{self.finding.pk}/",
            "run": f"/check-runs/{self.run.pk}/",
            "queued run": f"/check-runs/{self.queued.pk}/",
            "run progress": f"/check-runs/{self.queued.pk}/progress/",
            "gate": "/gate/",
            "decision": f"/gate/{self.decision.pk}/",
            "monitoring": "/monitoring/",
            "monitor": f"/monitoring/monitors/{self.monitor.pk}/",
            "roll-up": f"/monitoring/monitors/{self.monitor.pk}/roll-up/",
            "backtest": f"/monitoring/backtests/{self.backtest.pk}/",
            "failed run": f"/check-runs/{self.failed.pk}/",
            "breach": f"/monitoring/breaches/{self.breach.pk}/",
            "incidents": "/incidents/",
            "incident": f"/incidents/{self.incident.pk}/",
            "datasets": "/datasets/",
            "dataset": f"/datasets/{self.run.dataset_id}/",
            "new dataset": "/datasets/register/",
            "policies": "/policies/",
            "policy": "/policies/small/",
            "policy revision": "/policies/small/1/",
            "reports": "/reports/",
            "new report": "/reports/request/",
            "report": f"/reports/{self.report.pk}/",
            "waiting report": f"/reports/{self.waiting_report.pk}/",
            "report progress": f"/reports/{self.waiting_report.pk}/progress/",
            "account": "/account/",
        }

    def restricted(self) -> dict[str, tuple[str, set[Role]]]:
        """Pages for some roles alone."""
        entry = Entry.objects.order_by("pk").first()
        assert entry is not None
        readers = {Role.AUDITOR, Role.RISK_OFFICER, Role.ADMINISTRATOR}
        return {
            "audit log": ("/audit/", readers),
            "entry": (f"/audit/entries/{entry.uuid}/", readers),
            "people": ("/people/", {Role.ADMINISTRATOR}),
            "person": (f"/people/{self.outsider.pk}/", {Role.ADMINISTRATOR}),
        }

    def about_one_model(self) -> list[str]:
        """The names of pages that show one model's records: nobody else may know that they exist."""
        everywhere = {
            "home", "reviews", "models", "gate", "monitoring", "incidents", "policies", "policy",
            "policy revision", "reports", "new report", "account", "datasets", "new dataset",
        }  # fmt: skip
        return [name for name in self.paths() if name not in everywhere]
