"""What the views about a version, use and environment share."""

from typing import Any

from rest_framework.request import Request

from kernel.rest.serializers import StrictSerializer
from monitoring.api import finding
from registry.models import Environment, ModelVersion, Use

FILTERS = {
    "model": "version__model__name",
    "version": "version__number",
    "use": "use__name",
    "environment": "environment__name",
}


def parse(form: type[StrictSerializer], request: Request) -> dict[str, Any]:
    """The body, checked against a form."""
    read = form(data=request.data)
    read.is_valid(raise_exception=True)
    return dict(read.validated_data)


def place_in_body(request: Request, asked: dict[str, Any]) -> tuple[ModelVersion, Use, Environment]:
    """The place that a body names as in `PlaceRequest`, among what the actor may read."""
    version = finding.version_in_body(request, asked["model"], asked["version"])
    return (
        version,
        finding.use_of(version, asked.get("use")),
        finding.environment_of(asked["environment"]),
    )
