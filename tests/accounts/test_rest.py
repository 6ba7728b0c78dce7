"""Who may call REST at all, and the same answer to the same question asked twice."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts import services
from accounts.actors import actor_for
from accounts.models import ApiToken, IdempotencyRecord, User
from kernel.moments import now
from tests.accounts.conftest import PASSWORD


def token_for(user: User, *scopes: str) -> str:
    _, text = services.issue_token(
        user,
        name="test",
        scopes=scopes or ("read",),
        expires_at=now() + timedelta(days=1),
        actor=actor_for(user),
    )
    return text


def call(method: str, path: str, token: str = "", body: object = None, **headers: str):
    if token:
        headers["authorization"] = f"Bearer {token}"
    return Client().generic(
        method,
        path,
        data=body if isinstance(body, bytes) else __import__("json").dumps(body or {}),
        content_type="application/json",
        headers=headers,
    )


def test_a_token_says_who_it_is(developer: User) -> None:
    answer = call("GET", "/api/v1/me/", token_for(developer))
    assert answer.status_code == 200
    assert answer.json()["username"] == "dev"
    assert answer.json()["scopes"] == ["read"]


def test_anonymous_is_401_with_problem_details(db: None) -> None:
    answer = call("GET", "/api/v1/me/")
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("change", ["secret", "revoked", "expired", "inactive", "garbage"])
def test_a_token_that_does_not_count_is_401(developer: User, change: str) -> None:
    text = token_for(developer)
    if change == "secret":
        text = text[:-1] + ("A" if text[-1] != "A" else "B")
    elif change == "revoked":
        ApiToken.objects.update(revoked_at=now())
    elif change == "expired":
        ApiToken.objects.update(expires_at=now() - timedelta(seconds=1))
    elif change == "inactive":
        User.objects.update(is_active=False)
    else:
        text = "nonsense"
    assert call("GET", "/api/v1/me/", text).status_code == 401


def test_the_token_is_kept_as_an_hmac_alone(developer: User) -> None:
    text = token_for(developer)
    row = ApiToken.objects.values().get()
    assert not any(text.split("_", 2)[2] in str(value) for value in row.values())


def test_a_scope_that_the_token_lacks_is_403(admin: User) -> None:
    answer = call("POST", "/api/v1/users/", token_for(admin, "read"), {"username": "x"})
    assert answer.status_code == 403
    assert "administer" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["users/", "audit/entries/", "webhook-endpoints/"])
def test_a_scope_is_no_role(developer: User, path: str) -> None:
    """Whoever makes a token chooses its scopes; what it may read still takes the role."""
    token = token_for(developer, "read", "audit", "administer")
    assert call("GET", f"/api/v1/{path}", token).status_code == 403


def test_a_session_needs_csrf(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/api/v1/users/", {}, content_type="application/json")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "username"),
        ({"username": 5, "name": "N", "password": PASSWORD}, "username"),
        ({"username": "x", "name": "N", "password": PASSWORD, "nmae": "N"}, "nmae"),
        ({"username": "x", "name": "N"}, "password"),
        ({"username": "x", "name": "N", "kind": "robot"}, "kind"),
        (
            {"username": "x", "name": "N", "kind": "service", "responsible": ["nobody"]},
            "responsible",
        ),
    ],
)
def test_wrong_input_is_named(admin: User, body: dict, field: str) -> None:
    answer = call("POST", "/api/v1/users/", token_for(admin, "administer"), body)
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert not User.objects.filter(username="x").exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"username": NaN}', 400),
        (b'{"username": "x", "username": "y"}', 400),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"username": "' + b"x" * 10_000_000 + b'"}', 413),
    ],
)
def test_a_body_that_is_no_strict_json_is_refused(admin: User, body: bytes, status: int) -> None:
    answer = call("POST", "/api/v1/users/", token_for(admin, "administer"), body)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


class TestIdempotency:
    body = {"username": "ada", "name": "Ada", "password": PASSWORD}

    def post(self, user: User, token: str, body: dict, key: str = "k1"):
        return call("POST", "/api/v1/users/", token, body, **{"Idempotency-Key": key})

    def test_the_same_question_gets_the_same_answer(self, admin: User) -> None:
        token = token_for(admin, "administer")
        first = self.post(admin, token, self.body)
        second = self.post(admin, token, self.body)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()
        assert second["Idempotency-Replayed"] == "true"
        assert User.objects.filter(username="ada").count() == 1

    def test_a_refusal_is_an_answer_too(self, admin: User) -> None:
        token = token_for(admin, "administer")
        bad = self.body | {"password": "short"}
        assert self.post(admin, token, bad).status_code == 400
        again = self.post(admin, token, bad)
        assert again.status_code == 400
        assert again["Idempotency-Replayed"] == "true"

    def test_another_body_is_422(self, admin: User) -> None:
        token = token_for(admin, "administer")
        self.post(admin, token, self.body)
        assert self.post(admin, token, self.body | {"name": "Eve"}).status_code == 422

    def test_one_under_way_is_409(self, admin: User) -> None:
        token = token_for(admin, "administer")
        self.post(admin, token, self.body)
        IdempotencyRecord.objects.update(status=None)
        assert self.post(admin, token, self.body).status_code == 409


def _patterns(resolver: URLResolver, prefix: str = ""):
    for item in resolver.url_patterns:
        if isinstance(item, URLResolver):
            yield from _patterns(item, prefix + str(item.pattern))
        elif isinstance(item, URLPattern):
            yield prefix + str(item.pattern), item.callback


def test_every_rest_view_declares_its_actions(db: None) -> None:
    """A view without a declaration answers nobody; this test finds it before a user does."""
    for route, callback in _patterns(get_resolver()):
        if route.startswith("api/v1/"):
            view = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
            assert view is not None, route
            assert getattr(view, "actions", None), route
            methods = {
                name.upper()
                for name in ("get", "post", "put", "patch", "delete")
                if hasattr(view, name)
            }
            assert methods <= set(view.actions), route
