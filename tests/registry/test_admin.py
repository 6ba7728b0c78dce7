"""The back office shows the registry to staff and changes nothing."""

import pytest
from django.contrib import admin
from django.test import Client

from registry import models
from tests import factories as f

pytestmark = pytest.mark.django_db
SHOWN = [model for model in admin.site._registry if model._meta.app_label == "registry"]


@pytest.mark.parametrize("model", SHOWN)
def test_staff_look_and_nobody_writes(model: type[models.RegisteredModel]) -> None:
    version = f.make_version()
    f.make_evidence(version)
    f.make_deployment(version, f.make_environment())
    f.make_dataset()
    client = Client()
    client.force_login(f.make_user(is_staff=True, is_superuser=True))
    base = f"/back-office/registry/{model._meta.model_name}/"
    assert client.get(base).status_code == 200
    assert client.get(f"{base}add/").status_code == 403
    row = model.objects.first()
    if row is not None:
        assert client.get(f"{base}{row.pk}/change/").status_code == 200
        assert client.post(f"{base}{row.pk}/change/", {}).status_code == 403
        assert client.post(f"{base}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        assert model.objects.filter(pk=row.pk).exists()


def test_other_people_do_not_even_look() -> None:
    client = Client()
    client.force_login(f.make_user(None, "owner"))
    assert client.get("/back-office/registry/registeredmodel/").status_code == 302
