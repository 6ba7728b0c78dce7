"""Whole cubes are for few eyes and can be erased; months are made of days; runs serve as references."""

import itertools
import json
import os
import re
import time
from datetime import timedelta

import pytest

from accounts.models import Role
from audit.models import Entry
from audit.writing import Refused
from kernel import canonical
from kernel.errors import Conflict, Invalid, NotFound, Unprocessable
from monitoring import executor, selectors, services, tasks
from monitoring.engine.kept import MOST_SECONDS
from monitoring.engine.results import Attachment
from monitoring.models import CheckRun, CubeErasure, Window
from registry.services import grant_role
from registry.store import open_blob, store
from tests import factories
from tests.monitoring import helpers
from tests.monitoring.engine.test_small_groups import FEW, beside

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1"


def finished(*, public: bytes | None = b'{"floor":11}', **told):
    run = helpers.request()
    cube = canonical.dumps({"run": str(run.pk)})
    result = helpers.outcome(kind=run.kind, cube=cube, public_cube=public, **told)
    return helpers.finish(run, result)


def _bearer(role):
    return {"headers": factories.bearer(factories.make_user(None, role))}


def validator():
    return factories.actor_of(factories.make_user(None, Role.VALIDATOR))


def administrator():
    return factories.actor_of(factories.make_user(None, Role.ADMINISTRATOR))


class TestErasure:
    def test_the_bytes_go_and_the_digest_and_the_public_part_stay(self):
        run = finished()
        erasure = services.erase_cube(run, reason="the law asks", actor=administrator())
        run.refresh_from_db()
        assert not store().has(run.cube_id)
        assert open_blob(selectors.open_cube(run)).read() == b'{"floor":11}'
        assert selectors.erasure_of(run) == erasure
        (entry,) = helpers.entries("monitoring.cube.erased", run.pk)
        assert entry.public["cube_digest"] == run.cube_id
        assert "law" not in json.dumps(entry.public)

    def test_the_scores_that_the_run_kept_go_with_it(self):
        run = finished(sandbox={"kept": ["a" * 64, "b" * 64]})
        services.shelf().mkdir(parents=True, exist_ok=True)
        files = {
            name: [services.shelf() / f"{name * 64}.{kind}" for kind in ("json", "parquet")]
            for name in "abc"
        }
        for one in itertools.chain(*files.values()):
            one.write_bytes(b"{}")
        services.erase_cube(run, reason="the law asks", actor=administrator())
        left = {name for name, both in files.items() if any(one.exists() for one in both)}
        assert left == {"c"}

    def test_scores_that_were_kept_long_enough_are_swept(self):
        services.shelf().mkdir(parents=True, exist_ok=True)
        for name, age in (("old", MOST_SECONDS + 60), ("new", 60)):
            for kind in ("json", "parquet"):
                file = services.shelf() / f"{name}.{kind}"
                file.write_bytes(b"{}")
                os.utime(file, (time.time() - age, time.time() - age))
        tasks.sweep()
        left = {one.stem for one in services.shelf().iterdir()}
        assert "new" in left
        assert "old" not in left

    def test_what_tells_of_single_rows_goes_with_it(self):
        rows = Attachment("rows.json", "application/json", b"[1]", restricted=True)
        chart = Attachment("chart.html", "text/html", b"<p>")
        run = finished(attachments=[rows, chart])
        blobs = {one.name: one.blob_id for one in run.attachments.all()}
        services.erase_cube(run, reason="the law asks", actor=administrator())
        assert not store().has(blobs["rows.json"])
        assert store().has(blobs["chart.html"])
        with pytest.raises(NotFound):
            services.read_restricted(run, "rows.json", actor=validator())

    def test_it_is_erased_once(self):
        run = finished()
        services.erase_cube(run, reason="asked", actor=administrator())
        with pytest.raises(Conflict) as caught:
            services.erase_cube(run, reason="asked", actor=administrator())
        assert caught.value.code == "erased"

    def test_what_holds_no_small_count_is_not_restricted(self):
        with pytest.raises(Conflict) as caught:
            services.erase_cube(finished(public=None), reason="x", actor=administrator())
        assert caught.value.code == "nothing_restricted"

    def test_a_reason_is_needed(self):
        with pytest.raises(Invalid) as caught:
            services.erase_cube(finished(), reason=" ", actor=administrator())
        assert caught.value.field == "reason"

    @pytest.mark.parametrize(
        "role", [role for role in Role if role is not Role.ADMINISTRATOR], ids=str
    )
    def test_nobody_else_erases(self, role):
        run = finished()
        actor = factories.actor_of(factories.make_user(None, role))
        with pytest.raises(Refused):
            services.erase_cube(run, reason="x", actor=actor)
        assert store().has(run.cube_id)
        assert not CubeErasure.objects.exists()

    def test_who_finds_it_again_has_it_again(self):
        of = helpers.version()
        data = helpers.dataset()
        first = helpers.request(of, data=data)
        same = helpers.outcome(kind=first.kind, public_cube=b"{}")
        helpers.finish(first, same)
        services.erase_cube(first, reason="x", actor=administrator())
        second = helpers.finish(helpers.request(of, data=data), same)
        assert selectors.erasure_of(first) is not None
        assert selectors.erasure_of(second) is None
        assert store().has(second.cube_id)


