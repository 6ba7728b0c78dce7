"""The loop: what follows from an approval, from a breach, and from a version trained anew.

A breach needs none of this to close the gate, which reads unresolved breaches itself. What is here
comes after, by the outbox, at least once: each reaction looks first whether it was made already.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.access import require
from audit.actor import Actor
from audit.models import Entry
from audit.writing import in_write, write
from governance.models import Approval, Finding, Suspension
from governance.policies import Policy, PolicyMonitor
from governance.services.findings import start_finding
from governance.services.incidents import start_incident
from governance.services.retraining import answer_requests, start_request
from governance.services.suspensions import start_suspension
from kernel.errors import Conflict, CountersignError, Unprocessable
from monitoring import configs
from monitoring.metrics import titled
from monitoring.models import Breach, Monitor
from monitoring.services import begin_monitor
from monitoring.services.monitors import USUAL
from registry.models import Dataset, DatasetUse, ModelVersion
from registry.services import lock_version, tick

SYSTEM = Actor.system("governance")
_DAY = 86_400


def start_monitors(approval: Approval, policy: Policy, at: datetime, actor: Actor) -> list[Monitor]:
    """Begin the monitors that the policy wants, in the write that approves the locked version.

    One that watches already and is the same in all goes on.

    Raises:
        Conflict: one cannot watch this version; nobody approves what will not be watched.
    """
    in_write()
    begun = []
    for wanted in policy.monitors:
        try:
            begun.append(_begin(approval, wanted, at, actor))
        except CountersignError as error:
            raise Conflict(
                f"the policy {policy.name} wants the monitor {wanted.name}, which cannot watch "
                f"this version: {error.detail}",
                field="monitors",
                code="monitor_impossible",
            ) from error
    return begun


def _begin(approval: Approval, wanted: PolicyMonitor, at: datetime, actor: Actor) -> Monitor:
    silent = wanted.silent_after_days
    return begin_monitor(
        approval.version,
        use=approval.use,
        environment=approval.environment,
        name=wanted.name,
        kind=wanted.check,
        limits=wanted.limits_json(),
        config=dict(wanted.config),
        reference=reference_of(approval.version, wanted.check),
        min_rows=wanted.min_rows,
        consecutive=wanted.consecutive,
        silent_after_seconds=USUAL if silent is None else max(1, int(silent * _DAY)),
        silent_after_windows=wanted.silent_after_windows,
        window=wanted.window,
        wait_seconds=int(wanted.wait_hours * 3600),
        source=production_of(approval.version) if wanted.source == "production" else None,
        recheck=wanted.recheck,
        effect=wanted.effect,
        at=at,
        actor=actor,
    )


def reference_of(version: ModelVersion, kind: str) -> Dataset | None:
    """What production data are compared with: the reference data, else those it was trained on."""
    if kind not in configs.TAKE_REFERENCE:
        return None
    for purpose in (DatasetUse.Purpose.REFERENCE, DatasetUse.Purpose.TRAINING):
        linked = (
            DatasetUse.objects.select_related("dataset")
            .filter(version=version, purpose=purpose, dataset__blob__isnull=False)
            .order_by("pk")
            .first()
        )
        if linked is not None:
            return linked.dataset
    return None


def production_of(version: ModelVersion) -> Dataset:
    """The table that a version names as its production data, whose rows no digest pins.

    Raises:
        Unprocessable: it names none, or several.
    """
    found = DatasetUse.objects.select_related("dataset").filter(
        version=version,
        purpose=DatasetUse.Purpose.PRODUCTION,
        dataset__digest_of=Dataset.DigestOf.RELATION,
    )
    tables = [one.dataset for one in found[:2]]
    if len(tables) != 1:
        raise Unprocessable(
            f"the version names {'several tables' if tables else 'no table'} as its production data; "
            "it takes one dataset of that purpose whose relation is registered with pinned false",
            field="source",
        )
    return tables[0]


def react_to_breach(entry: Entry) -> None:
    """Subscriber to `monitoring.breach.opened`."""
    breach = Breach.objects.select_related("monitor").filter(pk=entry.object_id).first()
    if breach is not None:
        follow_up(breach, actor=SYSTEM)


@write
def follow_up(breach: Breach, *, actor: Actor) -> bool:
    """Open the finding, the suspension, the suspected incident and the request to train anew.

    The suspension has the effect that governance wrote into the monitor. False if all this was done
    before, or if a person resolved the breach meanwhile.
    """
    require(actor, "version.suspend", breach)
    version = lock_version(breach.version_id)
    breach = (
        Breach.objects.select_for_update(of=("self",))
        .select_related("monitor", "use", "environment")
        .get(pk=breach.pk)
    )
    if breach.resolved_at is not None or Finding.objects.filter(breach=breach).exists():
        return False
    at = tick(version)
    about: dict[str, Any] = {"at": at, "actor": actor, "breach": breach}
    text = describe(breach)
    start_finding(
        version,
        title=f"{titled(breach.metric)} breached its limit in {breach.environment.title}",
        detail=text,
        severity=Finding.Severity.HIGH,
        **about,
    )
    start_suspension(
        version,
        use=breach.use,
        environment=breach.environment,
        effect=_effect(breach.monitor),
        reason=text,
        **about,
    )
    incident = start_incident(
        version, use=breach.use, environment=breach.environment, summary=text, **about
    )
    start_request(version, reason=text, incident=incident, **about)
    return True


def _effect(monitor: Monitor) -> str:
    # A word that nobody knows must not make it laxer.
    known = Suspension.Effect.values
    return monitor.effect if monitor.effect in known else Suspension.Effect.STOP.value


def describe(breach: Breach) -> str:
    """A breach in one sentence."""
    reason = breach.detail.get("reason") or "its limit was passed"
    return f"The monitor {breach.monitor.name} found: {reason}."


def answer_retraining(entry: Entry) -> None:
    """Subscriber to `registry.version.registered`."""
    version = ModelVersion.objects.filter(pk=UUID(entry.object_id), parent__isnull=False).first()
    if version is not None:
        answer_requests(version, actor=SYSTEM)
