"""Wrong input to the writes that take files, and digests that do not match what came."""

import hashlib
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import encode_multipart

from tests import factories as f
from tests.api.scene import Scene
from tests.api.test_wrong_input import JSON, is_named, named, written
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db
OTHER = "c" * 64


@pytest.fixture
def scene() -> Scene:
    return Scene()


def send(scene: Scene, path: str, **parts: Any) -> Any:
    return Client().post(f"/api/v1/{path}", parts, headers=scene.headers)


def put(scene: Scene, path: str, data: bytes, kind: str = "application/octet-stream") -> Any:
    return Client().put(f"/api/v1/{path}", data, kind, headers=scene.headers)


def file(data: bytes = b"bytes", name: str = "n.csv", kind: str = "text/csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, content_type=kind)


def refused(answer: Any, field: str, *, status: int | None = None) -> None:
    assert 400 <= answer.status_code < 500, answer.content
    assert status is None or answer.status_code == status, answer.content
    assert is_named(field, named(answer)), answer.content


class TestObservations:
    def parts(self, scene: Scene, **changes: Any) -> dict[str, Any]:
        taken = {
            **scene.place,
            "batch_id": "june",
            "window_start": "2026-06-01T00:00:00Z",
            "window_end": "2026-06-30T00:00:00Z",
            "media_type": "text/csv",
            "digest": hashlib.sha256(helpers.rows()).hexdigest(),
            "file": file(helpers.rows()),
        }
        return {name: value for name, value in (taken | changes).items() if value is not None}

    def test_each_field_is_missed(self, scene: Scene) -> None:
        before = written()
        for name in self.parts(scene):
            if name not in ("use", "media_type", "digest"):
                refused(send(scene, "observations/", **self.parts(scene, **{name: None})), name)
        assert written() == before

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("version", "one"),
            ("version", "0"),
            ("version", "NaN"),
            ("version", "99"),
            ("model", "nobodys"),
            ("use", "nothing"),
            ("environment", "nowhere"),
            ("batch_id", "x" * 101),
            ("window_start", "yesterday"),
            ("window_end", "2026-05-01T00:00:00Z"),
            ("media_type", "text/html"),
            ("digest", "md5:abc"),
            ("file", "no file"),
            ("file", file(b"")),
            ("no_such_name", "x"),
        ],
    )
    def test_each_wrong_field_is_named(self, scene: Scene, name: str, value: Any) -> None:
        before = written()
        answer = send(scene, "observations/", **self.parts(scene, **{name: value}))
        refused(answer, name)
        assert written() == before

    def test_a_digest_that_is_not_the_files(self, scene: Scene) -> None:
        before = written()
        answer = send(scene, "observations/", **self.parts(scene, digest=OTHER))
        refused(answer, "digest", status=422)
        assert written() == before

    def test_json_is_not_taken(self, scene: Scene) -> None:
        answer = Client().post("/api/v1/observations/", {}, JSON, headers=scene.headers)
        assert answer.status_code == 415

    def test_the_parts_that_the_others_are_made_from_are_taken(self, scene: Scene) -> None:
        answer = send(scene, "observations/", **self.parts(scene))
        assert answer.status_code == 201, answer.content


class TestBytesOfWhatIsRegistered:
    """PUT takes the bytes of a version's artifact and of a dataset: those of the digest, no others."""

    @pytest.fixture(params=["artifact", "file"])
    def place(self, request: pytest.FixtureRequest, scene: Scene) -> tuple[str, str, bytes]:
        """The path, the name of the part, and the right bytes."""
        data = b"a,b\n1,2\n"
        digest = hashlib.sha256(data).hexdigest()
        if request.param == "artifact":
            version = f.make_version(scene.version.model, artifact_digest=digest)
            path = f"models/{scene.model}/versions/{version.number}/artifact/"
        else:
            path = f"datasets/{f.make_dataset(digest=digest, media_type='text/csv').name}/content/"
        return path, request.param, data

    def test_other_bytes_no_bytes_no_file(
        self, scene: Scene, place: tuple[str, str, bytes]
    ) -> None:
        path, part, data = place
        before = written()
        refused(put(scene, path, b"other bytes"), part, status=422)
        refused(put(scene, path, b""), part, status=400)
        for parts in ({}, {part: "no file"}, {"other": file(data)}):
            body = encode_multipart("BoUnD", parts)
            answer = put(scene, path, body, "multipart/form-data; boundary=BoUnD")
            refused(answer, part, status=400)
        assert put(scene, path, b"{}", JSON).status_code == 415
        assert written() == before

    def test_the_right_bytes_are_taken(self, scene: Scene, place: tuple[str, str, bytes]) -> None:
        path, _, data = place
        assert put(scene, path, data).status_code == 200


class TestDigestsThatAreDeclared:
    """What says that it is one thing and is another is refused, naming the digest."""

    def test_a_version(self, scene: Scene) -> None:
        before = written()
        record = json.dumps({"code_commit": "abc", "artifact_digest": OTHER})
        answer = send(scene, f"models/{scene.model}/versions/", artifact=file(), record=record)
        refused(answer, "artifact_digest", status=422)
        assert written() == before

    def test_evidence(self, scene: Scene) -> None:
        before = written()
        path = f"{scene.base}evidence/"
        refused(send(scene, path, kind="note", digest=OTHER, file=file()), "digest", status=422)
        body = {"kind": "note", "name": "n", "document": {"a": 1}, "digest": OTHER}
        answer = Client().post(f"/api/v1/{path}", body, JSON, headers=scene.headers)
        refused(answer, "digest", status=422)
        assert written() == before

    def test_a_dataset(self, scene: Scene) -> None:
        before = written()
        record = {"name": "n", "title": "t", "contains_personal_data": True, "digest": OTHER}
        answer = send(scene, "datasets/", file=file(b"a\n1\n"), record=json.dumps(record))
        refused(answer, "digest", status=422)
        assert written() == before

    def test_a_deployment_of_other_bytes(self, scene: Scene) -> None:
        before = written()
        body = scene.place | {"artifact_digest": OTHER}
        answer = Client().post("/api/v1/deployments/", body, JSON, headers=scene.headers)
        refused(answer, "artifact_digest")
        assert written() == before

    def test_a_signature_by_a_re_authentication_for_another_digest(self, scene: Scene) -> None:
        scene.world.validate(scene.review)
        grant = scene.world.prove(scene.asker, scene.review, OTHER)
        before = written()
        body = {
            "reauthentication": str(grant),
            "decision": "approve",
            "meaning": "approval",
            "reason": "I agree",
        }
        path = f"/api/v1/reviews/{scene.review.pk}/signatures/"
        answer = Client().post(path, body, JSON, headers=scene.headers)
        assert answer.status_code == 403, answer.content
        assert written() == before

    def test_a_named_version_of_another_digest_is_denied(self, scene: Scene) -> None:
        scene.approval  # noqa: B018  # it would be allowed
        question = scene.place | {"digest": OTHER}
        answer = Client().post("/api/v1/gate/enforce/", question, JSON, headers=scene.headers)
        assert answer.status_code == 403
        assert answer.json()["decision"] == "deny"
