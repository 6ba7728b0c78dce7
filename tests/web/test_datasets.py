"""Datasets on pages: found, looked at, and registered by their bytes, by their place, by their digest."""

import dataclasses
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Role
from kernel.buckets import Bucket
from kernel.canonical import sha256_hex
from registry.models import Dataset, DatasetUse
from registry.services import grant_role
from registry.sources import catalogue
from registry.store import store
from tests import factories as f
from tests import stores
from tests.governance.support import entries, refusals
from tests.monitoring import helpers
from tests.web.scene import client_of

pytestmark = pytest.mark.django_db
HOME = "/datasets/"
REGISTER = "/datasets/register/"
SECRET = "correct-horse-battery"


def record(way: str, **more: Any) -> dict[str, Any]:
    known = {
        "title": "Loans of 2026",
        "name": "loans-2026",
        "way": way,
        "contains_personal_data": "yes",
        "source": "The lending system",
    }
    return {**known, **more}


def unheard() -> bytes:
    """Bytes that no other test has put into the store."""
    return f.unique("a,b\n1,").encode() + b"\n" * 2_000


def file(data: bytes | None = None, name: str = "loans.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, helpers.rows() if data is None else data)


@pytest.fixture
def developer(db: None) -> Client:
    return client_of(f.make_user(None, Role.DEVELOPER))


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source with one table that is named, one schema of which any may be, and one query."""
    lake = tmp_path / "lake.duckdb"
    with duckdb.connect(str(lake)) as link:
        link.execute("CREATE TABLE loans AS SELECT range AS id, range % 2 AS paid FROM range(400)")
        link.execute("CREATE SCHEMA features")
        link.execute("CREATE TABLE features.ages AS SELECT range AS age FROM range(18, 90)")
    path = tmp_path / "sources.toml"
    path.write_text(
        f'[sources.lake]\ntitle = "The lake"\nurl = "duckdb:///{lake}"\n'
        'tables = ["loans", "features.*"]\n'
        '[sources.lake.queries]\npaid-loans = "SELECT * FROM loans WHERE paid = 1"\n'
        f'[sources.away]\nurl = "postgresql://reader:${{AWAY}}@127.0.0.1:1/x"\ntables = ["t"]\n'
    )
    monkeypatch.setenv(catalogue.VARIABLE, str(path))
    monkeypatch.setenv("AWAY", SECRET)
    return path


@pytest.fixture
def exports(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    place = stores.new_bucket(s3_url, "daily")
    known = dataclasses.replace(settings.COUNTERSIGN, buckets=(("exports", place),))
    monkeypatch.setattr(settings, "COUNTERSIGN", known)
    return Bucket(place)


def seen(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def registered(client: Client, data: dict[str, Any]) -> tuple[Dataset, str]:
    """The dataset that a form made, and the page that it led to."""
    answer = client.post(REGISTER, data)
    assert answer.status_code == 303, answer.content.decode()
    made = Dataset.objects.get(name=data["name"])
    assert answer["Location"] == f"{HOME}{made.pk}/"
    return made, seen(client, answer["Location"])


class TestRegistering:
    def test_a_file(self, developer: Client) -> None:
        made, page = registered(developer, record("file", file=file()))
        assert (made.digest, made.rows) == (sha256_hex(helpers.rows()), 400)
        assert (made.media_type, made.source) == ("text/csv", "The lending system")
        assert store().has(made.digest)
        assert "pins the bytes of the file" in page
        assert "outcome" in page, "its columns are listed"
        (entry,) = entries("registry.dataset.registered")
        assert entry.public["digest"] == made.digest
        assert "Loans of 2026" in seen(developer, HOME)

    def test_a_table_by_the_digest_of_its_rows(self, developer: Client, sources: Path) -> None:
        page = seen(developer, REGISTER)
        assert "lake (The lake, duckdb)" in page
        assert SECRET not in page
        assert "postgresql://" not in page
        assert "duckdb://" not in page
        made, page = registered(developer, record("relation", relation="lake|table|loans"))
        assert (made.digest_of, made.rows) == ("rows", 400)
        assert made.location == {"source": "lake", "table": "loans"}
        assert "Its digest pins the rows" in page
        assert "Table loans of source lake" in page

    def test_a_query_whose_rows_change(self, developer: Client, sources: Path) -> None:
        data = record("relation", relation="lake|query|paid-loans", changing="on")
        made, page = registered(developer, data)
        assert (made.digest_of, made.rows) == ("relation", None)
        assert set(made.location) == {"source", "query", "query_digest"}
        assert "and no row" in page
        assert made.location["query_digest"] in page
        data = record("relation", relation="lake|query|paid-loans", name="paid-loans")
        pinned, _ = registered(developer, data)
        assert (pinned.digest_of, pinned.rows) == ("rows", 200)
        sources.write_text('[sources.other]\nurl = "duckdb:///x"\n')
        page = seen(developer, f"{HOME}{made.pk}/")
        assert "No check can read it" in page

    def test_any_table_of_a_schema_by_its_name(self, developer: Client, sources: Path) -> None:
        data = record("relation", relation="lake|table|features.*")
        without = developer.post(REGISTER, data)
        assert without.status_code == 400
        assert 'id="id_table-problem"' in without.content.decode()
        for table in ("loans; DROP TABLE loans", "secret.loans", "features.nothing"):
            answer = developer.post(REGISTER, data | {"table": table})
            assert answer.status_code == 400
            assert 'id="id_table-problem"' in answer.content.decode(), table
            assert f'value="{table}"' in answer.content.decode()
        made, _ = registered(developer, data | {"table": "features.ages"})
        assert made.rows == 72

    def test_an_object_of_a_bucket(self, developer: Client, exports: Bucket) -> None:
        data_there = unheard()
        exports.put_new("2026/loans.csv", data_there)
        data = record("object", bucket="exports", key="2026/loans.csv")
        for key in ("2026/nothing.csv", "../loans.csv"):
            answer = developer.post(REGISTER, data | {"key": key})
            assert answer.status_code == 400
            assert 'id="id_key-problem"' in answer.content.decode(), key
            assert "Loans of 2026" in answer.content.decode()
        made, page = registered(developer, data)
        assert made.digest == sha256_hex(data_there)
        assert [one["name"] for one in made.columns] == ["a", "b"]
        assert "2026/loans.csv in bucket exports" in page
        assert not store().has(made.digest)

    def test_a_digest_first_and_the_bytes_later(self, developer: Client) -> None:
        digest = sha256_hex(helpers.rows())
        data = record("digest", digest=f"sha256:{digest}", media_type="text/csv")
        made, page = registered(developer, data)
        assert "Only its digest is on record" in page
        path = f"{HOME}{made.pk}/content/"
        assert f'action="{path}"' in page
        other = developer.post(path, {"file": file(b"a,b\n1,2\n")})
        assert other.status_code == 422
        assert "and the dataset is" in other.content.decode()
        nothing = developer.post(path, {})
        assert nothing.status_code == 400
        assert "Choose a file" in nothing.content.decode()
        auditor = client_of(f.make_user(None, Role.AUDITOR))
        assert path not in seen(auditor, f"{HOME}{made.pk}/")
        assert auditor.post(path, {"file": file()}).status_code == 403
        assert developer.post(path, {"file": file()})["Location"] == f"{HOME}{made.pk}/"
        made.refresh_from_db()
        assert (made.blob_id, made.rows) == (digest, 400)
        assert path not in seen(developer, f"{HOME}{made.pk}/")

    def test_what_it_was_made_from(self, developer: Client) -> None:
        parent = f.make_dataset("census", title="The census")
        data = record("digest", digest=f.digest_of("child")) | {"made-0-dataset": str(parent.pk)}
        unsaid = developer.post(REGISTER, data)
        assert unsaid.status_code == 400
        assert 'id="id_made-0-transformation-problem"' in unsaid.content.decode()
        data["made-0-transformation"] = "Adults alone"
        data |= {"made-1-dataset": str(parent.pk), "made-1-transformation": "Twice"}
        twice = developer.post(REGISTER, data)
        assert twice.status_code == 400
        assert 'id="id_made-1-dataset-problem"' in twice.content.decode()
        made, page = registered(
            developer, {**data, "made-1-dataset": "", "made-1-transformation": ""}
        )
        assert "Adults alone" in page
        assert "Loans of 2026" in seen(developer, f"{HOME}{parent.pk}/")
        assert made.sources.get().parent == parent


class TestRefused:
    @pytest.mark.parametrize(
        ("way", "changes", "status", "field"),
        [
            ("file", {}, 400, "file"),
            ("file", {"file": b""}, 400, "file"),
            ("file", {"file": b"\x00\x01 no text"}, 422, "file"),
            ("file", {"file": b"a,b\n1,2\n", "digest": "0" * 64}, 422, "digest"),
            ("digest", {}, 400, "digest"),
            ("digest", {"digest": "abc"}, 400, "digest"),
            ("digest", {"digest": "0" * 64, "name": "Loans!"}, 400, "name"),
            ("digest", {"digest": "0" * 64, "title": ""}, 400, "title"),
            ("digest", {"digest": "0" * 64, "contains_personal_data": ""}, 400,
             "contains_personal_data"),
            ("digest", {"digest": "0" * 64, "collected_from": "2026-02-01",
                        "collected_until": "2026-01-01"}, 400, "collected_until"),
            ("object", {"bucket": "exports", "key": "x"}, 400, "way"),
            ("relation", {}, 400, "relation"),
            ("relation", {"relation": "http://evil/|table|x"}, 400, "relation"),
            ("relation", {"relation": "away|table|t"}, 503, "relation"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_stands_at_its_field_and_the_words_stay(
        self,
        developer: Client,
        sources: Path,
        way: str,
        changes: dict[str, Any],
        status: int,
        field: str,
    ) -> None:
        data = record(way, **changes)
        if isinstance(data.get("file"), bytes):
            data["file"] = file(data["file"])
        answer = developer.post(REGISTER, data)
        page = answer.content.decode()
        assert answer.status_code == status
        where = f'id="id_{field}-problem"'
        assert where in page or (field == "relation" and status == 503)
        assert "The lending system" in page
        assert SECRET not in page
        assert not Dataset.objects.exists()

    def test_a_name_or_data_that_are_there_already(self, developer: Client) -> None:
        f.make_dataset("loans-2026", digest=f.digest_of("a"))
        same_name = developer.post(REGISTER, record("digest", digest=f.digest_of("b")))
        assert same_name.status_code == 409
        assert 'id="id_name-problem"' in same_name.content.decode()
        data = record("digest", digest=f.digest_of("a"), name="others")
        same_data = developer.post(REGISTER, data)
        assert same_data.status_code == 409
        assert "is registered as loans-2026 already" in same_data.content.decode()

    def test_a_file_that_is_too_large_is_not_kept_and_the_words_are(
        self, developer: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known = dataclasses.replace(settings.COUNTERSIGN, max_artifact_bytes=1_000)
        monkeypatch.setattr(settings, "COUNTERSIGN", known)
        data = unheard()
        answer = developer.post(REGISTER, record("file", file=file(data)))
        page = answer.content.decode()
        assert answer.status_code == 413
        assert "more than 1000 bytes" in page
        assert "The lending system" in page
        assert not store().has(sha256_hex(data))

    @pytest.mark.parametrize(
        "role",
        [role for role in Role if role not in (Role.DEVELOPER, Role.OWNER, Role.VALIDATOR)],
        ids=str,
    )
    def test_who_may_not_register_sends_no_byte_and_sees_no_source(
        self, sources: Path, role: Role
    ) -> None:
        client = client_of(f.make_user(None, role))
        assert REGISTER not in seen(client, HOME)
        page = seen(client, REGISTER)
        assert "You cannot register one" in page
        assert "lake" not in page
        data = unheard()
        answer = client.post(REGISTER, record("file", file=file(data)))
        assert answer.status_code == 403
        assert "The lending system" in answer.content.decode()
        assert refusals() == ["not_permitted"]
        assert not store().has(sha256_hex(data))
        assert not Dataset.objects.exists()

    def test_a_stranger_signs_in_first_and_finds_the_words_again(self) -> None:
        f.make_user("dora", Role.DEVELOPER)
        client = Client()
        data = unheard()
        answer = client.post(REGISTER, record("file", file=file(data)))
        assert answer["Location"] == f"/sign-in/?next={REGISTER}"
        assert not store().has(sha256_hex(data))
        client.post("/sign-in/", {"username": "dora", "password": f.PASSWORD, "next": REGISTER})
        assert "The lending system" in seen(client, REGISTER)

    def test_a_forged_request_is_refused(self) -> None:
        user = f.make_user(None, Role.DEVELOPER)
        client = Client(enforce_csrf_checks=True)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        data = record("digest", digest=f.digest_of("a"))
        assert client.post(REGISTER, data).status_code == 403
        assert not Dataset.objects.exists()
        page = client.get(REGISTER).content.decode()
        token = page.split('name="csrfmiddlewaretoken" value="')[-1].split('"')[0]
        answer = client.post(REGISTER, data | {"csrfmiddlewaretoken": token})
        assert answer.status_code == 303
        made = Dataset.objects.get()
        assert client.post(f"{HOME}{made.pk}/content/", {"file": file()}).status_code == 403


class TestReading:
    def test_who_has_a_role_on_one_model_registers_by_it_and_sees_its_data_alone(self) -> None:
        version = f.make_version()
        used, other = f.make_dataset(title="Used here"), f.make_dataset(title="Used elsewhere")
        DatasetUse.objects.create(version=version, dataset=used, purpose="training")
        DatasetUse.objects.create(version=f.make_version(), dataset=other, purpose="test")
        alice = f.make_user("alice")
        admin = f.make_user(None, Role.ADMINISTRATOR)
        client = client_of(alice)
        assert client.post(REGISTER, record("digest", digest=f.digest_of("a"))).status_code == 403
        grant_role(alice, Role.DEVELOPER, version.model, actor=f.actor_of(admin))
        client = client_of(alice)
        page = seen(client, HOME)
        assert "Used here" in page
        assert "Used elsewhere" not in page
        assert "for training" in seen(client, f"{HOME}{used.pk}/")
        assert client.get(f"{HOME}{other.pk}/").status_code == 404
        assert client.post(f"{HOME}{other.pk}/content/", {"file": file()}).status_code == 404
        registered(client, record("digest", digest=f.digest_of("a")))

    def test_an_outsider_and_a_stranger(self) -> None:
        made = f.make_dataset(title="Secret loans")
        outsider = client_of(f.make_user(None))
        assert "Secret loans" not in seen(outsider, HOME)
        assert outsider.get(f"{HOME}{made.pk}/").status_code == 404
        for path in (HOME, REGISTER, f"{HOME}{made.pk}/"):
            assert Client().get(path)["Location"].startswith("/sign-in/")
        assert "No dataset is registered yet" in seen(outsider, HOME)

    def test_filters_and_pages(self, developer: Client) -> None:
        for number in range(26):
            f.make_dataset(f"loans-{number:02}", title=f"Loans {number:02}")
        helpers.dataset(name="sent", title="Sent here")
        page = seen(developer, HOME)
        assert "Page 1 of 2" in page
        assert "Loans 00" in seen(developer, f"{HOME}?page=2")
        page = seen(developer, f"{HOME}?where=uploaded")
        assert "Sent here" in page
        assert "Loans 2" not in page
        assert "Sent here" not in seen(developer, f"{HOME}?where=digest&page=2")
        assert "Loans 07" in seen(developer, f"{HOME}?q=loans-07")
        assert "No dataset matches" in seen(developer, f"{HOME}?q=nothing")
        assert "No dataset matches" in seen(developer, f"{HOME}?where=source")
        assert "Page 1 of 2" in seen(developer, f"{HOME}?where=nonsense")

    def test_its_checks_say_which_rows(self, developer: Client) -> None:
        data = helpers.dataset()
        filters = [{"column": "sex", "equals": "F"}, {"column": "x", "least": 0.1, "below": 0.9}]
        helpers.request(data=data, config={"filters": filters})
        page = seen(developer, f"{HOME}{data.pk}/")
        assert "sex = F, x from 0.1 below 0.9" in page

    def test_many_columns_are_paged_apart_from_the_checks(self, developer: Client) -> None:
        columns = [{"name": f"c{number:03}", "type": "int64"} for number in range(150)]
        data = f.make_dataset()
        Dataset.objects.filter(pk=data.pk).update(columns=columns)
        page = seen(developer, f"{HOME}{data.pk}/")
        assert "c099" in page
        assert "c100" not in page
        assert 'href="?columns=2"' in page
        assert "c149" in seen(developer, f"{HOME}{data.pk}/?columns=2")

    def test_a_longer_list_asks_the_database_no_more(self, developer: Client) -> None:
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                seen(developer, HOME)
            return len(queries)

        helpers.dataset()
        before = count()
        for _ in range(9):
            f.make_dataset()
        assert count() <= before <= 15
