"""The command `countersign` against a running server: what it does, prints, and ends with."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from countersign_client import cli, session
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import DatabaseError
from django.test import Client

from accounts.models import Role
from kernel.moments import now, rfc3339
from registry.models import Dataset, Evidence, ModelVersion, RegisteredModel
from tests import factories as f
from tests.client.relay import Relay, relay
from tests.governance.support import World
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db(transaction=True)
ARTIFACT = b"a model, as far as a digest goes"

MANIFEST = """
[model]
name = "screening"
title = "Screening"
kind = "machine_learned"
portfolio = "lending"
legal_entity = "bank"

[columns]
label = "outcome"
positive = 1
prediction = "decision"
score = "score"
sensitive = ["sex"]
features = ["x"]

[use]
purpose = "Rank files"
affected_people = "Adults"
operator_role = "provider"
tier = 2
tier_reason = "a person decides"

[[stakeholders]]
name = "Ada"
interest = "is screened"

[version]
artifact = "model.onnx"
format = "onnx"
code_commit = "c0ffee"
label = "r1"

[[datasets]]
name = "census"
title = "Census"
file = "census.csv"
purpose = "training"
contains_personal_data = false

[[evidence]]
kind = "test_report"
name = "report.txt"
file = "report.txt"
"""


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "RETRIES", (0.0, 0.0))


@pytest.fixture
def server(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("COUNTERSIGN_TOKEN", "COUNTERSIGN_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COUNTERSIGN_URL", live_server.url)
    return live_server


@pytest.fixture
def engineer(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    user = f.make_user("ada", Role.DEVELOPER, Role.OPERATOR, Role.OWNER)
    monkeypatch.setenv("COUNTERSIGN_TOKEN", f.token_for(user))
    return user


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    f.make_portfolio("lending")
    f.make_legal_entity("bank")
    (tmp_path / "model.onnx").write_bytes(ARTIFACT)
    (tmp_path / "census.csv").write_bytes(helpers.rows())
    (tmp_path / "report.txt").write_text("all is well")
    (tmp_path / "countersign.toml").write_text(MANIFEST)
    return tmp_path


@pytest.fixture
def between(server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The client reaches the server through a relay."""
    with relay((server.thread.host, server.thread.port)) as found:
        monkeypatch.setenv("COUNTERSIGN_URL", found.url)
        yield found


def run(*arguments: object) -> int:
    """What the process would end with."""
    try:
        return cli.main([str(one) for one in arguments])
    except SystemExit as left:
        return int(left.code or 0)


