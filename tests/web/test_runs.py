"""A run's page: the files it left, every attempt on the same version and data, and what can be done."""

import json
from typing import Any

import pytest

from accounts.models import Role, User
from monitoring import services
from monitoring.engine.results import Attachment, Note
from monitoring.models import CheckRun
from registry.services import grant_role
from tests import factories as f
from tests.monitoring import helpers
from tests.web.scene import client_of

pytestmark = pytest.mark.django_db(transaction=True)


def seen(user: User, run: CheckRun, query: str = "") -> str:
    answer = client_of(user).get(f"/check-runs/{run.pk}/{query}")
    assert answer.status_code == 200
    return str(answer.content.decode())


def by(role: Role) -> User:
    return f.make_user(None, role)


def link(run: CheckRun, name: str) -> str:
    return f'href="/check-runs/{run.pk}/files/{name}" download'


def finished(**fields: Any) -> CheckRun:
    request = fields.pop("request", {})
    run = helpers.request(**request)
    return helpers.finish(run, helpers.outcome(kind=run.kind, **fields))


def test_each_file_says_what_it_is_and_the_restricted_one_who_may_not_have_it() -> None:
    run = finished(
        attachments=[
            Attachment("evidently.html", "text/html", b"<p>drift</p>"),
            Attachment("conformance.json", "application/json", b"{}"),
            Attachment("reason-codes.json", "application/json", b"[1]", restricted=True),
            Attachment("notes.bin", "application/octet-stream", b"x"),
        ]
    )
    page = seen(by(Role.DEVELOPER), run)
    for name in ("cube.json", "evidently.html", "conformance.json", "notes.bin"):
        assert link(run, name) in page, name
    assert "to open in a browser" in page
    assert "beside those of the libraries" in page
    assert link(run, "reason-codes.json") not in page
    assert "restricted: it tells small counts" in page
    page = seen(by(Role.VALIDATOR), run)
    assert link(run, "reason-codes.json") in page
    assert "restricted" not in page


def conformance(**changes: Any) -> Attachment:
    line = {
        "library": "fairlearn",
        "metric": "selection_rate",
        "about": {"sex": "F"},
        "ours": 0.25,
        "native": 0.25,
        "difference": 0.0,
        "tolerance": 1e-9,
        "agrees": True,
    }
    few = {**line, "ours": None, "native": None, "difference": None, "below": 11}
    document = {
        "schema": "countersign.conformance/1",
        "libraries": {"fairlearn": "0.15.0"},
        "differing": 0,
        "compared": [line, few],
        "differs_by_intent": ["a rate without a denominator"],
        **changes,
    }
    return Attachment("conformance.json", "application/json", json.dumps(document).encode())


def test_what_the_libraries_say_on_the_same_rows_is_shown() -> None:
    page = seen(by(Role.AUDITOR), finished(attachments=[conformance()]))
    assert "2 figures beside those of fairlearn 0.15.0: all agree" in page
    assert "it rests on fewer than 11" in page
    assert "a rate without a denominator" in page
    wrong = {
        "library": "fairlearn", "metric": "accuracy", "about": {}, "ours": 0.5, "native": 0.75,
        "difference": 0.25, "agrees": False,
    }  # fmt: skip
    run = finished(attachments=[conformance(differing=1, compared=[wrong])])
    page = seen(by(Role.AUDITOR), run)
    assert "1 differ" in page
    assert "2.5e-01" in page


def test_a_file_of_that_name_that_is_none_is_only_listed() -> None:
    for data in (b"no json", b"[]", b'{"schema": "other"}'):
        file = Attachment("conformance.json", "application/json", data)
        run = finished(attachments=[file])
        page = seen(by(Role.AUDITOR), run)
        assert link(run, "conformance.json") in page
        assert "Figures of the libraries" not in page


def test_before_it_has_ended_there_is_none() -> None:
    page = seen(by(Role.DEVELOPER), helpers.request())
    assert "None yet." in page
    failed = helpers.request()
    claimed = services.claim_run(failed.pk, actor=helpers.SYSTEM)
    assert claimed is not None
    services.fail_run(
        failed.pk, claimed.attempt, "unreadable", retryable=False, actor=helpers.SYSTEM
    )
    page = seen(by(Role.DEVELOPER), failed)
    assert "This run left none." in page
    assert "unreadable" in page


