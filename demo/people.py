"""Who is in the story: people, a pipeline, a bank, two environments and the policy of one of them.

Made through the services, as an administrator and a risk officer would; from then on the story goes
over HTTP alone.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from accounts.access import Scope
from accounts.actors import actor_for
from accounts.models import User
from accounts.services import (
    create_first_administrator,
    create_person,
    create_service_account,
    grant_organisation_role,
    issue_token,
)
from audit.actor import Actor
from audit.webhooks import add_webhook_endpoint
from governance.services.policies import bind_policy, publish_policy
from kernel.moments import now
from registry.models import Portfolio
from registry.services.environments import make_environment
from registry.services.grants import grant_role
from registry.services.organisation import register_legal_entity, register_portfolio

POLICY = (
    Path(__file__).resolve().parent.parent
    / "governance"
    / "policies"
    / "high-impact-screening.yaml"
)
TOKEN_LIFETIME = timedelta(days=30)


@dataclass(frozen=True)
class Role:
    """One of the cast. `place` is where the role is granted."""

    username: str
    name: str
    role: str
    place: str
    scopes: tuple[Scope, ...]


CAST = (
    Role("ada", "Ada Moreau", "developer", "portfolio",
         (Scope.READ, Scope.REGISTER, Scope.CHECK, Scope.SUBMIT, Scope.GOVERN, Scope.SIGN, Scope.GATE)),
    Role("omar", "Omar Reyes", "owner", "portfolio",
         (Scope.READ, Scope.REGISTER, Scope.CHECK, Scope.SUBMIT, Scope.GOVERN, Scope.SIGN, Scope.REPORT)),
    Role("vera", "Vera Lindqvist", "validator", "portfolio",
         (Scope.READ, Scope.CHECK, Scope.GOVERN, Scope.SIGN, Scope.REPORT)),
    Role("rolf", "Rolf Okafor", "risk_officer", "organisation",
         (Scope.READ, Scope.GOVERN, Scope.SIGN, Scope.REPORT, Scope.AUDIT)),
    Role("iris", "Iris Tanaka", "auditor", "organisation",
         (Scope.READ, Scope.AUDIT, Scope.REPORT)),
)  # fmt: skip
PIPELINE_SCOPES = (Scope.READ, Scope.GATE, Scope.DEPLOY, Scope.CHECK)


def cast(receiver_url: str) -> dict[str, object]:
    """Make everybody and everything that the story needs, and write `demo.json`."""
    passwords = {
        name: secrets.token_urlsafe(12) for name in ("admin", *(one.username for one in CAST))
    }
    administrator = create_first_administrator(
        "admin", name="Noor Haddad", password=passwords["admin"], actor=Actor.system("up")
    )
    admin = actor_for(administrator)
    people = {
        one.username: create_person(
            one.username, name=one.name, password=passwords[one.username], actor=admin
        )
        for one in CAST
    }
    portfolio = _organisation(admin)
    for one in CAST:
        if one.place == "organisation":
            grant_organisation_role(people[one.username], one.role, actor=admin)
        else:
            grant_role(people[one.username], one.role, on=portfolio, actor=admin)
    # Ada validates other people's models; that does not let her sign for her own.
    grant_role(people["ada"], "validator", on=portfolio, actor=admin)
    pipeline = create_service_account(
        "deployment-pipeline", name="Deployment pipeline", responsible=[people["ada"]], actor=admin
    )
    grant_role(pipeline, "operator", on=portfolio, actor=admin)
    tokens = {one.username: _token(people[one.username], one.scopes) for one in CAST}
    tokens["pipeline"] = _token(pipeline, PIPELINE_SCOPES, by=admin)
    _rules(actor_for(people["rolf"]))
    endpoint, secret = add_webhook_endpoint(
        receiver_url, patterns=["governance.*", "monitoring.breach.*"], actor=admin
    )
    return _write(
        passwords, tokens, {"url": receiver_url, "secret": secret, "id": str(endpoint.pk)}
    )


def _organisation(admin: Actor) -> Portfolio:
    register_legal_entity("fjordbank", name="Fjordbank AS", actor=admin)
    return register_portfolio("consumer-credit", name="Consumer credit", actor=admin)


def _rules(risk_officer: Actor) -> None:
    staging = make_environment(
        "staging", title="Staging", mode="observe", position=1, actor=risk_officer
    )
    production = make_environment(
        "production", title="Production", mode="enforce", position=2, actor=risk_officer
    )
    revision = publish_policy(POLICY.read_text(), actor=risk_officer)
    for environment in (staging, production):
        for tier in (1, 2):
            bind_policy(revision.policy, environment=environment, tier=tier, actor=risk_officer)


def _token(user: User, scopes: tuple[Scope, ...], *, by: Actor | None = None) -> str:
    _, text = issue_token(
        user,
        name="demo",
        scopes=scopes,
        expires_at=now() + TOKEN_LIFETIME,
        actor=by or actor_for(user),
    )
    return text


def _write(
    passwords: dict[str, str], tokens: dict[str, str], webhook: dict[str, str]
) -> dict[str, object]:
    roles = {"admin": "administrator"} | {one.username: one.role for one in CAST}
    document: dict[str, object] = {
        "url": settings.COUNTERSIGN.public_url,
        "users": {
            name: {"password": password, "role": roles[name]}
            for name, password in passwords.items()
        },
        "tokens": tokens,
        "webhook": webhook,
        "finished": False,
    }
    save(document)
    return document


def save(document: dict[str, object]) -> None:
    """Write `demo.json`, readable by its owner alone: it holds passwords and tokens."""
    path = demo_file()
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2) + "\n")


def demo_file() -> Path:
    return Path(settings.COUNTERSIGN.data_dir) / "demo.json"
