"""Every write about people, service accounts, their roles, tokens and proofs of identity."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import authenticate, password_validation
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q
from django.http import HttpRequest

from accounts import erasure, tokens
from accounts.access import Scope, can, require
from accounts.actors import pseudonym_of
from accounts.models import (
    ApiToken,
    OrganisationRole,
    Reauthentication,
    Responsibility,
    Role,
    User,
)
from audit import erasure as payload_erasure
from audit.actor import Actor
from audit.models import Entry
from audit.recording import record
from audit.writing import Refused, RefusedConflict, write
from kernel.errors import Conflict, Invalid
from kernel.moments import now, rfc3339

REAUTHENTICATION_LIFETIME = timedelta(seconds=120)
MAX_TOKEN_LIFETIME = timedelta(days=366)


@write
def create_person(
    username: str, *, name: str, email: str = "", password: str, actor: Actor
) -> User:
    """Make a person who can sign in. Roles are granted apart."""
    require(actor, "user.manage")
    return _create_person(username, name=name, email=email, password=password, actor=actor)


@write
def create_first_administrator(username: str, *, name: str, password: str, actor: Actor) -> User:
    """Make the administrator of a new installation; refused once there is one.

    Only the service itself (the command `up`) does this: before the first administrator there is
    nobody who could be asked.
    """
    if actor.kind != "system":
        raise Refused("not_permitted", "only the command line makes the first administrator")
    if OrganisationRole.objects.filter(role=Role.ADMINISTRATOR).exists():
        raise Conflict("this installation has an administrator already")
    user = _create_person(username, name=name, email="", password=password, actor=actor)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    _grant(user, Role.ADMINISTRATOR, actor=actor, at=now())
    return user


def _create_person(username: str, *, name: str, email: str, password: str, actor: Actor) -> User:
    user = User(username=username, name=name, email=email, kind=User.Kind.PERSON)
    if email:
        try:
            validate_email(email)
        except ValidationError:
            raise Invalid("expected an e-mail address", field="email") from None
    _check_password(password, user)
    user.set_password(password)
    return _save_user(user, actor=actor)


@write
def create_service_account(
    username: str, *, name: str, responsible: Iterable[User], actor: Actor
) -> User:
    """Make a service account. At least one active person must answer for it."""
    require(actor, "user.manage")
    persons = list(responsible)
    if not persons:
        raise Invalid("a service account needs a responsible person", field="responsible")
    if any(person.kind != User.Kind.PERSON or not person.is_active for person in persons):
        raise Invalid("only active persons can be responsible", field="responsible")
    user = User(username=username, name=name, kind=User.Kind.SERVICE)
    user.set_unusable_password()
    _save_user(user, actor=actor)
    at = now()
    for person in persons:
        Responsibility.objects.create(service=user, person=person, since=at)
        record(
            "accounts.responsibility.started",
            actor=actor,
            at=at,
            object_type="user",
            object_id=str(pseudonym_of(user.pk)),
            public={"service": pseudonym_of(user.pk), "person": pseudonym_of(person.pk)},
        )
    return user


def _save_user(user: User, *, actor: Actor) -> User:
    if not user.name.strip():
        raise Invalid("this is printed on signatures and may not be empty", field="name")
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        raise Invalid.many(
            {field: " ".join(messages) for field, messages in error.message_dict.items()}
        ) from None
    user.save(force_insert=True)
    pseudonym = pseudonym_of(user.pk)
    record(
        "accounts.user.created",
        actor=actor,
        at=now(),
        object_type="user",
        object_id=str(pseudonym),
        public={"user": pseudonym, "kind": user.kind},
        private={"username": user.username, "name": user.name},
    )
    return user


def _check_password(password: str, user: User) -> None:
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="password") from None


@write
def change_password(user: User, *, current: str, password: str, actor: Actor) -> None:
    """Change one's own password."""
    if actor.id != user.pk:
        raise Refused("not_permitted", "only the owner changes a password")
    if not user.check_password(current):
        raise Invalid("this is not your present password", field="current")
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    _record_user("accounts.password.changed", user, actor=actor, at=now())


@write
def reset_password(user: User, *, password: str, actor: Actor) -> None:
    """Give somebody who lost theirs a new password; it is theirs to change at the next sign-in.

    Raises:
        Refused: to anybody but an administrator; for one's own there is `change_password`.
        Invalid: naming `password` or `user`.
    """
    require(actor, "user.manage")
    if user.pk == actor.id:
        raise Refused("not_permitted", "one's own password is changed with the present one")
    if user.kind != User.Kind.PERSON or not user.is_active:
        raise Invalid("only active persons have a password", field="user")
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    _record_user("accounts.password.reset", user, actor=actor, at=now())


@write
def deactivate_user(user: User, *, actor: Actor) -> None:
    """Shut an account: it can no longer sign in, its tokens and roles end, its record stays."""
    require(actor, "user.manage")
    if user.pk == actor.id:
        raise Refused("not_permitted", "nobody deactivates their own account")
    locked = User.objects.select_for_update().get(pk=user.pk)
    if not locked.is_active:
        raise Conflict("the account is inactive already")
    _deactivate(user, actor=actor, at=now())


