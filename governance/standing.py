"""The standing of (version, use, environment) at any instant: a pure function of append-only records.

Nothing here is stored and nothing is rebuilt. A record counts from the instant at which it was
recorded, so the answer for an instant in the past never changes by what is recorded later.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Standing(StrEnum):
    """The first of these that holds, in this order, is the standing."""

    RETIRED = "retired"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    LAPSED = "lapsed"
    EXPIRED = "expired"
    CONDITIONAL = "conditional"
    APPROVED = "approved"
    GRANDFATHERED = "grandfathered"
    NOT_APPROVED = "not_approved"

    @property
    def in_force(self) -> bool:
        """True if an approval stands behind it that the gate may rest on."""
        return self in _IN_FORCE


_IN_FORCE = frozenset({Standing.CONDITIONAL, Standing.APPROVED, Standing.GRANDFATHERED})


class Transition(StrEnum):
    """What becomes of older approvals when a policy revision is published."""

    AT_ONCE = "at_once"
    AT_DATE = "at_date"
    NEXT_REVIEW = "next_review"


@dataclass(frozen=True)
class Interval:
    """From `since` on and before `until`; None has no end yet."""

    since: datetime
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True)
class RevisionFact:
    """The version had `revision` from `at` on."""

    revision: int
    at: datetime


@dataclass(frozen=True)
class ConditionFact:
    """A finding that an approval was granted on condition of."""

    due_at: datetime | None
    closed_at: datetime | None

    def open_at(self, at: datetime) -> bool:
        return self.closed_at is None or at < self.closed_at

    def broken_at(self, at: datetime) -> bool:
        """Due and not closed in time. Closing it late does not bring the approval back."""
        if self.due_at is None or at < self.due_at:
            return False
        return self.closed_at is None or self.closed_at > self.due_at


@dataclass(frozen=True)
class ApprovalFact:
    id: str
    granted_at: datetime
    revision: int
    policy_revision: str
    valid_until: datetime
    is_conditional: bool = False
    conditions: tuple[ConditionFact, ...] = ()
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class PolicyRevisionFact:
    id: str
    policy: str
    number: int
    published_at: datetime
    transition: Transition
    transition_at: datetime | None = None


@dataclass(frozen=True)
class BindingFact:
    """A policy governs the environment: every tier, or one."""

    policy: str
    tier: int | None
    interval: Interval


@dataclass(frozen=True)
class TierFact:
    tier: int
    interval: Interval


@dataclass(frozen=True)
class SuspensionFact:
    id: str
    effect: str
    interval: Interval


@dataclass(frozen=True)
class StandingFacts:
    """All records that bear on one version, use and environment, of any time.

    `retired_at` holds the instants at which the version, its model or its use were retired.
    `reviews_ended` holds those at which a review of it ended in a yes or a no. `policy_revisions`
    are those of every policy in `bindings` and of every approval.
    """

    registered_at: datetime
    retired_at: tuple[datetime, ...] = ()
    revisions: tuple[RevisionFact, ...] = ()
    tiers: tuple[TierFact, ...] = ()
    bindings: tuple[BindingFact, ...] = ()
    policy_revisions: tuple[PolicyRevisionFact, ...] = ()
    approvals: tuple[ApprovalFact, ...] = ()
    suspensions: tuple[SuspensionFact, ...] = ()
    reviews_ended: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class StandingReport:
    """The standing with what it rests on.

    `holding` maps each standing that holds to its reason, in order; the first is the standing.
    `approval` and `policy_revision` are the newest approval at that instant and the policy revision
    that governs then; `until` is the instant at which time alone ends a standing that is in force.
    """

    standing: Standing
    reason: str
    at: datetime
    revision: int
    holding: Mapping[Standing, str]
    approval: ApprovalFact | None = None
    policy_revision: PolicyRevisionFact | None = None
    suspensions: tuple[SuspensionFact, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True)
class _Counting:
    """Whether an approval still counts under the policy that governs, and for how long."""

    current: bool
    counts: bool
    reason: str = ""
    ends: tuple[datetime, ...] = field(default=())


def standing(facts: StandingFacts, at: datetime) -> Standing:
    """Return the standing at `at`."""
    return report(facts, at).standing


def revision_at(facts: StandingFacts, at: datetime) -> int:
    """The version's revision at `at`; 1 until the first change of a dossier fact."""
    return max((fact.revision for fact in facts.revisions if fact.at <= at), default=1)


def policy_in_force(facts: StandingFacts, at: datetime) -> PolicyRevisionFact | None:
    """The policy revision that governs at `at`. A binding for the use's tier goes before one for all."""
    tier = next((fact.tier for fact in facts.tiers if fact.interval.holds(at)), None)
    bound = [
        binding
        for binding in facts.bindings
        if binding.interval.holds(at) and binding.tier in (None, tier)
    ]
    if not bound:
        return None
    binding = min(bound, key=lambda one: one.tier is None)
    published = [
        revision
        for revision in facts.policy_revisions
        if revision.policy == binding.policy and revision.published_at <= at
    ]
    return max(published, key=lambda one: one.number, default=None)


def approval_at(facts: StandingFacts, at: datetime) -> ApprovalFact | None:
    """The newest approval granted by `at`. An older one never comes back when a newer one falls."""
    granted = [approval for approval in facts.approvals if approval.granted_at <= at]
    return max(granted, key=lambda one: one.granted_at, default=None)


