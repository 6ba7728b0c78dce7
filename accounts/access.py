"""The one table of roles x actions, and the three questions that everything else asks of it.

`can`: may this actor do this to that object, and if not, why? `visible`: which rows of a queryset may
it read? `who_can`: which users may do this to that object?

A service asks `require` first thing, so that pages, API and commands are refused alike and the refusal
is on record. An administrator or superuser has no right of its own to approve, sign or validate.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar, cast

from django.db import models
from django.db.models import Q, QuerySet

from accounts.models import OrganisationRole, Role, User
from audit.actor import Actor
from audit.writing import Refused, is_open

M = TypeVar("M", bound=models.Model)


class Scope(StrEnum):
    """What an API token is for. A token can never do more than its owner."""

    READ = "read"
    REGISTER = "register"
    CHECK = "check"
    SUBMIT = "submit"
    GOVERN = "govern"
    SIGN = "sign"
    GATE = "gate"
    DEPLOY = "deploy"
    REPORT = "report"
    AUDIT = "audit"
    ADMINISTER = "administer"


@dataclass(frozen=True)
class Action:
    """Who may do a thing. `by_system`: the service itself does it too. `persons_only`: no pipeline.

    `own`: it is about oneself, so it takes no role: who holds one on a single model alone does it too.
    """

    name: str
    label: str
    roles: frozenset[Role]
    scope: Scope
    persons_only: bool = False
    by_system: bool = False
    own: bool = False


@dataclass(frozen=True)
class Answer:
    allowed: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.allowed


_ALL = frozenset(Role)
_DEV, _OWN, _VAL, _RISK, _OPS, _AUD, _ADM = (
    Role.DEVELOPER,
    Role.OWNER,
    Role.VALIDATOR,
    Role.RISK_OFFICER,
    Role.OPERATOR,
    Role.AUDITOR,
    Role.ADMINISTRATOR,
)


def _action(name: str, label: str, roles: Iterable[Role], scope: Scope, **more: bool) -> Action:
    return Action(name, label, frozenset(roles), scope, **more)


TABLE: dict[str, Action] = {
    action.name: action
    for action in (
        # registry
        _action("model.read", "read models and all about them", _ALL, Scope.READ, by_system=True),
        _action("model.register", "register a model", (_DEV, _OWN), Scope.REGISTER),
        _action(
            "model.amend", "change a model's record, uses, stakeholders", (_OWN,), Scope.REGISTER
        ),
        _action("model.retire", "retire a model", (_OWN,), Scope.GOVERN, persons_only=True),
        _action("version.register", "register a version", (_DEV, _OWN), Scope.REGISTER),
        _action("version.amend", "change a version's record", (_DEV, _OWN), Scope.REGISTER),
        _action("version.reopen", "reopen a version", (_OWN,), Scope.GOVERN, persons_only=True),
        _action("version.retire", "retire a version", (_OWN,), Scope.GOVERN, persons_only=True),
        _action("evidence.add", "add evidence", (_DEV, _OWN, _VAL), Scope.REGISTER),
        _action("dataset.register", "register a dataset", (_DEV, _OWN, _VAL), Scope.REGISTER),
        _action(
            "tier.set", "set the risk tier of a use", (_RISK,), Scope.GOVERN, persons_only=True
        ),
        _action(
            "grant.manage", "grant and end roles", (_ADM,), Scope.ADMINISTER, persons_only=True
        ),
        _action(
            "organisation.manage",
            "make portfolios and legal entities",
            (_ADM, _RISK),
            Scope.ADMINISTER,
            persons_only=True,
        ),
        _action(
            "environment.manage",
            "make environments, set modes",
            (_RISK,),
            Scope.GOVERN,
            persons_only=True,
        ),
        _action("deployment.record", "record a deployment", (_OPS,), Scope.DEPLOY),
        # monitoring
        _action(
            "check.request", "ask for a check", (_DEV, _OWN, _VAL), Scope.CHECK, by_system=True
        ),
        _action("check.cancel", "cancel a check", (_DEV, _OWN, _VAL), Scope.CHECK),
        _action(
            "check.execute", "run a check and record its result", (), Scope.CHECK, by_system=True
        ),
        _action(
            "cube.read",
            "read the whole cube of a check, its small counts too",
            (_VAL, _RISK, _AUD),
            Scope.AUDIT,
        ),
        _action(
            "groups.declare",
            "sign that a sensitive attribute is not collected",
            (_OWN, _RISK),
            Scope.SIGN,
            persons_only=True,
        ),
        _action("observation.send", "send production data", (_OPS, _DEV), Scope.CHECK),
        _action(
            "monitor.manage",
            "start and end monitors",
            (_RISK, _OWN),
            Scope.GOVERN,
            persons_only=True,
            by_system=True,
        ),
        _action("breach.open", "record a breach", (), Scope.CHECK, by_system=True),
        _action(
            "breach.resolve", "resolve a breach", (_OWN, _RISK), Scope.GOVERN, persons_only=True
        ),
        # governance
        _action(
            "policy.publish", "publish and bind policies", (_RISK,), Scope.GOVERN, persons_only=True
        ),
        _action("version.submit", "submit a version for review", (_DEV, _OWN), Scope.SUBMIT),
        _action("review.withdraw", "withdraw a review", (_DEV, _OWN), Scope.SUBMIT),
        _action("validation.write", "write a validation", (_VAL,), Scope.GOVERN, persons_only=True),
        _action("review.sign", "sign a review", (_OWN, _VAL, _RISK), Scope.SIGN, persons_only=True),
        _action(
            "approval.revoke", "revoke an approval", (_OWN, _RISK), Scope.GOVERN, persons_only=True
        ),
        _action(
            "waiver.request", "ask for a waiver", (_DEV, _OWN), Scope.GOVERN, persons_only=True
        ),
        _action(
            "waiver.grant",
            "grant, refuse or end a waiver",
            (_RISK,),
            Scope.GOVERN,
            persons_only=True,
        ),
        _action(
            "version.suspend",
            "suspend a version",
            (_OWN, _RISK, _OPS),
            Scope.GOVERN,
            persons_only=True,
            by_system=True,
        ),
        _action("suspension.lift", "lift a suspension", (_RISK,), Scope.GOVERN, persons_only=True),
        _action(
            "finding.manage",
            "open and close findings",
            (_OWN, _VAL, _RISK),
            Scope.GOVERN,
            persons_only=True,
            by_system=True,
        ),
        _action(
            "incident.manage",
            "classify and close incidents",
            (_OWN, _RISK),
            Scope.GOVERN,
            persons_only=True,
        ),
        _action(
            "incident.open",
            "open an incident",
            (_OWN, _VAL, _RISK, _OPS),
            Scope.GOVERN,
            by_system=True,
        ),
        _action(
            "retraining.request",
            "ask for retraining",
            (_OWN, _RISK),
            Scope.GOVERN,
            persons_only=True,
            by_system=True,
        ),
        _action("gate.ask", "ask the gate", (_OPS, _DEV, _OWN), Scope.GATE),
        # reports and audit
        _action("report.request", "ask for a report", (_OWN, _VAL, _RISK, _AUD), Scope.REPORT),
        _action("report.issue", "build and seal a report", (), Scope.REPORT, by_system=True),
        _action("audit.read", "read the audit log", (_AUD, _RISK, _ADM), Scope.AUDIT),
        _action(
            "payload.erase", "erase personal data", (_ADM,), Scope.ADMINISTER, persons_only=True
        ),
        # accounts
        _action(
            "user.manage",
            "make and deactivate users and service accounts",
            (_ADM,),
            Scope.ADMINISTER,
            persons_only=True,
        ),
        _action(
            "token.manage",
            "make tokens for service accounts",
            (_ADM,),
            Scope.ADMINISTER,
            persons_only=True,
        ),
        _action(
            "webhook.manage",
            "manage webhook endpoints",
            (_ADM,),
            Scope.ADMINISTER,
            persons_only=True,
        ),
        _action(
            "self.manage",
            "sign in, own tokens, re-authentication",
            _ALL,
            Scope.SIGN,
            persons_only=True,
            own=True,
        ),
    )
}


class RoleSource(Protocol):
    """Where roles on single objects come from. The registry registers one; this layer knows no models."""

    def roles(self, user_id: Any, obj: object) -> set[Role]:
        """The roles that a user holds on `obj` now, beside those for the organisation."""

    def roles_on(
        self, user_ids: Collection[Any], objs: Collection[Any]
    ) -> dict[tuple[Any, Any], set[Role]]:
        """`roles` for many at once, by user's id and object's primary key, where there are any."""

    def holders(self, roles: Iterable[Role], obj: object) -> QuerySet[User]:
        """The users that hold one of `roles` on `obj` now, beside those for the organisation."""

    def readable(self, user_id: Any) -> QuerySet[Any]:
        """The primary keys of the models that a user holds any role on."""


_sources: list[RoleSource] = []


def register_source(source: RoleSource) -> None:
    if source not in _sources:
        _sources.append(source)


def roles_of(user_id: Any, obj: object | None = None) -> set[Role]:
    """The roles that a user holds now: for the organisation and, where `obj` is given, on it."""
    held = {
        Role(role)
        for role in OrganisationRole.objects.filter(user_id=user_id, until=None).values_list(
            "role", flat=True
        )
    }
    if obj is not None:
        for source in _sources:
            held |= source.roles(user_id, obj)
    return held


def roles_held(actor: Actor, obj: object | None = None) -> set[Role]:
    """`roles_of` an actor, looked up once in a request. Inside of a write it is asked afresh."""
    held = _remembered(actor, "organisation", lambda: roles_of(actor.id))
    return held | _roles_on(actor, obj) if obj is not None else set(held)


def _roles_on(actor: Actor, obj: object) -> set[Role]:
    subject = getattr(obj, "access_model", obj)
    key = (type(subject), getattr(subject, "pk", None))

    def look() -> set[Role]:
        return {role for source in _sources for role in source.roles(actor.id, obj)}

    return look() if key[1] is None else _remembered(actor, key, look)


def _remembered(actor: Actor, key: object, look: Callable[[], set[Role]]) -> set[Role]:
    """What `look` found about the actor when it was first asked in this request.

    A write decides on what holds in its own transaction, whatever was read before.
    """
    if actor.memo is None or is_open():
        return look()
    place = ("roles", actor.id, key)
    if place not in actor.memo:
        actor.memo[place] = look()
    return cast(set[Role], actor.memo[place])


def organisation_roles(user_ids: Collection[Any]) -> dict[Any, set[Role]]:
    """The roles for the organisation that each of the users holds now, in one query."""
    found: dict[Any, set[Role]] = {user: set() for user in user_ids}
    rows = OrganisationRole.objects.filter(user__in=user_ids, until=None)
    for user, role in rows.values_list("user_id", "role"):
        found[user].add(Role(role))
    return found


def roles_on(
    user_ids: Collection[Any], objs: Collection[models.Model]
) -> dict[tuple[Any, Any], set[Role]]:
    """The roles of many users on many models, by user's id and model's, in a few queries.

    Every pair is there, if only with no role.
    """
    found = {
        (user, obj.pk): set(roles)
        for user, roles in organisation_roles(user_ids).items()
        for obj in objs
    }
    for source in _sources:
        for pair, roles in source.roles_on(user_ids, objs).items():
            found[pair] |= roles
    return found


def can(actor: Actor, action: str, obj: object | None = None) -> Answer:
    """May `actor` do `action` to `obj` now? The answer says why not."""
    rule = TABLE[action]
    if actor.kind == "system":
        return Answer(rule.by_system, "" if rule.by_system else f"only people {rule.label}")
    if actor.scopes is not None and rule.scope not in actor.scopes:
        return Answer(False, f"the token lacks the scope '{rule.scope}'")
    if rule.persons_only and actor.kind != "person":
        return Answer(False, f"a service account may not {rule.label}")
    if rule.own or rule.roles & roles_held(actor):
        return Answer(True)
    # Roles on the object are asked for only where those for the organisation do not do.
    if obj is not None and rule.roles & _roles_on(actor, obj):
        return Answer(True)
    wanted = ", ".join(sorted(role.label.lower() for role in rule.roles)) or "the service itself"
    return Answer(False, f"to {rule.label} takes one of these roles: {wanted}")


def require(actor: Actor, action: str, obj: object | None = None) -> None:
    """Refuse unless `actor` may do `action` to `obj`.

    Raises:
        Refused: code `not_permitted`, with the reason; `@write` puts it on record.
    """
    answer = can(actor, action, obj)
    if not answer:
        raise Refused("not_permitted", answer.reason)


def visible(queryset: QuerySet[M], actor: Actor, path: str = "") -> QuerySet[M]:
    """The rows of `queryset` that `actor` may read. `path` leads from a row to its registered model."""
    if actor.scopes is not None and Scope.READ not in actor.scopes:
        return queryset.none()
    if actor.kind == "system" or roles_held(actor):
        return queryset
    condition = Q()
    for source in _sources:
        condition |= Q(**{f"{path}__in" if path else "pk__in": source.readable(actor.id)})
    return queryset.filter(condition) if _sources else queryset.none()


def who_can(action: str, obj: object | None = None) -> QuerySet[User]:
    """The active persons and service accounts that may do `action` to `obj` now."""
    rule = TABLE[action]
    condition = Q(
        pk__in=OrganisationRole.objects.filter(role__in=rule.roles, until=None).values("user")
    )
    if obj is not None:
        for source in _sources:
            condition |= Q(pk__in=source.holders(rule.roles, obj).values("pk"))
    users = User.objects.filter(condition, is_active=True)
    return users.filter(kind=User.Kind.PERSON) if rule.persons_only else users
