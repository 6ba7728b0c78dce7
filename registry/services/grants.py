"""Granting and ending roles on single models and portfolios."""

from guardian.shortcuts import assign_perm, remove_perm

from accounts.access import require
from accounts.actors import pseudonym_of
from accounts.models import Role, User
from audit.actor import Actor
from audit.writing import Refused, write
from kernel.errors import Conflict, Invalid
from kernel.moments import now
from registry import demands
from registry.grants import codename
from registry.models import Portfolio, RegisteredModel, RoleGrant
from registry.services.steps import insert_once, note, tick, user_id_of


@write
def grant_role(
    user: User, role: str, on: RegisteredModel | Portfolio, *, actor: Actor
) -> RoleGrant:
    """Grant a role on a model, or on a portfolio and so on every model in it.

    Raises:
        Refused: `own_role`: nobody grants roles to themselves.
        Conflict: the account holds it there already.
    """
    require(actor, "grant.manage", on)
    demands.choice(role, Role.values, "role")
    if user.pk == actor.id:
        raise Refused(
            "own_role",
            "nobody grants roles to themselves",
            field="user",
            object_type="model" if isinstance(on, RegisteredModel) else "portfolio",
            object_id=on.pk,
        )
    if not user.is_active:
        raise Invalid("the account is inactive", field="user")
    place = _place(on)
    if RoleGrant.objects.filter(user=user, role=role, until=None, **place).exists():
        raise Conflict("the account holds this role there already", field="role")
    with insert_once("the account holds this role there already", "role"):
        row = RoleGrant.objects.create(
            user=user, role=role, since=now(), granted_by_id=user_id_of(actor), **place
        )
    if isinstance(on, RegisteredModel):
        assign_perm(f"registry.{codename(role)}", user, on)
    _note("registry.role.granted", row, actor=actor, at_end=False)
    return row


@write
def end_role(grant: RoleGrant, *, actor: Actor) -> RoleGrant:
    """End a granted role from now on.

    Raises:
        Conflict: it has ended already.
    """
    on = grant.model or grant.portfolio
    require(actor, "grant.manage", on)
    row = (
        RoleGrant.objects.select_for_update(of=("self",))
        .select_related("user", "model", "portfolio")
        .get(pk=grant.pk)
    )
    if row.until is not None:
        raise Conflict("this role has ended already", field="grant")
    row.until = tick(after=[row.since])
    row.save(update_fields=["until"])
    if row.model is not None:
        remove_perm(f"registry.{codename(row.role)}", row.user, row.model)
    _note("registry.role.ended", row, actor=actor, at_end=True)
    return row


def _place(on: RegisteredModel | Portfolio) -> dict[str, RegisteredModel | Portfolio]:
    return {"model" if isinstance(on, RegisteredModel) else "portfolio": on}


def _note(type_: str, row: RoleGrant, *, actor: Actor, at_end: bool) -> None:
    at = row.until if at_end else row.since
    assert at is not None
    note(
        type_,
        row,
        actor=actor,
        at=at,
        public={
            "user": pseudonym_of(row.user_id),
            "role": row.role,
            "model": row.model.name if row.model else None,
            "portfolio": row.portfolio.slug if row.portfolio else None,
        },
    )