ROWS = Attachment("rows.json", "application/json", b"[1]", restricted=True)


class TestReading:
    @pytest.mark.parametrize("role", list(Role), ids=str)
    @pytest.mark.parametrize("name", ["cube-whole.json", "rows.json"])
    def test_who_reads_what_is_restricted_is_on_record(self, role, name):
        run = finished(attachments=[ROWS])
        actor = factories.actor_of(factories.make_user(None, role))
        if role in (Role.VALIDATOR, Role.RISK_OFFICER, Role.AUDITOR):
            found = services.read_restricted(run, name, actor=actor)
            (entry,) = helpers.entries("monitoring.cube.read", run.pk)
            assert entry.content["actor"]["ref"] == str(actor.pseudonym)
            assert (entry.public["file"], entry.public["digest"]) == (name, found.digest)
            assert entry.public["cube_digest"] == run.cube_id
            assert store().has(found.digest)
            assert not helpers.entries("audit.write.refused")
        else:
            with pytest.raises(Refused):
                services.read_restricted(run, name, actor=actor)
            (entry,) = helpers.entries("audit.write.refused")
            assert entry.public["operation"].endswith("read_restricted")
            assert not helpers.entries("monitoring.cube.read")

    def test_a_validator_of_this_model_alone_reads_it(self, client):
        run = finished()
        person = factories.make_user(None)
        grant_role(person, "validator", run.version.model, actor=administrator())
        path = f"{API}/check-runs/{run.pk}/cube/"
        assert client.get(path, headers=factories.bearer(person)).status_code == 200
        assert len(helpers.entries("monitoring.cube.read", run.pk)) == 1

    def test_pages_and_api_alike(self, client):
        run = finished(attachments=[ROWS])
        places = {
            name: (f"{API}/check-runs/{run.pk}/{told}/", f"/check-runs/{run.pk}/files/{name}")
            for name, told in (
                ("cube.json", "attachments/cube.json"),
                ("cube-whole.json", "cube"),
                ("rows.json", "attachments/rows.json"),
            )
        }
        for role, allowed in ((Role.AUDITOR, True), (Role.DEVELOPER, False)):
            person = factories.make_user(None, role)
            client.force_login(person)
            for name, (rest, page) in places.items():
                for path, more in ((rest, {"headers": factories.bearer(person)}), (page, {})):
                    told = client.get(path, **more)
                    public = name == "cube.json"
                    assert told.status_code == (200 if allowed or public else 403), path
        read = [one.public["file"] for one in helpers.entries("monitoring.cube.read", run.pk)]
        assert read == ["cube-whole.json", "cube-whole.json", "rows.json", "rows.json"]
        assert len(helpers.entries("audit.write.refused")) == 4

    def test_what_is_not_there_is_not_found_and_leaves_no_entry(self):
        run = finished()
        with pytest.raises(NotFound):
            services.read_restricted(run, "rows.json", actor=validator())
        services.erase_cube(run, reason="asked", actor=administrator())
        with pytest.raises(NotFound):
            services.read_restricted(run, actor=validator())
        assert not helpers.entries("monitoring.cube.read")


