"""Environments, and how strictly the gate of each acts. Towards laxer takes two people."""

from datetime import datetime
from uuid import UUID

from accounts.access import require, who_can
from accounts.actors import pseudonym_of
from audit.actor import Actor
from audit.writing import Refused, RefusedConflict, write
from kernel.errors import Conflict, Invalid
from kernel.moments import now
from registry import demands
from registry.models import Environment, EnvironmentSetting, ModeProposal
from registry.services.steps import insert_once, note, tick

Mode = EnvironmentSetting.Mode
STRICTNESS = {Mode.OBSERVE.value: 0, Mode.WARN.value: 1, Mode.ENFORCE.value: 2}


@write
def make_environment(
    name: str, *, title: str, mode: str, position: int, actor: Actor
) -> Environment:
    """Make a place that deployments go to. `position` is its place in the order of promotion."""
    require(actor, "environment.manage")
    demands.slug(name, "name", longest=40)
    demands.choice(mode, list(STRICTNESS), "mode")
    at = now()
    with insert_once("an environment of this name exists", "name"):
        row = Environment.objects.create(name=name, title=demands.text(title, "title", longest=100))
    EnvironmentSetting.objects.create(
        environment=row,
        mode=mode,
        position=_position(position),
        since=at,
        decided_by_id=actor.id,
    )
    note(
        "registry.environment.registered",
        row,
        actor=actor,
        at=at,
        public={"environment": name, "mode": mode, "position": position},
        private={"title": row.title},
    )
    return row


@write
def set_mode(
    environment: Environment,
    mode: str,
    *,
    reason: str,
    position: int | None = None,
    actor: Actor,
) -> EnvironmentSetting | ModeProposal:
    """Set mode and place from now on.

    A stricter mode holds at once and is returned as a setting. A laxer one is returned as a proposal
    and holds when a second person agrees (`second_mode`).

    Raises:
        Conflict: a laxer mode is proposed already.
    """
    require(actor, "environment.manage")
    demands.choice(mode, list(STRICTNESS), "mode")
    reason = demands.text(reason, "reason")
    current = _lock_current(environment)
    if STRICTNESS[mode] < STRICTNESS[current.mode]:
        if position is not None and position != current.position:
            raise Invalid("the place cannot change with a laxer mode", field="position")
        return _propose(current.environment, mode, reason, actor)
    place = current.position if position is None else _position(position)
    if (mode, place) == (current.mode, current.position):
        return current
    at = tick(after=[current.since])
    # What was proposed, was proposed about what held then.
    ModeProposal.objects.filter(environment=environment, closed_at=None).update(closed_at=at)
    return _change(
        current, mode, place, reason, at=at, decided_by=actor.id, second=None, actor=actor
    )


@write
def second_mode(proposal: ModeProposal, *, actor: Actor) -> EnvironmentSetting:
    """Agree to a laxer mode that somebody else proposed; it holds from now on.

    Raises:
        Refused: `second_person` to the one who proposed it.
        RefusedConflict: `closed` once it was agreed to or overtaken, or if who proposed it could not
            do so any more: a laxer mode is the word of two who may.
    """
    require(actor, "environment.manage")
    current = _lock_current(proposal.environment)
    row = ModeProposal.objects.select_for_update(of=("self",)).get(pk=proposal.pk)
    if row.proposed_by_id == actor.id:
        raise Refused(
            "second_person",
            "a laxer mode takes the agreement of a second person",
            object_type="mode_proposal",
            object_id=row.pk,
        )
    if row.closed_at is not None or not _may_still(row):
        raise RefusedConflict(
            "closed",
            "this proposal was agreed to or overtaken",
            object_type="mode_proposal",
            object_id=row.pk,
        )
    at = tick(after=[current.since, row.proposed_at])
    setting = _change(
        current,
        row.mode,
        current.position,
        row.reason,
        at=at,
        decided_by=row.proposed_by_id,
        second=actor.id,
        actor=actor,
    )
    row.closed_at, row.setting = at, setting
    row.save(update_fields=["closed_at", "setting"])
    return setting


def _lock_current(environment: Environment) -> EnvironmentSetting:
    Environment.objects.select_for_update().get(pk=environment.pk)
    return EnvironmentSetting.objects.select_related("environment").get(
        environment=environment, until=None
    )


def _may_still(proposal: ModeProposal) -> bool:
    """May who proposed it still do so?"""
    return who_can("environment.manage").filter(pk=proposal.proposed_by_id).exists()


def _propose(environment: Environment, mode: str, reason: str, actor: Actor) -> ModeProposal:
    at = now()
    for earlier in ModeProposal.objects.filter(environment=environment, closed_at=None):
        if _may_still(earlier):
            raise Conflict(
                "a laxer mode is proposed already; a second person can agree", field="mode"
            )
        earlier.closed_at = at
        earlier.save(update_fields=["closed_at"])
    row = ModeProposal.objects.create(
        environment=environment, mode=mode, reason=reason, proposed_by_id=actor.id, proposed_at=at
    )
    note(
        "registry.mode.proposed",
        row,
        actor=actor,
        at=at,
        public={"environment": environment.name, "mode": mode, "proposal": row.pk},
        private={"reason": reason},
    )
    return row


def _change(
    current: EnvironmentSetting,
    mode: str,
    position: int,
    reason: str,
    *,
    at: datetime,
    decided_by: UUID,
    second: UUID | None,
    actor: Actor,
) -> EnvironmentSetting:
    previous = current.mode
    current.until = at
    current.save(update_fields=["until"])
    row = EnvironmentSetting.objects.create(
        environment=current.environment,
        mode=mode,
        position=position,
        since=at,
        decided_by_id=decided_by,
        seconded_by_id=second,
    )
    note(
        "registry.environment.changed",
        current.environment,
        actor=actor,
        at=at,
        public={
            "environment": current.environment.name,
            "mode": mode,
            "previous_mode": previous,
            "position": position,
            "seconded_by": pseudonym_of(second) if second else None,
        },
        private={"reason": reason},
    )
    return row


def _position(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
        raise Invalid("expected a whole number from 0 to 1000", field="position")
    return value
