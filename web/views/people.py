"""People, service accounts, their roles, and everybody's own tokens and password."""

from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts import services
from accounts.access import roles_of
from accounts.models import ApiToken, OrganisationRole, Responsibility, Role, User
from accounts.web import actor_of
from kernel.errors import CountersignError
from kernel.moments import now
from registry.models import RoleGrant
from registry.services import grants
from web.forms import (
    ChangePassword,
    GrantOn,
    GrantRole,
    NewPerson,
    NewServiceAccount,
    NewToken,
)
from web.pages import attempt, blame, page, paged, show


@page(action="user.manage")
def people(request: HttpRequest) -> HttpResponse:
    return _people(request)


def _people(request: HttpRequest, *, status: int = 200, **forms: Any) -> HttpResponse:
    rows = User.objects.order_by("-is_active", "kind", "name")
    found = paged(request, rows, 50)
    context = {
        "page": found,
        "rows": [(user, roles) for user, roles in _with_roles(list(found))],
        "person_form": NewPerson(),
        "service_form": NewServiceAccount(),
        **forms,
    }
    return show(request, "people/list.html", context, status=status)


def _with_roles(users: list[User]) -> list[tuple[User, list[str]]]:
    held: dict[Any, list[str]] = {user.pk: [] for user in users}
    current = OrganisationRole.objects.filter(user__in=users, until=None).order_by("role")
    for row in current:
        held[row.user_id].append(row.get_role_display())
    scoped = RoleGrant.objects.filter(user__in=users, until=None).select_related(
        "model", "portfolio"
    )
    for grant in scoped.order_by("role"):
        where = grant.model.title if grant.model else grant.portfolio and grant.portfolio.name
        held[grant.user_id].append(f"{grant.get_role_display()} on {where}")
    return [(user, held[user.pk]) for user in users]


@page("POST", action="user.manage")
def new_person(request: HttpRequest) -> HttpResponse:
    form = NewPerson(request.POST)
    if not form.is_valid():
        return _people(request, status=400, person_form=form)
    made: list[User] = []

    def write() -> None:
        made.append(services.create_person(**form.cleaned_data, actor=actor_of(request)))

    return _made(request, form, write, made) or _people(request, status=400, person_form=form)


@page("POST", action="user.manage")
def new_service_account(request: HttpRequest) -> HttpResponse:
    form = NewServiceAccount(request.POST)
    if not form.is_valid():
        return _people(request, status=400, service_form=form)
    made: list[User] = []

    def write() -> None:
        made.append(services.create_service_account(**form.cleaned_data, actor=actor_of(request)))

    return _made(request, form, write, made) or _people(request, status=400, service_form=form)


def _made(request: HttpRequest, form: Form, write: Any, made: list[User]) -> HttpResponse | None:
    try:
        write()
    except CountersignError as error:
        blame(form, error)
        return None
    messages.success(request, f"{made[0]} is on record.")
    return HttpResponseRedirect(reverse("web:person", args=[made[0].pk]), status=303)


def _find(user_id: UUID) -> User:
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise Http404("no such account")
    return user


@page(action="user.manage")
def person(request: HttpRequest, user_id: UUID) -> HttpResponse:
    return _person(request, _find(user_id))


def _person(request: HttpRequest, user: User, *, status: int = 200, **more: Any) -> HttpResponse:
    context = {
        "account": user,
        "roles": OrganisationRole.objects.filter(user=user).order_by("-since"),
        "grants": RoleGrant.objects.filter(user=user, until=None).select_related(
            "model", "portfolio"
        ),
        "answers_for": Responsibility.objects.filter(person=user, until=None).select_related(
            "service"
        ),
        "answered_by": Responsibility.objects.filter(service=user, until=None).select_related(
            "person"
        ),
        "tokens": ApiToken.objects.filter(user=user),
        "role_form": GrantRole(),
        "on_form": GrantOn(),
        "token_form": NewToken() if user.kind == User.Kind.SERVICE else None,
        "now": now(),
        **more,
    }
    return show(request, "people/person.html", context, status=status)


