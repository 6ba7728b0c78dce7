"""What the views share: who asks, what they may see, and how a refused write comes back."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Page, Paginator
from django.db import models
from django.db.models import QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from accounts.access import can, visible
from accounts.web import actor_of
from audit.actor import Actor
from kernel.errors import CountersignError, NotFound
from web import drafts

P = ParamSpec("P")
M = TypeVar("M", bound=models.Model)
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

PAGE_SIZE = 25


def page(*methods: str, action: str = "") -> Callable[[View[P]], View[P]]:
    """Make a view a page for signed-in people that answers `methods` (GET and HEAD by default).

    `action` is asked for the organisation as a whole; what concerns one model, the services ask.
    An expected error that the view lets through becomes an error page with its status.
    """

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                drafts.keep(request)
                back = request.get_full_path() if request.method == "GET" else _referrer(request)
                return redirect_to_login(back)
            answer = can(actor_of(request), action) if action else True
            if not answer:
                return refused(request, 403, getattr(answer, "reason", ""))
            try:
                response = view(request, *args, **kwargs)
            except NotFound as error:
                raise Http404(error.detail) from error
            except CountersignError as error:
                response = refused(request, error.status, error.detail)
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        allowed = list(methods) or ["GET", "HEAD"]
        return require_http_methods(allowed)(wrapper)

    return decorate


def _referrer(request: HttpRequest) -> str:
    """Where to come back to after a write met an ended session: the page that held the form."""
    return drafts.home_of(request.path)


def refused(request: HttpRequest, status: int, reason: str) -> HttpResponse:
    return render(request, "refused.html", {"status": status, "reason": reason}, status=status)


def find(
    queryset: QuerySet[M], request: HttpRequest, path: str = "version__model", **lookup: Any
) -> M:
    """The one row that matches, if this person may read it.

    Raises:
        Http404: there is none, or none for this person; the two are not told apart.
    """
    row = visible(queryset.filter(**lookup), actor_of(request), path).first()
    if row is None:
        raise Http404("nothing here that you may read")
    return row


def seen(queryset: QuerySet[M], request: HttpRequest, path: str = "version__model") -> QuerySet[M]:
    """The rows that this person may read."""
    return visible(queryset, actor_of(request), path)


def paged(
    request: HttpRequest, rows: Any, size: int = PAGE_SIZE, *, name: str = "page"
) -> Page[Any]:
    """The asked page of a list; a page that does not exist is the nearest one.

    `name` is the query's parameter: on a page with two lists each has its own.
    """
    return Paginator(rows, size).get_page(request.GET.get(name))


def allowed(actor: Actor, actions: Mapping[str, object]) -> dict[str, bool]:
    """Which of `actions` (name to object) `actor` may do now, for what a page offers."""
    return {name.replace(".", "_"): bool(can(actor, name, obj)) for name, obj in actions.items()}


def attempt(
    request: HttpRequest, form: Form | None, write: Callable[[], object], done: str, to: str
) -> HttpResponse | CountersignError:
    """Call a service once and answer with a redirect; give its refusal back for the form to show.

    The fields that the error names are marked in `form`; whatever else it says stands above it.
    """
    try:
        write()
    except CountersignError as error:
        blame(form, error)
        return error
    messages.success(request, done)
    return HttpResponseRedirect(to, status=303)


def blame(form: Form | None, error: CountersignError) -> None:
    """Write an error of a service beside the fields of `form` that it names."""
    if form is None:
        return
    named = {name: detail for name, detail in error.fields.items() if name in form.fields}
    for name, detail in named.items():
        form.add_error(name, detail)
    if not named:
        form.add_error(None, error.detail)


def show(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    return render(request, template, dict(context), status=status)
