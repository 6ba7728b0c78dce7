"""Data that stays where it is: registered by names that the operator gave, audited without secrets."""

import dataclasses
import json
import tracemalloc

import psycopg
import pytest
from django.conf import settings
from django.test import Client

from accounts.models import Role
from audit.models import Entry, PrivatePayload
from kernel.buckets import Bucket
from kernel.canonical import sha256_hex
from kernel.conf import ConfigurationError
from kernel.errors import Unavailable
from monitoring.executor import execute
from monitoring.models import CheckRun
from registry import selectors, services
from registry.checks import sources_can_be_read
from registry.models import Dataset
from registry.sources import catalogue
from registry.store import CHUNK, put
from tests import factories as f
from tests import stores
from tests.monitoring import helpers
from tests.registry.support import fields_of, last

pytestmark = pytest.mark.django_db
API = "/api/v1/"
PASSWORD = "correct-horse-battery"


class Caller:
    def __init__(self, *roles):
        self.user = f.make_user(None, *roles)
        self.headers = f.bearer(self.user)

    def post(self, path, body):
        return Client().post(f"{API}{path}", body, "application/json", headers=self.headers)

    def get(self, path):
        return Client().get(f"{API}{path}", headers=self.headers)


@pytest.fixture
def developer():
    return Caller(Role.DEVELOPER)


@pytest.fixture(scope="module")
def database(postgres_server):
    url = postgres_server.create("locations")
    with psycopg.connect(url, autocommit=True) as link:
        link.execute("CREATE SCHEMA scoring")
        link.execute(
            "CREATE TABLE scoring.loans (outcome int, decision int, score float8, sex text, x float8)"
        )
        lines = helpers.rows().decode().splitlines()[1:]
        with link.cursor().copy("COPY scoring.loans FROM STDIN (FORMAT csv)") as copy:
            copy.write("\n".join(lines))
    return url


@pytest.fixture
def sources(database, tmp_path, monkeypatch):
    # The tests' server asks for no password; that one is sent shows that the secret is put in.
    url = database.replace("postgres@", "postgres:${WAREHOUSE_PASSWORD}@")
    path = tmp_path / "sources.toml"
    path.write_text(
        f'[sources.warehouse]\ntitle = "Loans"\nurl = "{url}"\ntables = ["scoring.loans"]\n'
        "[sources.warehouse.queries]\nwomen = \"SELECT * FROM scoring.loans WHERE sex = 'F'\"\n"
    )
    monkeypatch.setenv(catalogue.VARIABLE, str(path))
    monkeypatch.setenv("WAREHOUSE_PASSWORD", PASSWORD)
    return path


def body(location, **more):
    return {
        "name": "loans",
        "title": "Loans",
        "contains_personal_data": True,
        "location": location,
        **more,
    }


TABLE = {"source": "warehouse", "table": "scoring.loans"}


def test_a_table_is_registered_by_the_digest_of_its_rows(developer, sources):
    answer = developer.post("datasets/", body(TABLE))
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["digest_of"], told["rows"], told["stored"]) == ("rows", 400, False)
    assert told["location"] == TABLE
    assert {"name": "outcome", "type": "integer"} in told["columns"]
    entry = last("registry.dataset.registered")
    assert entry.public["digest"] == told["digest"]
    assert entry.public["digest_of"] == "rows"
    assert len(entry.public["location_digest"]) == 64
    assert "warehouse" not in json.dumps(entry.public)
    payloads = b"".join(bytes(one) for one in PrivatePayload.objects.values_list("data", flat=True))
    leaves = b"".join(bytes(one) for one in Entry.objects.values_list("leaf", flat=True))
    for where in (payloads.decode(), leaves.decode(), answer.content.decode()):
        assert PASSWORD not in where
        assert "postgresql://" not in where


def test_a_check_counts_the_table_and_its_bytes_come_nowhere(developer, sources, tmp_path):
    assert developer.post("datasets/", body(TABLE)).status_code == 201
    data = Dataset.objects.get(name="loans")
    run = execute(helpers.request(data=data).pk, beat=None)
    assert run.state == CheckRun.State.SUCCEEDED, run.error
    assert (run.engine, run.grade, run.rows) == ("postgresql", "recomputed", 400)
    uploaded = execute(helpers.request(run.version, data=helpers.dataset()).pk, beat=None)
    figures = [
        sorted((one.metric, str(one.slice), one.value) for one in each.measurements.all())
        for each in (run, uploaded)
    ]
    assert figures[0] == figures[1]


def test_rows_that_changed_fail_the_run_with_the_reason(developer, sources):
    digest = f.digest_of("other rows")
    assert developer.post("datasets/", body(TABLE, digest=digest)).status_code == 201
    run = execute(helpers.request(data=Dataset.objects.get(name="loans")).pk, beat=None)
    assert run.state == CheckRun.State.FAILED
    assert "changed since the dataset was registered" in run.error


