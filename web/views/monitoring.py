"""Production: monitors, the batches that came, and the limits that were passed."""

from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    Exists,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.text import slugify

from accounts.access import can
from accounts.web import actor_of
from governance.models import Finding, Incident, RetrainingRequest, Suspension
from monitoring import selectors, services
from monitoring.limits import parse_limits
from monitoring.models import Backtest, Breach, CheckRun, Monitor, ObservationBatch, Window
from monitoring.windows import BATCH
from registry.selectors import visible_datasets
from web import drafts, windows
from web.forms import Resolve
from web.pages import attempt, find, page, paged, seen, show

_newest = Window.objects.filter(
    monitor=OuterRef("pk"), judged_at__isnull=False, is_backfill=False
).order_by("-end", "-start", "-pk")


STATES = (
    ("breach", "In breach"),
    ("insufficient", "Too few rows, or none read"),
    ("failed", "Last check failed"),
    ("ok", "Within limits"),
    ("queued", "No data yet"),
    ("ended", "Ended"),
)
"""What a monitor can be found to be, worst first."""


def _watching(request: HttpRequest) -> QuerySet[Any]:
    """The monitors that this person may read, each with its state, when it last ran, and its breaches."""
    of_it = Breach.objects.filter(monitor=OuterRef("pk"), resolved_at=None)
    runs = CheckRun.objects.filter(monitor=OuterRef("pk"), finished_at__isnull=False)
    rows = seen(
        Monitor.objects.select_related("version__model", "use", "environment", "source"), request
    ).annotate(
        in_breach=Exists(of_it),
        last_run=Subquery(runs.order_by("-finished_at").values("finished_at")[:1]),
        last_state=Subquery(_newest.values("state")[:1]),
    )
    state = Case(
        When(until__isnull=False, then=Value("ended")),
        When(in_breach=True, then=Value("breach")),
        When(last_state="judged", then=Value("ok")),
        When(last_state__isnull=False, then=F("last_state")),
        default=Value("queued"),
    )
    return rows.annotate(state=state)


@page()
def monitoring(request: HttpRequest) -> HttpResponse:
    """Open breaches first, then the monitors by model and state, then the newest batches."""
    state, asked = request.GET.get("state", ""), request.GET.get("model", "").strip()
    monitors = _watching(request)
    if state in dict(STATES):
        monitors = monitors.filter(state=state)
    else:
        state, monitors = "", monitors.filter(until=None)
    if asked:
        words = Q(version__model__title__icontains=asked) | Q(
            name__icontains=slugify(asked) or asked
        )
        monitors = monitors.filter(
            words | Q(version__model__name__icontains=slugify(asked) or asked)
        )
    breaches = seen(
        Breach.objects.select_related("version__model", "environment", "monitor", "run"), request
    )
    batches = seen(
        ObservationBatch.objects.select_related("version__model", "environment").prefetch_related(
            Prefetch(
                "runs",
                CheckRun.objects.filter(purpose=CheckRun.Purpose.MONITORING)
                .only("id", "state", "kind", "batch_id")
                .prefetch_related(Prefetch("breaches", Breach.objects.only("id", "run_id"))),
            )
        ),
        request,
    ).order_by("-received_at")
    backtests = seen(Backtest.objects.select_related("version__model", "environment"), request)
    context = {
        "backtests": backtests[:10],
        "open": breaches.filter(resolved_at=None)[:50],
        "resolved": breaches.exclude(resolved_at=None)[:10],
        "monitors": paged(
            request,
            monitors.order_by("-in_breach", "version__model__name", "name", "pk"),
            name="monitors",
        ),
        "states": STATES,
        "state": state,
        "asked": asked,
        "page": paged(request, batches),
    }
    return show(request, "monitoring/overview.html", context)


def _monitor(request: HttpRequest, monitor_id: UUID) -> Monitor:
    rows = Monitor.objects.select_related(
        "version__model", "use", "environment", "reference", "backtest", "source"
    )
    return find(rows, request, pk=monitor_id)


@page()
def monitor(request: HttpRequest, monitor_id: UUID) -> HttpResponse:
    return _show_monitor(request, _monitor(request, monitor_id))


def _show_monitor(
    request: HttpRequest, row: Monitor, *, status: int = 200, problem: str = ""
) -> HttpResponse:
    """One monitor: its limits drawn over what its windows came to, and each window."""
    listed = paged(request, row.windows.select_related("batch", "run"))
    drawn = list(row.windows.filter(is_backfill=False)[:60])
    limits = parse_limits(row.limits)
    context = {
        "monitor": row,
        "model": row.version.model,
        "version": row.version,
        "page": listed,
        "windows": [(one, windows.told(one)) for one in listed],
        "limits": limits,
        "last": next((one for one in drawn if one.judged_at is not None), None),
        "open": row.breaches.filter(resolved_at=None).first(),
        "plots": windows.over_time(limits, drawn, row.window != BATCH),
        "volume": windows.volume(drawn, row.min_rows),
        "breaches": row.breaches.all()[:50],
        "note": selectors.effect_note(row) if row.until is None else "",
        "backtests": _backtests_of(row)[:5],
        "may_see_source": row.source is not None
        and visible_datasets(actor_of(request)).filter(pk=row.source.pk).exists(),
        "may_arm": can(actor_of(request), "monitor.manage", row),
        "problem": problem,
    }
    return show(request, "monitoring/monitor.html", context, status=status)


