"""Submitting, validating, signing and approving: what happens, what is refused, what is on record."""

import json
from datetime import timedelta

import pytest

from accounts.models import Role
from audit.models import Entry
from audit.writing import Refused, RefusedConflict
from governance.models import Approval, Dossier, Finding, Review, Signature, Validation
from governance.services import approvals, findings, policies, reviews, waivers
from governance.services.validations import FindingRecord
from kernel import canonical
from kernel.errors import Invalid
from kernel.moments import now
from registry import services as registry
from tests import factories as f
from tests.governance.support import SMALL, World, entries, last, refusals

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> World:
    return World()


def refused(code: str) -> "pytest.RaisesExc[Refused]":
    return pytest.raises(Refused, check=lambda error: error.code == code)


def test_submission_freezes_what_is_signed(world: World) -> None:
    review = world.submit(statement="Please")
    world.version.refresh_from_db()
    assert world.version.frozen_at == review.submitted_at
    document = json.loads(bytes(review.signed_document))
    assert canonical.digest(document) == review.signed_digest
    assert document["dossier"] == review.dossier_id
    assert (document["use"], document["environment"]) == ("default", world.environment.name)
    assert document["policy"]["digest"] == review.policy_revision.digest
    assert document["controls"] == review.control_results
    assert {one["control"]: one["status"] for one in review.control_results} == {
        "code": "pass",
        "findings": "pass",
        "validated": "insufficient",
        "lineage": "insufficient",
    }
    kept = Dossier.objects.get(pk=review.dossier_id)
    assert canonical.sha256_hex(bytes(kept.document)) == kept.digest
    text = bytes(kept.document).decode()
    for person in (world.developer, world.submitter):
        assert person.name not in text
        assert str(person.pk) not in text
    opened = last("governance.review.opened")
    assert opened["signed_digest"] == review.signed_digest
    assert opened["failing"] == ["validated"]


def test_two_people_approve_and_it_is_on_record(world: World) -> None:
    review = world.submit()
    world.validate(review)
    first = world.sign(review, world.validator, meaning="review")
    review.refresh_from_db()
    assert (review.state, first.role) == ("open", "validator")
    assert not Approval.objects.exists()
    world.sign(review, world.officer)
    review.refresh_from_db()
    approval = Approval.objects.get()
    assert review.state == "approved"
    assert (approval.revision, approval.signed_digest) == (review.revision, review.signed_digest)
    assert approval.policy_revision_id == review.policy_revision_id
    assert approval.valid_until == approval.granted_at + timedelta(days=90)
    assert not approval.is_conditional
    assert review.closed_at == approval.granted_at
    assert len(entries("governance.review.signed")) == 2
    assert last("governance.validation.written")["rating"] == "satisfactory"
    granted = last("governance.approval.granted")
    assert granted["dossier"] == review.dossier_id
    for entry in Entry.objects.filter(type__startswith="governance."):
        assert world.officer.name not in json.dumps(entry.public)
        assert "I agree" not in json.dumps(entry.public)


def test_one_instant_for_all_rows_of_a_write_and_each_later_than_the_last(world: World) -> None:
    review = world.approve()
    signed = Signature.objects.order_by("signed_at").last()
    assert signed is not None
    assert signed.signed_at == review.approval.granted_at == review.closed_at
    moments = [review.submitted_at, *Validation.objects.values_list("written_at", flat=True)]
    moments += list(Signature.objects.order_by("signed_at").values_list("signed_at", flat=True))
    assert moments == sorted(set(moments))


@pytest.mark.parametrize("who", ["author", "submitter", "editor", "responsible"])
def test_who_is_tied_to_the_version_neither_validates_nor_signs(world: World, who: str) -> None:
    person = f.make_user(None, Role.VALIDATOR, Role.RISK_OFFICER, Role.OWNER, Role.DEVELOPER)
    if who == "author":
        world.version = f.make_version(world.version.model, by=person)
    elif who == "editor":
        registry.amend_version(world.version, changes={"label": "other"}, actor=world.by(person))
    elif who == "responsible":
        pipeline = f.make_service_account(None, Role.DEVELOPER, responsible=[person])
        world.version = f.make_version(world.version.model, by=pipeline, author=world.developer)
    review = world.submit(by=person if who == "submitter" else None)
    with refused("not_independent"):
        world.validate(review, by=person)
    world.validate(review)
    for decision in ("approve", "reject"):
        with refused("not_independent"):
            world.sign(review, person, decision=decision)
    assert not Signature.objects.exists()
    assert refusals() == ["not_independent"] * 3