@page("POST", action="grant.manage")
def grant_role(request: HttpRequest, user_id: UUID) -> HttpResponse:
    user, form = _find(user_id), GrantRole(request.POST)
    if not form.is_valid():
        return _person(request, user, status=400, role_form=form)
    role = form.cleaned_data["role"]
    outcome = attempt(
        request,
        form,
        lambda: services.grant_organisation_role(user, role, actor=actor_of(request)),
        f"{user} is {Role(role).label.lower()} from now on.",
        reverse("web:person", args=[user.pk]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _person(request, user, status=outcome.status, role_form=form)


@page("POST", action="grant.manage")
def end_role(request: HttpRequest, user_id: UUID) -> HttpResponse:
    user = _find(user_id)
    role = request.POST.get("role", "")
    outcome = attempt(
        request,
        None,
        lambda: services.end_organisation_role(user, role, actor=actor_of(request)),
        "The role has ended.",
        reverse("web:person", args=[user.pk]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _person(request, user, status=outcome.status, problem=outcome.detail)


@page("POST", action="grant.manage")
def grant_on(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Grant a role on one model or one portfolio."""
    user, form = _find(user_id), GrantOn(request.POST)
    if not form.is_valid():
        return _person(request, user, status=400, on_form=form)
    role, subject = form.cleaned_data["scoped_role"], form.chosen()
    outcome = attempt(
        request,
        form,
        lambda: grants.grant_role(user, role, subject, actor=actor_of(request)),
        f"{user} is {Role(role).label.lower()} there from now on.",
        reverse("web:person", args=[user.pk]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _person(request, user, status=outcome.status, on_form=form)


@page("POST", action="grant.manage")
def end_grant(request: HttpRequest, grant_id: UUID) -> HttpResponse:
    """End a role on a model or portfolio from now on."""
    rows = RoleGrant.objects.select_related("user", "model", "portfolio")
    row = rows.filter(pk=grant_id).first()
    if row is None:
        raise Http404("no such grant")
    outcome = attempt(
        request,
        None,
        lambda: grants.end_role(row, actor=actor_of(request)),
        "The role has ended.",
        reverse("web:person", args=[row.user_id]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _person(request, row.user, status=outcome.status, problem=outcome.detail)


@page("POST", action="user.manage")
def deactivate(request: HttpRequest, user_id: UUID) -> HttpResponse:
    user = _find(user_id)
    outcome = attempt(
        request,
        None,
        lambda: services.deactivate_user(user, actor=actor_of(request)),
        f"{user} can no longer sign in; tokens and roles have ended, the record stays.",
        reverse("web:person", args=[user.pk]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _person(request, user, status=outcome.status, problem=outcome.detail)


@page("POST", action="token.manage")
def new_service_token(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Make a token for a service account. It is in this one answer and nowhere else."""
    user, form = _find(user_id), NewToken(request.POST)
    text = _issue(request, user, form)
    if text is None:
        return _person(request, user, status=400, token_form=form)
    return _person(request, user, secret=text)


@page()
def tokens(request: HttpRequest) -> HttpResponse:
    """One's own account: roles, tokens, password."""
    return _own(request)


def _own(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    actor = actor_of(request)
    context = {
        "roles": sorted(role.label for role in roles_of(actor.id)),
        "grants": RoleGrant.objects.filter(user_id=actor.id, until=None).select_related(
            "model", "portfolio"
        ),
        "tokens": ApiToken.objects.filter(user_id=actor.id),
        "token_form": NewToken(),
        "password_form": ChangePassword(),
        "now": now(),
        **more,
    }
    return show(request, "people/tokens.html", context, status=status)


@page("POST")
def new_token(request: HttpRequest) -> HttpResponse:
    """Make a token of one's own. It is in this one answer and nowhere else."""
    form = NewToken(request.POST)
    assert isinstance(request.user, User)
    text = _issue(request, request.user, form)
    if text is None:
        return _own(request, status=400, token_form=form)
    return _own(request, secret=text)


def _issue(request: HttpRequest, user: User, form: NewToken) -> str | None:
    if not form.is_valid():
        return None
    try:
        _, text = services.issue_token(
            user,
            name=form.cleaned_data["name"],
            scopes=form.cleaned_data["scopes"],
            expires_at=datetime.combine(form.cleaned_data["expires"], time.max, UTC),
            actor=actor_of(request),
        )
    except CountersignError as error:
        if "expires_at" in error.fields:
            error.fields["expires"] = error.fields.pop("expires_at")
        blame(form, error)
        return None
    return text


@page("POST")
def revoke_token(request: HttpRequest, token_id: UUID) -> HttpResponse:
    token = ApiToken.objects.select_related("user").filter(pk=token_id).first()
    if token is None or (
        token.user_id != actor_of(request).id and token.user.kind != User.Kind.SERVICE
    ):
        raise Http404("no such token")
    own = token.user_id == actor_of(request).id
    back = reverse("web:tokens") if own else reverse("web:person", args=[token.user_id])
    outcome = attempt(
        request,
        None,
        lambda: services.revoke_token(token, actor=actor_of(request)),
        f"The token “{token.name}” is revoked.",
        back,
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    if own:
        return _own(request, status=outcome.status, problem=outcome.detail)
    raise outcome


@page("POST")
def change_password(request: HttpRequest) -> HttpResponse:
    form = ChangePassword(request.POST)
    if not form.is_valid():
        return _own(request, status=400, password_form=form)
    user = request.user
    assert isinstance(user, User)
    outcome = attempt(
        request,
        form,
        lambda: services.change_password(
            user,
            current=form.cleaned_data["current"],
            password=form.cleaned_data["password"],
            actor=actor_of(request),
        ),
        "Your password is changed.",
        reverse("web:tokens"),
    )
    if isinstance(outcome, HttpResponse):
        user.refresh_from_db()
        update_session_auth_hash(request, user)
        return outcome
    return _own(request, status=outcome.status, password_form=form)
