"""Signing in and out, and what was typed when a session ended."""

import pytest
from django.test import Client

from tests import factories as f
from tests.governance.support import entries
from tests.web.scene import Scene, client_of


def sign_in(client: Client, username: str, password: str = f.PASSWORD, **more: str) -> object:
    return client.post("/sign-in/", {"username": username, "password": password, **more})


@pytest.mark.django_db
def test_signing_in_leads_where_one_was_going_and_is_on_record() -> None:
    f.make_user("alice")
    client = Client()
    answer = sign_in(client, "alice", next="/models/?q=x")
    assert (answer.status_code, answer["Location"]) == (303, "/models/?q=x")  # type: ignore
    assert len(entries("accounts.session.started")) == 1
    assert client.get("/").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/", "//elsewhere.example", "javascript:1"]
)
def test_signing_in_leads_nowhere_else(target: str) -> None:
    f.make_user("alice")
    assert sign_in(Client(), "alice", next=target)["Location"] == "/"  # type: ignore[index]


@pytest.mark.django_db
def test_a_wrong_password_keeps_the_name_and_tells_no_more() -> None:
    f.make_user("alice")
    pages = []
    for name in ("alice", "nobody-of-this-name"):
        answer = sign_in(Client(), name, "wrong")
        assert answer.status_code == 401  # type: ignore[attr-defined]
        page = answer.content.decode()  # type: ignore[attr-defined]
        assert f'value="{name}"' in page
        assert "wrong" not in page.replace("is wrong", "")
        pages.append(page.split('role="alert"')[1].split("</div>")[0].replace(name, ""))
    assert pages[0] == pages[1]
    assert entries("accounts.session.started") == []


@pytest.mark.django_db
def test_an_empty_form_names_both_fields() -> None:
    answer = Client().post("/sign-in/", {})
    assert answer.status_code == 400
    assert answer.content.decode().count("This field is required") >= 2


@pytest.mark.django_db
def test_after_many_wrong_passwords_the_right_one_is_refused_too() -> None:
    f.make_user("alice")
    client = Client()
    for _ in range(5):
        sign_in(client, "alice", "wrong")
    answer = sign_in(client, "alice")
    assert answer.status_code == 429  # type: ignore[attr-defined]
    assert b"Sign in" in answer.content  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_an_inactive_person_and_a_service_account_do_not_sign_in() -> None:
    f.make_user("alice", is_active=False)
    f.make_service_account("robot")
    for name in ("alice", "robot"):
        assert sign_in(Client(), name).status_code == 401  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_signing_out_takes_a_post() -> None:
    client = client_of(f.make_user())
    assert client.get("/sign-out/").status_code == 405
    assert client.get("/").status_code == 200
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert client.get("/").status_code == 302


@pytest.mark.django_db
def test_a_form_needs_its_token() -> None:
    f.make_user("alice")
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/sign-in/", {"username": "alice", "password": f.PASSWORD})
    assert answer.status_code == 403
    assert b"The form had expired" in answer.content


def test_what_was_typed_when_the_session_ended_comes_back(scene: Scene) -> None:
    client, page = Client(), f"/reviews/{scene.open_review.pk}/"
    typed = {"decision": "approve", "meaning": "review", "reason": "Long thought", "password": "x"}
    answer = client.post(f"{page}sign/", typed)
    assert answer.status_code == 302
    assert "What you wrote is kept" in client.get(answer["Location"]).content.decode()
    officer = scene.world.officer
    answer = sign_in(client, officer.username, next=page)
    assert answer["Location"] == page  # type: ignore[index]
    shown = client.get(page).content.decode()
    assert "Long thought" in shown
    assert 'value="x"' not in shown
    assert "Long thought" not in client.get(page).content.decode()
    assert not scene.open_review.signatures.exists()


def test_a_draft_goes_to_its_own_page_alone(scene: Scene) -> None:
    client = Client()
    client.post(f"/reviews/{scene.open_review.pk}/sign/", {"reason": "Long thought"})
    sign_in(client, scene.world.officer.username)
    other = f"/monitoring/breaches/{scene.breach.pk}/"
    assert "Long thought" not in client.get(other).content.decode()