def test_a_superuser_and_an_administrator_have_no_right_to_approve(world: World) -> None:
    root = f.make_user(None, Role.ADMINISTRATOR, is_superuser=True, is_staff=True)
    review = world.submit()
    world.validate(review)
    with refused("not_permitted"):
        world.sign(review, root)
    with refused("not_permitted"):
        world.validate(review, by=root)
    assert not Signature.objects.exists()


def test_a_service_account_cannot_sign_whatever_its_roles(world: World) -> None:
    pipeline = f.make_service_account(None, Role.RISK_OFFICER, Role.VALIDATOR)
    review = world.submit()
    with refused("not_permitted"):
        approvals.sign(
            review,
            grant=review.pk,
            decision="approve",
            meaning="approval",
            reason="x",
            actor=f.actor_of(pipeline),
        )


def test_no_signature_without_a_proof_for_exactly_this(world: World) -> None:
    review = world.submit()
    world.validate(review)
    other = world.prove(world.validator, review, digest="0" * 64)
    with refused("reauthentication_needed"):
        world.sign(review, world.validator, grant=other)
    with refused("reauthentication_needed"):
        world.sign(review, world.validator, grant=world.prove(world.officer, review))
    with refused("reauthentication_needed"):
        world.sign(review, world.validator, grant=review.pk)
    assert not Signature.objects.exists()


def test_a_proof_counts_once_and_not_for_long(world: World, time_machine: object) -> None:
    review = world.submit()
    world.validate(review)
    grant = world.prove(world.validator, review)
    world.sign(review, world.validator, grant=grant)
    proof = Signature.objects.get().reauthentication
    assert proof.used_at is not None
    late = world.prove(world.officer, review)
    time_machine.move_to(now() + timedelta(seconds=121))  # type: ignore[attr-defined]
    with refused("reauthentication_needed"):
        world.sign(review, world.officer, grant=late)


def test_one_person_fills_one_role(world: World) -> None:
    both = f.make_user(None, Role.VALIDATOR, Role.RISK_OFFICER)
    review = world.submit()
    world.validate(review)
    with pytest.raises(Invalid, match="risk_officer"):
        world.sign(review, both, role="owner")
    assert world.sign(review, both, role="risk_officer").role == "risk_officer"
    with refused("already_signed"):
        world.sign(review, both)
    with refused("role_not_wanted"):
        world.sign(review, world.officer)
    world.sign(review, world.validator)
    review.refresh_from_db()
    assert review.state == "approved"


def test_a_role_that_is_not_wanted_does_not_sign(world: World) -> None:
    review = world.submit()
    world.validate(review)
    owner = f.make_user(None, Role.OWNER)
    with refused("role_not_wanted"):
        world.sign(review, owner)


QUORUM = SMALL.replace(
    "{roles: [validator, risk_officer], quorum: 2}",
    "{roles: [validator, risk_officer, owner], quorum: 2, required: [risk_officer]}",
)


def test_a_quorum_waits_for_the_role_that_is_required(world: World) -> None:
    world.govern(QUORUM)
    review = world.submit()
    world.validate(review)
    world.sign(review, world.validator)
    world.sign(review, f.make_user(None, Role.OWNER))
    review.refresh_from_db()
    assert review.state == "open"
    world.sign(review, world.officer)
    review.refresh_from_db()
    assert review.state == "approved"


def test_two_of_three_are_enough(world: World) -> None:
    world.govern(QUORUM)
    review = world.submit()
    world.validate(review)
    world.sign(review, f.make_user(None, Role.OWNER))
    world.sign(review, world.officer)
    review.refresh_from_db()
    assert review.state == "approved"


def test_no_yes_before_a_validation(world: World) -> None:
    review = world.submit()
    with refused("not_validated"):
        world.sign(review, world.validator)
    assert not Signature.objects.exists()