def _deactivate(user: User, *, actor: Actor, at: datetime) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    ApiToken.objects.filter(user=user, revoked_at=None).update(revoked_at=at)
    for role in OrganisationRole.objects.filter(user=user, until=None):
        _end_role(role, actor=actor, at=at)
    _record_user("accounts.user.deactivated", user, actor=actor, at=at)


def erase_person(user: User, *, basis: str, reason: str, actor: Actor) -> Entry:
    """Erase a person: the account is shut, its name goes, and so does what ties the log to it.

    What they signed keeps the name as then known until its retention ends. `basis` is the legal
    ground, one of `audit.erasure.BASES`; `reason` says more. Returns the entry that says so.

    Raises:
        Refused: to anybody but an administrator, and for oneself; `erased` if it was done before.
        Invalid: naming `basis` or `reason`.
    """
    # The log is searched before the write: it may be long, and others want to write meanwhile.
    found: list[Entry] = []
    if can(actor, "payload.erase") and not erasure.is_erased(user):
        found = list(erasure.holding(user, str(pseudonym_of(user.pk))))
    return _erase_person(user, found=found, basis=basis, reason=reason, actor=actor)


@write
def _erase_person(
    user: User, *, found: list[Entry], basis: str, reason: str, actor: Actor
) -> Entry:
    require(actor, "payload.erase")
    if user.pk == actor.id:
        raise Refused("not_permitted", "nobody erases their own account")
    payload_erasure.check_ground(basis, reason)
    locked = User.objects.select_for_update().get(pk=user.pk)
    if erasure.is_erased(locked):
        raise RefusedConflict("erased", "this person was erased before")
    pseudonym, at = pseudonym_of(user.pk), now()
    if locked.is_active:
        _deactivate(locked, actor=actor, at=at)
        locked.is_active = False
    last = found[-1].pk if found else 0
    found += erasure.holding(locked, str(pseudonym), after=last)
    going = [entry for entry in found if not erasure.is_kept(entry.type)]
    for entry in going:
        payload_erasure.erase(entry, actor=actor, at=at, basis=basis, reason=reason)
    erasure.forget(locked)
    return record(
        erasure.ERASED,
        actor=actor,
        at=at,
        object_type="user",
        object_id=str(pseudonym),
        public={
            "user": pseudonym,
            "basis": basis,
            "payloads": len(going),
            "kept": len(found) - len(going),
        },
        private={"reason": reason},
    )


def _record_user(type_: str, user: User, *, actor: Actor, at: datetime, **public: Any) -> None:
    pseudonym = pseudonym_of(user.pk)
    record(
        type_,
        actor=actor,
        at=at,
        object_type="user",
        object_id=str(pseudonym),
        public={"user": pseudonym, **public},
    )


@write
def grant_organisation_role(user: User, role: str, *, actor: Actor) -> OrganisationRole:
    """Grant a role for every model of the organisation. Granting what is held changes nothing."""
    require(actor, "grant.manage")
    if user.pk == actor.id:
        raise Refused("own_role", "nobody grants roles to themselves", field="user")
    if role not in Role.values:
        raise Invalid(f"known roles are: {', '.join(Role.values)}", field="role")
    if not user.is_active:
        raise Invalid("the account is inactive", field="user")
    return _grant(user, Role(role), actor=actor, at=now())


def _grant(user: User, role: Role, *, actor: Actor, at: datetime) -> OrganisationRole:
    granted, created = OrganisationRole.objects.get_or_create(
        user=user, role=role, until=None, defaults={"since": at}
    )
    if created:
        _record_user("accounts.role.granted", user, actor=actor, at=at, role=role.value)
    return granted


@write
def end_organisation_role(user: User, role: str, *, actor: Actor) -> None:
    """End a role for the organisation from now on."""
    require(actor, "grant.manage")
    held = OrganisationRole.objects.select_for_update().filter(user=user, role=role, until=None)
    current = held.first()
    if current is None:
        raise Conflict("the account does not hold this role")
    _end_role(current, actor=actor, at=now())


def _end_role(role: OrganisationRole, *, actor: Actor, at: datetime) -> None:
    OrganisationRole.objects.filter(pk=role.pk).update(until=at)
    _record_user("accounts.role.ended", role.user, actor=actor, at=at, role=role.role)


@write
def issue_token(
    user: User,
    *,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime,
    actor: Actor,
) -> tuple[ApiToken, str]:
    """Make a token; return it with its text, which is shown once and kept nowhere.

    Persons make their own; an administrator makes those of service accounts. Who uses a token makes
    one that can do no more than that token.
    """
    wanted = sorted(set(scopes))
    if user.pk == actor.id:
        require(actor, "self.manage")
        if actor.scopes is not None and not actor.scopes.issuperset(wanted):
            raise Refused(
                "scope_exceeded", "a token makes no token that can do more", field="scopes"
            )
    else:
        require(actor, "token.manage")
        if user.kind != User.Kind.SERVICE:
            raise Refused("not_permitted", "nobody makes a token for another person")
    at = now()
    _check_token(user, name, wanted, expires_at, at)
    new = tokens.generate()
    token = ApiToken.objects.create(
        user=user,
        name=name,
        key=new.key,
        secret_hmac=new.secret_hmac,
        pepper_id=new.pepper_id,
        scopes=wanted,
        created_at=at,
        expires_at=expires_at,
    )
    _record_user(
        "accounts.token.issued",
        user,
        actor=actor,
        at=at,
        token=str(token.pk),
        scopes=wanted,
        expires_at=rfc3339(expires_at),
    )
    return token, new.text


