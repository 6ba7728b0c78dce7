"""Collecting the facts of a decision: one snapshot of local rows, no locks, nothing asked elsewhere.

`snapshot()` makes the reads agree with each other: on PostgreSQL a REPEATABLE READ, READ ONLY
transaction; on SQLite a deferred one, which in WAL mode reads one state of the file and neither waits
for a writer nor makes one wait. Inside a transaction that is open already it adds nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from governance import dossiers
from governance.controls.judging import AllOf, AnyOf, Condition, Negation, judge
from governance.controls.process import ValidationWritten
from governance.gate import (
    BreachFact,
    EnvironmentMode,
    GateFacts,
    Match,
    OpenReviewFact,
    PolicyInForce,
    Question,
    WaiverFact,
)
from governance.models import (
    Approval,
    Finding,
    GateDecision,
    PolicyBinding,
    PolicyRevision,
    Review,
    Suspension,
    Waiver,
)
from governance.policies import Policy, parse
from governance.standing import (
    ApprovalFact,
    BindingFact,
    ConditionFact,
    Interval,
    PolicyRevisionFact,
    RevisionFact,
    StandingFacts,
    StandingReport,
    SuspensionFact,
    TierFact,
    Transition,
    report,
)
from monitoring.models import Breach
from registry.models import (
    Deployment,
    Environment,
    EnvironmentSetting,
    ModelVersion,
    RevisionChange,
    Use,
    UseTier,
)


@contextmanager
def snapshot() -> Iterator[None]:
    """Let all reads inside see one state of the database. Nothing may be written inside."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        # Django's own atomic() would begin IMMEDIATE and so wait for the writer.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield


@lru_cache(maxsize=64)
def _parsed(digest: str, source: str) -> Policy:
    return parse(source)


def policy_document(revision: PolicyRevision) -> Policy:
    """The policy that a revision holds. Parsed once for each digest: a revision never changes."""
    return _parsed(revision.digest, revision.source)


def standing_facts(version: ModelVersion, use: Use, environment: Environment) -> StandingFacts:
    """All records of any time that bear on the standing of a version for a use in an environment."""
    here = {"version": version.pk, "use": use.pk, "environment": environment.pk}
    approvals = list(Approval.objects.filter(**here))
    bindings = list(PolicyBinding.objects.filter(environment=environment))
    policies = {one.policy_id for one in bindings}
    judged_by = [one.policy_revision_id for one in approvals]
    revisions = PolicyRevision.objects.filter(Q(policy__in=policies) | Q(pk__in=judged_by)).defer(
        "source"
    )
    ended = Review.objects.filter(
        **here, state__in=[Review.State.APPROVED, Review.State.REJECTED], closed_at__isnull=False
    ).values_list("closed_at", flat=True)
    retired = (version.retired_at, version.model.retired_at, use.retired_at)
    return StandingFacts(
        registered_at=version.registered_at,
        retired_at=tuple(at for at in retired if at is not None),
        revisions=tuple(
            RevisionFact(*row)
            for row in RevisionChange.objects.filter(version=version.pk).values_list(
                "revision", "at"
            )
        ),
        tiers=tuple(
            TierFact(one.tier, Interval(one.since, one.until))
            for one in UseTier.objects.filter(use=use)
        ),
        bindings=tuple(
            BindingFact(str(one.policy_id), one.tier, Interval(one.since, one.until))
            for one in bindings
        ),
        policy_revisions=tuple(_policy_revision(one) for one in revisions),
        approvals=tuple(_approvals(approvals)),
        suspensions=tuple(
            SuspensionFact(str(one.pk), one.effect, Interval(one.since, one.until))
            for one in Suspension.objects.filter(**here)
        ),
        reviews_ended=tuple(at for at in ended if at is not None),
    )


def _policy_revision(row: PolicyRevision) -> PolicyRevisionFact:
    return PolicyRevisionFact(
        id=str(row.pk),
        policy=str(row.policy_id),
        number=row.number,
        published_at=row.published_at,
        transition=Transition(row.transition),
        transition_at=row.transition_at,
    )


def _approvals(rows: list[Approval]) -> Iterator[ApprovalFact]:
    conditions: dict[UUID, list[ConditionFact]] = {}
    conditional = [row.pk for row in rows if row.is_conditional]
    if conditional:
        found = Finding.objects.filter(approvals__in=conditional)
        for approval, due_at, closed_at in found.values_list("approvals", "due_at", "closed_at"):
            conditions.setdefault(approval, []).append(ConditionFact(due_at, closed_at))
    for row in rows:
        yield ApprovalFact(
            id=str(row.pk),
            granted_at=row.granted_at,
            revision=row.revision,
            policy_revision=str(row.policy_revision_id),
            valid_until=row.valid_until,
            is_conditional=row.is_conditional,
            conditions=tuple(conditions.get(row.pk, ())),
            revoked_at=row.revoked_at,
        )


@dataclass(frozen=True)
class Collected:
    """The facts of a decision and the rows that they are of. `asked_about` are all that fit."""

    facts: GateFacts
    asked_about: tuple[ModelVersion, ...] = ()
    version: ModelVersion | None = None
    use: Use | None = None
    environment: Environment | None = None
    policy_revision: PolicyRevision | None = None
    dossier: str = ""


def candidates(question: Question) -> list[ModelVersion]:
    """The versions that fit what was asked, at most a few: by digest, by name and number, or both."""
    rows = ModelVersion.objects.select_related("model")
    if question.digest:
        rows = rows.filter(artifact_digest=question.digest)
    if question.model:
        rows = rows.filter(model__name=question.model)
    if question.number is not None:
        rows = rows.filter(number=question.number)
    return list(rows.order_by("pk")[:10])


