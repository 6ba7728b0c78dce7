"""Collecting the facts of a decision: one snapshot of local rows, no locks, nothing asked elsewhere.

`snapshot()` makes the reads agree with each other: on PostgreSQL a REPEATABLE READ, READ ONLY
transaction; on SQLite a deferred one, which in WAL mode reads one state of the file and neither waits
for a writer nor makes one wait. Inside a transaction that is open already it adds nothing.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
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
    Purpose,
    Question,
    WaiverFact,
)
from governance.models import Finding, GateDecision, PolicyRevision, Review, Waiver
from governance.policies import Policy, parse
from governance.records import Record, Records, of_decision, of_place
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
    Use,
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


Conditions = Mapping[UUID | None, list[ConditionFact]]
_documents: OrderedDict[str, Policy] = OrderedDict()
_DOCUMENTS = 64


def policy_document(revision: PolicyRevision) -> Policy:
    """The policy that a revision holds. Read once for each digest: a revision never changes.

    Raises:
        ValueError: the text in the database is not what the revision's digest says.
    """
    known = _documents.get(revision.digest)
    if known is not None:
        return known
    policy = parse(revision.source)
    if policy.digest != revision.digest:
        raise ValueError(f"the revision {revision.pk} is not what its digest says")
    _documents[policy.digest] = policy
    while len(_documents) > _DOCUMENTS:
        _documents.popitem(last=False)
    return policy


def standing_facts(version: ModelVersion, use: Use, environment: Environment) -> StandingFacts:
    """All records of any time that bear on the standing of a version for a use in an environment."""
    records = of_place(version.pk, use.pk, environment.pk)
    return facts_of_standing(
        version, use, records, policy_revisions(records), conditions_of(records)
    )


def policy_revisions(records: Records) -> dict[UUID, PolicyRevision]:
    """Those of every policy that was ever bound, and of every approval. Their text is read when asked for."""
    bound = {one.other for one in records.of("binding")}
    judged_by = {one.other for one in records.of("approval")}
    if not bound and not judged_by:
        return {}
    rows = PolicyRevision.objects.filter(Q(policy__in=bound) | Q(pk__in=judged_by))
    return {row.pk: row for row in rows.order_by().select_related("policy").defer("source")}


def facts_of_standing(
    version: ModelVersion,
    use: Use,
    records: Records,
    revisions: Mapping[UUID, PolicyRevision],
    conditions: Conditions,
) -> StandingFacts:
    """The facts, from the records about one place and what goes with them."""
    retired = (version.retired_at, version.model.retired_at, use.retired_at)
    return StandingFacts(
        registered_at=version.registered_at,
        retired_at=tuple(at for at in retired if at is not None),
        revisions=tuple(RevisionFact(_number(one), _at(one)) for one in records.of("revision")),
        tiers=tuple(TierFact(_number(one), _interval(one)) for one in records.of("tier")),
        bindings=tuple(
            BindingFact(str(one.other), one.number, _interval(one)) for one in records.of("binding")
        ),
        policy_revisions=tuple(_policy_revision(one) for one in revisions.values()),
        approvals=tuple(_approval(one, conditions) for one in records.of("approval")),
        suspensions=tuple(
            SuspensionFact(str(one.id), one.text or "", _interval(one))
            for one in records.of("suspension")
        ),
        reviews_ended=tuple(
            one.ended
            for one in records.of("review")
            if one.ended is not None and one.text != Review.State.OPEN
        ),
    )


def _at(record: Record) -> datetime:
    assert record.at is not None
    return record.at


def _number(record: Record) -> int:
    assert record.number is not None
    return record.number


def _interval(record: Record) -> Interval:
    return Interval(_at(record), record.until)


def _policy_revision(row: PolicyRevision) -> PolicyRevisionFact:
    return PolicyRevisionFact(
        id=str(row.pk),
        policy=str(row.policy_id),
        number=row.number,
        published_at=row.published_at,
        transition=Transition(row.transition),
        transition_at=row.transition_at,
    )


def conditions_of(records: Records) -> Conditions:
    """The conditions of conditional approvals. Mostly there are none, and nothing is asked."""
    conditional = [one.id for one in records.of("approval") if one.flag]
    conditions: dict[UUID | None, list[ConditionFact]] = {}
    if conditional:
        found = Finding.objects.filter(approvals__in=conditional).order_by()
        for approval, due_at, closed_at in found.values_list("approvals", "due_at", "closed_at"):
            conditions.setdefault(approval, []).append(ConditionFact(due_at, closed_at))
    return conditions


def _approval(row: Record, conditions: Conditions) -> ApprovalFact:
    assert row.until is not None
    return ApprovalFact(
        id=str(row.id),
        granted_at=_at(row),
        revision=_number(row),
        policy_revision=str(row.other),
        valid_until=row.until,
        is_conditional=bool(row.flag),
        conditions=tuple(conditions.get(row.id, ())),
        revoked_at=row.ended,
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
    records = of_decision(version.pk, use.pk, environment.pk)
    revisions = policy_revisions(records)
    standing = facts_of_standing(version, use, records, revisions, conditions_of(records))
    found = report(standing, at)
    here = {"version": version.pk, "use": use.pk, "environment": environment.pk}
    review = next((one for one in records.of("review") if one.text == Review.State.OPEN), None)
    revision = _policy_revision_to_judge_by(found, revisions)
    dossier = _dossier(found, review, records)
    policy = None
    if revision is not None:
        about = dossiers.facts(version, use, environment, dossier, records)
        policy = _in_force(revision, about)
    facts = replace(
        facts,
        use=use.name,
        standing=standing,
        policy=policy,
        breaches=_breaches(records),
        waivers=_waivers(records),
        open_review=OpenReviewFact(str(review.id), _number(review), str(review.other))
        if review
        else None,
        live=() if facts.question.purpose is Purpose.DEPLOY else tuple(_live(here, version)),
        dossier=dossier or "",
    )
    return Collected(facts, (version,), version, use, environment, revision, dossier or "")


def _dossier(found: StandingReport, review: Record | None, records: Records) -> str | None:
    """The dossier to judge on; None stands for the version as it is now.

    An approval in force was given on its own; an open review is about its own.
    """
    if review is not None and not found.standing.in_force:
        return review.digest if review.number == found.revision else None
    if found.approval is None or found.approval.revision != found.revision:
        return None
    given = {str(one.id): one.related for one in records.of("approval")}[found.approval.id]
    return next(one.digest for one in records.of("review") if one.id == given)


def _policy_revision_to_judge_by(
    found: StandingReport, revisions: Mapping[UUID, PolicyRevision]
) -> PolicyRevision | None:
    """The one that an approval in force was given under; else the one that governs."""
    wanted = found.policy_revision.id if found.policy_revision else None
    if found.standing.in_force and found.approval is not None:
        wanted = found.approval.policy_revision
    return revisions[UUID(wanted)] if wanted is not None else None


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


def _breaches(records: Records) -> tuple[BreachFact, ...]:
    """Mostly there are none, so what they found is read only if there are some."""
    ids = records.ids("breach")
    return tuple(_breach(row) for row in Breach.objects.filter(pk__in=ids)) if ids else ()


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


def _waivers(records: Records) -> tuple[WaiverFact, ...]:
    ids = records.ids("waiver")
    return tuple(_waiver(row) for row in Waiver.objects.filter(pk__in=ids)) if ids else ()


def _waiver(row: Waiver) -> WaiverFact:
    assert row.granted_at is not None
    until = row.ends_at if row.ended_at is None else min(row.ends_at, row.ended_at)
    return WaiverFact(str(row.pk), frozenset(row.controls), Interval(row.granted_at, until))
