"""Waivers, suspensions, incidents and findings: who may, what is on record, what the gate makes of it."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts.models import Role
from audit.writing import Refused, RefusedConflict
from governance import situations
from governance.models import Finding, Incident, Suspension, Waiver
from governance.services import findings, incidents, suspensions, waivers
from kernel.errors import Conflict, Invalid
from kernel.moments import now, rfc3339
from registry import services
from tests import factories
from tests.governance import world as worlds

pytestmark = pytest.mark.django_db
actor_of = factories.actor_of


@pytest.fixture
def world():
    made = worlds.make_world()
    worlds.approve(made)
    made.refresh()
    return made


def post(user, path, body=None):
    return Client().post(
        f"/api/v1/{path}",
        body or {},
        content_type="application/json",
        headers=factories.bearer(user),
    )


def decision(world) -> dict:
    return (
        Client()
        .post(
            "/api/v1/gate/decisions/",
            world.question(),
            content_type="application/json",
            headers=world.headers,
        )
        .json()
    )


class TestWaivers:
    @pytest.fixture
    def world(self):
        """The policy wants a test report, and there is none."""
        made = worlds.make_world(evidence="block")
        worlds.approve(made)
        made.refresh()
        return made

    def request(self, world, **changes):
        asked = {
            "controls": ["evidence-kept"],
            "reason": "the report comes on Monday",
            "compensating_control": "every case is read by a person",
            "ends_at": now() + timedelta(days=3),
            **changes,
        }
        place = {"use": world.use, "environment": world.environment}
        return waivers.request_waiver(
            world.version, **place, **asked, actor=actor_of(world.developer)
        )

    def test_it_counts_once_a_second_person_agreed_until_its_end(self, world):
        assert decision(world)["decision"] == "deny"
        waiver = self.request(world)
        assert decision(world)["decision"] == "deny"
        waivers.grant_waiver(waiver, actor=actor_of(world.risk_officer))
        allowed = decision(world)
        assert allowed["decision"] == "allow"
        assert allowed["waivers"] == [str(waiver.pk)]
        statuses = {one["control"]: one["status"] for one in allowed["reasons"]}
        assert statuses["evidence-kept"] == "waived"
        waivers.end_waiver(waiver, actor=actor_of(world.risk_officer))
        assert decision(world)["decision"] == "deny"

    def test_the_allow_does_not_outlive_it(self, world):
        waiver = self.request(world, ends_at=now() + timedelta(minutes=10))
        waivers.grant_waiver(waiver, actor=actor_of(world.risk_officer))
        assert decision(world)["not_after"] == rfc3339(waiver.ends_at)

    def test_each_step_is_on_record_and_texts_are_not_public(self, world):
        waiver = self.request(world)
        waivers.grant_waiver(waiver, actor=actor_of(world.risk_officer))
        waivers.end_waiver(waiver, actor=actor_of(world.risk_officer))
        waivers.end_waiver(self.request(world), actor=actor_of(world.risk_officer))
        found = worlds.entries(
            *[f"governance.waiver.{what}" for what in ("requested", "granted", "ended", "refused")]
        )
        assert [entry.type.rpartition(".")[2] for entry in found] == [
            "requested",
            "granted",
            "ended",
            "requested",
            "refused",
        ]
        assert "Monday" not in str(found[0].content)
        assert found[0].public["controls"] == ["evidence-kept"]

    def test_nobody_grants_their_own(self, world):
        both = factories.make_user(None, Role.DEVELOPER, Role.RISK_OFFICER)
        world.developer = both
        waiver = self.request(world)
        with pytest.raises(RefusedConflict) as error:
            waivers.grant_waiver(waiver, actor=actor_of(both))
        assert error.value.code == "second_person"
        assert Waiver.objects.get().granted_at is None

    def test_not_twice_nor_after_its_end(self, world):
        risk = actor_of(world.risk_officer)
        waiver = self.request(world)
        waivers.grant_waiver(waiver, actor=risk)
        with pytest.raises(RefusedConflict):
            waivers.grant_waiver(waiver, actor=risk)
        waivers.end_waiver(waiver, actor=risk)
        with pytest.raises(RefusedConflict):
            waivers.end_waiver(waiver, actor=risk)
        with pytest.raises(RefusedConflict):
            waivers.grant_waiver(waiver, actor=risk)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"controls": []}, "controls"),
            ({"controls": ["no-such"]}, "controls[0]"),
            ({"controls": ["gate.approved"]}, "controls[0]"),
            ({"controls": ["artifact-pinned"]}, "controls[0]"),
            ({"reason": " "}, "reason"),
            ({"compensating_control": ""}, "compensating_control"),
            ({"ends_at": now() - timedelta(days=1)}, "ends_at"),
            ({"ends_at": now() + timedelta(days=40)}, "ends_at"),
        ],
    )
    def test_what_cannot_be_asked_for(self, world, changes, field):
        with pytest.raises(Invalid) as error:
            self.request(world, **changes)
        assert error.value.field == field
        assert Waiver.objects.count() == 0

    def test_where_no_policy_governs_there_is_nothing_to_waive(self, world):
        world.policy.policy.bindings.update(until=now())
        with pytest.raises(Conflict):
            self.request(world)

    def stricter(self, world):
        """The next revision of the policy lets the control never be waived."""
        source = worlds.SOURCE.format(name=world.policy.policy.name, evidence="block")
        source = source.replace("never: [artifact-pinned]", "never: [evidence-kept]")
        terms = {"transition": "next_review"} if world.version.approvals.exists() else {}
        world.policy = worlds.publish(world.policy.policy, source=source, **terms)

    def test_none_is_granted_for_what_the_policy_lets_be_waived_no_more(self, world):
        waiver = self.request(world)
        self.stricter(world)
        with pytest.raises(RefusedConflict) as error:
            waivers.grant_waiver(waiver, actor=actor_of(world.risk_officer))
        assert error.value.code == "not_waivable"

    def test_a_granted_one_covers_nothing_that_the_judging_policy_never_waives(self, world):
        waivers.grant_waiver(self.request(world), actor=actor_of(world.risk_officer))
        self.stricter(world)
        # The approval was given under the older revision, which still counts, its terms with it.
        assert decision(world)["decision"] == "allow"
        services.reopen_version(world.version, reason="new facts", actor=actor_of(world.owner))
        worlds.approve(world)
        after = decision(world)
        statuses = {one["control"]: one["status"] for one in after["reasons"]}
        assert (after["decision"], statuses["evidence-kept"]) == ("deny", "insufficient")
        review = world.version.reviews.order_by("-submitted_at").first()
        judged = {one.control: one.status.value for one in situations.judged(review, now())}
        assert judged["evidence-kept"] == "insufficient"

    def test_over_rest(self, world):
        body = {
            **world.names,
            "controls": ["evidence-kept"],
            "reason": "r",
            "compensating_control": "c",
            "ends_at": rfc3339(now() + timedelta(days=2)),
        }
        made = post(world.developer, "waivers/", body)
        assert made.status_code == 201
        path = f"waivers/{made.json()['id']}"
        assert post(world.developer, f"{path}/grant/").status_code == 403
        granted = post(world.risk_officer, f"{path}/grant/")
        assert granted.json()["granted_by"] == world.risk_officer.username
        assert post(world.risk_officer, f"{path}/end/").json()["ended_at"]
        assert post(world.developer, "waivers/", {**body, "oops": 1}).status_code == 400
        listed = Client().get("/api/v1/waivers/", headers=world.headers).json()["results"]
        assert len(listed) == 1

    @pytest.mark.parametrize(
        "role", [Role.AUDITOR, Role.OPERATOR, Role.VALIDATOR, Role.ADMINISTRATOR]
    )
    def test_who_may_neither_ask_nor_grant(self, world, role):
        waiver = self.request(world)
        person = factories.make_user(None, role)
        world.developer = person
        with pytest.raises(Refused):
            self.request(world)
        with pytest.raises(Refused):
            waivers.grant_waiver(waiver, actor=actor_of(person))
        with pytest.raises(Refused):
            waivers.end_waiver(waiver, actor=actor_of(person))
        assert len(worlds.entries("audit.write.refused")) == 3


class TestSuspensions:
    def suspend(self, world, by=None, **changes):
        asked = {"effect": "stop", "reason": "complaints", **changes}
        place = {"use": world.use, "environment": world.environment}
        return suspensions.suspend(
            world.version, **place, **asked, actor=actor_of(by or world.operator)
        )

    def test_suspended_and_lifted(self, world):
        row = self.suspend(world)
        assert decision(world)["standing"] == "suspended"
        lifted = suspensions.lift(row, reason="mended", actor=actor_of(world.risk_officer))
        assert decision(world)["decision"] == "allow"
        started, ended = worlds.entries(
            "governance.suspension.started", "governance.suspension.lifted"
        )
        assert (started.at, ended.at) == (row.since, lifted.until)
        assert "complaints" not in str(started.content)
        with pytest.raises(Conflict):
            suspensions.lift(row, reason="again", actor=actor_of(world.risk_officer))

    def test_one_of_two_lifted_leaves_it_suspended(self, world):
        row = self.suspend(world)
        self.suspend(world)
        suspensions.lift(row, reason="mended", actor=actor_of(world.risk_officer))
        assert decision(world)["standing"] == "suspended"

    @pytest.mark.parametrize(
        ("changes", "field"), [({"effect": "shrug"}, "effect"), ({"reason": ""}, "reason")]
    )
    def test_wrong_input(self, world, changes, field):
        with pytest.raises(Invalid) as error:
            self.suspend(world, **changes)
        assert error.value.field == field

    def test_the_use_of_another_model(self, world):
        world.use = factories.default_use(factories.make_model())
        with pytest.raises(Invalid) as error:
            self.suspend(world)
        assert error.value.field == "use"

    @pytest.mark.parametrize(
        "role", [Role.DEVELOPER, Role.AUDITOR, Role.VALIDATOR, Role.ADMINISTRATOR]
    )
    def test_who_may_not(self, world, role):
        person = factories.make_user(None, role)
        with pytest.raises(Refused):
            self.suspend(world, by=person)
        row = self.suspend(world)
        with pytest.raises(Refused):
            suspensions.lift(row, reason="x", actor=actor_of(person))
        with pytest.raises(Refused):
            suspensions.lift(row, reason="x", actor=actor_of(world.operator))
        assert Suspension.objects.get().until is None

    def test_over_rest(self, world):
        body = {**world.names, "effect": "fall_back", "reason": "harm"}
        made = post(world.operator, "suspensions/", body)
        assert made.status_code == 201
        assert made.json()["until"] is None
        path = f"suspensions/{made.json()['id']}/lift/"
        assert post(world.operator, path, {"reason": "ok"}).status_code == 403
        assert post(world.risk_officer, path).status_code == 400
        assert post(world.risk_officer, path, {"reason": "ok"}).json()["lift_reason"] == "ok"
        assert post(world.pipeline, "suspensions/", body).status_code == 403
        outsider = factories.bearer(factories.make_service_account())
        gone = Client().get(f"/api/v1/suspensions/{made.json()['id']}/", headers=outsider)
        assert gone.status_code == 404
        open_ = Client().get("/api/v1/suspensions/?open=true", headers=world.headers)
        assert open_.json()["results"] == []


class TestIncidents:
    def open(self, world, by=None):
        return incidents.open_incident(
            world.version,
            use=world.use,
            environment=world.environment,
            summary="people were turned away",
            actor=actor_of(by or world.operator),
        )

    def test_from_suspected_to_closed(self, world):
        row = self.open(world)
        assert (row.state, row.aware_at) == ("suspected", None)
        aware = now() - timedelta(hours=2)
        owner = actor_of(world.owner)
        row = incidents.classify(row, incident_class="serious", aware_at=aware, actor=owner)
        assert (row.state, row.aware_at, row.classified_by) == ("confirmed", aware, world.owner)
        row = incidents.close(row, conclusion="mended and told", actor=owner)
        assert row.state == "closed"
        with pytest.raises(RefusedConflict):
            incidents.classify(row, incident_class="serious", aware_at=aware, actor=owner)
        assert [
            entry.type.rpartition(".")[2]
            for entry in worlds.entries(
                *[f"governance.incident.{what}" for what in ("opened", "classified", "closed")]
            )
        ] == ["opened", "classified", "closed"]

    def test_dismissed(self, world):
        row = incidents.dismiss(
            self.open(world), reason="a test", actor=actor_of(world.risk_officer)
        )
        assert row.state == "dismissed"
        assert len(worlds.entries("governance.incident.dismissed")) == 1
        for step in (
            lambda: incidents.dismiss(row, reason="x", actor=actor_of(world.owner)),
            lambda: incidents.close(row, conclusion="x", actor=actor_of(world.owner)),
        ):
            with pytest.raises(RefusedConflict):
                step()

    def test_awareness_lies_not_in_the_future(self, world):
        with pytest.raises(Invalid) as error:
            incidents.classify(
                self.open(world),
                incident_class="serious",
                aware_at=now() + timedelta(hours=1),
                actor=actor_of(world.owner),
            )
        assert error.value.field == "aware_at"

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.AUDITOR, Role.ADMINISTRATOR])
    def test_who_may_not(self, world, role):
        person = factories.make_user(None, role)
        row = self.open(world)
        with pytest.raises(Refused):
            self.open(world, by=person)
        for step in (
            lambda: incidents.dismiss(row, reason="x", actor=actor_of(person)),
            lambda: incidents.classify(
                row, incident_class="serious", aware_at=now(), actor=actor_of(person)
            ),
            lambda: incidents.dismiss(row, reason="x", actor=actor_of(world.operator)),
        ):
            with pytest.raises(Refused):
                step()
        assert Incident.objects.get().state == "suspected"

    def test_over_rest(self, world):
        made = post(world.operator, "incidents/", {**world.names, "summary": "harm"})
        assert made.status_code == 201
        path = f"incidents/{made.json()['id']}"
        wrong = {"incident_class": "serious", "aware_at": "yesterday"}
        assert post(world.owner, f"{path}/classify/", wrong).status_code == 400
        right = {"incident_class": "serious", "aware_at": rfc3339(now())}
        assert post(world.operator, f"{path}/classify/", right).status_code == 403
        assert post(world.owner, f"{path}/classify/", right).json()["state"] == "confirmed"
        closed = post(world.owner, f"{path}/close/", {"conclusion": "mended"})
        assert closed.json()["conclusion"] == "mended"
        assert post(world.owner, f"{path}/dismiss/", {"reason": "x"}).status_code == 409


class TestFindings:
    def test_open_closes_the_gate_and_closed_opens_it(self, world):
        owner = actor_of(world.owner)
        row = findings.open_finding(
            world.version, title="Leak", detail="label", severity="high", actor=owner
        )
        assert decision(world)["decision"] == "deny"
        findings.close_finding(row, closure="removed", actor=owner)
        assert decision(world)["decision"] == "allow"
        opened, closed = worlds.entries("governance.finding.opened", "governance.finding.closed")
        assert "Leak" not in str(opened.content)
        assert closed.public["severity"] == "high"
        with pytest.raises(Conflict):
            findings.close_finding(row, closure="again", actor=owner)

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.AUDITOR, Role.OPERATOR])
    def test_who_may_not(self, world, role):
        person = factories.make_user(None, role)
        body = {"model": world.version.model.name, "version": 1, "title": "t", "detail": "d"}
        response = post(person, "findings/", {**body, "severity": "low"})
        assert response.status_code == 403
        assert Finding.objects.count() == 0

    def test_over_rest(self, world):
        body = {
            "model": world.version.model.name,
            "version": 1,
            "title": "Leak",
            "detail": "d",
            "severity": "high",
            "owner": world.owner.username,
            "due_at": "2099-01-31",
        }
        made = post(world.owner, "findings/", body)
        assert made.status_code == 201
        assert made.json()["due_at"].startswith("2099-01-31T23:59:59")
        assert post(world.owner, "findings/", {**body, "owner": "nobody"}).status_code == 400
        closed = post(world.owner, f"findings/{made.json()['id']}/close/", {"closure": "done"})
        assert closed.json()["closed_by"] == world.owner.username
