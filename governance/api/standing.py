"""The standing of a version: now, or as it was on record at any instant."""

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.api.forms import instant, read_instant
from governance.selectors import standing_of
from governance.standing import StandingReport
from kernel.errors import Invalid
from kernel.moments import rfc3339
from monitoring.api import finding
from registry.models import Environment, Use

_KNOWN = ("use", "environment", "at", "format")


class StandingView(APIView):
    """`?environment=` must be said; `use` is the default one and `at` is now if they are not."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(
        parameters=[
            OpenApiParameter("environment", required=True),
            OpenApiParameter("use"),
            OpenApiParameter("at", description="RFC 3339; a bare date means its end"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, name: str, number: int) -> Response:
        version = finding.version_of(request, name, number)
        asked = request.query_params
        unknown = sorted(set(asked) - set(_KNOWN))
        if unknown:
            raise Invalid("unknown; known are use, environment, at", field=unknown[0])
        if not asked.get("environment"):
            raise Invalid("name an environment", field="environment")
        environment = finding.environment_of(asked["environment"])
        use = finding.use_of(version, asked.get("use"))
        at = read_instant(asked["at"], "at") if "at" in asked else None
        found = standing_of(version, use, environment, at)
        if found.at < version.registered_at:
            raise Invalid("the version was not registered yet", field="at")
        return Response({"model": name, "version": number, **_describe(found, use, environment)})


def _describe(found: StandingReport, use: Use, environment: Environment) -> dict[str, Any]:
    approval = found.approval
    return {
        "use": use.name,
        "environment": environment.name,
        "at": rfc3339(found.at),
        "standing": found.standing.value,
        "reason": found.reason,
        "in_force": found.standing.in_force,
        "until": instant(found.until),
        "revision": found.revision,
        "holding": [
            {"standing": state.value, "reason": reason} for state, reason in found.holding.items()
        ],
        "approval": {
            "id": approval.id,
            "granted_at": rfc3339(approval.granted_at),
            "valid_until": rfc3339(approval.valid_until),
            "revision": approval.revision,
            "is_conditional": approval.is_conditional,
        }
        if approval
        else None,
        "policy_revision": found.policy_revision.id if found.policy_revision else None,
        "suspensions": [
            {"id": one.id, "effect": one.effect, "since": rfc3339(one.interval.since)}
            for one in found.suspensions
        ],
    }
