"""Publishing policies and saying where they govern."""

from datetime import datetime, timedelta

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import write
from governance import policies
from governance.facts import policy_document
from governance.models import Policy, PolicyBinding, PolicyRevision
from kernel.errors import Conflict, Invalid
from kernel.moments import now
from monitoring import configs, windows
from monitoring.limits import parse_limits
from monitoring.measurable import check_names
from registry.models import Environment
from registry.services import user_id_of

_GRAIN = timedelta(microseconds=1)
_MOST_DAYS = 366
"""After which a monitor without data falls silent, at the latest."""


@write
def publish_policy(
    source: str,
    *,
    transition: str = PolicyRevision.Transition.AT_ONCE,
    transition_at: datetime | None = None,
    actor: Actor,
) -> PolicyRevision:
    """Publish a policy, new or as the next revision of the one of its name. It touches no version.

    `transition` says what becomes of approvals under older revisions.

    Raises:
        Invalid: naming each field of the policy that is wrong.
        Conflict: it is the newest revision already; it does not fit where the policy is bound.
    """
    require(actor, "policy.publish")
    if not isinstance(source, str):
        raise Invalid("expected the YAML of a policy as a text", field="source")
    document = policies.parse(source)
    for index, monitor in enumerate(document.monitors):
        _check_monitor(monitor, f"monitors[{index}]")
    at = now()
    _demand_transition(transition, transition_at, at)
    policy, _ = Policy.objects.get_or_create(
        name=document.name, defaults={"title": document.title, "created_at": at}
    )
    policy = Policy.objects.select_for_update().get(pk=policy.pk)
    newest = policy.revisions.order_by("-number").first()
    if newest is not None and newest.digest == document.digest:
        raise Conflict(f"this is revision {newest.number} of {policy.name} already", field="source")
    _demand_fit(policy, document)
    if policy.title != document.title:
        policy.title = document.title
        policy.save(update_fields=["title"])
    revision = PolicyRevision.objects.create(
        policy=policy,
        number=newest.number + 1 if newest else 1,
        digest=document.digest,
        source=source,
        transition=transition,
        transition_at=transition_at,
        published_at=max(at, newest.published_at + _GRAIN) if newest else at,
        published_by_id=user_id_of(actor),
    )
    record(
        "governance.policy.published",
        actor=actor,
        at=revision.published_at,
        object_type="policy",
        object_id=str(policy.pk),
        public={
            "policy": policy.name,
            "number": revision.number,
            "digest": revision.digest,
            "transition": transition,
            "transition_at": transition_at,
        },
    )
    return revision


def _demand_transition(transition: str, transition_at: datetime | None, at: datetime) -> None:
    if transition not in PolicyRevision.Transition.values:
        known = ", ".join(PolicyRevision.Transition.values)
        raise Invalid(f"expected one of {known}", field="transition")
    dated = transition == PolicyRevision.Transition.AT_DATE
    if dated and (transition_at is None or transition_at <= at):
        raise Invalid("a transition at a date needs one in the future", field="transition_at")
    if not dated and transition_at is not None:
        raise Invalid("only a transition at_date has a date", field="transition_at")


def _demand_fit(policy: Policy, document: policies.Policy) -> None:
    """A revision governs wherever the policy is bound, so it must apply there."""
    for binding in policy.bindings.filter(until=None).select_related("environment"):
        wrong = misfit(document, binding.environment.name, binding.tier)
        if wrong:
            raise Conflict(
                f"the policy governs {binding.environment.name}, but {wrong}", field="applies_to"
            )


def misfit(document: policies.Policy, environment: str, tier: int | None) -> str:
    """Why a policy does not apply to an environment and tier (None: every tier); "" if it does."""
    applies = document.applies_to
    if applies.environments and environment not in applies.environments:
        return f"it applies to {', '.join(applies.environments)} only"
    if applies.tiers and tier not in applies.tiers:
        tiers = ", ".join(str(one) for one in applies.tiers)
        return f"it applies to tier {tiers} only, so it is bound for each of them by itself"
    return ""


@write
def bind_policy(
    policy: Policy, *, environment: Environment, tier: int | None = None, actor: Actor
) -> PolicyBinding:
    """Let a policy govern an environment from now on: one tier, or every tier that has none of its own.

    What governed there until now ends.

    Raises:
        Invalid: the policy does not apply there.
        Conflict: it governs there already.
    """
    require(actor, "policy.publish")
    if tier is not None and (isinstance(tier, bool) or tier not in (1, 2, 3, 4)):
        raise Invalid("expected a tier from 1 to 4", field="tier")
    policy = Policy.objects.select_for_update().get(pk=policy.pk)
    newest = policy.revisions.order_by("-number").first()
    if newest is None:
        raise Conflict("the policy has no revision yet")
    wrong = misfit(policy_document(newest), environment.name, tier)
    if wrong:
        field = "tier" if "tier" in wrong else "environment"
        raise Invalid(f"the policy {policy.name} does not fit: {wrong}", field=field)
    # The environment's row is locked, so that two who bind at once come one after the other.
    Environment.objects.select_for_update().get(pk=environment.pk)
    current = PolicyBinding.objects.filter(environment=environment, tier=tier, until=None).first()
    if current is not None and current.policy_id == policy.pk:
        raise Conflict("the policy governs there already", field="environment")
    at = now() if current is None else max(now(), current.since + _GRAIN)
    if current is not None:
        _end(current, at=at, actor=actor)
    binding = PolicyBinding.objects.create(
        policy=policy, environment=environment, tier=tier, since=at
    )
    _note("bound", binding, at=at, actor=actor)
    return binding


@write
def unbind_policy(binding: PolicyBinding, *, actor: Actor) -> PolicyBinding:
    """Let a policy govern no longer. Where no other does, the gate denies."""
    require(actor, "policy.publish")
    # As in binding, so that an end that is on record is not moved by whoever binds another meanwhile.
    Environment.objects.select_for_update().get(pk=binding.environment_id)
    row = PolicyBinding.objects.select_for_update().get(pk=binding.pk)
    if row.until is not None:
        raise Conflict("the policy governs there no longer")
    _end(row, at=max(now(), row.since + _GRAIN), actor=actor)
    return row


def _end(binding: PolicyBinding, *, at: datetime, actor: Actor) -> None:
    binding.until = at
    binding.save(update_fields=["until"])
    _note("unbound", binding, at=at, actor=actor)


def _note(what: str, binding: PolicyBinding, *, at: datetime, actor: Actor) -> None:
    record(
        f"governance.policy.{what}",
        actor=actor,
        at=at,
        object_type="policy",
        object_id=str(binding.policy_id),
        public={
            "policy": binding.policy.name,
            "environment": binding.environment.name,
            "tier": binding.tier,
        },
    )


def _check_monitor(monitor: policies.PolicyMonitor, path: str) -> None:
    """Could it watch anything? What is published already is not asked, and goes on.

    Raises:
        Invalid: naming the field.
    """
    configs.parse(monitor.check, dict(monitor.config), f"{path}.config")
    check_names(
        parse_limits(monitor.limits_json(), f"{path}.limits"), monitor.check, f"{path}.limits"
    )
    if monitor.min_rows > windows.MOST_MIN_ROWS:
        raise Invalid(f"expected 1 to {windows.MOST_MIN_ROWS}", field=f"{path}.min_rows")
    if (monitor.silent_after_days or 0) > _MOST_DAYS:
        raise Invalid(f"expected up to {_MOST_DAYS}", field=f"{path}.silent_after_days")
