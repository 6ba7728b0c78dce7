"""Reads that are more than a filter."""

from datetime import datetime

from governance import facts
from governance.models import PolicyRevision
from governance.policies import Policy
from governance.standing import StandingReport, policy_in_force, report
from kernel.moments import now
from registry.models import Environment, ModelVersion, Use


def instant_for(version: ModelVersion) -> datetime:
    """Now, and never before the newest thing that is on record about the version."""
    return max(now(), version.moment)


def standing_of(
    version: ModelVersion, use: Use, environment: Environment, at: datetime | None = None
) -> StandingReport:
    """The standing at `at`, as recorded by then; now if it is None."""
    at = at or instant_for(version)
    with facts.snapshot():
        return report(facts.standing_facts(version, use, environment), at)


def policy_revision_of(
    version: ModelVersion, use: Use, environment: Environment, at: datetime
) -> PolicyRevision | None:
    """The policy revision that governs the place at `at`."""
    found = policy_in_force(facts.standing_facts(version, use, environment), at)
    if found is None:
        return None
    return PolicyRevision.objects.select_related("policy").get(pk=found.id)


def policy_of(
    version: ModelVersion, use: Use, environment: Environment, at: datetime
) -> Policy | None:
    """What the policy revision that governs the place at `at` says."""
    revision = policy_revision_of(version, use, environment, at)
    return facts.policy_document(revision) if revision else None
