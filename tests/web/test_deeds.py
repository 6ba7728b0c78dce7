"""Writes from pages: who may, who must not, what comes back when one is refused, what is on record."""

from typing import Any

import pytest

from accounts.models import ApiToken, OrganisationRole, Role, User
from governance.models import Incident, Waiver
from kernel.moments import now
from monitoring import services
from monitoring.models import CheckRun, Monitor
from registry.models import RoleGrant
from reports.models import Report
from tests import factories as f
from tests.governance.support import entries, refusals
from tests.monitoring import helpers
from tests.web.scene import Scene, client_of


def refused(scene: Scene, user: User, path: str, data: dict[str, Any]) -> str:
    """The page that a post came back with, which must be a refusal that is on record."""
    before = len(refusals())
    answer = client_of(user).post(path, data)
    assert answer.status_code in (403, 409)
    assert len(refusals()) == before + 1
    return answer.content.decode()


def test_resolving_a_breach(scene: Scene) -> None:
    path = f"/monitoring/breaches/{scene.breach.pk}/resolve/"
    data = {"resolution": "The sender had doubled its rows"}
    assert data["resolution"] in refused(scene, scene.world.validator, path, data)
    officer = client_of(scene.world.officer)
    assert officer.post(path, {"resolution": " "}).status_code == 400
    assert officer.post(path, data)["Location"] == path.removesuffix("resolve/")
    scene.breach.refresh_from_db()
    assert scene.breach.resolution == data["resolution"]
    assert len(entries("monitoring.breach.resolved")) == 1
    again = officer.post(path, {"resolution": "Once more"})
    assert again.status_code == 409
    assert "Once more" in again.content.decode()


def test_an_incident_from_suspicion_to_its_end(scene: Scene) -> None:
    home = f"/incidents/{scene.incident.pk}/"
    officer = client_of(scene.world.officer)
    data = {"incident_class": "serious-incident", "aware_at": "2026-01-02T03:04"}
    assert "serious-incident" in refused(scene, scene.auditor, f"{home}classify/", data)
    late = officer.post(f"{home}classify/", data | {"aware_at": "2999-01-01T00:00"})
    assert late.status_code == 400
    assert "serious-incident" in late.content.decode()
    assert officer.post(f"{home}classify/", data)["Location"] == home
    scene.incident.refresh_from_db()
    assert scene.incident.state == Incident.State.CONFIRMED
    assert scene.incident.aware_at is not None
    assert scene.incident.aware_at.isoformat() == "2026-01-02T03:04:00+00:00"
    assert officer.post(f"{home}dismiss/", {"conclusion": "No"}).status_code == 409
    assert officer.post(f"{home}close/", {"conclusion": ""}).status_code == 400
    assert officer.post(f"{home}close/", {"conclusion": "Told the authority"}).status_code == 303
    scene.incident.refresh_from_db()
    assert scene.incident.state == Incident.State.CLOSED


def test_lifting_a_suspension(scene: Scene) -> None:
    path = f"/suspensions/{scene.suspension.pk}/lift/"
    assert "Mended" in refused(scene, scene.world.submitter, path, {"reason": "Mended"})
    assert client_of(scene.world.officer).post(path, {"reason": "Mended"}).status_code == 303
    scene.suspension.refresh_from_db()
    assert scene.suspension.until is not None


def test_a_waiver_takes_a_second_person(scene: Scene) -> None:
    version = scene.world.version
    owner, officer = client_of(scene.world.submitter), client_of(scene.world.officer)
    path = f"/models/{version.model.name}/versions/{version.number}/waiver/"
    data = {
        "controls": ["findings"],
        "reason": "It is being mended",
        "compensating_control": "A person looks at each",
        "ends_at": (f.now() + helpers.DAY).date().isoformat(),
    }
    assert "It is being mended" in refused(scene, scene.world.officer, path, data)
    assert owner.post(path, data | {"controls": []}).status_code == 400
    assert owner.post(path, data | {"ends_at": "2999-01-01"}).status_code == 400
    made = owner.post(path, data)
    waiver = Waiver.objects.get(controls=["findings"])
    assert made["Location"] == f"/waivers/{waiver.pk}/"
    assert refused(scene, scene.world.submitter, f"/waivers/{waiver.pk}/grant/", {})
    assert officer.post(f"/waivers/{waiver.pk}/grant/").status_code == 303
    assert officer.post(f"/waivers/{waiver.pk}/end/").status_code == 303
    assert officer.post(f"/waivers/{waiver.pk}/end/").status_code == 409