def test_no_yes_while_a_blocking_control_does_not_hold(world: World) -> None:
    review = world.submit()
    world.validate(review, rating="unsatisfactory")
    with pytest.raises(RefusedConflict, match="validated") as caught:
        world.sign(review, world.validator)
    assert caught.value.code == "controls_not_passed"
    world.validate(review)
    world.sign(review, world.validator)
    findings.open_finding(
        world.version,
        title="Wrong",
        detail="Very",
        severity="high",
        actor=world.by(world.validator),
    )
    with pytest.raises(RefusedConflict, match="findings"):
        world.sign(review, world.officer)
    assert not Approval.objects.exists()


def test_a_version_that_fails_can_be_submitted_and_rejected(world: World) -> None:
    world.version = f.make_version(world.version.model, by=world.developer, code_commit="main")
    review = world.submit()
    assert last("governance.review.opened")["failing"] == ["code", "validated"]
    world.sign(review, world.officer, decision="reject", reason="No commit")
    review.refresh_from_db()
    assert (review.state, review.closing_note) == ("rejected", "No commit")
    assert last("governance.review.rejected")["signed_digest"] == review.signed_digest
    with refused("wrong_state"):
        world.sign(review, world.validator)


def test_a_granted_waiver_stands_in_for_a_control(world: World) -> None:
    world.version = f.make_version(world.version.model, by=world.developer, code_commit="main")
    review = world.submit()
    world.validate(review)
    waiver = waivers.request_waiver(
        world.version,
        use=world.use,
        environment=world.environment,
        controls=["code"],
        reason="The repository moves",
        compensating_control="A copy of the code is kept",
        ends_at=now() + timedelta(days=5),
        actor=world.by(world.submitter),
    )
    with refused("controls_not_passed"):
        world.sign(review, world.validator)
    waivers.grant_waiver(waiver, actor=world.by(world.officer))
    world.sign(review, world.validator)
    world.sign(review, world.officer)
    assert Approval.objects.exists()


def test_findings_of_the_validation_make_the_approval_conditional(world: World) -> None:
    owner = f.make_user(None, Role.OWNER)
    review = world.submit()
    due = now() + timedelta(days=30)
    record = FindingRecord(title="Docs", detail="Write", severity="low", owner=owner, due_at=due)
    with pytest.raises(Invalid) as caught:
        world.validate(review, rating="satisfactory", findings=[record])
    assert caught.value.field == "rating"
    validation = world.validate(review, rating="satisfactory_with_findings", findings=[record])
    world.sign(review, world.validator)
    world.sign(review, world.officer)
    approval = Approval.objects.get()
    finding = Finding.objects.get()
    assert approval.is_conditional
    assert list(approval.conditions.all()) == [finding]
    assert (finding.validation, finding.owner, finding.due_at) == (validation, owner, due)
    assert last("governance.approval.granted")["is_conditional"] is True


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rating": "fine"}, "rating"),
        ({"scope": " "}, "scope"),
        ({"conclusion": ""}, "conclusion"),
        ({"rating": "satisfactory_with_findings"}, "findings"),
    ],
)
def test_a_validation_says_what_it_must(world: World, change: dict[str, str], field: str) -> None:
    review = world.submit()
    with pytest.raises(Invalid) as caught:
        world.validate(review, **change)
    assert caught.value.field == field
    assert not Validation.objects.exists()


def test_addenda_change_neither_dossier_nor_review(world: World) -> None:
    review = world.submit()
    world.validate(review)
    added = f.make_evidence(world.version)
    assert added.is_addendum
    world.sign(review, world.validator)
    world.sign(review, world.officer)
    approval = Approval.objects.get()
    world.version.refresh_from_db()
    assert approval.revision == world.version.revision


def test_the_same_facts_are_one_dossier(world: World) -> None:
    first = world.submit()
    second = world.submit(environment=_another_environment(world))
    assert first.dossier_id == second.dossier_id
    assert first.signed_digest != second.signed_digest
    assert Dossier.objects.count() == 1


def _another_environment(world: World) -> object:
    environment = f.make_environment()
    policies.bind_policy(
        policies.Policy.objects.get(), environment=environment, actor=world.by(world.officer)
    )
    return environment


def test_a_second_review_of_the_same_is_refused(world: World) -> None:
    world.submit()
    with refused("review_open"):
        world.submit()
    assert Review.objects.count() == 1