def report(facts: StandingFacts, at: datetime) -> StandingReport:
    """Return the standing at `at` with the records that it rests on."""
    approval = approval_at(facts, at)
    governing = policy_in_force(facts, at)
    suspensions = tuple(one for one in facts.suspensions if one.interval.holds(at))
    revision = revision_at(facts, at)
    holding = list(_closing(facts, at, approval, suspensions))
    until = None
    if approval is None:
        holding.append((Standing.NOT_APPROVED, "nobody approved it for this use and environment"))
    else:
        counting = _counting(facts, approval, governing, at)
        holding.extend(_ageing(approval, counting, revision, at))
        if not holding:
            holding.append(_in_force(approval, counting, at))
            until = min(_ends(approval, counting, at))
    found, reason = holding[0]
    return StandingReport(
        standing=found,
        reason=reason,
        at=at,
        revision=revision,
        holding=dict(holding),
        approval=approval,
        policy_revision=governing,
        suspensions=suspensions,
        until=until,
    )


def _closing(
    facts: StandingFacts,
    at: datetime,
    approval: ApprovalFact | None,
    suspensions: tuple[SuspensionFact, ...],
) -> Iterator[tuple[Standing, str]]:
    """What somebody did, or a condition did, to end or stop the version."""
    retired = min((instant for instant in facts.retired_at if instant <= at), default=None)
    if retired is not None:
        yield Standing.RETIRED, f"retired on {_day(retired)}"
    revoked = _revoked(approval, at) if approval else ""
    if revoked:
        yield Standing.REVOKED, revoked
    if suspensions:
        since = min(one.interval.since for one in suspensions)
        yield Standing.SUSPENDED, f"suspended since {_day(since)}"


def _ageing(
    approval: ApprovalFact, counting: _Counting, revision: int, at: datetime
) -> Iterator[tuple[Standing, str]]:
    """What a change of the version, a newer policy or time does to an approval."""
    if approval.revision != revision:
        yield (
            Standing.LAPSED,
            f"approved at revision {approval.revision}; the version is at revision {revision}",
        )
    elif not counting.counts:
        yield Standing.LAPSED, counting.reason
    if approval.valid_until <= at:
        yield Standing.EXPIRED, f"the approval was valid until {_day(approval.valid_until)}"


def _in_force(approval: ApprovalFact, counting: _Counting, at: datetime) -> tuple[Standing, str]:
    if _conditional(approval, at):
        return Standing.CONDITIONAL, "approved on conditions that are not met yet"
    if counting.current:
        return Standing.APPROVED, f"approved on {_day(approval.granted_at)}"
    return Standing.GRANDFATHERED, counting.reason


def _revoked(approval: ApprovalFact, at: datetime) -> str:
    if approval.revoked_at is not None and approval.revoked_at <= at:
        return f"the approval was revoked on {_day(approval.revoked_at)}"
    broken = [one.due_at for one in approval.conditions if one.broken_at(at) and one.due_at]
    if approval.is_conditional and broken:
        return f"a condition of the approval was due on {_day(min(broken))} and was not met"
    return ""


def _conditional(approval: ApprovalFact, at: datetime) -> bool:
    if not approval.is_conditional:
        return False
    return not approval.conditions or any(one.open_at(at) for one in approval.conditions)


def _counting(
    facts: StandingFacts,
    approval: ApprovalFact,
    governing: PolicyRevisionFact | None,
    at: datetime,
) -> _Counting:
    if governing is None:
        return _Counting(False, False, "no policy governs this environment")
    if governing.id == approval.policy_revision:
        return _Counting(True, True)
    by_id = {revision.id: revision for revision in facts.policy_revisions}
    judged = by_id.get(approval.policy_revision)
    if judged is None or judged.policy != governing.policy:
        return _Counting(False, False, f"another policy governs now: {governing.policy}")
    newer = [
        revision
        for revision in facts.policy_revisions
        if revision.policy == governing.policy
        and revision.number > judged.number
        and revision.published_at <= at
    ]
    ended = [instant for instant in facts.reviews_ended if approval.granted_at < instant <= at]
    stopped = [one for one in newer if _stops(one, ended, at)]
    if stopped:
        first = min(stopped, key=lambda one: one.number)
        return _Counting(
            False, False, f"policy {first.policy} {first.number} ended older approvals"
        )
    ends = tuple(one.transition_at for one in newer if one.transition_at is not None)
    return _Counting(
        False,
        True,
        f"approved under policy {judged.policy} {judged.number}, which still counts "
        f"although {governing.number} governs now",
        ends,
    )


def _stops(newer: PolicyRevisionFact, reviews_ended: Iterable[datetime], at: datetime) -> bool:
    """Say whether a newer revision has ended the approvals under older ones by `at`."""
    if newer.transition is Transition.AT_ONCE:
        return True
    if newer.transition is Transition.AT_DATE:
        return newer.transition_at is None or newer.transition_at <= at
    return any(instant >= newer.published_at for instant in reviews_ended)


def _ends(approval: ApprovalFact, counting: _Counting, at: datetime) -> list[datetime]:
    due = [
        one.due_at
        for one in approval.conditions
        if approval.is_conditional and one.due_at is not None and one.open_at(at)
    ]
    return [approval.valid_until, *counting.ends, *due]


def _day(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M UTC")