def test_a_relation_without_a_digest_of_its_rows_is_recomputed_at_best(developer, sources):
    loose = {"source": "warehouse", "query": "women", "pinned": False}
    told = developer.post("datasets/", body(loose)).json()
    assert (told["digest_of"], told["rows"]) == ("relation", None)
    assert set(told["location"]) == {"source", "query", "query_digest"}
    data = Dataset.objects.get(name="loans")
    with pytest.raises(Exception, match="pinned by no digest"):
        helpers.request(data=data, config={"grade": "re-performed"})
    run = execute(helpers.request(data=data).pk, beat=None)
    assert (run.state, run.grade, run.rows) == (CheckRun.State.SUCCEEDED, "recomputed", 200)


@pytest.mark.parametrize(
    ("location", "field"),
    [
        ({"source": "nowhere", "table": "scoring.loans"}, "location.source"),
        ({"source": "warehouse", "table": "pg_catalog.pg_authid"}, "location.table"),
        ({"source": "warehouse", "table": "scoring.loans; --"}, "location.table"),
        ({"source": "warehouse", "query": "men"}, "location.query"),
        ({"source": "warehouse"}, "location"),
        ({"source": "warehouse", "table": "scoring.loans", "query": "women"}, "location"),
        ({"source": "warehouse", "table": "scoring.loans", "bucket": "b"}, "location"),
        ({"bucket": "nowhere", "key": "a.parquet"}, "location.bucket"),
        ({"url": "postgresql://x"}, "location.url"),
        ({"bucket": "nowhere", "key": "a.parquet", "pinned": False}, "location.pinned"),
    ],
)
def test_a_wrong_name_is_refused_by_its_field(developer, sources, location, field):
    answer = developer.post("datasets/", body(location))
    assert answer.status_code == 400, answer.content
    assert fields_of(answer) == [field]
    assert not Dataset.objects.exists()


def test_a_source_that_does_not_answer_says_nothing_of_itself(developer, sources, monkeypatch):
    sources.write_text(
        '[sources.warehouse]\nurl = "postgresql://me:${WAREHOUSE_PASSWORD}@127.0.0.1:9/x"\n'
        'tables = ["scoring.*"]\n'
    )
    answer = developer.post("datasets/", body(TABLE))
    assert answer.status_code == 503
    for word in (PASSWORD, "127.0.0.1", "me:"):
        assert word not in answer.content.decode()


def test_who_may_not_register_data_is_refused_before_anything_is_asked(sources):
    sources.write_text("this is not TOML")
    answer = Caller(Role.AUDITOR).post("datasets/", body(TABLE))
    assert answer.status_code == 403
    assert Caller(Role.AUDITOR).get("sources/").status_code == 403


def test_the_names_of_sources_are_shown_and_no_address(developer, sources):
    answer = developer.get("sources/")
    assert answer.json()["sources"] == [
        {
            "name": "warehouse",
            "title": "Loans",
            "backend": "postgresql",
            "tables": ["scoring.loans"],
            "queries": ["women"],
        }
    ]
    for word in ("SELECT", "host", PASSWORD, "WAREHOUSE_PASSWORD"):
        assert word not in answer.content.decode()


@pytest.fixture(scope="module")
def s3_url():
    with stores.s3() as url:
        yield url


@pytest.fixture
def exports(s3_url, monkeypatch):
    place = stores.new_bucket(s3_url, "daily")
    known = dataclasses.replace(settings.COUNTERSIGN, buckets=(("exports", place),))
    monkeypatch.setattr(settings, "COUNTERSIGN", known)
    return Bucket(place)


def test_an_object_is_hashed_while_it_is_read_and_fetched_for_a_check(developer, exports):
    data = helpers.rows()
    exports.put_new("2026/loans.csv", data)
    where = {"bucket": "exports", "key": "2026/loans.csv"}
    told = developer.post("datasets/", body(where)).json()
    assert (told["digest"], told["digest_of"], told["rows"]) == (sha256_hex(data), "bytes", 400)
    assert told["media_type"] == "text/csv"
    assert told["location"] == where
    run = execute(helpers.request(data=Dataset.objects.get(name="loans")).pk, beat=None)
    assert (run.state, run.engine, run.rows) == (CheckRun.State.SUCCEEDED, "duckdb", 400)
    scratch = settings.COUNTERSIGN.data_dir / "scratch"
    assert not list(scratch.glob("object-*"))


def test_another_object_than_was_registered_fails_the_run(developer, exports):
    exports.put_new("loans.csv", helpers.rows())
    where = {"bucket": "exports", "key": "loans.csv"}
    answer = developer.post("datasets/", body(where, digest=f.digest_of("another")))
    assert answer.status_code == 201, answer.content
    run = execute(helpers.request(data=Dataset.objects.get(name="loans")).pk, beat=None)
    assert run.state == CheckRun.State.FAILED
    assert "the object's SHA-256 is" in run.error


