"""What a monitor found over a period: its windows added up, in a run of their own."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.access import can
from accounts.web import actor_of
from kernel.errors import CountersignError
from monitoring.models import CheckRun, Monitor, Window
from monitoring.services import roll_up as ask
from monitoring.services.rollups import KINDS
from web import drafts
from web.forms import RollUp
from web.pages import blame, find, page, paged, show


@page("GET", "HEAD", "POST")
def roll_up(request: HttpRequest, monitor_id: UUID) -> HttpResponse:
    """Ask for the sum of a period, and go to its run; and the sums that were asked for before."""
    rows = Monitor.objects.select_related("version__model", "environment")
    row = find(rows, request, pk=monitor_id)
    if request.method != "POST":
        return _show(request, row)
    form = RollUp(request.POST)
    if not form.is_valid():
        return _show(request, row, status=400, form=form)
    try:
        since, until = form.period()
        made = ask(row, since=since, until=until, actor=actor_of(request))
    except CountersignError as error:
        blame(form, error)
        return _show(request, row, status=error.status, form=form)
    answer = redirect("web:check-run", made.pk)
    answer.status_code = 303
    return answer


def _show(
    request: HttpRequest, row: Monitor, *, status: int = 200, form: RollUp | None = None
) -> HttpResponse:
    measured = _measured(row)
    earlier = CheckRun.objects.filter(rollup_of=row).defer("mapping", "config")
    context = {
        "monitor": row,
        "model": row.version.model,
        "version": row.version,
        "kinds": KINDS,
        "adds_up": row.kind in KINDS,
        "measured": measured,
        "may_ask": can(actor_of(request), "check.request", row),
        "form": form or RollUp(initial=drafts.take(request) or _last_month(measured)),
        "page": paged(request, earlier),
    }
    return show(request, "monitoring/roll_up.html", context, status=status)


def _measured(row: Monitor) -> dict[str, Any]:
    """How many windows of the monitor have a result, and from when to when they reach."""
    found = Window.objects.filter(
        monitor=row,
        runs__state=CheckRun.State.SUCCEEDED,
        runs__purpose=CheckRun.Purpose.MONITORING,
    )
    return found.aggregate(count=Count("pk", distinct=True), first=Min("start"), last=Max("end"))


def _last_month(measured: dict[str, Any]) -> dict[str, Any]:
    """The month of the newest measured window, as a proposal."""
    if not measured["count"]:
        return {}
    last = (measured["last"] - timedelta(microseconds=1)).date()
    return {"since": last.replace(day=1), "until": last}