def test_all_attempts_show_failed_and_cancelled_ones_too() -> None:
    first = finished()
    version, data = first.version, first.dataset
    again = helpers.request(version, data=data)
    services.cancel_run(again, actor=helpers.developer())
    other = helpers.request(version, data=data, config={"level": 0.9})
    elsewhere = helpers.request(version, data=helpers.dataset(helpers.rows(seed=5)))
    fairness = helpers.request(version, data=data, kind="fairness")
    stranger = helpers.request(data=data)
    page = seen(by(Role.AUDITOR), first)
    assert "All attempts (3)</a>" in page
    attempts = page.split('id="attempts"')[1].split("</section>")[0]
    assert "this run" in attempts
    assert "Cancelled" in attempts
    assert "another configuration" in attempts
    for run in (again, other):
        assert f'href="/check-runs/{run.pk}/"' in attempts
    for run in (elsewhere, fairness, stranger):
        assert f'href="/check-runs/{run.pk}/"' not in attempts
    assert "It counts as an attempt" in seen(by(Role.AUDITOR), again)


def test_an_attempt_with_the_same_result_says_so() -> None:
    first = finished()
    second = services.retry_run(first, actor=helpers.developer())
    helpers.finish(second, helpers.outcome(kind=second.kind))
    attempts = seen(by(Role.AUDITOR), second).split('id="attempts"')[1]
    assert "</svg> the same" in attempts


def test_many_attempts_are_shown_page_by_page() -> None:
    first = finished()
    for _ in range(11):
        helpers.request(first.version, data=first.dataset)
    assert "Page 1 of 2" in seen(by(Role.AUDITOR), first)
    assert "this run" in seen(by(Role.AUDITOR), first, "?page=2")


def test_what_cannot_be_done_says_why() -> None:
    run = helpers.request()
    assert "You cannot cancel it: to cancel a check takes" in seen(by(Role.AUDITOR), run)
    assert "Cancel this check</button>" in seen(by(Role.DEVELOPER), run)
    helpers.finish(run)
    assert "You cannot ask again: to ask for a check takes" in seen(by(Role.AUDITOR), run)
    assert "Ask again</button>" in seen(by(Role.DEVELOPER), run)
    CheckRun.objects.filter(pk=run.pk).update(
        purpose="rollup", rollup_of=helpers.monitor(run.version)
    )
    page = seen(by(Role.DEVELOPER), run)
    assert "a roll-up is asked for by its period" in page
    assert "Ask again</button>" not in page


def test_the_rows_that_were_meant_and_a_finding_stand_out() -> None:
    config = {"filters": [{"column": "sex", "equals": "F"}]}
    run = finished(
        request={"config": config},
        notes=[Note("conformance", "two figures differ", finding=True)],
    )
    page = seen(by(Role.AUDITOR), run)
    assert "sex = F" in page
    assert "Finding</span> Two figures differ" in page


def test_the_dataset_is_linked_for_those_who_may_read_it() -> None:
    run = finished()
    path = f'href="/datasets/{run.dataset_id}/"'
    assert path in seen(by(Role.AUDITOR), run)
    alice = f.make_user("alice")
    admin = f.make_user(None, Role.ADMINISTRATOR)
    grant_role(alice, Role.DEVELOPER, run.version.model, actor=f.actor_of(admin))
    assert path not in seen(alice, run), "no version of the model names it"


def test_a_check_is_asked_for_on_data_that_one_may_read_alone() -> None:
    version = helpers.version()
    secret = helpers.dataset(title="Another team's payroll")
    path = f"/models/{version.model.name}/versions/1/"
    alice = f.make_user("alice")
    admin = f.make_user(None, Role.ADMINISTRATOR)
    grant_role(alice, Role.DEVELOPER, version.model, actor=f.actor_of(admin))
    client = client_of(alice)
    assert "payroll" not in client.get(path).content.decode()
    data = {"check-kind": "performance", "check-dataset": str(secret.pk)}
    answer = client.post(f"{path}check/", data)
    assert answer.status_code == 400
    assert "payroll" not in answer.content.decode()
    assert not CheckRun.objects.exists()
    assert "payroll" in client_of(by(Role.DEVELOPER)).get(path).content.decode()
