"""Pages print no small count, say what is estimated, and give the whole cube to few."""

from types import SimpleNamespace

import pytest

from accounts.models import Role
from monitoring import services
from tests import factories
from tests.monitoring import helpers
from web.templatetags.countersign import people

pytestmark = pytest.mark.django_db(transaction=True)


def shown(n, **detail):
    return people(SimpleNamespace(n=n, detail=detail))


def test_a_small_count_is_printed_as_less_than_the_floor():
    assert shown(None, n_below=11) == "<11"
    assert shown(12_345) == "12,345"
    assert shown(None) == "–"


def page(role, run, client):
    client.force_login(factories.make_user(None, role))
    return client.get(f"/check-runs/{run.pk}/").content.decode()


def test_the_page_of_a_run(client):
    small = helpers.measured(
        "selection_rate",
        None,
        slice={"sex": "x"},
        n=None,
        detail={"n_below": 11},
        undefined_reason="too_few_to_show",
    )
    guessed = helpers.measured(slice={"race": "A"}, detail={"estimated": True, "proxy": "v"})
    result = helpers.outcome(small, guessed, kind="fairness", public_cube=b"{}")
    run = helpers.finish(helpers.request(kind="fairness"), result)
    seen = page(Role.DEVELOPER, run, client)
    assert "&lt;11" in seen
    assert "estimated" in seen
    link = f'href="/check-runs/{run.pk}/files/cube-whole.json"'
    assert link not in seen
    assert "restricted: it tells small counts" in seen
    assert client.get(f"/check-runs/{run.pk}/files/cube-whole.json").status_code == 403
    seen = page(Role.AUDITOR, run, client)
    assert link in seen
    root = factories.actor_of(factories.make_user(None, Role.ADMINISTRATOR))
    services.erase_cube(run, reason="asked", actor=root)
    seen = page(Role.AUDITOR, run, client)
    assert "was erased" in seen
    assert link not in seen
