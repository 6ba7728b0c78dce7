"""Each write about reviews and policies by who must not: refused on record."""

import pytest

from accounts.models import Role, User
from audit.writing import Refused
from governance.services import approvals, policies, reviews
from tests import factories as f
from tests.governance.support import SMALL, World, refusals

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> World:
    return World()


WHO_MUST_NOT = {
    "submit": (Role.VALIDATOR, Role.RISK_OFFICER, Role.OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR),
    "withdraw": (
        Role.VALIDATOR,
        Role.RISK_OFFICER,
        Role.OPERATOR,
        Role.AUDITOR,
        Role.ADMINISTRATOR,
    ),
    "validate": (
        Role.DEVELOPER,
        Role.OWNER,
        Role.RISK_OFFICER,
        Role.OPERATOR,
        Role.AUDITOR,
        Role.ADMINISTRATOR,
    ),
    "sign": (Role.DEVELOPER, Role.OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR),
    "reopen": (
        Role.DEVELOPER,
        Role.VALIDATOR,
        Role.RISK_OFFICER,
        Role.OPERATOR,
        Role.AUDITOR,
        Role.ADMINISTRATOR,
    ),
    "revoke": (Role.DEVELOPER, Role.VALIDATOR, Role.OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR),
    "publish": (
        Role.DEVELOPER,
        Role.OWNER,
        Role.VALIDATOR,
        Role.OPERATOR,
        Role.AUDITOR,
        Role.ADMINISTRATOR,
    ),
}


def _try(world: World, what: str, user: User) -> None:
    actor = world.by(user)
    if what == "submit":
        world.submit(by=user)
    elif what == "publish":
        policies.publish_policy(SMALL.replace("90", "91"), actor=actor)
    elif what == "revoke":
        approvals.revoke_approval(world.approve().approval, reason="x", actor=actor)
    elif what == "reopen":
        world.submit()
        reviews.reopen(world.version, reason="x", actor=actor)
    else:
        review = world.submit()
        if what == "withdraw":
            reviews.withdraw_review(review, reason="x", actor=actor)
        elif what == "validate":
            world.validate(review, by=user)
        else:
            approvals.sign(
                review,
                grant=review.pk,
                decision="reject",
                meaning="approval",
                reason="x",
                actor=actor,
            )


@pytest.mark.parametrize(
    ("what", "roles"),
    [
        (what, roles)
        for what, forbidden in WHO_MUST_NOT.items()
        for roles in [*((role,) for role in forbidden), ()]
    ],
    ids=str,
)
def test_who_must_not_is_refused_on_record(
    world: World, what: str, roles: tuple[Role, ...]
) -> None:
    user = f.make_user(None, *roles)
    with pytest.raises(Refused, check=lambda error: error.code == "not_permitted"):
        _try(world, what, user)
    assert refusals()[-1] == "not_permitted"
