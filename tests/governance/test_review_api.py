"""The story by REST: publish, submit, validate, re-authenticate, sign; and every wrong input named."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Role, User
from governance.models import Approval, PolicyRevision, Review, Signature
from tests import factories as f
from tests.governance.facts import SHIPPED
from tests.governance.support import SMALL, World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> World:
    return World()


class Api:
    """A test client that speaks as a user, by a token."""

    def __init__(self, user: User, *scopes: str) -> None:
        self.client = Client()
        self.headers = f.bearer(user, *scopes)

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/{path}", headers=self.headers)

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(
            f"/api/v1/{path}",
            {} if body is None else body,
            content_type="application/json",
            headers=self.headers,
        )


def version_path(world: World) -> str:
    return f"models/{world.version.model.name}/versions/{world.version.number}/"


def submit(world: World) -> dict[str, Any]:
    answer = Api(world.submitter).post(
        f"{version_path(world)}reviews/", {"environment": world.environment.name, "note": "Please"}
    )
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def fields(answer: Any) -> list[str]:
    assert answer["Content-Type"] == "application/problem+json"
    return [error["field"] for error in answer.json().get("errors", [])]


VALIDATION = {"scope": "All", "rating": "satisfactory", "conclusion": "Good"}


def prove(user: User, review: dict[str, Any]) -> str:
    answer = Api(user).post(
        "reauthentications/",
        {
            "review": review["id"],
            "signed_digest": review["signed_digest"],
            "password": f.PASSWORD,
        },
    )
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def signature(user: User, review: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "reauthentication": prove(user, review),
        "decision": "approve",
        "meaning": "approval",
        "reason": "I agree",
    } | more


def test_the_whole_way_to_an_approval(world: World) -> None:
    review = submit(world)
    path = f"reviews/{review['id']}/"
    assert review["roles_wanted"] == ["validator", "risk_officer"]
    queue = Api(world.officer).get("reviews/?state=open").json()["results"]
    assert [one["id"] for one in queue] == [review["id"]]
    answer = Api(world.validator).post(f"{path}validations/", VALIDATION)
    assert answer.status_code == 201, answer.content
    first = Api(world.validator).post(f"{path}signatures/", signature(world.validator, review))
    assert (first.status_code, first.json()["review_state"]) == (201, "open"), first.content
    controls = Api(world.officer).get(f"{path}controls/").json()["controls"]
    assert {one["control"]: one["status"] for one in controls}["validated"] == "pass"
    second = Api(world.officer).post(f"{path}signatures/", signature(world.officer, review))
    approval = second.json()["approval"]
    assert approval["signed_digest"] == review["signed_digest"]
    full = Api(world.officer).get(path).json()
    assert [one["role"] for one in full["signatures"]] == ["validator", "risk_officer"]
    assert full["state"] == "approved"
    revoked = Api(world.officer).post(f"approvals/{approval['id']}/revoke/", {"reason": "Harm"})
    assert revoked.json()["revoked_at"]
    again = Api(world.officer).post(f"approvals/{approval['id']}/revoke/", {"reason": "Harm"})
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


def test_the_dossier_before_and_after_it_is_frozen(world: World) -> None:
    path = f"{version_path(world)}dossier/"
    before = Api(world.validator).get(path).json()
    assert before["frozen_at"] is None
    assert before["document"]["version"]["artifact"]["digest"] == world.version.artifact_digest
    review = submit(world)
    after = Api(world.validator).get(path).json()
    assert after["digest"] == before["digest"] == review["dossier"]
    assert after["frozen_at"]
    by_digest = Api(world.validator).get(f"{path}?digest=sha256:{review['dossier']}").json()
    assert by_digest["document"] == before["document"]
    assert Api(world.validator).get(f"{path}?digest={'0' * 64}").status_code == 404


def actions(api: Api, path: str) -> dict[str, Any]:
    answer = api.get(path)
    assert answer.status_code == 200, answer.content
    return {one["action"]: one for one in answer.json()["actions"]}


def test_actions_say_what_may_be_done_and_why_not(world: World) -> None:
    path = f"{version_path(world)}actions/?environment={world.environment.name}"
    assert actions(Api(world.submitter), path)["submit"]["allowed"]
    assert actions(Api(world.officer), path)["submit"]["code"] == "not_permitted"
    review = submit(world)
    assert actions(Api(world.submitter), path)["submit"]["code"] == "review_open"
    path = f"reviews/{review['id']}/actions/"
    assert actions(Api(world.validator), path)["sign"]["code"] == "not_validated"
    assert actions(Api(world.validator), path)["validate"]["allowed"]
    assert actions(Api(world.submitter), path)["sign"]["code"] == "not_independent"
    world.validate(Review.objects.get())
    assert actions(Api(world.validator), path)["sign"] == {
        "action": "sign",
        "allowed": True,
        "code": None,
        "reason": None,
    }
    assert actions(Api(world.developer), path)["sign"]["code"] == "not_permitted"


def test_the_author_is_refused_with_a_reason(world: World) -> None:
    world.developer.organisation_roles.create(
        role=Role.RISK_OFFICER, since=world.version.registered_at
    )
    review = submit(world)
    answer = Api(world.developer).post(
        f"reviews/{review['id']}/signatures/", signature(world.developer, review)
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "not_independent")
    assert "its author" in answer.json()["detail"]
    assert not Signature.objects.exists()


def test_no_token_alone_signs(world: World) -> None:
    review = submit(world)
    world.validate(Review.objects.get())
    path = f"reviews/{review['id']}/signatures/"
    body = signature(world.officer, review)
    without = Api(world.officer, "read", "govern").post(path, body)
    assert (without.status_code, without.json()["code"]) == (403, "scope_missing")
    unproven = Api(world.officer).post(path, body | {"reauthentication": str(uuid4())})
    assert (unproven.status_code, unproven.json()["code"]) == (403, "reauthentication_needed")
    assert fields(unproven) == ["reauthentication"]
    pipeline = f.make_service_account(None, Role.RISK_OFFICER)
    refused = Api(pipeline).post(path, body)
    assert refused.status_code == 403
    assert not Approval.objects.exists()


def test_reopening_and_withdrawing(world: World) -> None:
    review = submit(world)
    reopened = Api(world.submitter).post(f"{version_path(world)}reopen/", {"reason": "More data"})
    assert (reopened.status_code, reopened.json()["revision"]) == (200, review["revision"] + 1)
    assert Api(world.officer).get(f"reviews/{review['id']}/").json()["state"] == "superseded"
    second = submit(world)
    withdrawn = Api(world.submitter).post(f"reviews/{second['id']}/withdraw/", {"reason": "Wrong"})
    assert withdrawn.json()["state"] == "withdrawn"


def test_a_pipeline_submits_once_however_often_it_asks(world: World) -> None:
    pipeline = f.make_service_account(None, Role.DEVELOPER)
    api = Api(pipeline, "submit")
    api.headers["Idempotency-Key"] = "run-1"
    body = {"environment": world.environment.name}
    first = api.post(f"{version_path(world)}reviews/", body)
    second = api.post(f"{version_path(world)}reviews/", body)
    assert (first.status_code, second.status_code) == (201, 201), first.content
    assert first.json() == second.json()
    assert Review.objects.count() == 1


def test_policies_are_published_read_and_bound(world: World) -> None:
    api = Api(world.officer)
    answer = api.post("policies/", {"source": SHIPPED.read_text()})
    assert answer.status_code == 201, answer.content
    told = api.get("policies/high-impact-screening/").json()
    assert told["digest"] == answer.json()["digest"]
    assert told["approvals"]["roles"] == ["validator", "risk_officer"]
    assert len(told["controls"]) == 15
    path = "policies/high-impact-screening/bindings/"
    bound = api.post(path, {"environment": world.environment.name, "tier": 1})
    assert bound.status_code == 201, bound.content
    ended = api.post(f"{path}{bound.json()['id']}/end/")
    assert ended.json()["until"]
    assert [one["name"] for one in api.get("policies/").json()["results"]] == [
        "high-impact-screening",
        "small",
    ]
    api.post("policies/", {"source": SMALL.replace("90", "30"), "transition": "next_review"})
    assert api.get("policies/small/").json()["revisions"] == [1, 2]
    assert api.get("policies/small/?number=1").json()["number"] == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("policies/", {}, "source"),
        ("policies/", {"source": 7}, "source"),
        ("policies/", {"source": "title: x"}, "name"),
        ("policies/", {"source": SMALL.replace("quorum: 2", "quorum: 3")}, "approvals.quorum"),
        ("policies/", {"source": SMALL, "transition": "later"}, "transition"),
        (
            "policies/",
            {"source": SMALL, "transition": "at_date", "transition_at": "soon"},
            "transition_at",
        ),
        ("policies/", {"source": SMALL, "sauce": 1}, "sauce"),
        ("policies/small/bindings/", {"environment": "nowhere"}, "environment"),
        ("policies/small/bindings/", {"environment": "x", "tier": 5}, "tier"),
    ],
)
def test_wrong_policy_input_names_the_field(
    world: World, path: str, body: dict[str, Any], field: str
) -> None:
    answer = Api(world.officer).post(path, body)
    assert answer.status_code == 400, answer.content
    assert field in fields(answer)
    assert PolicyRevision.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "environment"),
        ({"environment": "nowhere"}, "environment"),
        ({"environment": 3}, "environment"),
        ({"environment": "x", "use": "unknown"}, "use"),
        ({"environment": "x", "uses": "default"}, "uses"),
    ],
)
def test_a_wrong_submission_names_the_field(world: World, body: dict[str, Any], field: str) -> None:
    answer = Api(world.submitter).post(f"{version_path(world)}reviews/", body)
    assert answer.status_code == 400, answer.content
    assert field in fields(answer)
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    ("what", "body", "field"),
    [
        ("validations", {}, "scope"),
        ("validations", VALIDATION | {"rating": "good"}, "rating"),
        ("validations", VALIDATION | {"scope": 1}, "scope"),
        ("validations", VALIDATION | {"findings": [{}]}, "findings[0].title"),
        ("signatures", {}, "reauthentication"),
        ("signatures", {"decision": "maybe"}, "decision"),
        ("signatures", {"reauthentication": "x"}, "reauthentication"),
        ("signatures", {"digest": "x"}, "digest"),
    ],
)
def test_a_wrong_validation_or_signature_names_the_field(
    world: World, what: str, body: dict[str, Any], field: str
) -> None:
    review = submit(world)
    answer = Api(world.validator).post(f"reviews/{review['id']}/{what}/", body)
    assert answer.status_code == 400, answer.content
    assert field in fields(answer)


def test_nan_is_no_json(world: World) -> None:
    api = Api(world.submitter)
    answer = api.client.post(
        f"/api/v1/{version_path(world)}reviews/",
        '{"environment": NaN}',
        content_type="application/json",
        headers=api.headers,
    )
    assert answer.status_code == 400


def test_who_may_not_see_the_model_finds_nothing(world: World) -> None:
    review = submit(world)
    world.validate(Review.objects.get())
    stranger = Api(f.make_user())
    for path in (
        f"{version_path(world)}dossier/",
        f"{version_path(world)}reviews/",
        f"{version_path(world)}actions/?environment={world.environment.name}",
        f"reviews/{review['id']}/",
        f"reviews/{review['id']}/controls/",
        f"reviews/{review['id']}/actions/",
    ):
        assert stranger.get(path).status_code == 404, path
    assert stranger.get("reviews/").json()["results"] == []
    for path, body in (
        (f"reviews/{review['id']}/validations/", VALIDATION),
        (f"reviews/{review['id']}/withdraw/", {"reason": "x"}),
        (f"{version_path(world)}reopen/", {"reason": "x"}),
    ):
        assert stranger.post(path, body).status_code == 404, path


def test_nobody_without_an_account(world: World) -> None:
    review = submit(world)
    for path in ("reviews/", f"reviews/{review['id']}/", "policies/", "policies/small/"):
        assert Client().get(f"/api/v1/{path}").status_code == 401