def test_nothing_is_submitted_where_no_policy_governs(world: World) -> None:
    with refused("no_policy"):
        world.submit(environment=f.make_environment())
    world.version.refresh_from_db()
    assert world.version.frozen_at is None


def test_what_is_retired_is_not_submitted(world: World) -> None:
    owner = world.by(world.submitter)
    registry.retire_version(world.version, reason="old", actor=owner)
    with refused("wrong_state"):
        world.submit()


def test_a_use_of_another_model_is_refused(world: World) -> None:
    with pytest.raises(Invalid) as caught:
        world.submit(use=f.default_use(f.make_model()))
    assert caught.value.field == "use"


def test_reopening_supersedes_what_is_open_and_makes_another_dossier(world: World) -> None:
    first = world.submit()
    with refused("not_permitted"):
        reviews.reopen(world.version, reason="x", actor=world.by(world.developer))
    world.version = reviews.reopen(
        world.version, reason="More data", actor=world.by(world.submitter)
    )
    first.refresh_from_db()
    assert first.state == "superseded"
    assert last("governance.review.superseded")["signed_digest"] == first.signed_digest
    with refused("wrong_state"):
        world.sign(first, world.officer)
    second = world.submit()
    assert second.dossier_id != first.dossier_id
    assert second.revision == first.revision + 1


def test_a_changed_fact_makes_a_review_stale_until_it_is_closed_or_submitted_anew(
    world: World,
) -> None:
    review = world.submit()
    world.validate(review)
    world.retier(1)
    for decision in ("approve", "reject"):
        with refused("superseded"):
            world.sign(review, world.officer, decision=decision)
    with refused("not_permitted"):
        reviews.supersede_stale(world.version, actor=world.by(world.officer))
    changed = entries("registry.tier.set")[-1]
    reviews.close_stale_reviews(changed)
    reviews.close_stale_reviews(changed)
    review.refresh_from_db()
    assert review.state == "superseded"
    assert len(entries("governance.review.superseded")) == 1


def test_submitting_anew_replaces_a_stale_review(world: World) -> None:
    review = world.submit()
    world.retier(1)
    second = world.submit()
    review.refresh_from_db()
    assert (review.state, second.state) == ("superseded", "open")


def test_a_newer_policy_wants_a_new_submission(world: World) -> None:
    review = world.submit()
    world.validate(review)
    world.govern(SMALL.replace("validity_days: 90", "validity_days: 30"))
    with refused("policy_changed"):
        world.sign(review, world.validator)
    second = world.submit()
    assert second.policy_revision.number == 2
    review.refresh_from_db()
    assert review.state == "superseded"


def test_a_review_is_withdrawn_with_a_reason(world: World) -> None:
    review = world.submit()
    with pytest.raises(Invalid) as caught:
        reviews.withdraw_review(review, reason="", actor=world.by(world.submitter))
    assert caught.value.field == "reason"
    reviews.withdraw_review(review, reason="Wrong one", actor=world.by(world.submitter))
    review.refresh_from_db()
    assert (review.state, review.closing_note) == ("withdrawn", "Wrong one")
    assert entries("governance.review.withdrawn")
    with refused("wrong_state"):
        world.validate(review)


def test_an_approval_is_revoked_once_and_for_ever(world: World) -> None:
    approval = world.approve().approval
    with refused("not_permitted"):
        approvals.revoke_approval(approval, reason="x", actor=world.by(world.validator))
    approvals.revoke_approval(approval, reason="Harm", actor=world.by(world.officer))
    approval.refresh_from_db()
    assert approval.revoked_by == world.officer
    assert entries("governance.approval.revoked")
    with refused("wrong_state"):
        approvals.revoke_approval(approval, reason="Again", actor=world.by(world.officer))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"decision": "yes"}, "decision"),
        ({"meaning": "fun"}, "meaning"),
        ({"reason": "  "}, "reason"),
        ({"role": "developer"}, "role"),
    ],
)
def test_a_signature_says_what_it_must(world: World, change: dict[str, str], field: str) -> None:
    review = world.submit()
    world.validate(review)
    with pytest.raises(Invalid) as caught:
        world.sign(review, world.validator, **change)
    assert caught.value.field == field
    assert not Signature.objects.exists()
