"""Rows for tests, made through the services where that is quick, so that they are what they would be.

Personas: `make_user("alice", Role.DEVELOPER)` holds a role for the organisation; without a role she may
read nothing. Names are unique by a counter where a test does not care.
"""

import hashlib
import io
import itertools
from datetime import timedelta
from typing import Any

from accounts.access import Scope
from accounts.actors import actor_for
from accounts.models import OrganisationRole, Responsibility, Role, User
from accounts.services import issue_token
from audit.actor import Actor
from kernel.moments import now
from registry import services
from registry.models import (
    Dataset,
    Deployment,
    Environment,
    Evidence,
    LegalEntity,
    ModelVersion,
    Portfolio,
    RegisteredModel,
    Use,
)
from registry.store import Stored, put

PASSWORD = "correct horse battery staple"
_count = itertools.count(1)


def unique(prefix: str) -> str:
    return f"{prefix}-{next(_count)}"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make_user(username: str | None = None, *org_roles: Role | str, **fields: Any) -> User:
    """A person with roles for the organisation."""
    username = unique("person") if username is None else username
    user = User(username=username, name=fields.pop("name", username.title()), **fields)
    user.set_password(PASSWORD)
    user.save()
    for role in org_roles:
        OrganisationRole.objects.create(user=user, role=role, since=now())
    return user


def make_service_account(
    username: str | None = None, *org_roles: Role | str, responsible: list[User] | None = None
) -> User:
    """A pipeline's account, with roles for the organisation and the people who answer for it."""
    username = unique("pipeline") if username is None else username
    user = User(username=username, name=username.title(), kind=User.Kind.SERVICE)
    user.set_unusable_password()
    user.save()
    for role in org_roles:
        OrganisationRole.objects.create(user=user, role=role, since=now())
    for person in responsible if responsible is not None else [make_user()]:
        Responsibility.objects.create(service=user, person=person, since=now())
    return user


def actor_of(user: User, *scopes: str) -> Actor:
    """The user as an actor: of a session, or of a token with these scopes."""
    return actor_for(user, scopes=frozenset(scopes) if scopes else None)


def token_for(user: User, *scopes: str) -> str:
    """The text of a new API token; with every scope that the account may have, if none is named."""
    issuer = actor_of(user)
    if user.kind == User.Kind.SERVICE:
        issuer = actor_of(make_user(None, Role.ADMINISTRATOR))
    wanted = scopes or tuple(
        scope for scope in Scope if user.kind == User.Kind.PERSON or scope != Scope.SIGN
    )
    _, text = issue_token(
        user,
        name="tests",
        scopes=wanted,
        expires_at=now() + timedelta(days=1),
        actor=issuer,
    )
    return text


def bearer(user: User, *scopes: str) -> dict[str, str]:
    """Headers for the test client: `client.get(url, headers=bearer(user))`."""
    return {"Authorization": f"Bearer {token_for(user, *scopes)}"}


def make_legal_entity(slug: str | None = None) -> LegalEntity:
    slug = unique("entity") if slug is None else slug
    return LegalEntity.objects.create(slug=slug, name=slug.title())


def make_portfolio(slug: str | None = None) -> Portfolio:
    slug = unique("portfolio") if slug is None else slug
    return Portfolio.objects.create(slug=slug, name=slug.title())


def use_record(**fields: Any) -> services.UseRecord:
    known: dict[str, Any] = {
        "purpose": "Decide which files a person looks at first",
        "affected_people": "Adults in the survey",
        "operator_role": Use.OperatorRole.PROVIDER,
        "tier": 2,
        "tier_reason": "a person decides",
    }
    known.update(fields)
    known.setdefault("legal_entity", None)
    if known["legal_entity"] is None:
        known["legal_entity"] = make_legal_entity()
    return services.UseRecord(**known)


def make_model(
    name: str | None = None, *, by: User | None = None, **fields: Any
) -> RegisteredModel:
    """A model with its default use, registered by a developer of the organisation."""
    by = by or make_user(None, Role.DEVELOPER)
    entity = fields.pop("legal_entity", None) or make_legal_entity()
    known: dict[str, Any] = {
        "title": "Income screening",
        "kind": "machine_learned",
        "description": "Ranks files",
        "portfolio": fields.pop("portfolio", None) or make_portfolio(),
        "legal_entity": entity,
        "use": fields.pop("use", None) or use_record(legal_entity=entity),
    }
    known.update(fields)
    return services.register_model(
        unique("model") if name is None else name, actor=actor_of(by), **known
    )


def default_use(model: RegisteredModel) -> Use:
    return model.uses.get(is_default=True)


def make_version(
    model: RegisteredModel | None = None, *, by: User | None = None, **fields: Any
) -> ModelVersion:
    """A version by digest alone, registered by a developer who is its author."""
    model = model or make_model()
    by = by or make_user(None, Role.DEVELOPER)
    known: dict[str, Any] = {"artifact_name": "model.onnx", "code_commit": "0" * 40}
    known.update(fields)
    if "stored" not in known and "artifact_digest" not in known:
        known["artifact_digest"] = digest_of(unique("artifact"))
    return services.register_version(model, actor=actor_of(by), **known)


def store_bytes(data: bytes) -> Stored:
    return put(io.BytesIO(data), limit=1024**3)


def make_evidence(version: ModelVersion, *, by: User | None = None, **fields: Any) -> Evidence:
    by = by or make_user(None, Role.DEVELOPER)
    stored = fields.pop("stored", None) or store_bytes(unique("evidence").encode())
    known: dict[str, Any] = {
        "kind": "test_report",
        "name": "report.txt",
        "media_type": "text/plain",
    }
    known.update(fields)
    return services.add_evidence(version, stored, actor=actor_of(by), **known)


def make_dataset(name: str | None = None, *, by: User | None = None, **fields: Any) -> Dataset:
    """A dataset by digest alone, unless `stored` is given."""
    by = by or make_user(None, Role.DEVELOPER)
    name = unique("dataset") if name is None else name
    known: dict[str, Any] = {"title": name.title(), "contains_personal_data": False}
    known.update(fields)
    if "stored" not in known and "digest" not in known:
        known["digest"] = digest_of(unique("data"))
    return services.register_dataset(name, actor=actor_of(by), **known)


def make_environment(
    name: str | None = None, *, mode: str = "enforce", position: int = 1, by: User | None = None
) -> Environment:
    by = by or make_user(None, Role.RISK_OFFICER)
    name = unique("environment") if name is None else name
    return services.make_environment(
        name, title=name.title(), mode=mode, position=position, actor=actor_of(by)
    )


def make_deployment(
    version: ModelVersion, environment: Environment, *, by: User | None = None, **fields: Any
) -> Deployment:
    by = by or make_user(None, Role.OPERATOR)
    known: dict[str, Any] = {
        "use": default_use(version.model),
        "artifact_digest": version.artifact_digest,
    }
    known.update(fields)
    return services.record_deployment(version, environment=environment, actor=actor_of(by), **known)


def freeze(version: ModelVersion) -> ModelVersion:
    """Freeze a version as a submission does, for tests of what comes after."""
    from audit.writing import write

    @write
    def submit(*, actor: Actor) -> ModelVersion:
        locked = services.lock_version(version.pk)
        services.freeze(locked, services.tick(locked))
        return locked

    return submit(actor=Actor.system("tests"))
