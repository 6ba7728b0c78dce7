"""What is read: facts of a dossier, intervals, lineage, digests; kinds, formats and columns as data."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Role
from kernel import canonical
from kernel.errors import Conflict, Invalid, Unprocessable
from registry import columns, formats, kinds, schemas, selectors, services
from tests import factories as f
from tests.registry.support import last


@pytest.mark.django_db
class TestFacts:
    def test_they_are_canonical_and_name_nobody(self) -> None:
        alice = f.make_user("alice-author", Role.DEVELOPER, name="Alice Author")
        raw = f.make_dataset("raw")
        train = f.make_dataset("train", sources=[services.Source(raw, "adults only")])
        version = f.make_version(
            f.make_model(
                columns={"label": "y"},
                stakeholders=[services.StakeholderRecord(name="Bob Betroffen", interest="x")],
            ),
            by=alice,
            datasets=[services.DatasetLink(train, "training"), services.DatasetLink(train, "test")],
        )
        evidence = f.make_evidence(version, by=alice)
        version.refresh_from_db()
        facts = selectors.version_facts(version)
        text = canonical.dumps(facts).decode()
        assert not any(name in text for name in ("Alice", "alice", "Bob"))
        assert [one["name"] for one in facts["datasets"]] == ["raw", "train"]
        assert facts["datasets"][0]["purposes"] == []
        assert facts["datasets"][1]["purposes"] == ["test", "training"]
        assert facts["datasets"][1]["sources"][0]["digest"] == raw.digest
        assert [one["digest"] for one in facts["evidence"]] == [evidence.blob_id]
        assert facts["version"]["revision"] == 2
        assert kinds.missing_facts("machine_learned", facts) == [
            "version.parameters",
            "version.environment",
        ]

    def test_at_one_revision_they_are_the_same_whatever_is_added_beside(self) -> None:
        owner = f.actor_of(f.make_user(None, Role.OWNER))
        developer = f.actor_of(f.make_user(None, Role.DEVELOPER))
        data = b"a,b\n1,2\n"
        dataset = f.make_dataset("d", digest=f.digest_of(data.decode()))
        version = f.make_version(datasets=[services.DatasetLink(dataset, "test")])
        use = f.default_use(version.model)
        version = f.freeze(version)
        before = selectors.version_facts(version, use=use)
        f.make_evidence(version)
        services.add_use(version.model, f.use_record(name="more"), actor=owner)
        f.make_deployment(version, f.make_environment())
        services.store_dataset(
            dataset, f.store_bytes(data), contents=services.Contents(1, ()), actor=developer
        )
        version.refresh_from_db()
        assert selectors.version_facts(version, use=use) == before
        services.set_tier(
            use, 1, reason="x", actor=f.actor_of(f.make_user(None, Role.RISK_OFFICER))
        )
        version.refresh_from_db()
        after = selectors.version_facts(version, use=use)
        assert (after["version"]["revision"], after["uses"][0]["tier"]) == (2, 1)

    def test_a_circle_of_sources_cannot_be_and_would_not_hang(self) -> None:
        first = f.make_dataset()
        second = f.make_dataset(sources=[services.Source(first, "x")])
        from registry.models import DatasetLineage

        DatasetLineage.objects.create(parent=second, child=first, transformation="forged")
        assert set(selectors.lineage([second])) == {first, second}

    def test_a_digest_finds_its_version_for_who_may_see_it(self) -> None:
        version = f.make_version()
        reader = f.actor_of(f.make_user(None, Role.AUDITOR))
        gate = f.actor_of(f.make_user(None, Role.OPERATOR), "gate")
        outsider = f.actor_of(f.make_user())
        digest = version.artifact_digest
        assert selectors.find_version(digest, actor=reader) == version
        assert selectors.find_version(digest, actor=gate) == version
        assert selectors.find_version(digest, actor=outsider) is None
        assert selectors.find_version("0" * 64, actor=reader) is None
        twin = f.make_version(artifact_digest=digest)
        with pytest.raises(selectors.AmbiguousDigest) as error:
            selectors.find_version(digest, actor=reader)
        assert error.value.field == "model"
        assert selectors.find_version(digest, actor=reader, model=twin.model.name) == twin


@pytest.mark.django_db
class TestDatasets:
    def test_registering_is_recorded_with_its_sources(self) -> None:
        raw = f.make_dataset("raw")
        row = f.make_dataset("clean", sources=[services.Source(raw, "adults only")])
        entry = last("registry.dataset.registered")
        assert entry.public == {
            "dataset": "clean",
            "digest": row.digest,
            "sources": [raw.digest],
            "stored": False,
        }

    @pytest.mark.parametrize(
        ("fields", "error", "named"),
        [
            ({"digest": None}, Invalid, "digest"),
            ({"contents": services.Contents(-1)}, Invalid, "rows"),
            ({"contents": services.Contents(1, [{"name": "a"}])}, Invalid, "columns[0]"),
            ({"title": ""}, Invalid, "title"),
            ({"licence": "x" * 201}, Invalid, "licence"),
        ],
    )
    def test_malformed_fields_are_named(
        self, fields: dict[str, Any], error: type[Invalid], named: str
    ) -> None:
        with pytest.raises(error) as found:
            f.make_dataset(**fields)
        assert found.value.field == named

    def test_names_digests_and_sources_are_single(self) -> None:
        first = f.make_dataset("first", digest="a" * 64)
        with pytest.raises(Conflict) as name:
            f.make_dataset("first")
        with pytest.raises(Conflict) as digest:
            f.make_dataset("second", digest="a" * 64)
        with pytest.raises(Invalid) as twice:
            f.make_dataset(sources=[services.Source(first, "x"), services.Source(first, "y")])
        assert (name.value.field, digest.value.field) == ("name", "digest")
        assert twice.value.field == "sources[1].dataset"

    def test_bytes_of_another_digest_are_refused(self) -> None:
        developer = f.actor_of(f.make_user(None, Role.DEVELOPER))
        with pytest.raises(Unprocessable):
            f.make_dataset(stored=f.store_bytes(b"x"), digest="b" * 64)
        with pytest.raises(Unprocessable):
            services.store_dataset(f.make_dataset(), f.store_bytes(b"x"), actor=developer)


class TestSchemas:
    def test_parquet_is_read_from_its_footer(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"a": [1, 2], "b": ["x", None]}), tmp_path / "t.parquet")
        rows, names = schemas.read(tmp_path / "t.parquet", schemas.PARQUET)
        assert (rows, names) == (
            2,
            [{"name": "a", "type": "int64"}, {"name": "b", "type": "string"}],
        )

    def test_csv_whose_types_change_late_is_text(self, tmp_path: Path) -> None:
        file = tmp_path / "t.csv"
        file.write_text("a,b\n" + "1,2\n" * 2_000_000 + "x,2\n")
        rows, names = schemas.read(file, schemas.CSV)
        assert rows == 2_000_001
        assert names == [{"name": "a", "type": "string"}, {"name": "b", "type": "string"}]

    @pytest.mark.parametrize(
        ("kind", "data"), [(schemas.PARQUET, b"no"), (schemas.CSV, b""), (schemas.CSV, b"a,b\n1\n")]
    )
    def test_what_it_is_not_is_told(self, tmp_path: Path, kind: str, data: bytes) -> None:
        file = tmp_path / "t"
        file.write_bytes(data)
        with pytest.raises(Unprocessable) as error:
            schemas.read(file, kind)
        assert error.value.field == "file"

    def test_other_files_are_left_alone(self, tmp_path: Path) -> None:
        assert schemas.read(tmp_path / "none", "application/zip") == (None, [])
        assert schemas.guess_media_type("T.CSV") == schemas.CSV


class TestKinds:
    @pytest.mark.parametrize("kind", kinds.KINDS)
    def test_every_kind_asks_for_facts_and_finds_none_in_nothing(self, kind: str) -> None:
        assert kinds.KINDS[kind].facts
        assert kinds.missing_facts(kind, {}) == list(kinds.KINDS[kind].facts)

    def test_zero_and_false_are_stated_and_every_item_counts(self) -> None:
        facts = {
            "model": {"description": 0},
            "version": {"description": False},
        }
        assert kinds.missing_facts("not_a_model", facts) == []
        uses = [{"purpose": "p", "affected_people": "a", "tier": 1}, {"purpose": ""}]
        missing = kinds.missing_facts("tool", {"uses": uses})
        assert missing[:3] == ["uses[].purpose", "uses[].affected_people", "uses[].tier"]

    @given(
        st.recursive(
            st.none() | st.booleans() | st.text() | st.floats(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(
                        ["uses", "version", "artifact", "digest", "datasets", "purpose"]
                    ),
                    inner,
                )
            ),
        )
    )
    def test_no_document_breaks_it(self, document: Any) -> None:
        if isinstance(document, dict):
            assert set(kinds.missing_facts("machine_learned", document)) <= set(
                kinds.KINDS["machine_learned"].facts
            )


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.onnx", "onnx"),
        ("A.ONNX", "onnx"),
        ("m.xgb.json", "xgboost_json"),
        ("m.json", "other"),
        ("m.ubj", "xgboost_ubj"),
        ("m.lgb.txt", "lightgbm"),
        ("m.skops", "skops"),
        ("m.joblib", "pickle"),
        ("m.pkl", "pickle"),
        ("onnx", "other"),
    ],
)
def test_a_format_is_told_by_the_name_and_never_by_the_bytes(name: str, format_: str) -> None:
    assert formats.settle(None, name) == format_
    assert formats.settle("lightgbm", name) == "lightgbm"
    with pytest.raises(Invalid):
        formats.settle("exe", name)


@given(
    st.dictionaries(
        st.sampled_from([*columns.KNOWN, "stray"]),
        st.none()
        | st.text()
        | st.floats()
        | st.lists(st.text() | st.integers())
        | st.dictionaries(st.text(), st.text()),
    )
)
def test_columns_are_read_or_their_fields_named(document: dict[str, Any]) -> None:
    wrong: dict[str, str] = {}
    said: dict[str, Any] = {}
    try:
        said = columns.read(document)
    except Invalid as error:
        wrong = error.fields or {"": "an error names its field"}
    assert all(name.startswith("columns") for name in wrong)
    assert wrong or columns.read(said) == said
    assert "stray" not in said