def collect(
    question: Question, versions: list[ModelVersion], at: datetime, *, hidden: bool = False
) -> Collected:
    """Read what the decision about `question` at `at` rests on.

    `versions` are those that fit; `hidden` says that others fit of which the asker may not know.
    """
    matches = tuple(
        Match(str(one.pk), one.model.name, one.number, one.artifact_digest) for one in versions
    )
    setting = (
        EnvironmentSetting.objects.select_related("environment")
        .filter(environment__name=question.environment, until=None)
        .first()
    )
    mode = EnvironmentMode(setting.mode) if setting else None
    facts = GateFacts(question, matches, mode, hidden=hidden)
    environment = setting.environment if setting else None
    if len(versions) != 1 or hidden:
        return Collected(facts, tuple(versions), environment=environment)
    version = versions[0]
    use = _use(version, question.use)
    if use is None or environment is None:
        facts = replace(facts, use=use.name if use else None)
        return Collected(facts, (version,), version, use, environment)
    return _collect_place(facts, version, use, environment, at)


def _use(version: ModelVersion, name: str) -> Use | None:
    named = Q(name=name) if name else Q(is_default=True)
    return Use.objects.filter(named, model=version.model_id).first()


def _collect_place(
    facts: GateFacts, version: ModelVersion, use: Use, environment: Environment, at: datetime
) -> Collected:
    records = standing_facts(version, use, environment)
    found = report(records, at)
    here = {"version": version.pk, "use": use.pk, "environment": environment.pk}
    review = Review.objects.filter(**here, state=Review.State.OPEN).first()
    revision = _policy_revision_to_judge_by(found)
    dossier = _dossier(version, found, review)
    policy = None
    if revision is not None:
        about = dossiers.facts(version, use, environment, dossier)
        policy = _in_force(revision, about)
    facts = replace(
        facts,
        use=use.name,
        standing=records,
        policy=policy,
        breaches=tuple(_breach(one) for one in Breach.objects.filter(**here, resolved_at=None)),
        waivers=tuple(_waivers(here)),
        open_review=OpenReviewFact(str(review.pk), review.revision, str(review.policy_revision_id))
        if review
        else None,
        live=tuple(_live(here, version)),
        dossier=dossier or "",
    )
    return Collected(facts, (version,), version, use, environment, revision, dossier or "")


def _dossier(version: ModelVersion, found: StandingReport, review: Review | None) -> str | None:
    """The dossier to judge on; None stands for the version as it is now.

    An approval in force was given on its own; an open review is about its own.
    """
    if review is not None and not found.standing.in_force:
        return review.dossier_id if review.revision == found.revision else None
    if found.approval is None or found.approval.revision != found.revision:
        return None
    return Review.objects.values_list("dossier_id", flat=True).get(approval__id=found.approval.id)


def _policy_revision_to_judge_by(found: StandingReport) -> PolicyRevision | None:
    """The one that an approval in force was given under; else the one that governs."""
    wanted = found.policy_revision.id if found.policy_revision else None
    if found.standing.in_force and found.approval is not None:
        wanted = found.approval.policy_revision
    if wanted is None:
        return None
    return PolicyRevision.objects.select_related("policy").get(pk=wanted)


def _in_force(revision: PolicyRevision, about: Mapping[str, Any]) -> PolicyInForce:
    policy = policy_document(revision)
    return PolicyInForce(
        revision=str(revision.pk),
        name=revision.policy.name,
        number=revision.number,
        digest=revision.digest,
        judge=lambda now: judge(policy, about, now),
        decision_valid_for=timedelta(minutes=policy.gate.decision_valid_minutes),
        rollback_window=timedelta(days=policy.gate.rollback_window_days),
        restart_when_suspended=policy.gate.restart_when_suspended == "allow",
        awaits_people=frozenset(
            rule.id for rule in policy.controls if _awaits_people(rule.condition)
        ),
        never_waived=frozenset(policy.waivers.never),
    )


def _awaits_people(condition: Condition) -> bool:
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return all(_awaits_people(part) for part in parts)
        case Negation(part):
            return _awaits_people(part)
        case _:
            return isinstance(condition, ValidationWritten)


def _breach(row: Breach) -> BreachFact:
    detail = row.detail
    limit = detail.get("limit") or {}
    figure = {
        "value": detail.get("judged"),
        "lower": detail.get("lower"),
        "upper": detail.get("upper"),
        "n": detail.get("n"),
        "limit": limit.get("value"),
        "control": limit.get("control"),
    }
    shown = {name: value for name, value in figure.items() if value not in (None, "")}
    return BreachFact(str(row.pk), row.metric, row.opened_at, shown)


def _live(here: Mapping[str, UUID], version: ModelVersion) -> Iterator[Interval]:
    """When it ran there by leave of the gate.

    What was deployed past the gate opens no fast path: whoever may record deployments could else
    have any version let by, just by saying that it runs.
    """
    allowed = GateDecision.objects.filter(
        Q(not_after=None) | Q(not_after__gte=OuterRef("live_from")),
        **here,
        pk=OuterRef("gate_decision_id"),
        answer=GateDecision.Answer.ALLOW,
    )
    rows = Deployment.objects.filter(
        Exists(allowed), **here, artifact_digest=version.artifact_digest
    )
    for live_from, live_until in rows.values_list("live_from", "live_until"):
        yield Interval(live_from, live_until)


def _waivers(here: Mapping[str, UUID]) -> Iterator[WaiverFact]:
    for row in Waiver.objects.filter(**here, granted_at__isnull=False):
        assert row.granted_at is not None
        until = row.ends_at if row.ended_at is None else min(row.ends_at, row.ended_at)
        yield WaiverFact(str(row.pk), frozenset(row.controls), Interval(row.granted_at, until))
