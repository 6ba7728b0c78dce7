"""Where versions stand, read from governance and put into sentences."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from governance import facts, selectors
from governance.controls.results import ControlResult
from governance.gate import Decision, Question, decide
from governance.models import Approval, PolicyRevision, Suspension
from governance.standing import Standing
from registry.models import Environment, EnvironmentSetting, ModelVersion, Use
from web.vocabulary import moment

# What the sentence says already, so that the page does not list it a second time.
_SAID = frozenset({"gate.not_retired", "gate.not_revoked", "gate.not_suspended", "gate.approved"})

_SENTENCES = {
    Standing.RETIRED: "{version} is retired.",
    Standing.REVOKED: "The approval of {version} for {place} is revoked: {reason}.",
    Standing.SUSPENDED: "{version} is suspended in {place} since {since}.",
    Standing.LAPSED: "The approval of {version} for {place} has lapsed: {reason}.",
    Standing.EXPIRED: "The approval of {version} for {place} has expired: {reason}.",
    Standing.CONDITIONAL: "{version} is approved for {place} on conditions that are not met yet.",
    Standing.APPROVED: "{version} is approved for {place}.",
    Standing.GRANDFATHERED: "{version} is still approved for {place}: {reason}.",
    Standing.NOT_APPROVED: "{version} is not approved for {place}.",
}


@dataclass(frozen=True)
class Place:
    """A version's standing for one use in one environment."""

    use: Use
    environment: Environment
    standing: str
    reason: str
    until: datetime | None
    suspended_since: datetime | None = None

    @property
    def why(self) -> str:
        """The reason, unless it only repeats the standing."""
        if self.standing == Standing.SUSPENDED and self.suspended_since:
            return f"since {moment(self.suspended_since)}"
        return self.reason


@dataclass(frozen=True)
class Pronouncement:
    """What a version's page says first: its standing in the foremost place, and the gate's answer."""

    place: Place
    decision: Decision
    policy: PolicyRevision | None
    sentence: str

    @property
    def tone(self) -> str:
        """Never better than the gate's answer."""
        good = self.decision.judged == "allow"
        return "allow" if good else "pending" if self.decision.judged == "pending" else "deny"

    @property
    def controls(self) -> tuple[ControlResult, ...]:
        return self.decision.reasons

    @property
    def blocking(self) -> list[ControlResult]:
        """What stands in the way beside that which the sentence tells."""
        return [
            result
            for result in self.decision.reasons
            if result.blocks and result.control not in _SAID
        ]

    @property
    def remark(self) -> str:
        """How many controls do not hold and yet stop nothing."""
        count = sum(not one.holds and not one.blocks for one in self.decision.reasons)
        if not count:
            return ""
        what = "1 control does not hold, and only warns" if count == 1 else ""
        return f"{what or f'{count} controls do not hold, and only warn'}."


def ordered_environments() -> list[Environment]:
    """Environments in the order of promotion, the foremost last."""
    settings = EnvironmentSetting.objects.filter(until=None).select_related("environment")
    return [row.environment for row in settings.order_by("position", "environment__name")]


def places_of(version: ModelVersion) -> list[Place]:
    """The standing for each use in each environment, foremost environment first."""
    uses = list(
        Use.objects.filter(model=version.model_id, retired_at=None).order_by("-is_default", "name")
    )
    return _places(
        [
            (version, use, environment)
            for environment in reversed(ordered_environments())
            for use in uses
        ]
    )


def _places(wanted: Sequence[selectors.Place]) -> list[Place]:
    """Standings of many places in a handful of queries, in the given order."""
    reports = selectors.standings_of(wanted)
    found = []
    for version, use, environment in wanted:
        report = reports[version.pk, use.pk, environment.pk]
        since = min((one.interval.since for one in report.suspensions), default=None)
        found.append(
            Place(use, environment, report.standing.value, report.reason, report.until, since)
        )
    return found


def pronounce(version: ModelVersion, place: Place) -> Pronouncement:
    """What the gate would answer now, without asking it: nothing is recorded."""
    question = Question(
        environment=place.environment.name,
        model=version.model.name,
        number=version.number,
        use=place.use.name,
    )
    at = selectors.instant_for(version)
    with facts.snapshot():
        collected = facts.collect(question, [version], at)
    decision = decide(collected.facts, at)
    return Pronouncement(
        place, decision, collected.policy_revision, _sentence(version, place, decision)
    )


def _sentence(version: ModelVersion, place: Place, decision: Decision) -> str:
    said = _SENTENCES[Standing(place.standing)].format(
        version=f"Version {version.number}",
        place=place.environment.title,
        reason=place.reason,
        since=moment(place.suspended_since) if place.suspended_since else "now",
    )
    gate = {
        "allow": "The gate lets it through.",
        "deny": "The gate denies it.",
        "pending": "The gate waits for its review.",
    }[decision.judged.value]
    return f"{said} {gate}"


def standings_of_page(versions: Sequence[ModelVersion]) -> dict[UUID, list[Place]]:
    """For a page of versions of one model: their standing wherever something was ever decided.

    Where nobody approved or suspended anything there is nothing to compute, so a long list of drafts
    costs three queries.
    """
    if not versions:
        return {}
    touched: dict[UUID, set[tuple[UUID, UUID]]] = defaultdict(set)
    for table in (Approval, Suspension):
        rows = table.objects.filter(version__in=versions)
        for version_id, use_id, environment_id in rows.values_list(
            "version", "use", "environment"
        ).distinct():
            touched[version_id].add((use_id, environment_id))
    uses = {use.pk: use for use in Use.objects.filter(model=versions[0].model_id)}
    order = ordered_environments()
    wanted = [
        (version, uses[use_id], environment)
        for version in versions
        for environment in reversed(order)
        for use_id in uses
        if (use_id, environment.pk) in touched[version.pk]
    ]
    found: dict[UUID, list[Place]] = {version.pk: [] for version in versions}
    for (version, _, _), place in zip(wanted, _places(wanted), strict=True):
        found[version.pk].append(place)
    return found