class TestApi:
    def test_everybody_gets_the_public_part_and_few_the_whole(self, client):
        run = finished()
        developer, auditor, root = (
            _bearer(role) for role in (Role.DEVELOPER, Role.AUDITOR, Role.ADMINISTRATOR)
        )
        path = f"{API}/check-runs/{run.pk}"
        shown = client.get(f"{path}/attachments/cube.json/", **developer)
        assert b"".join(shown.streaming_content) == b'{"floor":11}'
        assert client.get(f"{path}/cube/", **developer).status_code == 403
        whole = client.get(f"{path}/cube/", **auditor)
        assert canonical.sha256_hex(b"".join(whole.streaming_content)) == run.cube_id
        body = {"reason": "the law asks"}
        sent = {"data": body, "content_type": "application/json"}
        assert client.post(f"{path}/cube/erase/", **sent, **auditor).status_code == 403
        told = client.post(f"{path}/cube/erase/", **sent, **root)
        assert told.status_code == 201
        assert told.json()["cube_digest"] == run.cube_id
        assert client.get(f"{path}/cube/", **auditor).status_code == 404
        assert client.get(f"{path}/attachments/cube.json/", **developer).status_code == 200

    def test_a_month_is_asked_for_by_its_period(self, client):
        watch = _days(2)
        body = {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
        path = f"{API}/monitors/{watch.pk}/rollups/"
        developer = _bearer(Role.DEVELOPER)
        told = client.post(path, data=body, content_type="application/json", **developer)
        assert told.status_code == 201
        shown = told.json()
        assert shown["purpose"] == "rollup"
        assert shown["rollup_of"] == str(watch.pk)
        assert len(shown["made_of"]["cubes"]) == 2
        auditor = _bearer(Role.AUDITOR)
        refused = client.post(path, data=body, content_type="application/json", **auditor)
        assert refused.status_code == 403


def _days(count, **fields):
    watch = helpers.monitor(**fields)
    for day in range(count):
        executor.evaluate(watch, helpers.batch(watch, day))
    return watch


def _month(watch, **fields):
    known = {"since": helpers.START, "until": helpers.START + timedelta(days=31)}
    known |= {"actor": helpers.developer(), **fields}
    return services.roll_up(watch, **known)


class TestRollups:
    def test_a_month_is_its_days_without_their_rows(self):
        watch = _days(3)
        days = list(CheckRun.objects.filter(monitor=watch))
        for one in days:
            assert one.state == "succeeded", one.error
            store().remove(one.batch.blob_id)
        month = executor.execute(_month(watch).pk, beat=None)
        assert month.state == "succeeded", month.error
        assert month.rows == sum(one.rows for one in days)
        assert month.grade == "recomputed"
        made_of = {one["cube"] for one in month.made_of["cubes"]}
        assert made_of == {one.cube_id for one in days}
        whole = json.loads(open_blob(month.cube_id).read())
        assert set(whole["made_of"]) == made_of
        value = month.measurements.get(metric="accuracy", slice={}).value
        assert value == pytest.approx(0.9)
        (entry,) = helpers.entries("monitoring.rollup.requested", month.pk)
        assert entry.public["parts"] == 3
        assert not month.breaches.exists()
        assert month.version.revision == watch.version.revision

    def test_the_monitors_configuration_is_measured_of_the_sum(self):
        watch = _days(2, config={"estimate": True, "groupings": ["sex"]})
        month = executor.execute(_month(watch).pk, beat=None)
        assert month.state == "succeeded", month.error
        assert month.notes == []
        kept = month.measurements.get(metric="estimated_accuracy", slice={})
        assert (kept.grade, kept.n) == ("claimed", month.rows)
        assert month.measurements.filter(metric="accuracy", slice__has_key="sex").exists()

    def test_a_day_without_a_result_is_said(self):
        watch = _days(1)
        Window.objects.create(
            monitor=watch,
            start=helpers.START + timedelta(days=5),
            end=helpers.START + timedelta(days=6),
        )
        month = executor.execute(_month(watch).pk, beat=None)
        (note,) = [one for one in month.notes if one["code"] == "windows_left_out"]
        assert note["counts"] == {"windows": 1}

    def test_what_cannot_be_rolled_up_is_refused(self):
        watch = _days(1)
        with pytest.raises(Invalid):
            _month(watch, until=helpers.START)
        with pytest.raises(Unprocessable):
            _month(watch, since=helpers.START + timedelta(days=20))
        run = CheckRun.objects.get(monitor=watch)
        if run.public_cube_id is None:
            run.public_cube_id = run.cube_id
            run.save()
        services.erase_cube(run, reason="asked", actor=administrator())
        with pytest.raises(Unprocessable) as caught:
            _month(watch)
        assert caught.value.code == "erased"

    @pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR, Role.ADMINISTRATOR], ids=str)
    def test_who_asks_for_no_checks_rolls_nothing_up(self, role):
        watch = _days(1)
        with pytest.raises(Refused):
            _month(watch, actor=factories.actor_of(factories.make_user(None, role)))
        assert not CheckRun.objects.filter(purpose="rollup").exists()


