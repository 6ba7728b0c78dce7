"""Whose signature still counts when the last one is given."""

import pytest

from accounts import services as accounts
from accounts.models import Role
from audit.writing import Refused
from governance.models import Signature
from registry import services as registry
from tests import factories as f
from tests.governance.support import World, last

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World()


def begun(world, signer):
    """A review that one validator has signed, and that wants a risk officer still."""
    review = world.submit()
    world.validate(review)
    world.sign(review, signer)
    return review


class TestWhoSignedAndMayNoMore:
    def test_a_role_that_ended_fills_nothing(self, world):
        first, second = f.make_user(None, Role.VALIDATOR), f.make_user(None, Role.VALIDATOR)
        review = begun(world, first)
        administrator = world.by(f.make_user(None, Role.ADMINISTRATOR))
        accounts.end_organisation_role(first, Role.VALIDATOR, actor=administrator)
        world.sign(review, world.officer)
        review.refresh_from_db()
        assert review.state == "open"
        assert not world.version.approvals.exists()
        # Somebody who holds the role now fills it; what was signed before stays on record.
        assert world.sign(review, second).role == "validator"
        review.refresh_from_db()
        assert review.state == "approved"
        assert Signature.objects.filter(review=review).count() == 3

    def test_a_shut_account_fills_nothing(self, world):
        first = f.make_user(None, Role.VALIDATOR)
        review = begun(world, first)
        accounts.deactivate_user(first, actor=world.by(f.make_user(None, Role.ADMINISTRATOR)))
        world.sign(review, world.officer)
        review.refresh_from_db()
        assert review.state == "open"

    def test_a_role_on_the_model_counts_while_it_is_held(self, world):
        first = f.make_user()
        administrator = world.by(f.make_user(None, Role.ADMINISTRATOR))
        model = world.version.model
        grant = registry.grant_role(first, "validator", model, actor=administrator)
        review = begun(world, first)
        registry.end_role(grant, actor=administrator)
        world.sign(review, world.officer)
        review.refresh_from_db()
        assert review.state == "open"

    def test_whoever_holds_it_again_counts_again(self, world):
        first = f.make_user(None, Role.VALIDATOR)
        review = begun(world, first)
        administrator = world.by(f.make_user(None, Role.ADMINISTRATOR))
        accounts.end_organisation_role(first, Role.VALIDATOR, actor=administrator)
        accounts.grant_organisation_role(first, Role.VALIDATOR, actor=administrator)
        world.sign(review, world.officer)
        assert last("governance.approval.granted")["model"] == world.version.model.name

    def test_nobody_signs_twice_to_fill_another_role(self, world):
        both = f.make_user(None, Role.VALIDATOR, Role.RISK_OFFICER)
        review = begun(world, both)
        administrator = world.by(f.make_user(None, Role.ADMINISTRATOR))
        accounts.end_organisation_role(both, Role.VALIDATOR, actor=administrator)
        with pytest.raises(Refused) as refused:
            world.sign(review, both)
        assert refused.value.code == "already_signed"
