"""Whose signature still counts when the last one is given."""

from datetime import timedelta

import pytest

from accounts import services as accounts
from accounts.models import Role
from audit.writing import Refused
from governance.models import Signature
from governance.services import findings, validations
from kernel.moments import now
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


class TestConditions:
    def test_who_made_the_version_does_not_close_what_a_validator_found(self, world):
        """Else a conditional approval would become a full one by its own author's word."""
        accounts.grant_organisation_role(
            world.developer, Role.OWNER, actor=world.by(f.make_user(None, Role.ADMINISTRATOR))
        )
        review = world.submit()
        found = validations.FindingRecord(
            title="Leak",
            detail="label",
            severity="low",
            owner=world.submitter,
            due_at=now() + timedelta(days=9),
        )
        world.validate(review, rating="satisfactory_with_findings", findings=[found])
        world.sign(review, world.validator)
        world.sign(review, world.officer)
        finding = world.version.findings.get()
        with pytest.raises(Refused) as refused:
            findings.close_finding(finding, closure="fixed", actor=world.by(world.developer))
        assert refused.value.code == "not_independent"
        findings.close_finding(finding, closure="seen", actor=world.by(world.submitter))


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
