"""Waivers: a control need not hold for a while. Asked for by one person, granted by another."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from accounts.access import require
from audit.actor import Actor
from audit.writing import RefusedConflict, write
from governance import selectors
from governance.models import Waiver
from governance.policies import Policy
from governance.services.places import demand_use, note, place, place_of
from kernel.errors import Conflict, Invalid
from registry import demands
from registry.models import Environment, ModelVersion, Use
from registry.services import lock_version, tick


@write
def request_waiver(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    controls: Sequence[str],
    reason: str,
    compensating_control: str,
    ends_at: datetime,
    actor: Actor,
) -> Waiver:
    """Ask that controls of the policy in force need not hold until `ends_at`.

    It counts for nothing until a second person grants it.

    Raises:
        Invalid: a control that the policy has not, or that it never lets be waived; an end that is
            past or further off than the policy allows.
        Conflict: no policy governs the place.
    """
    require(actor, "waiver.request", version)
    reason = demands.text(reason, "reason")
    compensating_control = demands.text(compensating_control, "compensating_control")
    demand_use(version, use)
    version = lock_version(version.pk)
    at = tick(version)
    policy = selectors.policy_of(version, use, environment, at)
    if policy is None:
        raise Conflict("no policy governs this use in this environment", field="environment")
    names = _controls(controls, policy)
    _demand_end(ends_at, at, policy)
    row = Waiver.objects.create(
        version=version,
        use=use,
        environment=environment,
        controls=names,
        reason=reason,
        compensating_control=compensating_control,
        requested_by_id=actor.id,
        requested_at=at,
        ends_at=ends_at,
    )
    note(
        "governance.waiver.requested",
        row,
        version,
        actor=actor,
        at=at,
        public={**place(version, use, environment), "controls": names, "ends_at": ends_at},
        private={"reason": reason, "compensating_control": compensating_control},
    )
    return row


def _controls(controls: Sequence[str], policy: Policy) -> list[str]:
    names = demands.texts(list(controls), "controls")
    if not names:
        raise Invalid("name at least one control", field="controls")
    for index, name in enumerate(names):
        if policy.control(name) is None:
            known = ", ".join(rule.id for rule in policy.controls)
            raise Invalid(
                f"the policy {policy.name} has no such control; it has {known}",
                field=f"controls[{index}]",
            )
        if name in policy.waivers.never:
            raise Invalid(
                f"the policy {policy.name} never lets this be waived", field=f"controls[{index}]"
            )
    return sorted(set(names))


def _demand_end(ends_at: datetime, at: datetime, policy: Policy) -> None:
    if ends_at <= at:
        raise Invalid("a waiver ends in the future", field="ends_at")
    if ends_at > at + timedelta(days=policy.waivers.max_days):
        raise Invalid(
            f"the policy {policy.name} lets controls be waived for {policy.waivers.max_days} days "
            "at most",
            field="ends_at",
        )


@write
def grant_waiver(waiver: Waiver, *, actor: Actor) -> Waiver:
    """Agree to a waiver that somebody else asked for. It counts from now on.

    Raises:
        RefusedConflict: `second_person` if the actor asked for it; `ended`, `granted`, `expired`;
            `not_waivable` if the policy that governs by now does not let these controls be waived.
    """
    require(actor, "waiver.grant", waiver)
    row, version = _locked(waiver.pk)
    at = tick(version)
    if row.requested_by_id == actor.id:
        raise _refusal(row, "second_person", "who asks for a waiver does not grant it")
    if row.ended_at is not None:
        raise _refusal(row, "ended", "it was refused or ended")
    if row.granted_at is not None:
        raise _refusal(row, "granted", "it is granted already")
    if row.ends_at <= at:
        raise _refusal(row, "expired", "its end has passed")
    policy = selectors.policy_of(version, row.use, row.environment, at)
    if policy is None or any(
        policy.control(name) is None or name in policy.waivers.never for name in row.controls
    ):
        reason = "the policy that governs now does not let these controls be waived"
        raise _refusal(row, "not_waivable", reason)
    row.granted_by_id, row.granted_at = actor.id, at
    row.save(update_fields=["granted_by", "granted_at"])
    _note(row, "granted", at=at, actor=actor)
    return row


@write
def end_waiver(waiver: Waiver, *, actor: Actor) -> Waiver:
    """End a waiver before its time, or refuse one that was asked for.

    Raises:
        RefusedConflict: `ended`.
    """
    require(actor, "waiver.grant", waiver)
    row, version = _locked(waiver.pk)
    at = tick(version)
    if row.ended_at is not None:
        raise _refusal(row, "ended", "it was refused or ended already")
    row.ended_by_id, row.ended_at = actor.id, at
    row.save(update_fields=["ended_by", "ended_at"])
    _note(row, "ended" if row.granted_at else "refused", at=at, actor=actor)
    return row


def _locked(waiver_id: UUID) -> tuple[Waiver, ModelVersion]:
    """Lock the version, then the waiver."""
    version = lock_version(Waiver.objects.values_list("version_id", flat=True).get(pk=waiver_id))
    row = (
        Waiver.objects.select_for_update(of=("self",))
        .select_related("version__model", "use", "environment")
        .get(pk=waiver_id)
    )
    return row, version


def _refusal(row: Waiver, code: str, detail: str) -> RefusedConflict:
    return RefusedConflict(
        code, detail, object_type="waiver", object_id=row.pk, scope=row.version.model_id
    )


def _note(row: Waiver, what: str, *, at: datetime, actor: Actor) -> None:
    note(
        f"governance.waiver.{what}",
        row,
        row.version,
        actor=actor,
        at=at,
        public={**place_of(row), "controls": row.controls, "ends_at": row.ends_at},
    )
