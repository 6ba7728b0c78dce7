"""Roles on single models and portfolios, as `accounts.access` asks for them.

Guardian's direct rows say who holds a role on a model now; `RoleGrant` rows say who held it when, and
alone carry the roles on portfolios, which reach every model in them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Role, User
from registry.models import Portfolio, RegisteredModel, RegisteredModelUserPermission, RoleGrant

_PREFIX = "role_"


def codename(role: Role | str) -> str:
    """The name of guardian's permission that stands for a role."""
    return f"{_PREFIX}{Role(role).value}"


def subject_of(obj: object) -> RegisteredModel | Portfolio | None:
    """The model or portfolio that the roles on `obj` hang on."""
    if isinstance(obj, Portfolio):
        return obj
    model = getattr(obj, "access_model", None)
    return model if isinstance(model, RegisteredModel) else None


class RegistryRoles:
    """The registry's `accounts.access.RoleSource`."""

    def roles(self, user_id: Any, obj: object) -> set[Role]:
        subject = subject_of(obj)
        if subject is None:
            return set()
        current = RoleGrant.objects.filter(user_id=user_id, until=None)
        if isinstance(subject, Portfolio):
            return {
                Role(role)
                for role in current.filter(portfolio=subject).values_list("role", flat=True)
            }
        direct = RegisteredModelUserPermission.objects.filter(
            user_id=user_id, content_object=subject, permission__codename__startswith=_PREFIX
        ).values_list("permission__codename", flat=True)
        inherited = current.filter(portfolio_id=subject.portfolio_id).values_list("role", flat=True)
        return {Role(name.removeprefix(_PREFIX)) for name in direct} | {Role(r) for r in inherited}

    def roles_on(
        self, user_ids: Collection[Any], objs: Collection[Any]
    ) -> dict[tuple[Any, Any], set[Role]]:
        models = [one for one in map(subject_of, objs) if isinstance(one, RegisteredModel)]
        found: dict[tuple[Any, Any], set[Role]] = defaultdict(set)
        direct = RegisteredModelUserPermission.objects.filter(
            user__in=user_ids, content_object__in=models, permission__codename__startswith=_PREFIX
        )
        for user, model, name in direct.values_list(
            "user_id", "content_object_id", "permission__codename"
        ):
            found[user, model].add(Role(name.removeprefix(_PREFIX)))
        inherited = RoleGrant.objects.filter(
            user__in=user_ids, portfolio__in={one.portfolio_id for one in models}, until=None
        )
        for user, portfolio, role in inherited.values_list("user_id", "portfolio_id", "role"):
            for one in models:
                if one.portfolio_id == portfolio:
                    found[user, one.pk].add(Role(role))
        return dict(found)

    def holders(self, roles: Iterable[Role], obj: object) -> QuerySet[User]:
        subject = subject_of(obj)
        wanted = list(roles)
        if subject is None:
            return User.objects.none()
        current = RoleGrant.objects.filter(role__in=wanted, until=None)
        if isinstance(subject, Portfolio):
            return User.objects.filter(pk__in=current.filter(portfolio=subject).values("user"))
        direct = RegisteredModelUserPermission.objects.filter(
            content_object=subject, permission__codename__in=[codename(role) for role in wanted]
        )
        inherited = current.filter(portfolio_id=subject.portfolio_id)
        return User.objects.filter(
            Q(pk__in=direct.values("user")) | Q(pk__in=inherited.values("user"))
        )

    def readable(self, user_id: Any) -> QuerySet[Any]:
        direct = RegisteredModelUserPermission.objects.filter(
            user_id=user_id, permission__codename__startswith=_PREFIX
        )
        portfolios = RoleGrant.objects.filter(user_id=user_id, until=None, portfolio__isnull=False)
        return (
            RegisteredModel.objects.filter(
                Q(pk__in=direct.values("content_object"))
                | Q(portfolio__in=portfolios.values("portfolio"))
            )
            .order_by()
            .values("pk")
        )


def grants_at(model: RegisteredModel, at: datetime | None = None) -> QuerySet[RoleGrant]:
    """The grants that reach a model, directly or by its portfolio: now, or as they were at `at`."""
    reach = Q(model=model) | Q(portfolio_id=model.portfolio_id)
    when = Q(until=None) if at is None else Q(since__lte=at) & (Q(until=None) | Q(until__gt=at))
    return RoleGrant.objects.filter(reach, when).select_related("user", "model", "portfolio")