class TestReferences:
    def _baseline(self, of=None, **fields):
        of = of or helpers.version()
        run = helpers.request(of, kind="data_quality", **fields)
        done = executor.execute(run.pk, beat=None)
        assert done.state == "succeeded", done.error
        return of, done

    def _told(self):
        """One that is only said to have measured: for what is refused before anything runs."""
        of = helpers.version()
        return of, helpers.finish(helpers.request(of, kind="data_quality"))

    def test_drift_compares_with_a_stored_run_whose_rows_are_gone(self):
        of, baseline = self._baseline()
        store().remove(baseline.dataset.blob_id)
        new = helpers.dataset(helpers.rows(seed=2))
        run = helpers.request(
            of, kind="drift", data=new, config={"reference_run": {"run": str(baseline.pk)}}
        )
        assert run.reference is None
        assert run.config["reference_run"] == {
            "run": str(baseline.pk),
            "side": "dataset",
            "cube": baseline.cube_id,
            "grade": baseline.grade,
        }
        done = executor.execute(run.pk, beat=None)
        assert done.state == "succeeded", done.error
        whole = json.loads(open_blob(done.cube_id).read())
        assert whole["reference_profile"] == {"digest": baseline.cube_id, "side": "dataset"}
        psi = done.measurements.get(metric="psi_deciles", slice={"feature": "x"})
        assert psi.value is not None

    def test_a_monitor_keeps_it(self):
        of, baseline = self._baseline()
        watch = helpers.monitor(
            of,
            kind="drift",
            limits=[
                {**helpers.LIMIT, "metric": "psi_deciles", "op": "<=", "slice": {"feature": "x"}}
            ],
            config={"reference_run": {"run": str(baseline.pk)}},
        )
        run = executor.evaluate(watch, helpers.batch(watch))
        assert run.state == "succeeded", run.error
        assert run.config["reference_run"]["cube"] == baseline.cube_id

    def test_over_rest_a_run_is_named_as_the_reference(self, client):
        of, baseline = self._told()
        body = {
            "kind": "drift",
            "dataset": helpers.dataset(helpers.rows(seed=3)).name,
            "reference_run": str(baseline.pk),
        }
        path = f"{API}/models/{of.model.name}/versions/{of.number}/checks/"
        bearer = _bearer(Role.DEVELOPER)
        told = client.post(path, data=body, content_type="application/json", **bearer)
        assert told.status_code == 201
        assert told.json()["config"]["reference_run"]["cube"] == baseline.cube_id
        body["config"] = {"reference_run": {"run": str(baseline.pk)}}
        twice = client.post(path, data=body, content_type="application/json", **bearer)
        assert twice.status_code == 400

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"run": "00000000-0000-7000-8000-000000000000"}, "config.reference_run.run"),
            ({"run": "x"}, "config.reference_run.run"),
            ({"side": "reference"}, "config.reference_run.side"),
            ({"side": "left"}, "config.reference_run.side"),
            ({"more": 1}, "config.reference_run.more"),
        ],
    )
    def test_a_run_that_cannot_serve_is_refused(self, change, field):
        of, baseline = self._told()
        told = {"run": str(baseline.pk), **change}
        with pytest.raises(Invalid) as caught:
            helpers.request(of, kind="drift", config={"reference_run": told})
        assert caught.value.field == field

    def test_only_runs_of_the_model_with_profiles_serve(self):
        of, baseline = self._told()
        asked = {"reference_run": {"run": str(baseline.pk)}}
        with pytest.raises(Invalid):
            helpers.request(kind="drift", config=asked)
        with pytest.raises(Invalid):
            helpers.request(of, kind="performance", config=asked)
        with pytest.raises(Invalid):
            helpers.request(of, kind="drift", config=asked, reference=helpers.dataset())
        with pytest.raises(Invalid):
            helpers.request(
                of,
                kind="drift",
                config={"reference_run": {"run": str(helpers.finish(helpers.request(of)).pk)}},
            )
        CheckRun.objects.filter(pk=baseline.pk).update(public_cube=baseline.cube)
        services.erase_cube(baseline, reason="asked", actor=administrator())
        with pytest.raises(Unprocessable):
            helpers.request(of, kind="drift", config=asked)