def _backtests_of(row: Monitor) -> QuerySet[Backtest]:
    """Those of the monitor's definition; of a monitor of a source those on this source."""
    found = Backtest.objects.filter(version=row.version, question_digest=row.question_digest)
    return found if row.source is None else found.filter(dataset=row.source)


@page("POST")
def arm(request: HttpRequest, monitor_id: UUID) -> HttpResponse:
    """Give a monitor the effect that was wanted of it; it goes on as a new row."""
    row = _monitor(request, monitor_id)
    made: list[Monitor] = []
    outcome = attempt(
        request,
        None,
        lambda: made.append(services.arm_monitor(row, actor=actor_of(request))),
        "The monitor has the effect that was wanted of it.",
        "",
    )
    if isinstance(outcome, HttpResponse):
        return redirect("web:monitor", made[0].pk)
    return _show_monitor(request, row, status=outcome.status, problem=outcome.detail)


def _backtest(request: HttpRequest, backtest_id: UUID) -> Backtest:
    rows = Backtest.objects.select_related(
        "version__model", "use", "environment", "reference", "dataset"
    )
    return find(rows, request, pk=backtest_id)


@page()
def backtest(request: HttpRequest, backtest_id: UUID) -> HttpResponse:
    return _show_backtest(request, _backtest(request, backtest_id))


@page("POST")
def cancel_backtest(request: HttpRequest, backtest_id: UUID) -> HttpResponse:
    """Call a running backtest off."""
    row = _backtest(request, backtest_id)
    outcome = attempt(
        request,
        None,
        lambda: services.cancel_backtest(row, actor=actor_of(request)),
        "The backtest is cancelled.",
        reverse("web:backtest", args=[row.pk]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    row = _backtest(request, backtest_id)
    return _show_backtest(request, row, status=outcome.status, problem=outcome.detail)


def _show_backtest(
    request: HttpRequest, row: Backtest, *, status: int = 200, problem: str = ""
) -> HttpResponse:
    """How often a monitor would have acted, window by window."""
    every = list(row.windows.order_by("start", "end", "pk").select_related("batch", "run"))
    limits = parse_limits(row.limits)
    listed = paged(request, every)
    ended = sum(one.judged_at is not None for one in every)
    context = {
        "backtest": row,
        "model": row.version.model,
        "version": row.version,
        "limits": limits,
        "page": listed,
        "windows": [(one, windows.told(one)) for one in listed],
        "plots": windows.over_time(limits, every, row.window != BATCH),
        "ended": ended,
        "total": len(every),
        "share": ended / len(every) if every else 0.0,
        "under_way": row.state == Backtest.State.RUNNING,
        "may_cancel": can(actor_of(request), "check.cancel", row),
        "problem": problem,
    }
    return show(request, "monitoring/backtest.html", context, status=status)


def _find(request: HttpRequest, breach_id: UUID) -> Breach:
    rows = Breach.objects.select_related(
        "version__model", "use", "environment", "monitor", "run__batch", "resolved_by"
    )
    return find(rows, request, pk=breach_id)


@page()
def breach(request: HttpRequest, breach_id: UUID) -> HttpResponse:
    return _show(request, _find(request, breach_id), Resolve(initial=drafts.take(request)))


def _show(request: HttpRequest, row: Breach, form: Resolve, *, status: int = 200) -> HttpResponse:
    context = {
        "breach": row,
        "model": row.version.model,
        "version": row.version,
        "form": form,
        "answer": can(actor_of(request), "breach.resolve", row),
        "suspension": Suspension.objects.filter(breach=row).first(),
        "finding": Finding.objects.filter(breach=row).first(),
        "incident": Incident.objects.filter(breach=row).first(),
        "retraining": RetrainingRequest.objects.filter(breach=row).first(),
    }
    return show(request, "monitoring/breach.html", context, status=status)


@page("POST")
def resolve(request: HttpRequest, breach_id: UUID) -> HttpResponse:
    row = _find(request, breach_id)
    form = Resolve(request.POST)
    if not form.is_valid():
        return _show(request, row, form, status=400)
    outcome = attempt(
        request,
        form,
        lambda: services.resolve_breach(
            row, resolution=form.cleaned_data["resolution"], actor=actor_of(request)
        ),
        "The breach is resolved.",
        reverse("web:breach", args=[row.pk]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, _find(request, breach_id), form, status=outcome.status)
