"""Reads that are more than a filter."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from governance import facts
from governance.models import PolicyRevision
from governance.policies import Policy
from governance.records import of_place, of_standing
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


Place = tuple[ModelVersion, Use, Environment]


def standings_of(
    places: Iterable[Place], at: datetime | None = None
) -> dict[tuple[UUID, UUID, UUID], StandingReport]:
    """`standing_of` many places, by the ids of version, use and environment, in two queries or three.

    Versions come with their model.
    """
    wanted = list(places)
    if not wanted:
        return {}
    found = {}
    with facts.snapshot():
        records = of_standing(
            {version.pk for version, _, _ in wanted},
            {use.pk for _, use, _ in wanted},
            {environment.pk for _, _, environment in wanted},
        )
        revisions = facts.policy_revisions(records)
        conditions = facts.conditions_of(records)
        for version, use, environment in wanted:
            key = (version.pk, use.pk, environment.pk)
            about = facts.facts_of_standing(
                version, use, records.about(*key), revisions, conditions
            )
            found[key] = report(about, at or instant_for(version))
    return found


def policy_revision_of(
    version: ModelVersion, use: Use, environment: Environment, at: datetime
) -> PolicyRevision | None:
    """The policy revision that governs the place at `at`."""
    records = of_place(version.pk, use.pk, environment.pk)
    revisions = facts.policy_revisions(records)
    found = policy_in_force(facts.facts_of_standing(version, use, records, revisions, {}), at)
    return revisions[UUID(found.id)] if found else None


def policy_of(
    version: ModelVersion, use: Use, environment: Environment, at: datetime
) -> Policy | None:
    """What the policy revision that governs the place at `at` says."""
    revision = policy_revision_of(version, use, environment, at)
    return facts.policy_document(revision) if revision else None
