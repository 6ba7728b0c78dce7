"""Who is answered at all: nobody unknown, no token without the scope, no pipeline where people decide."""

import re
import uuid
from typing import Any

import pytest
from django.test import Client

from accounts.access import TABLE, Scope
from accounts.models import Role
from tests import factories as f
from tests.api.routes import Route, routes
from tests.api.test_wrong_input import JSON, written

pytestmark = pytest.mark.django_db
ALL = routes()
_ANY = {"int": "1", "uuid": str(uuid.UUID(int=7)), "slug": "some", "str": "some"}


def call(route: Route, **headers: str) -> Any:
    path = re.sub(r"<(\w+):\w+>", lambda found: _ANY[found[1]], route.pattern)
    return Client().generic(route.method, f"/api/v1/{path}", b"{}", JSON, headers=headers)


@pytest.mark.parametrize("route", ALL, ids=str)
def test_each_method_says_which_action_it_is(route: Route) -> None:
    assert route.action in TABLE


def test_nobody_unknown_is_answered() -> None:
    before = written()
    for route in ALL:
        for headers in (
            {},
            {"Authorization": "Bearer cs_unknown_token"},
            {"Authorization": "Basic YTpi"},
        ):
            answer = call(route, **headers)
            assert answer.status_code == 401, (str(route), answer.content)
            assert answer["WWW-Authenticate"].startswith("Bearer")
            assert answer["Content-Type"].startswith("application/problem+json")
    assert written() == before


def test_a_token_does_nothing_beyond_its_scopes() -> None:
    """Though its owner holds every role."""
    person = f.make_user(None, *Role)
    by_scope = {scope: f.bearer(person, *(one for one in Scope if one != scope)) for scope in Scope}
    before = written()
    for route in ALL:
        assert route.action is not None
        scope = TABLE[route.action].scope
        answer = call(route, **by_scope[scope])
        assert answer.status_code == 403, (str(route), answer.content)
        assert answer.json()["code"] == "scope_missing"
        assert scope in answer.json()["detail"]
    assert written() == before


def test_where_people_decide_no_pipeline_does() -> None:
    """Though its account holds every role, and its token every scope that a pipeline may have."""
    pipeline = f.make_service_account(None, *Role)
    headers = f.bearer(pipeline)
    before = written()
    asked = [route for route in ALL if TABLE[str(route.action)].persons_only]
    assert len(asked) > 30
    for route in asked:
        answer = call(route, **headers)
        assert answer.status_code == 403, (str(route), answer.content)
        assert answer.json()["code"] in ("persons_only", "scope_missing"), str(route)
    assert written() == before


def test_a_page_session_writes_only_with_its_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(f.make_user(None, *Role))
    before = written()
    for route in (route for route in ALL if route.method == "POST"):
        path = re.sub(r"<(\w+):\w+>", lambda found: _ANY[found[1]], route.pattern)
        answer = client.post(f"/api/v1/{path}", {}, JSON)
        assert answer.status_code == 403, (str(route), answer.content)
        assert "CSRF" in answer.json()["detail"]
    assert written() == before


def test_without_a_role_nothing_is_there_and_nothing_is_written() -> None:
    headers = f.bearer(f.make_user())
    before = written()
    for route in (route for route in ALL if route.method != "GET"):
        if TABLE[str(route.action)].own:
            continue
        answer = call(route, **headers)
        assert 400 <= answer.status_code < 500, (str(route), answer.content)
    assert written() == before
