"""Asking again: a new run that cites the earlier one, and what two runs of one check tell of each other."""

import pytest

from accounts.models import Role
from audit.writing import Refused
from kernel.errors import Conflict
from monitoring import selectors, services
from monitoring.models import CheckRun, Window
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db


def person(role):
    return factories.actor_of(factories.make_user(None, role))


def fail(run):
    claimed = services.claim_run(run.pk, actor=helpers.SYSTEM)
    services.fail_run(run.pk, claimed.attempt, "unreadable", retryable=False, actor=helpers.SYSTEM)
    run.refresh_from_db()
    return run


def test_a_run_that_failed_is_asked_again_as_it_was():
    first = fail(helpers.request(config={"level": 0.9}))
    second = services.retry_run(first, actor=person(Role.VALIDATOR))
    assert (second.retry_of, second.state, second.attempt) == (first, "queued", 0)
    assert second.config_digest == first.config_digest
    assert (second.dataset, second.mapping) == (first.dataset, first.mapping)
    (entry,) = helpers.entries("monitoring.check.requested", second.pk)
    assert entry.public["retry_of"] == str(first.pk)
    first.refresh_from_db()
    assert first.state == "failed", "all attempts show"


def test_what_is_under_way_is_not_asked_again():
    run = helpers.request()
    with pytest.raises(Conflict) as caught:
        services.retry_run(run, actor=helpers.developer())
    assert caught.value.code == "under_way"


@pytest.mark.parametrize("role", [Role.RISK_OFFICER, Role.OPERATOR, Role.AUDITOR])
def test_who_must_not_ask_again(role):
    run = helpers.finish(helpers.request())
    with pytest.raises(Refused):
        services.retry_run(run, actor=person(role))
    assert CheckRun.objects.count() == 1
    assert helpers.entries("audit.write.refused")


def test_a_monitors_window_is_asked_again_by_who_manages_monitors():
    watch = helpers.monitor()
    run = fail(helpers.batch(watch).runs.get())
    with pytest.raises(Refused):
        services.retry_run(run, actor=helpers.developer())
    again = services.retry_run(run, actor=person(Role.OWNER))
    window = Window.objects.get()
    assert (again.retry_of, again.window, window.run, window.state) == (
        run, window, again, "queued",
    )  # fmt: skip
    with pytest.raises(Conflict) as caught:
        services.retry_run(run, actor=person(Role.OWNER))
    assert caught.value.code == "superseded"
    helpers.finish(again)
    with pytest.raises(Conflict) as caught:
        services.retry_run(again, actor=person(Role.OWNER))
    assert caught.value.code == "judged"


def test_the_same_result_is_told_and_another_is_not():
    version = helpers.version()
    first = helpers.finish(helpers.request(version))
    assert selectors.same_result(first) is None
    second = helpers.finish(services.retry_run(first, actor=helpers.developer()))
    third = helpers.finish(
        helpers.request(version), helpers.outcome(helpers.measured(value=0.5), cube=b"{}")
    )
    assert selectors.same_result(second) == first
    assert selectors.same_result(third) is None


def test_a_changed_library_is_told_against_the_run_before_of_the_same_check():
    version = helpers.version()
    first = helpers.finish(helpers.request(version))
    other = helpers.request(version, config={"level": 0.9})
    second = helpers.finish(
        services.retry_run(first, actor=helpers.developer()),
        helpers.outcome(libraries={"duckdb": "2.1.0", "scipy": "1.17.1"}),
    )
    assert selectors.previous_run(second) == first
    assert selectors.library_changes(second, first) == [
        {"name": "duckdb", "before": "2.0.0", "now": "2.1.0"},
        {"name": "scipy", "before": None, "now": "1.17.1"},
    ]
    assert selectors.previous_run(first) is None
    assert selectors.library_changes(first, None) == []
    assert selectors.previous_run(helpers.finish(other)) is None, "another configuration"


def test_the_api_tells_what_runs_have_in_common(client):
    run = helpers.finish(helpers.request())
    asker = factories.make_user(None, Role.DEVELOPER)
    headers = factories.bearer(asker)
    answer = client.post(
        f"/api/v1/check-runs/{run.pk}/retry/", {}, content_type="application/json", headers=headers
    )
    assert answer.status_code == 201, answer.content
    assert answer.json()["retry_of"] == str(run.pk)
    helpers.finish(
        CheckRun.objects.get(pk=answer.json()["id"]),
        helpers.outcome(libraries={"duckdb": "2.1.0"}),
    )
    shown = client.get(f"/api/v1/check-runs/{answer.json()['id']}/", headers=headers).json()
    assert shown["same_result_as"] == shown["previous"] == str(run.pk)
    assert shown["library_changes"] == [{"name": "duckdb", "before": "2.0.0", "now": "2.1.0"}]