class TestSmallGroups:
    def test_nothing_that_a_run_leaves_in_the_open_counts_a_few_people(self, client):
        """What API, pages, files and the log say of a run with seven people of one group."""
        lines = helpers.rows(200).decode().splitlines()
        few = [line.replace(",F,", f",{FEW},") for line in lines[1:] if ",F," in line][:7]
        data = "\n".join([*lines, *few]).encode()
        run = helpers.request(
            kind="fairness",
            data=helpers.dataset(data),
            config={"grade": "recomputed", "conformance": True, "minimum": {"default": 1}},
        )
        run = executor.execute(run.pk, beat=None)
        assert run.state == "succeeded", run.error
        whole = json.loads(open_blob(run.cube_id).read())
        cells = whole["contingency"]["cells"]
        assert sum(cell[3] for cell in cells if cell[0] == [FEW]) == 7
        person = factories.make_user(None, Role.DEVELOPER)
        client.force_login(person)
        bearer = {"headers": factories.bearer(person)}
        path = f"{API}/check-runs/{run.pk}"
        told = [client.get(f"{path}{more}", **bearer).json() for more in ("/", "/measurements/")]
        for name in ("cube.json", "conformance.json"):
            file = client.get(f"{path}/attachments/{name}/", **bearer)
            told.append(json.loads(b"".join(file.streaming_content)))
        told += [one.content for one in Entry.objects.all()]
        for document in told:
            assert [one for one in beside(document, FEW) if one[1]] == []
        assert FEW in json.dumps(told)
        assert FEW not in json.dumps([one.content for one in Entry.objects.all()])
        page = client.get(f"/check-runs/{run.pk}/").content.decode()
        rows = [row for row in page.split("<tr") if FEW in row]
        assert rows
        for row in rows:
            cells = re.findall(r"<td[^>]*>\s*([^<]*?)\s*</td>", row)
            assert not [one for one in cells if one.isdecimal() and one != "0"], row