def _check_token(
    user: User, name: str, scopes: list[str], expires_at: datetime, at: datetime
) -> None:
    problems: dict[str, str] = {}
    unknown = sorted(set(scopes) - set(Scope))
    if not name.strip():
        problems["name"] = "a name says later what the token was for"
    if unknown or not scopes:
        known = ", ".join(Scope)
        problems["scopes"] = (
            f"unknown: {', '.join(unknown)}; known are: {known}"
            if unknown
            else f"choose from: {known}"
        )
    elif Scope.SIGN in scopes and user.kind == User.Kind.SERVICE:
        problems["scopes"] = "a service account cannot sign"
    if not at < expires_at <= at + MAX_TOKEN_LIFETIME:
        problems["expires_at"] = f"must lie between now and {MAX_TOKEN_LIFETIME.days} days from now"
    if not user.is_active:
        problems["user"] = "the account is inactive"
    if problems:
        raise Invalid.many(problems)


@write
def revoke_token(token: ApiToken, *, actor: Actor) -> None:
    """Revoke a token at once: one's own, or any as an administrator."""
    if token.user_id != actor.id:
        require(actor, "token.manage")
    at = now()
    changed = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=at)
    if not changed:
        raise Conflict("the token is revoked already")
    _record_user("accounts.token.revoked", token.user, actor=actor, at=at, token=str(token.pk))


def reauthenticate(
    user: User,
    *,
    password: str,
    subject_type: str,
    subject_id: UUID,
    signed_digest: str,
    actor: Actor,
    request: HttpRequest | None = None,
) -> Reauthentication:
    """Prove identity by password, for one signature: bound to the subject and digest, for 120 s.

    The password is tried before the write begins: a failure must be counted, not rolled back.

    Raises:
        Refused: `reauthentication_failed` if the password is wrong or the account is locked.
    """
    proven = authenticate(request or HttpRequest(), username=user.username, password=password)
    return _grant_reauthentication(
        user,
        proven=proven is not None and proven.pk == user.pk,
        subject_type=subject_type,
        subject_id=subject_id,
        signed_digest=signed_digest,
        actor=actor,
    )


@write
def _grant_reauthentication(
    user: User,
    *,
    proven: bool,
    subject_type: str,
    subject_id: UUID,
    signed_digest: str,
    actor: Actor,
) -> Reauthentication:
    require(actor, "self.manage")
    if actor.kind != "person" or actor.id != user.pk:
        raise Refused("not_permitted", "people re-authenticate for themselves alone")
    if not proven:
        raise Refused(
            "reauthentication_failed",
            "the password is wrong, or the account is locked after too many tries",
            field="password",
            object_type=subject_type,
            object_id=str(subject_id),
        )
    at = now()
    grant = Reauthentication.objects.create(
        user=user,
        subject_type=subject_type,
        subject_id=subject_id,
        signed_digest=signed_digest,
        method=Reauthentication.Method.PASSWORD,
        created_at=at,
        expires_at=at + REAUTHENTICATION_LIFETIME,
    )
    record(
        "accounts.reauthentication.granted",
        actor=actor,
        at=at,
        object_type=subject_type,
        object_id=str(subject_id),
        public={"subject_type": subject_type, "subject": str(subject_id), "method": grant.method},
    )
    return grant


def consume_reauthentication(
    grant_id: UUID,
    *,
    actor: Actor,
    subject_type: str,
    subject_id: UUID,
    signed_digest: str,
    at: datetime,
) -> Reauthentication:
    """Spend a proof of identity inside the caller's write. A step, not a write of its own.

    Raises:
        Refused: `reauthentication_needed` if it is another's, for something else, old or spent.
    """
    usable = Q(
        pk=grant_id,
        user_id=actor.id,
        subject_type=subject_type,
        subject_id=subject_id,
        signed_digest=signed_digest,
        used_at=None,
        expires_at__gt=at,
    )
    if not Reauthentication.objects.filter(usable).update(used_at=at):
        raise Refused(
            "reauthentication_needed",
            "re-authenticate for exactly this signature; a proof counts once, for 120 seconds",
            field="reauthentication",
            object_type=subject_type,
            object_id=str(subject_id),
        )
    return Reauthentication.objects.get(pk=grant_id)


@write
def record_sign_in(user: User, *, actor: Actor) -> None:
    """Put the start of a session on record."""
    _record_user("accounts.session.started", user, actor=actor, at=now())
