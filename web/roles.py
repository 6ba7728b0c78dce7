"""The roles that a person holds anywhere: for the organisation, on a portfolio, on a single model."""

from typing import Any

from accounts.access import roles_of
from accounts.models import Role
from registry.models import RoleGrant


def held_by(user_id: Any) -> set[Role]:
    """What a person does here, for what a page shows first. It permits nothing: `can` does."""
    return roles_of(user_id) | held_on_parts(user_id)


def held_on_parts(user_id: Any) -> set[Role]:
    """Those on portfolios and single models alone."""
    granted = RoleGrant.objects.filter(user_id=user_id, until=None).values_list("role", flat=True)
    return {Role(role) for role in granted}
