"""Who sees which page, and who must not."""

import pytest
from django.test import Client

from accounts.models import Role
from monitoring.models import CheckAttachment
from registry.services import grant_role
from tests import factories as f
from tests.web.scene import Scene, client_of


def test_every_page_asks_a_stranger_to_sign_in(scene: Scene) -> None:
    paths = [*scene.paths().values(), *(path for path, _ in scene.restricted().values())]
    for path in paths:
        answer = Client().get(path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/sign-in/"), path


def test_an_auditor_reads_every_page(scene: Scene) -> None:
    client = client_of(scene.auditor)
    for name, path in scene.paths().items():
        assert client.get(path).status_code == 200, name


def test_records_of_a_model_that_one_may_not_read_are_not_there(scene: Scene) -> None:
    client, paths = client_of(scene.outsider), scene.paths()
    for name in scene.about_one_model():
        assert client.get(paths[name]).status_code == 404, name


def test_lists_show_an_outsider_nothing_of_others(scene: Scene) -> None:
    client, paths = client_of(scene.outsider), scene.paths()
    title = scene.world.version.model.title
    about_one = scene.about_one_model()
    for name in paths:
        if name not in about_one:
            answer = client.get(paths[name])
            assert answer.status_code == 200, name
            assert title not in answer.content.decode(), name


@pytest.mark.parametrize("role", list(Role))
def test_pages_for_some_roles_alone(scene: Scene, role: Role) -> None:
    client = client_of(f.make_user(None, role))
    for name, (path, allowed) in scene.restricted().items():
        assert client.get(path).status_code == (200 if role in allowed else 403), name


def test_navigation_offers_only_what_one_may_enter(scene: Scene) -> None:
    seen = client_of(scene.world.developer).get("/").content.decode()
    assert 'href="/audit/"' not in seen
    assert 'href="/people/"' not in seen
    assert 'href="/people/"' in client_of(scene.admin).get("/").content.decode()


def test_downloads(scene: Scene) -> None:
    insider, outsider = client_of(scene.auditor), client_of(scene.outsider)
    for path, media_type in (
        (f"/gate/{scene.decision.pk}/attestation/", "application/vnd.dsse.envelope.v1+json"),
        (f"/reports/{scene.report.pk}/pdf/", "application/pdf"),
    ):
        answer = insider.get(path)
        assert (answer.status_code, answer["Content-Type"]) == (200, media_type)
        assert "attachment" in answer["Content-Disposition"]
        assert outsider.get(path).status_code == 404
        assert Client().get(path).status_code == 302


def test_files_behind_the_record_are_saved_and_never_shown(scene: Scene) -> None:
    evidence = f.make_evidence(
        scene.world.version,
        stored=f.store_bytes(b"<script>alert(1)</script>"),
        name="card.html",
        media_type="text/html",
    )
    CheckAttachment.objects.create(
        run=scene.run, name="note.html", media_type="text/html", blob=evidence.blob
    )
    insider, outsider = client_of(scene.auditor), client_of(scene.outsider)
    for path in (
        f"/evidence/{evidence.pk}/file",
        f"/check-runs/{scene.run.pk}/files/note.html",
    ):
        answer = insider.get(path)
        assert b"".join(answer.streaming_content) == b"<script>alert(1)</script>"
        assert answer["Content-Disposition"].startswith("attachment")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert outsider.get(path).status_code == 404
        assert Client().get(path).status_code == 302
    page = insider.get(f"/models/{scene.world.version.model.name}/versions/1/").content.decode()
    assert f'href="/evidence/{evidence.pk}/file" download' in page
    page = insider.get(f"/check-runs/{scene.run.pk}/").content.decode()
    assert f'href="/check-runs/{scene.run.pk}/files/note.html" download' in page
    assert insider.get(f"/check-runs/{scene.run.pk}/files/other.html").status_code == 404


@pytest.mark.parametrize(
    ("role", "heading"),
    [
        (Role.DEVELOPER, "Your versions"),
        (Role.VALIDATOR, "To sign"),
        (Role.RISK_OFFICER, "Waivers asked for"),
        (Role.OPERATOR, "Live now"),
        (Role.AUDITOR, "Newest reports"),
        (Role.ADMINISTRATOR, "Accounts without a role"),
    ],
)
def test_home_shows_what_a_role_looks_after(scene: Scene, role: Role, heading: str) -> None:
    assert scene.report
    page = client_of(f.make_user(None, role)).get("/").content.decode()
    assert f">{heading}</h2>" in page
    bare = client_of(scene.outsider).get("/").content.decode()
    assert f">{heading}</h2>" not in bare


def test_home_knows_a_role_that_is_held_on_one_model_alone(scene: Scene) -> None:
    alice = f.make_user("alice")
    grant_role(alice, Role.DEVELOPER, scene.world.version.model, actor=f.actor_of(scene.admin))
    page = client_of(alice).get("/").content.decode()
    assert "Your versions" in page
    assert ", developer" in page


def test_a_report_that_is_not_issued_has_no_file(scene: Scene) -> None:
    answer = client_of(scene.auditor).get(f"/reports/{scene.waiting_report.pk}/pdf/")
    assert answer.status_code == 409


def test_the_verification_page_tells_a_stranger_digests_and_no_more(scene: Scene) -> None:
    answer = Client().get(f"/verify/{scene.report.pk}/")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert scene.report.pdf_id in page
    assert scene.report.bundle_id in page
    assert scene.world.version.model.name not in page
    assert scene.world.version.model.title not in page
    assert Client().get(f"/verify/{scene.waiting_report.pk}/").status_code == 404


def test_the_proof_of_an_entry(scene: Scene) -> None:
    path = scene.restricted()["entry"][0]
    answer = client_of(scene.auditor).get(f"{path}proof/")
    assert answer.status_code == 200
    assert answer.content.startswith(b"c2sp.org/tlog-proof@v1")
    assert client_of(scene.world.developer).get(f"{path}proof/").status_code == 403


def test_an_unknown_address() -> None:
    assert Client().get("/nowhere/").status_code == 404