def test_closing_a_finding(scene: Scene) -> None:
    path = f"/findings/{scene.finding.pk}/close/"
    assert "Done" in refused(scene, scene.auditor, path, {"closure": "Done"})
    assert client_of(scene.world.officer).post(path, {"closure": "Done"}).status_code == 303
    assert client_of(scene.world.officer).post(path, {"closure": "Again"}).status_code == 409


def test_asking_for_a_check_and_cancelling_it(scene: Scene) -> None:
    version = scene.second
    home = f"/models/{version.model.name}/versions/{version.number}/"
    data = {"check-kind": "data_quality", "check-dataset": str(helpers.dataset().pk)}
    refused(scene, scene.auditor, f"{home}check/", data)
    developer = client_of(scene.world.developer)
    drift = developer.post(f"{home}check/", data | {"check-kind": "drift"})
    assert drift.status_code == 400
    assert "compares with a reference" in drift.content.decode()
    assert developer.post(f"{home}check/", data)["Location"] == home
    run = CheckRun.objects.get(kind="data_quality")
    path = f"/check-runs/{run.pk}/cancel/"
    refused(scene, scene.auditor, path, {})
    assert developer.post(path)["Location"] == f"/check-runs/{run.pk}/"
    run.refresh_from_db()
    assert run.state == CheckRun.State.CANCELLED
    assert developer.post(path).status_code == 409
    again = f"/check-runs/{run.pk}/retry/"
    refused(scene, scene.auditor, again, {})
    answer = developer.post(again)
    second = CheckRun.objects.get(retry_of=run)
    assert answer["Location"] == f"/check-runs/{second.pk}/"
    assert "the run of" in developer.get(answer["Location"]).content.decode()
    assert developer.post(f"/check-runs/{second.pk}/retry/").status_code == 409


def test_a_monitor_gets_the_effect_that_was_wanted_of_it(scene: Scene) -> None:
    world = scene.world
    monitor = helpers.monitor(
        world.version, environment=world.environment, name="harsh", effect="stop", min_rows=11
    )
    path = f"/monitoring/monitors/{monitor.pk}/arm/"
    officer = client_of(world.officer)
    page = officer.get(f"/monitoring/monitors/{monitor.pk}/").content.decode()
    assert "takes a backtest" in page
    assert path not in page, "there is no backtest to go by"
    assert officer.post(path).status_code == 409
    Monitor.objects.filter(pk=monitor.pk).update(until=now())
    monitor = helpers.monitor(
        world.version, environment=world.environment, name="harsher", effect="stop"
    )
    assert monitor.effect == "stop", "the scene's backtest is of this definition"
    Monitor.objects.filter(pk=monitor.pk).update(effect="no_new_deployment", definition_digest="-")
    path = f"/monitoring/monitors/{monitor.pk}/arm/"
    refused(scene, scene.auditor, path, {})
    assert path in officer.get(f"/monitoring/monitors/{monitor.pk}/").content.decode()
    answer = officer.post(path)
    armed = Monitor.objects.get(name="harsher", until=None)
    assert answer["Location"] == f"/monitoring/monitors/{armed.pk}/"
    assert armed.effect == "stop"


def test_runs_tell_what_they_have_in_common(scene: Scene) -> None:
    developer = client_of(scene.world.developer)
    page = developer.get(f"/check-runs/{scene.run.pk}/").content.decode()
    assert "Same digest as" not in page
    made = services.retry_run(scene.run, actor=scene.world.by(scene.world.developer))
    helpers.finish(made, helpers.outcome(kind=made.kind, libraries={"duckdb": "9.9"}))
    third = services.retry_run(made, actor=scene.world.by(scene.world.developer))
    helpers.finish(third, helpers.outcome(kind=made.kind, libraries={"duckdb": "9.10"}))
    page = developer.get(f"/check-runs/{third.pk}/").content.decode()
    assert "Same digest as" in page
    assert "<code>duckdb</code> 9.9 → 9.10" in page


def test_reopening_a_version(scene: Scene) -> None:
    version = scene.world.version
    path = f"/models/{version.model.name}/versions/1/reopen/"
    data = {"reopen-reason": "New data"}
    assert "New data" in refused(scene, scene.world.developer, path, data)
    assert client_of(scene.world.submitter).post(path, data).status_code == 303
    page = client_of(scene.world.submitter).get(f"/models/{version.model.name}/versions/1/")
    assert "has lapsed" in page.content.decode() or "suspended" in page.content.decode()


