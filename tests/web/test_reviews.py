"""Deciding on a page: the validation, the signature, and every way in which it is refused."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import Reauthentication, Role
from governance.models import Approval, Review, Signature, Validation
from tests import factories as f
from tests.governance.support import World, last, refusals
from tests.web.scene import client_of

REASON = "I reproduced the figures"
SIGN: dict[str, Any] = {
    "decision": "approve",
    "meaning": "approval",
    "reason": REASON,
    "password": f.PASSWORD,
}
VALIDATION = {
    "validation-scope": "All of it",
    "validation-rating": "satisfactory",
    "validation-conclusion": "It does what it says",
    "validation-limitations": "",
}


@pytest.fixture
def world(db: None) -> World:
    return World()


@pytest.fixture
def review(world: World) -> Review:
    return world.submit()


def post(client: Client, review: Review, what: str, data: dict[str, Any]) -> Any:
    return client.post(f"/reviews/{review.pk}/{what}/", data)


def test_from_submission_to_approval_on_pages_alone(world: World) -> None:
    version = world.version
    home = f"/models/{version.model.name}/versions/1/"
    submitted = client_of(world.submitter).post(
        f"{home}submit/",
        {
            "submit-use": world.use.pk,
            "submit-environment": world.environment.pk,
            "submit-note": "Please",
        },
    )
    assert (submitted.status_code, submitted["Location"]) == (303, home)
    review = Review.objects.get()
    assert review.note == "Please"
    validator, officer = client_of(world.validator), client_of(world.officer)
    page = f"/reviews/{review.pk}/"
    assert "Every blocking control" not in validator.get(page).content.decode()
    assert post(validator, review, "validation", VALIDATION)["Location"] == page
    assert post(validator, review, "sign", SIGN)["Location"] == page
    assert post(officer, review, "sign", SIGN)["Location"] == page
    review.refresh_from_db()
    assert review.state == Review.State.APPROVED
    assert Approval.objects.get().review == review
    assert [one.reason for one in review.signatures.all()] == [REASON, REASON]
    assert "was approved" in officer.get(page).content.decode()
    assert "is approved for" in officer.get(home).content.decode()
    assert last("governance.review.signed")["signed_digest"] == review.signed_digest


def test_the_author_is_told_why_not_and_cannot(world: World, review: Review) -> None:
    client = client_of(world.developer)
    assert "You cannot sign" in client.get(f"/reviews/{review.pk}/").content.decode()
    answer = post(client, review, "sign", SIGN)
    assert answer.status_code == 403
    assert REASON in answer.content.decode()
    assert not Signature.objects.exists()
    assert refusals() == ["not_permitted"]


def test_an_administrator_cannot_sign(world: World, review: Review) -> None:
    admin = f.make_user(None, Role.ADMINISTRATOR, is_staff=True, is_superuser=True)
    assert post(client_of(admin), review, "sign", SIGN).status_code == 403
    assert post(client_of(admin), review, "validation", VALIDATION).status_code == 403
    assert not Signature.objects.exists()
    assert not Validation.objects.exists()


def test_a_wrong_password_keeps_the_words_and_not_the_password(
    world: World, review: Review
) -> None:
    world.validate(review)
    answer = post(client_of(world.officer), review, "sign", SIGN | {"password": "not-mine"})
    page = answer.content.decode()
    assert answer.status_code == 403
    assert REASON in page
    assert "not-mine" not in page
    assert "the password is wrong" in page
    assert 'value="approve" id="id_decision_0" checked' in page.replace("required ", "")
    assert not Signature.objects.exists()
    assert refusals() == ["reauthentication_failed"]


def test_too_many_wrong_passwords_lock_and_keep_the_words(world: World, review: Review) -> None:
    world.validate(review)
    client = client_of(world.officer)
    for _ in range(5):
        post(client, review, "sign", SIGN | {"password": "wrong"})
    answer = post(client, review, "sign", SIGN)
    assert answer.status_code == 403
    assert REASON in answer.content.decode()
    assert not Signature.objects.exists()


def test_a_yes_before_the_validation_is_refused_with_its_reason(
    world: World, review: Review
) -> None:
    client = client_of(world.officer)
    page = client.get(f"/reviews/{review.pk}/").content.decode()
    assert "You can reject it, and cannot approve it now" in page
    answer = post(client, review, "sign", SIGN)
    assert answer.status_code == 409
    assert "a validator must first write the validation" in answer.content.decode()
    assert REASON in answer.content.decode()


def test_a_no_closes_the_review(world: World, review: Review) -> None:
    answer = post(client_of(world.officer), review, "sign", SIGN | {"decision": "reject"})
    assert answer.status_code == 303
    review.refresh_from_db()
    assert review.state == Review.State.REJECTED


def test_nobody_signs_twice(world: World, review: Review) -> None:
    world.validate(review)
    client = client_of(world.officer)
    assert post(client, review, "sign", SIGN).status_code == 303
    assert post(client, review, "sign", SIGN).status_code == 409
    assert Signature.objects.count() == 1
    # The proof of the refused one was made and not spent.
    assert Reauthentication.objects.filter(used_at=None).count() == 1


@pytest.mark.parametrize("missing", ["decision", "meaning", "reason", "password"])
def test_each_part_of_a_signature_is_asked_for(world: World, review: Review, missing: str) -> None:
    world.validate(review)
    data = {name: text for name, text in SIGN.items() if name != missing}
    answer = post(client_of(world.officer), review, "sign", data)
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.content.decode() or "-problem" in answer.content.decode()
    assert not Signature.objects.exists()


def test_an_unknown_decision_is_no_decision(world: World, review: Review) -> None:
    world.validate(review)
    for changed in ({"decision": "maybe"}, {"meaning": "nothing"}):
        answer = post(client_of(world.officer), review, "sign", SIGN | changed)
        assert answer.status_code == 400
    assert not Signature.objects.exists()


def test_a_review_that_is_not_there(world: World, review: Review) -> None:
    outsider = client_of(f.make_user())
    for what, data in (
        ("sign", SIGN),
        ("validation", VALIDATION),
        ("withdraw", {"withdraw-reason": "x"}),
    ):
        assert post(outsider, review, what, data).status_code == 404
    assert refusals() == []


def test_a_validation_with_a_finding(world: World, review: Review) -> None:
    data = VALIDATION | {
        "validation-rating": "satisfactory_with_findings",
        "finding-1-title": "Small groups",
        "finding-1-detail": "Collect more data",
        "finding-1-severity": "medium",
        "finding-1-owner": str(world.submitter.pk),
        "finding-1-due_at": "2999-01-31",
    }
    for index in (0, 2):
        data |= {f"finding-{index}-severity": "medium", f"finding-{index}-title": ""}
    assert post(client_of(world.validator), review, "validation", data).status_code == 303
    finding = Validation.objects.get().findings.get()
    assert (finding.title, finding.owner) == ("Small groups", world.submitter)
    assert finding.due_at is not None
    assert (finding.due_at.hour, finding.due_at.minute) == (23, 59)


def test_half_a_finding_is_refused_and_kept(world: World, review: Review) -> None:
    data = VALIDATION | {"finding-0-title": "Small groups", "finding-0-severity": "medium"}
    answer = post(client_of(world.validator), review, "validation", data)
    assert answer.status_code == 400
    assert "Small groups" in answer.content.decode()
    assert "It does what it says" in answer.content.decode()
    assert not Validation.objects.exists()


def test_a_finding_due_in_the_past_is_marked_where_it_stands(world: World, review: Review) -> None:
    data = VALIDATION | {
        "validation-rating": "satisfactory_with_findings",
        "finding-0-title": "Small groups",
        "finding-0-detail": "Collect more",
        "finding-0-severity": "medium",
        "finding-0-owner": str(world.submitter.pk),
        "finding-0-due_at": "2001-01-31",
    }
    answer = post(client_of(world.validator), review, "validation", data)
    assert answer.status_code == 400
    assert 'id="id_finding-0-due_at-problem"' in answer.content.decode()
    assert not Validation.objects.exists()


def test_the_submitter_does_not_validate(world: World, review: Review) -> None:
    f.OrganisationRole.objects.create(user=world.submitter, role=Role.VALIDATOR, since=f.now())
    answer = post(client_of(world.submitter), review, "validation", VALIDATION)
    assert answer.status_code == 403
    assert "independent" in answer.content.decode()


def test_withdrawing(world: World, review: Review) -> None:
    owner = client_of(world.submitter)
    assert post(owner, review, "withdraw", {}).status_code == 400
    assert (
        post(client_of(world.officer), review, "withdraw", {"withdraw-reason": "x"}).status_code
        == 403
    )
    assert post(owner, review, "withdraw", {"withdraw-reason": "Not yet"}).status_code == 303
    review.refresh_from_db()
    assert review.state == Review.State.WITHDRAWN


def test_revoking_an_approval(world: World) -> None:
    approval = world.approve().approval
    path = f"/approvals/{approval.pk}/revoke/"
    assert client_of(world.validator).post(path, {"revoke-reason": "No"}).status_code == 403
    assert client_of(world.officer).post(path, {"revoke-reason": ""}).status_code == 400
    assert client_of(world.officer).post(path, {"revoke-reason": "It errs"}).status_code == 303
    approval.refresh_from_db()
    assert approval.revoked_at is not None
    again = client_of(world.officer).post(path, {"revoke-reason": "It errs"})
    assert again.status_code == 409


def test_the_queue_knows_whose_turn_it_is(world: World, review: Review) -> None:
    def mine(user: Any) -> bool:
        page = client_of(user).get("/reviews/").content.decode()
        return str(review.pk) in page.split("Waiting for others")[0]

    assert mine(world.validator)
    assert mine(world.officer)
    assert not mine(world.developer)
    assert not mine(world.submitter)
    world.validate(review)
    world.sign(review, world.validator)
    assert not mine(world.validator)
    assert mine(world.officer)
