"""Signing in and out."""

from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services
from accounts.actors import actor_for
from accounts.models import User
from web import drafts
from web.forms import SignIn
from web.pages import show


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for name and password; on success go where the person was going."""
    target = _target(request)
    if request.method != "POST":
        if request.user.is_authenticated:
            return HttpResponseRedirect(target)
        return _ask(request, SignIn(), target)
    form = SignIn(request.POST)
    if not form.is_valid():
        return _ask(request, form, target, status=400)
    user = authenticate(
        request, username=form.cleaned_data["username"], password=form.cleaned_data["password"]
    )
    if not isinstance(user, User):
        form.add_error(
            None, "The name or the password is wrong, or the account is locked for a while."
        )
        locked = getattr(request, "axes_locked_out", False)
        request.axes_locked_out = False  # type: ignore[attr-defined]
        return _ask(request, form, target, status=429 if locked else 401)
    draft = drafts.lift(request)
    login(request, user)
    drafts.lay_down(request, draft)
    services.record_sign_in(user, actor=actor_for(user))
    return HttpResponseRedirect(target, status=303)


def _ask(request: HttpRequest, form: SignIn, target: str, *, status: int = 200) -> HttpResponse:
    context = {"form": form, "next": target, "kept": drafts.lift(request) is not None}
    return show(request, "sign_in.html", context, status=status)


def _target(request: HttpRequest) -> str:
    """Where to go afterwards: a path of this site, or home."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else reverse("web:home")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponseRedirect(reverse("web:sign-in"), status=303)
