"""Sensitive attributes that are not collected: who signed that, until when, and the signature itself."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from accounts import services as accounts
from accounts.access import can
from accounts.models import User
from accounts.web import actor_of
from kernel.moments import now, parse_rfc3339
from monitoring.models import NotCollectedDeclaration
from monitoring.services import declare_not_collected, withdraw_declaration
from monitoring.services.declarations import SUBJECT, statement_digest
from registry.models import ModelVersion, RegisteredModel
from web import drafts, groups
from web.forms import DeclareNotCollected
from web.pages import attempt, find, page, paged, seen, show


def _find(request: HttpRequest, name: str) -> RegisteredModel:
    return find(RegisteredModel.objects.all(), request, "", name=name)


def attributes(
    request: HttpRequest, model: RegisteredModel
) -> list[tuple[groups.Attribute, ModelVersion | None]]:
    """The model's sensitive attributes, each with its proxy if this person may read that."""
    found = groups.attributes_of(model, now())
    proxies = groups.proxies_of(found)
    rows = ModelVersion.objects.select_related("model").filter(pk__in=proxies)
    readable = {one.pk: one for one in seen(rows, request, "model")} if proxies else {}
    return groups.told(found, readable)


@sensitive_post_parameters("password")
@page("GET", "HEAD", "POST")
def not_collected(request: HttpRequest, name: str) -> HttpResponse:
    """Every declaration of a model, and the form for one more."""
    model = _find(request, name)
    if request.method != "POST":
        return _show(request, model)
    form = DeclareNotCollected(_absent(request, model), request.POST)
    if not form.is_valid():
        return _show(request, model, status=400, form=form)
    outcome = attempt(
        request,
        form,
        lambda: _sign(request, model, form.cleaned_data),
        "Your declaration is on record.",
        reverse("web:not-collected", args=[model.name]),
    )
    # Else a locked account would be told so on a page of its own, and lose what was typed.
    request.axes_locked_out = False  # type: ignore[attr-defined]
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, model, status=outcome.status, form=form)


def _sign(request: HttpRequest, model: RegisteredModel, typed: dict[str, Any]) -> None:
    """Prove who signs exactly this statement, then sign it. A date means its end."""
    zone = settings.COUNTERSIGN.time_zone
    until = parse_rfc3339(typed["until"].isoformat(), "until", time_zone=zone)
    attribute, reason, actor = typed["attribute"], typed["reason"], actor_of(request)
    user = request.user
    assert isinstance(user, User)
    proof = accounts.reauthenticate(
        user,
        password=typed["password"],
        subject_type=SUBJECT,
        subject_id=model.pk,
        signed_digest=statement_digest(model, attribute, reason, until),
        actor=actor,
        request=request,
    )
    declare_not_collected(
        model,
        attribute=attribute,
        reason=reason,
        until=until,
        reauthentication=proof.pk,
        actor=actor,
    )


@page("POST")
def withdraw(request: HttpRequest, declaration_id: UUID) -> HttpResponse:
    """End a declaration before its time."""
    rows = NotCollectedDeclaration.objects.select_related("model")
    row = find(rows, request, "model", pk=declaration_id)
    outcome = attempt(
        request,
        None,
        lambda: withdraw_declaration(row, actor=actor_of(request)),
        f"The declaration on {row.attribute} is withdrawn.",
        reverse("web:not-collected", args=[row.model.name]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, row.model, status=outcome.status, problem=outcome.detail)


def _absent(request: HttpRequest, model: RegisteredModel) -> list[str]:
    """What can be declared: a name that the columns do not know would change nothing."""
    return [one.name for one, _ in attributes(request, model) if one.state == "not_collected"]


def _show(
    request: HttpRequest,
    model: RegisteredModel,
    *,
    status: int = 200,
    form: DeclareNotCollected | None = None,
    problem: str = "",
) -> HttpResponse:
    found = attributes(request, model)
    absent = [one.name for one, _ in found if one.state == "not_collected"]
    rows = NotCollectedDeclaration.objects.filter(model=model).select_related(
        "signed_by", "withdrawn_by"
    )
    listed = paged(request, rows)
    at = now()
    answer = can(actor_of(request), "groups.declare", model)
    context = {
        "model": model,
        "attributes": found,
        "absent": absent,
        "page": listed,
        "declarations": [(one, groups.hold_of(one, at)) for one in listed],
        "may_declare": answer,
        "form": form or DeclareNotCollected(absent, initial=drafts.take(request)),
        "problem": problem,
    }
    return show(request, "models/not_collected.html", context, status=status)