@pytest.mark.parametrize(
    ("key", "status", "field"),
    [
        ("missing.csv", 400, "location.key"),
        ("../secret.csv", 400, "location.key"),
        ("broken.parquet", 422, "location.key"),
    ],
)
def test_an_object_that_cannot_be_read_is_refused(developer, exports, key, status, field):
    exports.put_new("broken.parquet", b"PAR1 and nothing more")
    answer = developer.post("datasets/", body({"bucket": "exports", "key": key}))
    assert answer.status_code == status, answer.content
    assert fields_of(answer) == [field]


def test_an_object_that_is_too_large_is_not_read_to_its_end(developer, exports, monkeypatch):
    exports.put_new("large.csv", helpers.rows())
    small = dataclasses.replace(settings.COUNTERSIGN, max_artifact_bytes=100)
    monkeypatch.setattr(settings, "COUNTERSIGN", small)
    answer = developer.post("datasets/", body({"bucket": "exports", "key": "large.csv"}))
    assert answer.status_code == 413


def test_a_check_of_what_the_operator_took_away_is_refused_at_once(developer, sources):
    assert developer.post("datasets/", body(TABLE)).status_code == 201
    sources.write_text('[sources.warehouse]\nurl = "postgresql://h/d"\ntables = []\n')
    with pytest.raises(Exception, match="offers no table of this name"):
        helpers.request(data=Dataset.objects.get(name="loans"))


class TestTheOperatorsFile:
    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("[source.a]\n", "source"),
            ('[sources.A]\nurl = "duckdb:///x"\n', "sources.A"),
            ("[sources.a]\n", "sources.a.url"),
            ('[sources.a]\nurl = "nothing"\n', "sources.a.url"),
            ('[sources.a]\nurl = "postgresql://u:pw@h/d"\n', "sources.a.url"),
            ('[sources.a]\nurl = "duckdb:///x"\ntables = ["a b"]\n', "sources.a.tables"),
            ('[sources.a]\nurl = "duckdb:///x"\ntables = "t"\n', "sources.a.tables"),
            ('[sources.a]\nurl = "duckdb:///x"\nqueries = {q = ""}\n', "sources.a.queries.q"),
            ('[sources.a]\nurl = "duckdb:///x"\ntimeout_seconds = 0\n', "timeout_seconds"),
            ('[sources.a]\nurl = "duckdb:///x"\npassword = "p"\n', "sources.a.password"),
            ("not = [toml", "TOML"),
        ],
    )
    def test_what_is_malformed_is_named_and_no_secret_told(self, tmp_path, text, named):
        path = tmp_path / "sources.toml"
        path.write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            catalogue.load({catalogue.VARIABLE: str(path)})
        assert named in str(caught.value)
        assert "pw" not in str(caught.value)
        with pytest.raises(Unavailable):
            catalogue.current({catalogue.VARIABLE: str(path)})

    def test_the_service_does_not_start_with_one_that_cannot_be_read(self, tmp_path, monkeypatch):
        path = tmp_path / "sources.toml"
        monkeypatch.setenv(catalogue.VARIABLE, str(path))
        assert [one.id for one in sources_can_be_read()] == ["registry.E001"]
        path.write_text('[sources.a]\nurl = "duckdb:///x"\n')
        assert sources_can_be_read() == []

    def test_a_secret_comes_from_the_environment_or_a_file_of_its_own(self, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text("p@ss/word\n")
        one = catalogue.parse({"sources": {"a": {"url": "postgresql://u:${PW}@h/d"}}}).sources["a"]
        for environ in ({"PW": "p@ss/word"}, {"PW_FILE": str(secret)}):
            assert one.address(environ) == "postgresql://u:p%40ss%2Fword@h/d"
        for environ in ({}, {"PW_FILE": "/nowhere"}):
            with pytest.raises(Unavailable, match="PW"):
                one.address(environ)

    def test_without_a_file_there_is_no_source(self):
        assert catalogue.load({}).sources == {}


def test_a_versions_page_says_where_its_rows_are(developer, sources):
    assert developer.post("datasets/", body(TABLE, digest=f.digest_of("rows"))).status_code == 201
    data = Dataset.objects.get(name="loans")
    version = f.make_version(datasets=[services.DatasetLink(data, "training")])
    client = Client()
    client.force_login(developer.user, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/models/{version.model.name}/versions/{version.number}/")
    assert page.status_code == 200
    assert "table scoring.loans of source warehouse" in page.content.decode()
    assert "of the rows" in page.content.decode()
    facts = selectors.version_facts(version)["datasets"]
    assert [(one["digest_of"], one["location"]) for one in facts] == [("rows", TABLE)]


def test_an_upload_is_hashed_as_it_comes_in_little_memory(tmp_path):
    class Endless:
        """64 MiB that are nowhere at once."""

        left = 64

        def read(self, size):
            self.left -= 1
            return b"a,b\n" * (size // 4) if self.left >= 0 else b""

    tracemalloc.start()
    try:
        stored = put(Endless(), limit=2**40)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stored.size == 64 * CHUNK
    assert stored.digest == sha256_hex(b"a,b\n" * (16 * CHUNK))
    assert peak < 8 * CHUNK