class TestRegister:
    def test_a_manifest_once_and_again(self, engineer: Any, folder: Path, capsys: Any) -> None:
        assert run("register", folder / "countersign.toml") == 0
        version = ModelVersion.objects.get()
        assert (version.number, version.label, version.author) == (1, "r1", engineer)
        assert version.artifact_digest == cli.registering.sha256_of(folder / "model.onnx")
        assert Dataset.objects.get().rows == 400
        assert Evidence.objects.get().kind == "test_report"
        told = capsys.readouterr()
        assert "model screening: registered" in told.out
        assert f"version 1: registered, sha256 {version.artifact_digest}" in told.out
        for label in ("artifact model.onnx", "dataset census", "evidence report.txt"):
            assert f"{label} 100%" in told.err, "progress goes to standard error"
        run("register", folder / "countersign.toml")
        assert (RegisteredModel.objects.count(), ModelVersion.objects.count()) == (1, 1)
        assert Dataset.objects.count() == 1

    def test_other_bytes_are_another_version(self, engineer: Any, folder: Path) -> None:
        run("register", folder / "countersign.toml")
        (folder / "model.onnx").write_bytes(ARTIFACT + b"!")
        assert run("register", folder / "countersign.toml") == 0
        assert [one.number for one in ModelVersion.objects.order_by("number")] == [1, 2]

    def test_data_never_changes_under_a_name(
        self, engineer: Any, folder: Path, capsys: Any
    ) -> None:
        run("register", folder / "countersign.toml")
        (folder / "census.csv").write_text("other,data\n1,2\n")
        assert run("register", folder / "countersign.toml") == 64
        assert "datasets[0]" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("old", "new", "code", "names"),
        [
            ('title = "Screening"', "title = 7", 1, "  model.title: "),
            ('portfolio = "lending"', 'portfolio = "nowhere"', 1, "  model.portfolio: "),
            ('purpose = "Rank files"', "", 1, "  use.purpose: "),
            ("contains_personal_data = false", "", 1, "  datasets[0].contains_personal_data: "),
            ('code_commit = "c0ffee"', "", 1, "  version.code_commit: "),
            ('title = "Screening"', 'titel = "Screening"', 64, "model.titel"),
            ('artifact = "model.onnx"', 'artifact = "none.onnx"', 64, "version.artifact"),
            ('file = "census.csv"', "", 64, "datasets[0].file"),
            ("[use]", "[uses]", 64, "[uses]"),
            ("[use]", "[use", 64, "countersign.toml"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, engineer: Any, folder: Path, capsys: Any, old: str, new: str, code: int, names: str
    ) -> None:
        path = folder / "countersign.toml"
        path.write_text(MANIFEST.replace(old, new, 1))
        assert run("register", path) == code
        assert names in capsys.readouterr().err

    def test_more_evidence(self, engineer: Any, folder: Path, capsys: Any) -> None:
        run("register", folder / "countersign.toml")
        place = ("evidence", "--model", "screening", "--version", 1)
        assert run(*place, folder / "report.txt", "--kind", "note", "--name", "again") == 0
        assert Evidence.objects.filter(kind="note", name="again").count() == 1
        assert run(*place, folder / "report.txt", "--kind", "Two Words") == 1
        assert "kind:" in capsys.readouterr().err
        assert run(*place, folder / "nothing.txt", "--kind", "note") == 64
        assert run("evidence", "--model", "screening", folder / "report.txt", "--kind", "x") == 64


class TestWhereAndWho:
    def test_https_only_but_on_this_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for url in ("http://countersign.example", "ftp://countersign.example", "countersign"):
            with pytest.raises(session.UsageError, match="https"):
                session.Session(url, "cs_token")
        for url in ("https://countersign.example", "http://localhost:1", "http://[::1]:1"):
            session.Session(url, "cs_token")
        monkeypatch.setenv("COUNTERSIGN_URL", "http://countersign.example")
        monkeypatch.setenv("COUNTERSIGN_TOKEN", "cs_token")
        assert run("gate", "--environment", "e", "--digest", "0" * 64) == 64

    def test_both_must_be_said(self, server: Any, capsys: Any) -> None:
        assert run("gate", "--environment", "e", "--digest", "0" * 64) == 64
        assert "COUNTERSIGN_TOKEN" in capsys.readouterr().err

    def test_a_token_in_a_file(
        self, engineer: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "token").write_text(f.token_for(engineer) + "\n")
        monkeypatch.delenv("COUNTERSIGN_TOKEN")
        monkeypatch.setenv("COUNTERSIGN_TOKEN_FILE", str(folder / "token"))
        assert run("register", folder / "countersign.toml") == 0

    def test_an_unknown_token_and_one_without_the_scope(
        self, engineer: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        monkeypatch.setenv("COUNTERSIGN_TOKEN", "cs_unknown_token")
        assert run("register", folder / "countersign.toml") == 1
        monkeypatch.setenv("COUNTERSIGN_TOKEN", f.token_for(engineer, "read"))
        assert run("register", folder / "countersign.toml") == 1
        assert "scope 'register'" in capsys.readouterr().err
        assert not RegisteredModel.objects.exists()

    @pytest.mark.parametrize(
        "arguments", [(), ("nothing",), ("register",), ("gate", "--environment", "e"), ("verify",)]
    )
    def test_usage(self, engineer: Any, arguments: tuple[str, ...]) -> None:
        assert run(*arguments) == 64


class TestTriesAgain:
    def test_a_lost_answer_does_nothing_twice(
        self, engineer: Any, folder: Path, between: Relay
    ) -> None:
        assert run("register", folder / "countersign.toml") == 0
        (folder / "model.onnx").write_bytes(ARTIFACT + b"!")
        between.seen.clear()
        # The dataset is asked for, the model is, the versions are; then the version is sent.
        gets = 3
        between.faults[:] = [*["pass"] * gets, "lose_answer"]
        assert run("register", folder / "countersign.toml") == 0
        keys = between.keys_of("POST", "/versions/")
        assert len(keys) == 2
        assert len(set(keys)) == 1
        assert keys[0]
        assert ModelVersion.objects.count() == 2

    def test_what_never_arrived_and_what_a_proxy_answered(
        self, engineer: Any, folder: Path, between: Relay
    ) -> None:
        between.faults[:] = ["drop", 502]
        assert run("register", folder / "countersign.toml") == 0
        assert ModelVersion.objects.count() == 1

    def test_an_earlier_try_that_is_still_under_way_is_waited_for(
        self, engineer: Any, folder: Path, between: Relay
    ) -> None:
        between.faults[:] = ["pass", "in_progress"]
        assert run("register", folder / "countersign.toml") == 0
        assert ModelVersion.objects.count() == 1

    def test_each_request_has_a_key_of_its_own(
        self, engineer: Any, folder: Path, between: Relay
    ) -> None:
        run("register", folder / "countersign.toml")
        keys = [key for method, _, key in between.seen if method == "POST"]
        assert len(set(keys)) == len(keys) == 4

    def test_in_the_end_it_cannot_decide(self, engineer: Any, between: Relay, capsys: Any) -> None:
        between.faults[:] = ["drop"] * 3
        assert run("gate", "--environment", "e", "--digest", "0" * 64) == 3
        assert "cannot reach" in capsys.readouterr().err


@pytest.fixture
def world(server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """A governed version of the file `model.onnx`, and a pipeline that asks about it."""
    made = World()
    made.version = f.make_version(made.version.model, stored=f.store_bytes(ARTIFACT))
    (tmp_path / "model.onnx").write_bytes(ARTIFACT)
    pipeline = f.make_service_account("pipeline", Role.OPERATOR)
    monkeypatch.setenv("COUNTERSIGN_TOKEN", f.token_for(pipeline))
    return made


def ask(world: World, *more: object) -> int:
    return run("gate", "--environment", world.environment.name, *more)


class TestGate:
    def test_deny_names_the_controls(self, world: World, tmp_path: Path, capsys: Any) -> None:
        assert ask(world, "--artifact", tmp_path / "model.onnx") == 1
        told = capsys.readouterr().out
        assert told.startswith("DENY")
        assert "gate.approved" in told
        assert "to do:" in told

    def test_pending_then_allow(self, world: World, tmp_path: Path, capsys: Any) -> None:
        review = world.submit()
        world.validate(review)
        assert ask(world, "--artifact", tmp_path / "model.onnx") == 2
        assert capsys.readouterr().out.startswith("PENDING")
        world.sign(review, world.validator)
        world.sign(review, world.officer)
        assert ask(world, "--artifact", tmp_path / "model.onnx") == 0
        assert capsys.readouterr().out.startswith("ALLOW")

    def test_by_digest_and_by_number(self, world: World) -> None:
        world.approve()
        model, number = world.version.model.name, world.version.number
        assert ask(world, "--digest", world.version.artifact_digest) == 0
        assert ask(world, "--digest", f"sha256:{world.version.artifact_digest}") == 0
        assert ask(world, "--model", model, "--version", number) == 0
        assert ask(world, "--model", model, "--version", number, "--digest", "0" * 64) == 1
        assert ask(world, "--version", number) == 1, "a version is of a model"

    def test_one_byte_more(self, world: World, tmp_path: Path) -> None:
        world.approve()
        (tmp_path / "model.onnx").write_bytes(ARTIFACT + b"!")
        assert ask(world, "--artifact", tmp_path / "model.onnx") == 1

    def test_it_cannot_decide(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        def broken(*args: object, **kwargs: object) -> None:
            raise DatabaseError("gone")

        world.approve()
        monkeypatch.setattr("governance.services.gate.ask", broken)
        assert ask(world, "--digest", world.version.artifact_digest) == 3
        assert "cannot decide" in capsys.readouterr().err

    def test_a_wrong_question_names_its_field(self, world: World, capsys: Any) -> None:
        assert ask(world, "--digest", "md5:abc") == 1
        assert "digest:" in capsys.readouterr().err
        assert ask(world, "--artifact", "no-such-file") == 64

    def test_who_may_not_ask(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        reader = f.make_user(None, Role.AUDITOR)
        monkeypatch.setenv("COUNTERSIGN_TOKEN", f.token_for(reader))
        assert ask(world, "--digest", world.version.artifact_digest) == 1
        assert "roles" in capsys.readouterr().err

    def test_submit_and_deployed(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        place = ("--model", world.version.model.name, "--version", world.version.number)
        place = (*place, "--environment", world.environment.name)
        monkeypatch.setenv("COUNTERSIGN_TOKEN", f.token_for(world.developer))
        assert run("submit", *place, "--note", "please") == 0
        told = capsys.readouterr()
        assert "review" in told.out
        assert run("submit", *place) == 1, "a review is open"
        operator = f.make_user(None, Role.OPERATOR)
        monkeypatch.setenv("COUNTERSIGN_TOKEN", f.token_for(operator))
        assert run("deployed", *place, "--kind", "shadow") == 0
        assert "shadow" in capsys.readouterr().out
        assert run("deployed", *place, "--kind", "king") == 1
        assert "kind:" in capsys.readouterr().err


class TestAttestation:
    """What the gate signed counts for one artifact, in one place, for a while, by one key."""

    @pytest.fixture
    def files(self, world: World, tmp_path: Path) -> Path:
        world.approve()
        (tmp_path / "gate.pem").write_bytes(
            Client().get("/.well-known/countersign/attestation.pem").content
        )
        assert (
            ask(
                world,
                "--artifact", tmp_path / "model.onnx",
                "--key", tmp_path / "gate.pem",
                "--out", tmp_path / "attestation.json",
            )
            == 0
        )  # fmt: skip
        return tmp_path

    def verify(self, files: Path, world: World, **changes: object) -> int:
        known = {
            "key": files / "gate.pem",
            "artifact": files / "model.onnx",
            "environment": world.environment.name,
        } | changes
        options = [
            part
            for name, value in known.items()
            if value is not None
            for part in (f"--{name}", value)
        ]
        return run("verify", files / "attestation.json", *options)

    def test_it_counts(self, files: Path, world: World, capsys: Any) -> None:
        assert self.verify(files, world) == 0
        assert "VALID attestation" in capsys.readouterr().out
        assert self.verify(files, world, use="default") == 0
        assert self.verify(files, world, artifact=None, digest=world.version.artifact_digest) == 0

    @pytest.mark.parametrize("what", ["payload", "signature", "no signature", "type"])
    def test_tampered(self, files: Path, world: World, capsys: Any, what: str) -> None:
        path = files / "attestation.json"
        envelope = json.loads(path.read_text())
        if what == "payload":
            payload = base64.b64decode(envelope["payload"]).replace(b"allow", b"ALLOW", 1)
            envelope["payload"] = base64.b64encode(payload).decode()
        elif what == "signature":
            signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
            signature[-1] ^= 1
            envelope["signatures"][0]["sig"] = base64.b64encode(bytes(signature)).decode()
        elif what == "no signature":
            envelope["signatures"] = []
        else:
            envelope["payloadType"] = "application/json"
        path.write_text(json.dumps(envelope))
        assert self.verify(files, world) == 1
        assert "INVALID" in capsys.readouterr().err

    def test_expired(self, files: Path, world: World, capsys: Any) -> None:
        assert self.verify(files, world, at=rfc3339(now() + timedelta(days=400))) == 1
        assert "expired" in capsys.readouterr().err
        assert self.verify(files, world, at="tomorrow") == 64

    def test_elsewhere_other_bytes_another_use(
        self, files: Path, world: World, capsys: Any
    ) -> None:
        assert self.verify(files, world, environment="elsewhere") == 1
        assert self.verify(files, world, environment=None) == 1
        assert self.verify(files, world, use="another") == 1
        assert self.verify(files, world, artifact=None) == 1
        (files / "model.onnx").write_bytes(ARTIFACT + b"!")
        assert self.verify(files, world) == 1
        assert "is not about the artifact" in capsys.readouterr().err

    def test_by_another_key(self, files: Path, world: World, capsys: Any) -> None:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (files / "other.pem").write_bytes(pem)
        assert self.verify(files, world, key=files / "other.pem") == 1
        assert "INVALID" in capsys.readouterr().err
        assert ask(world, "--artifact", files / "model.onnx", "--key", files / "other.pem") == 1, (
            "an allow that another key signed is no allow"
        )
        assert self.verify(files, world, key=None) == 64

    def test_a_lenient_mode_lets_by_and_does_not_count(
        self, world: World, tmp_path: Path, capsys: Any
    ) -> None:
        """Where nothing is enforced the gate says allow, and what it signs says FAILED."""
        observed = f.make_environment(mode="observe")
        (tmp_path / "gate.pem").write_bytes(
            Client().get("/.well-known/countersign/attestation.pem").content
        )
        asked = ("gate", "--environment", observed.name, "--artifact", tmp_path / "model.onnx")
        assert run(*asked) == 0
        assert run(*asked, "--key", tmp_path / "gate.pem") == 1
        assert "FAILED" in capsys.readouterr().err
