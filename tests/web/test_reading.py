"""Reading changes nothing, and a longer list costs no more queries."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Role
from kernel.identifiers import uuid7
from tests import factories as f
from tests.monitoring import helpers
from tests.web.scene import Scene, client_of


def rows() -> dict[str, int]:
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models(include_auto_created=True)
        if model._meta.label != "sessions.Session"
    }


def test_no_get_changes_anything(scene: Scene) -> None:
    clients = [client_of(user) for user in (scene.auditor, scene.world.officer, scene.admin)]
    paths = [*scene.paths().values(), *(path for path, _ in scene.restricted().values())]
    for client in clients:
        client.get("/")
    before = rows()
    for client in clients:
        for path in paths:
            client.get(path)
    assert rows() == before


def test_writes_answer_no_get(scene: Scene) -> None:
    client = client_of(scene.admin)
    model = scene.world.version.model.name
    for path in (
        "/sign-out/",
        f"/reviews/{scene.open_review.pk}/sign/",
        f"/reviews/{scene.open_review.pk}/validation/",
        f"/reviews/{scene.open_review.pk}/withdraw/",
        f"/models/{model}/versions/1/reopen/",
        f"/models/{model}/versions/1/submit/",
        f"/models/{model}/versions/1/check/",
        f"/check-runs/{scene.queued.pk}/cancel/",
        f"/check-runs/{scene.run.pk}/retry/",
        f"/monitoring/monitors/{scene.monitor.pk}/arm/",
        f"/datasets/{scene.run.dataset_id}/content/",
        f"/monitoring/breaches/{scene.breach.pk}/resolve/",
        f"/incidents/{scene.incident.pk}/classify/",
        f"/incidents/{scene.incident.pk}/dismiss/",
        f"/suspensions/{scene.suspension.pk}/lift/",
        f"/waivers/{scene.waiver.pk}/grant/",
        f"/waivers/{scene.waiver.pk}/end/",
        f"/findings/{scene.finding.pk}/close/",
        "/account/token/",
        "/account/password/",
        "/people/new-person/",
        f"/people/{scene.outsider.pk}/deactivate/",
        f"/people/{scene.outsider.pk}/grant-role/",
    ):
        assert client.get(path).status_code == 405, path


def _more_models(scene: Scene) -> None:
    for _ in range(12):
        f.make_version(f.make_model())


def _more_versions(scene: Scene) -> None:
    for _ in range(7):
        f.make_version(scene.world.version.model)


def _more_reviews(scene: Scene) -> None:
    for _ in range(6):
        version = f.make_version(scene.world.version.model, by=scene.world.developer)
        scene.world.version = version
        scene.world.submit()


def _more_decisions(scene: Scene) -> None:
    for _ in range(12):
        scene.decision.pk = uuid7()
        scene.decision.save(force_insert=True)


def _more_batches(scene: Scene) -> None:
    for day in range(1, 9):
        helpers.batch(scene.monitor, day)


def _more_people(scene: Scene) -> None:
    for _ in range(20):
        f.make_user(None, Role.DEVELOPER, Role.OPERATOR)


def _more_entries(scene: Scene) -> None:
    for _ in range(15):
        f.make_legal_entity()
        f.make_environment()


@pytest.mark.parametrize(
    ("path", "more", "ceiling"),
    [
        ("/", _more_reviews, 37),
        ("/reviews/", _more_reviews, 25),
        ("/models/", _more_models, 17),
        ("/models/{model}/", _more_versions, 45),
        ("/gate/", _more_decisions, 16),
        ("/monitoring/", _more_batches, 23),
        ("/people/", _more_people, 20),
        ("/audit/", _more_entries, 26),
    ],
)
def test_lists_ask_the_database_a_bounded_number_of_times(
    scene: Scene, path: str, more: Callable[[Scene], None], ceiling: int
) -> None:
    path = path.format(model=scene.world.version.model.name)
    user = scene.admin if path in ("/people/", "/audit/") else scene.world.officer
    client = client_of(user)
    client.get(path)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        return len(queries)

    before = count()
    more(scene)
    after = count()
    assert after <= before
    assert after <= ceiling