def test_asking_for_a_report(scene: Scene) -> None:
    world = scene.world
    data = {
        "subject": f"{world.version.pk}.{world.use.pk}",
        "environment": str(world.environment.pk),
    }
    refused(scene, world.developer, "/reports/request/", data)
    auditor = client_of(scene.auditor)
    assert auditor.post("/reports/request/", {"subject": "no.no"}).status_code == 400
    before = Report.objects.count()
    answer = auditor.post("/reports/request/", data)
    assert Report.objects.count() == before + 1
    assert auditor.get(answer["Location"]).status_code == 200
    shown = auditor.get(f"/reports/request/?version={world.version.pk}").content.decode()
    assert f'value="{data["subject"]}" selected' in shown


def test_an_outsider_writes_to_nothing_that_is_not_theirs(scene: Scene) -> None:
    client = client_of(scene.outsider)
    model = scene.world.version.model.name
    for path in (
        f"/monitoring/breaches/{scene.breach.pk}/resolve/",
        f"/incidents/{scene.incident.pk}/classify/",
        f"/suspensions/{scene.suspension.pk}/lift/",
        f"/waivers/{scene.waiver.pk}/grant/",
        f"/findings/{scene.finding.pk}/close/",
        f"/models/{model}/versions/1/reopen/",
        f"/models/{model}/versions/1/waiver/",
        f"/check-runs/{scene.queued.pk}/cancel/",
        f"/check-runs/{scene.run.pk}/retry/",
        f"/monitoring/monitors/{scene.monitor.pk}/arm/",
        f"/monitoring/monitors/{scene.monitor.pk}/roll-up/",
        f"/models/{model}/not-collected/",
        f"/datasets/{scene.run.dataset_id}/content/",
    ):
        assert client.post(path, {}).status_code == 404, path


@pytest.mark.django_db
class TestPeople:
    @pytest.fixture
    def admin(self) -> User:
        return f.make_user("root", Role.ADMINISTRATOR)

    def test_adding_a_person(self, admin: User) -> None:
        data = {
            "person-username": "nina",
            "person-name": "Nina Berg",
            "person-email": "",
            "person-password": f.PASSWORD,
        }
        client = client_of(admin)
        weak = client.post("/people/new-person/", data | {"person-password": "123"})
        assert weak.status_code == 400
        assert "Nina Berg" in weak.content.decode()
        assert 'value="123"' not in weak.content.decode()
        answer = client.post("/people/new-person/", data)
        made = User.objects.get(username="nina")
        assert answer["Location"] == f"/people/{made.pk}/"
        assert client.post("/people/new-person/", data).status_code == 400
        assert len(entries("accounts.user.created")) == 1

    def test_adding_a_service_account_takes_somebody_responsible(self, admin: User) -> None:
        data = {"service-username": "robot", "service-name": "Robot", "service-responsible": []}
        client = client_of(admin)
        assert client.post("/people/new-service-account/", data).status_code == 400
        data["service-responsible"] = [str(admin.pk)]
        assert client.post("/people/new-service-account/", data).status_code == 303
        robot = User.objects.get(username="robot")
        assert robot.responsibles.get().person == admin

    def test_a_token_of_a_service_account_is_shown_once(self, admin: User) -> None:
        robot, client = f.make_service_account(responsible=[admin]), client_of(admin)
        data = {
            "name": "deploys",
            "scopes": ["gate"],
            "expires": (f.now() + helpers.DAY).date().isoformat(),
        }
        shown = client.post(f"/people/{robot.pk}/token/", data).content.decode()
        token = ApiToken.objects.get(user=robot)
        assert f"cs_{token.key}_" in shown
        assert f"cs_{token.key}_" not in client.get(f"/people/{robot.pk}/").content.decode()
        path = f"/account/tokens/{token.pk}/revoke/"
        assert client_of(f.make_user()).post(path).status_code == 403
        assert client.post(path)["Location"] == f"/people/{robot.pk}/"
        token.refresh_from_db()
        assert token.revoked_at is not None

    def test_roles_are_granted_and_ended(self, admin: User) -> None:
        alice, client = f.make_user("alice"), client_of(admin)
        assert (
            client.post(f"/people/{alice.pk}/grant-role/", {"role": "validator"}).status_code == 303
        )
        assert client.post(f"/people/{alice.pk}/grant-role/", {"role": "king"}).status_code == 400
        assert (
            client.post(f"/people/{alice.pk}/end-role/", {"role": "validator"}).status_code == 303
        )
        assert (
            client.post(f"/people/{alice.pk}/end-role/", {"role": "validator"}).status_code == 409
        )
        held = OrganisationRole.objects.get(user=alice)
        assert held.until is not None

    def test_roles_on_one_model_or_portfolio(self, admin: User) -> None:
        alice, client, model = f.make_user("alice"), client_of(admin), f.make_model()
        path = f"/people/{alice.pk}/grant-on/"
        for subject in (f"model.{model.pk}", f"portfolio.{model.portfolio_id}"):
            data = {"on-scoped_role": "validator", "on-subject": subject}
            assert client.post(path, data)["Location"] == f"/people/{alice.pk}/"
            again = client.post(path, data)
            assert again.status_code == 409
            assert "holds this role there already" in again.content.decode()
        unknown = {"on-scoped_role": "validator", "on-subject": f"model.{alice.pk}"}
        assert client.post(path, unknown).status_code == 400
        assert len(entries("registry.role.granted")) == 2
        assert client_of(alice).get(f"/models/{model.name}/").status_code == 200
        assert "Validator on" in client.get("/people/").content.decode()
        for grant in RoleGrant.objects.filter(user=alice):
            assert client.post(f"/grants/{grant.pk}/end/").status_code == 303
            assert client.post(f"/grants/{grant.pk}/end/").status_code == 409
        assert client_of(alice).get(f"/models/{model.name}/").status_code == 404
        assert len(entries("registry.role.ended")) == 2

    def test_nobody_grants_themselves_a_role_on_a_model(self, admin: User) -> None:
        model = f.make_model()
        data = {"on-scoped_role": "owner", "on-subject": f"model.{model.pk}"}
        answer = client_of(admin).post(f"/people/{admin.pk}/grant-on/", data)
        assert answer.status_code == 403
        assert not RoleGrant.objects.filter(user=admin).exists()

    def test_nobody_grants_a_role_to_themselves(self, admin: User) -> None:
        answer = client_of(admin).post(f"/people/{admin.pk}/grant-role/", {"role": "validator"})
        assert answer.status_code == 403
        assert not OrganisationRole.objects.filter(user=admin, role="validator").exists()

    def test_a_deactivated_person_is_out_at_once(self, admin: User) -> None:
        alice = f.make_user("alice", Role.DEVELOPER)
        hers = client_of(alice)
        assert hers.get("/").status_code == 200
        assert client_of(admin).post(f"/people/{alice.pk}/deactivate/").status_code == 303
        assert hers.get("/").status_code == 302
        assert client_of(admin).post(f"/people/{admin.pk}/deactivate/").status_code == 403

    def test_none_of_it_for_others(self, admin: User) -> None:
        client = client_of(f.make_user("rolf", Role.RISK_OFFICER))
        for path in (
            "/people/new-person/",
            "/people/new-service-account/",
            f"/people/{admin.pk}/grant-role/",
            f"/people/{admin.pk}/end-role/",
            f"/people/{admin.pk}/grant-on/",
            f"/grants/{admin.pk}/end/",
            f"/people/{admin.pk}/deactivate/",
            f"/people/{admin.pk}/token/",
        ):
            assert client.post(path, {}).status_code == 403, path


