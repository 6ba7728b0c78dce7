"""A form sent after the session had ended: what was typed is kept until its writer signs in again.

It lies in the new, anonymous session for a short while, without passwords, and is given back once,
as the first values of the same form.
"""

import re
from typing import Any

from django.http import HttpRequest

_KEY = "draft"
_NEVER = ("password", "secret", "token", "csrf", "current")
_LONGEST = 20_000
# The address of one thing (by id or number) or of one's account, and a word below it.
_BELOW = re.compile(r"(/(?:.*/)?(?:[0-9a-f-]{36}|\d+|account)/)[a-z-]+/")


def keep(request: HttpRequest) -> None:
    """Keep the text fields of a POST, if there are any."""
    if request.method != "POST":
        return
    typed = {
        name: request.POST.getlist(name)
        for name in request.POST
        if not any(word in name.lower() for word in _NEVER)
    }
    if typed and sum(len(text) for texts in typed.values() for text in texts) <= _LONGEST:
        request.session[_KEY] = {"page": home_of(request.path), "typed": typed}


def lift(request: HttpRequest) -> dict[str, Any] | None:
    """What is kept in this session, whatever page it belongs to."""
    draft = request.session.get(_KEY)
    return draft if isinstance(draft, dict) else None


def lay_down(request: HttpRequest, draft: dict[str, Any] | None) -> None:
    """Carry a draft into the session that signing in began."""
    if draft is not None:
        request.session[_KEY] = draft


def take(request: HttpRequest) -> dict[str, Any]:
    """Give back what was typed on this page before the session ended; empty if nothing was."""
    draft = lift(request)
    if draft is None or draft.get("page") != home_of(request.path):
        return {}
    del request.session[_KEY]
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in draft["typed"].items()}


def part(draft: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The fields of a draft that belong to the form of this prefix."""
    head = f"{prefix}-"
    return {name.removeprefix(head): text for name, text in draft.items() if name.startswith(head)}


def home_of(path: str) -> str:
    """The page that holds the form which is sent to `path`: itself, or one word above it.

    `/reviews/<id>/sign/` belongs to `/reviews/<id>/`.
    """
    found = _BELOW.fullmatch(path)
    return found.group(1) if found else path
