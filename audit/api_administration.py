"""REST of the administrator report."""

from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from audit import administration
from audit.api import _View, describe, selection_of
from audit.models import Entry
from kernel.errors import Invalid
from kernel.rest.pagination import NewestFirst

_FILTERS = ("since", "until", "actor", "cursor", "page_size")


def _rows(request: Request) -> Any:
    for name in request.query_params:
        if name not in _FILTERS:
            raise Invalid("unknown filter; known are: since, until, actor", field=name)
    chosen = selection_of(request.query_params)
    return administration.acts(since=chosen.since, until=chosen.until, actor=chosen.actor)


class Administration(_View):
    """What administrators did, newest first, and how often each thing was done."""

    actions: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request) -> Response:
        rows = _rows(request)
        pages = NewestFirst()
        page: list[Entry] = (
            pages.paginate_queryset(rows.select_related("position"), request, view=self) or []
        )
        names = administration.names_of(page)
        response = pages.get_paginated_response(
            [{**describe(row), "actor_name": names.get(row.actor)} for row in page]
        )
        response.data["counts"] = administration.counts(rows)
        return response


class AdministrationTable(_View):
    """The same, oldest first, as CSV."""

    actions: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request) -> StreamingHttpResponse:
        response = StreamingHttpResponse(
            administration.as_csv(_rows(request)), content_type="text/csv; charset=utf-8"
        )
        response["Content-Disposition"] = 'attachment; filename="administration.csv"'
        return response
