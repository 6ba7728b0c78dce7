"""The facts that dossiers and controls are made of."""

import pytest

from kernel import canonical
from monitoring import selectors, services
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db


def test_the_newest_success_holds_the_measurements_and_all_attempts_show():
    version, data = helpers.version(), helpers.dataset()
    cancelled = helpers.request(version, data=data)
    services.cancel_run(cancelled, actor=helpers.developer())
    failed = helpers.request(version, data=data)
    services.claim_run(failed.pk, actor=helpers.SYSTEM)
    services.fail_run(failed.pk, 1, "no", retryable=False, actor=helpers.SYSTEM)
    older = helpers.finish(helpers.request(version, data=data))
    newer = helpers.finish(helpers.request(version, data=data))
    helpers.request(version, data=data)

    facts = selectors.measurement_facts(version)
    assert [one["state"] for one in facts] == ["cancelled", "failed", "succeeded", "succeeded"]
    assert facts[2]["superseded_by"] == str(newer.pk)
    assert facts[2]["measurements"] == []
    assert facts[2]["cube"] == older.cube_id
    (measured,) = facts[3]["measurements"]
    assert (measured["metric"], measured["value"], measured["grade"]) == (
        "accuracy",
        0.9,
        "recomputed",
    )
    assert facts[3]["dataset"] == {"name": data.name, "digest": data.digest}
    assert canonical.dumps(facts) == canonical.dumps(selectors.measurement_facts(version))


def test_another_configuration_is_another_question():
    version, data = helpers.version(), helpers.dataset()
    for level in (0.9, 0.95):
        helpers.finish(helpers.request(version, data=data, config={"level": level}))
    assert all(one["measurements"] for one in selectors.measurement_facts(version))


def test_facts_are_as_they_were_at_an_instant_and_since_the_freeze():
    version, data = helpers.version(), helpers.dataset()
    first = helpers.finish(helpers.request(version, data=data))
    frozen = factories.freeze(version).frozen_at
    second = helpers.finish(helpers.request(version, data=data))
    assert [one["id"] for one in selectors.measurement_facts(version, at=frozen)] == [str(first.pk)]
    then = selectors.measurement_facts(version, at=frozen)
    assert then[0]["measurements"], "the later run did not supersede it then"
    assert [one["id"] for one in selectors.measurement_facts(version, since=frozen)] == [
        str(second.pk)
    ]
