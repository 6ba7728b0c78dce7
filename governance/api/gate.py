"""Asking the gate. `decisions` tells; `enforce` tells by its status as well, for steps that read no body.

`enforce` answers 200 for allow and nothing else below 400: 403 deny, 409 pending with `Retry-After`,
503 where it cannot decide, whatever the reason. Pipelines take any 2xx, and some any 3xx, for a yes.
"""

import json
import logging
from typing import Any, ClassVar
from uuid import UUID

from django.db import DatabaseError
from django.db.models import Q
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import visible
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from governance.api import forms
from governance.gate import Purpose, Question
from governance.models import GateDecision
from governance.services import gate
from kernel.errors import NotFound, Unavailable
from kernel.moments import now, parse_rfc3339
from kernel.rest.pagination import NewestFirst
from kernel.rest.problems import handle
from kernel.rest.schema import IDEMPOTENCY_KEY
from monitoring.api.finding import filtered

logger = logging.getLogger(__name__)

RETRY_AFTER = "30"
STATUS = {"allow": 200, "deny": 403, "pending": 409}
_ROWS = GateDecision.objects.select_related(
    "version__model", "use", "environment", "policy_revision__policy", "asked_by"
)
_FILTERS = {
    "model": "version__model__name",
    "version": "version__number",
    "use": "use__name",
    "environment": "asked_environment",
    "decision": "answer",
    "verdict": "verdict",
}


class _Asking(APIView):
    """What both ways to ask have in common."""

    def _ask(self, request: Request) -> GateDecision:
        row = gate.ask(_question(request), actor=actor_of(request))
        # The same account, and it is read already.
        row.asked_by = request.user  # type: ignore[assignment]
        return row

    def _must_be_fresh(self, request: Request, replayed: HttpResponse) -> bool:
        """Is the first answer one that must not be given again: not decided yet, or an allow that
        has run out, or that the gate would not give now?

        An `Idempotency-Key` is often the id of a run, and runs are run again days later; and within
        the minutes that an allow holds, somebody may have stopped the version.
        """
        answer = json.loads(replayed.content)
        if answer.get("decision") == "pending":
            return True
        if answer.get("decision") != "allow":
            return False
        not_after = answer.get("not_after")
        if not_after is None or parse_rfc3339(not_after, "not_after") <= now():
            return True
        return not gate.still_allows(_question(request), actor=actor_of(request))

    def handle_exception(self, exc: Exception) -> Response:
        """What nobody foresaw, and a database that cannot be written, is 503 and never an allow."""
        foreseen = None if isinstance(exc, DatabaseError) else handle(exc, {})
        if foreseen is None:
            logger.error("the gate cannot decide", exc_info=exc)
            unavailable = Unavailable("the gate cannot decide; take it for a no and ask again")
            foreseen = handle(unavailable, {})
            assert foreseen is not None
        foreseen.exception = True
        return foreseen


def _question(request: Request) -> Question:
    form = forms.GateRequest(data=request.data)
    form.is_valid(raise_exception=True)
    asked = dict(form.validated_data)
    return Question(
        purpose=Purpose(asked.pop("purpose")), number=asked.pop("version", None), **asked
    )


class Decisions(_Asking):
    """The decisions of the gate. POST asks, and answers 200 with the decision, whatever it is."""

    actions: ClassVar = {"GET": "model.read", "POST": "gate.ask"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        actor = actor_of(request)
        readable = visible(GateDecision.objects.all(), actor, "version__model")
        own = Q(version=None, asked_by=actor.id)
        rows = _ROWS.filter(Q(pk__in=readable.order_by().values("pk")) | own)
        pages = NewestFirst()
        page = pages.paginate_queryset(filtered(request, rows, _FILTERS), request, view=self)
        return pages.get_paginated_response([forms.decision(row) for row in page or []])

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY], request=forms.GateRequest, responses=OpenApiTypes.OBJECT
    )
    def post(self, request: Request) -> Any:
        answer = self._once(request)
        if isinstance(answer, Response) or not self._must_be_fresh(request, answer):
            return answer
        return Response(forms.decision(self._ask(request)))

    @idempotent
    def _once(self, request: Request) -> Response:
        return Response(forms.decision(self._ask(request)))


class DecisionDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        actor = actor_of(request)
        row = _ROWS.filter(pk=id).first()
        readable = visible(GateDecision.objects.filter(pk=id), actor, "version__model").exists()
        if row is None or not (readable or (row.version is None and row.asked_by_id == actor.id)):
            raise NotFound(f"there is no gate decision {id}")
        return Response(forms.decision(row))


class Enforce(_Asking):
    """Ask, and be answered by the status: 200 is allow and nothing else is below 400."""

    actions: ClassVar = {"POST": "gate.ask"}

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request=forms.GateRequest,
        responses=dict.fromkeys((200, 403, 409, 503), OpenApiTypes.OBJECT),
    )
    def post(self, request: Request) -> Any:
        answer = self._once(request)
        if isinstance(answer, Response):
            return answer
        if answer.status_code in (200, 409) and self._must_be_fresh(request, answer):
            return self._answer(request)
        answer["Content-Type"] = "application/json"
        return answer

    @idempotent
    def _once(self, request: Request) -> Response:
        return self._answer(request)

    def _answer(self, request: Request) -> Response:
        row = self._ask(request)
        headers = {"Retry-After": RETRY_AFTER} if row.answer == "pending" else {}
        return Response(forms.decision(row), status=STATUS[row.answer], headers=headers)
