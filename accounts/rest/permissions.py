"""Deny by default: a view says for each method which action it is, or nobody may call it."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.access import TABLE, can
from audit.actor import Actor
from kernel.errors import Forbidden

_READS = {"HEAD": "GET", "OPTIONS": "GET"}


class DeclaredAction(BasePermission):
    """Wants a known actor and, for a token, the scope of the view's action.

    For a write, the service itself asks for the role (`access.require`), because it hangs on the
    object, and because a refusal is to be on record. What everybody with any role may read is narrowed
    to the object by `access.visible`; other reads are for the whole organisation, and asked here.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        method = _READS.get(request.method or "", request.method)
        name = getattr(view, "actions", {}).get(method)
        # Known only once authentication ran, which `request.user` starts.
        if not request.user.is_authenticated:
            return False
        actor = getattr(request._request, "actor", None)
        if name is None or not isinstance(actor, Actor):
            return False
        rule = TABLE[name]
        if actor.scopes is not None and rule.scope not in actor.scopes:
            raise Forbidden(f"the token lacks the scope '{rule.scope}'", code="scope_missing")
        if rule.persons_only and actor.kind != "person":
            raise Forbidden(f"a service account may not {rule.label}", code="persons_only")
        if method == "GET" and name != "model.read":
            answer = can(actor, name)
            if not answer:
                raise Forbidden(answer.reason, code="not_permitted")
        return True
