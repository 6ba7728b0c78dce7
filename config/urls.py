"""All routes: pages at the root, REST under /api/v1/, the public log under /audit/log/."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView

from config import health

LAYERS = ("accounts", "audit", "registry", "monitoring", "governance", "reports")


class Schema(SpectacularAPIView):
    """The OpenAPI document, as JSON."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer]  # noqa: RUF012
    actions = {"GET": "model.read"}  # noqa: RUF012


def _routes(layer: str, name: str) -> list[Any]:
    if find_spec(f"{layer}.urls") is None:
        return []
    return list(getattr(import_module(f"{layer}.urls"), name, []))


urlpatterns = [
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("api/v1/schema/", Schema.as_view(), name="schema"),
    *[path("api/v1/", include(_routes(layer, "api_urls"))) for layer in LAYERS],
    path("audit/log/", include(_routes("audit", "log_urls"))),
    path("back-office/", admin.site.urls),
    path("", include(_routes("governance", "well_known_urls"))),
    path("", include(_routes("web", "urlpatterns"))),
]