@pytest.mark.django_db
class TestAccount:
    def test_a_token_of_ones_own(self) -> None:
        alice = f.make_user("alice", Role.DEVELOPER)
        client = client_of(alice)
        data = {"name": "laptop", "scopes": ["read"], "expires": "2999-01-01"}
        late = client.post("/account/token/", data)
        assert late.status_code == 400
        assert 'id="id_expires-problem"' in late.content.decode()
        data["expires"] = (f.now() + helpers.DAY).date().isoformat()
        shown = client.post("/account/token/", data).content.decode()
        token = ApiToken.objects.get(user=alice)
        assert f"cs_{token.key}_" in shown
        assert f"cs_{token.key}_" not in client.get("/account/").content.decode()
        assert client.post(f"/account/tokens/{token.pk}/revoke/").status_code == 303
        assert client.post(f"/account/tokens/{token.pk}/revoke/").status_code == 409

    def test_another_persons_token_is_not_there(self) -> None:
        alice = f.make_user("alice")
        f.token_for(alice)
        path = f"/account/tokens/{ApiToken.objects.get().pk}/revoke/"
        assert client_of(f.make_user("root", Role.ADMINISTRATOR)).post(path).status_code == 404

    def test_changing_ones_password(self) -> None:
        alice = f.make_user("alice")
        client = client_of(alice)
        wrong = {"current": "no", "password": "another long enough phrase"}
        assert client.post("/account/password/", wrong).status_code == 400
        right = wrong | {"current": f.PASSWORD}
        assert client.post("/account/password/", right).status_code == 303
        assert client.get("/account/").status_code == 200
        alice.refresh_from_db()
        assert alice.check_password("another long enough phrase")
