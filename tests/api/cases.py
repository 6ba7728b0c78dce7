"""For each write under /api/v1/ a body that is taken. What is wrong with a body is made from these."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests import factories as f
from tests.api.scene import Scene, later
from tests.monitoring import helpers

Made = Callable[[Scene], Any]
_MODEL = "models/<slug:name>/"
_VERSION = f"{_MODEL}versions/<int:number>/"
_USE = f"{_MODEL}uses/<slug:use>/"


@dataclass(frozen=True)
class Case:
    """`path` after /api/v1/, a `body` that is taken, and what is required `also`: what the document
    cannot say, since it hangs on other fields. Answers name a field by `prefix` and its name."""

    path: Made
    body: Made = lambda scene: {}
    also: tuple[str, ...] = ()
    prefix: str = ""


def _at(text: str) -> Made:
    return lambda scene: text.format(s=scene)


def _is(**body: Any) -> Made:
    return lambda scene: body


_REASON = _is(reason="for a good reason")
_NAMED = _is(slug="new-one", name="New one")


def _model(s: Scene) -> dict[str, Any]:
    return {
        "name": "new-model",
        "title": "New",
        "kind": "machine_learned",
        "description": "Ranks",
        "portfolio": s.portfolio,
        "legal_entity": s.legal_entity,
        "use": s.use_body(),
        "stakeholders": [{"name": "Ada", "interest": "is screened", "contact": "by post"}],
        "columns": {"label": "y"},
    }


def _version(s: Scene) -> dict[str, Any]:
    return {
        "artifact_digest": f.digest_of("another artifact"),
        "artifact_name": "m.onnx",
        "artifact_format": "onnx",
        "label": "r7",
        "description": "The seventh",
        "code_commit": "c0ffee",
        "code_repository": "https://code.example/m",
        "parameters": {"depth": 4},
        "environment": {"python": "3.11"},
        "claims": [{"metric": "accuracy", "value": 0.9}],
        "input_spec": None,
        "datasets": [{"name": s.dataset.name, "purpose": "training"}],
        "parent": 1,
        "author": s.world.developer.username,
    }


def _version_changes(s: Scene) -> dict[str, Any]:
    taken = _version(s)
    for name in ("artifact_digest", "artifact_name", "artifact_format", "parent", "author"):
        del taken[name]
    return taken


def _dataset(s: Scene) -> dict[str, Any]:
    return {
        "name": "new-data",
        "title": "New",
        "digest": f.digest_of("new data"),
        "media_type": "text/csv",
        "rows": 7,
        "columns": [{"name": "a", "type": "integer"}],
        "source": "a census",
        "licence": "CC0",
        "collected_from": "2025-01-01",
        "collected_until": "2025-12-31",
        "contains_personal_data": False,
        "sources": [{"dataset": s.dataset.name, "transformation": "half of it"}],
    }


def _monitor(s: Scene) -> dict[str, Any]:
    return {
        **s.place,
        "name": "kept",
        "kind": "performance",
        "limits": [{"metric": "accuracy", "op": ">=", "value": 0.8, "control": "kept"}],
        "config": {"grade": "recomputed"},
        "reference": None,
        "min_rows": 10,
        "consecutive": 1,
        "window": "batch",
        "silent_after_seconds": 86_400,
        "silent_after_windows": 3,
        "wait_seconds": 0,
        "effect": "no_new_deployment",
        "backtest": None,
        "source": None,
        "recheck": None,
    }


_PAST = {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}


def _backtest(s: Scene) -> dict[str, Any]:
    helpers.batch(s.monitor)
    watched = ("name", "kind", "limits", "config", "reference", "window", "min_rows", "consecutive")
    return {
        **{name: value for name, value in _monitor(s).items() if name in (*s.place, *watched)},
        **_PAST,
        "dataset": None,
    }


def _validation(s: Scene) -> dict[str, Any]:
    finding = {
        "title": "Odd",
        "detail": "Very odd",
        "severity": "low",
        "owner": s.world.submitter.username,
        "due_at": later(),
    }
    return {
        "scope": "All",
        "rating": "satisfactory_with_findings",
        "conclusion": "It does what it says",
        "limitations": "none known",
        "findings": [finding],
    }


def _signature(s: Scene) -> dict[str, Any]:
    s.world.validate(s.review)
    return {
        "reauthentication": str(s.world.prove(s.asker, s.review)),
        "decision": "approve",
        "meaning": "approval",
        "reason": "I agree",
        "role": "risk_officer",
    }


def _gate(s: Scene) -> dict[str, Any]:
    s.approval  # noqa: B018  # so that the answer is a yes
    return {
        "digest": s.version.artifact_digest,
        "model": s.model,
        "version": s.version.number,
        "environment": s.environment,
        "use": s.world.use.name,
        "purpose": "deploy",
        "run_id": "4711",
    }


def _policy(s: Scene) -> dict[str, Any]:
    from tests.governance.support import SMALL

    source = SMALL.replace("name: small", "name: smaller")
    return {"source": source, "transition": "at_date", "transition_at": later()}


CASES: dict[str, Case] = {
    # accounts
    "POST reauthentications/": Case(
        _at("reauthentications/"),
        lambda s: {
            "subject_type": "review",
            "review": str(s.review.pk),
            "signed_digest": s.review.signed_digest,
            "password": f.PASSWORD,
        },
        also=("review",),
    ),
    "POST tokens/": Case(
        _at("tokens/"),
        lambda s: {
            "name": "laptop",
            "scopes": ["read"],
            "expires_at": later(),
            "user": s.asker.username,
        },
    ),
    "POST tokens/<uuid:token_id>/revoke/": Case(_at("tokens/{s.token.pk}/revoke/")),
    "POST users/": Case(
        _at("users/"),
        _is(
            username="newcomer",
            name="New Comer",
            kind="person",
            email="n@c.example",
            password=f.PASSWORD,
        ),
        also=("password",),
    ),
    "POST users/<str:username>/roles/": Case(
        _at("users/{s.person.username}/roles/"), _is(role="validator")
    ),
    "POST users/<str:username>/deactivate/": Case(_at("users/{s.person.username}/deactivate/")),
    "POST users/<str:username>/password/": Case(
        _at("users/{s.person.username}/password/"), _is(password="staple battery horse correct")
    ),
    "POST users/<str:username>/erase/": Case(
        _at("users/{s.person.username}/erase/"), _is(basis="gdpr_17_1_a", reason="asked for it")
    ),
    # audit
    "POST audit/entries/<uuid:uuid>/erase/": Case(
        _at("audit/entries/{s.entry}/erase/"), _is(basis="gdpr_17_1_a", reason="asked for it")
    ),
    "POST webhook-endpoints/": Case(
        _at("webhook-endpoints/"), _is(url="https://receiver.example/x", patterns=["registry.*"])
    ),
    "POST webhook-endpoints/<uuid:endpoint_id>/disable/": Case(
        _at("webhook-endpoints/{s.endpoint}/disable/")
    ),
    "POST webhook-endpoints/<uuid:endpoint_id>/secret/": Case(
        _at("webhook-endpoints/{s.endpoint}/secret/")
    ),
    # registry
    "POST models/": Case(_at("models/"), _model),
    f"PATCH {_MODEL}": Case(
        _at("models/{s.model}/"),
        lambda s: {"title": "T", "description": "D", "legal_entity": s.legal_entity},
    ),
    f"POST {_MODEL}retire/": Case(_at("models/{s.model}/retire/"), _REASON),
    f"POST {_MODEL}columns/": Case(
        _at("models/{s.model}/columns/"), _is(label="y", score="p"), prefix="columns."
    ),
    f"POST {_MODEL}stakeholders/": Case(
        _at("models/{s.model}/stakeholders/"),
        _is(name="Ada", interest="is screened", contact="by post"),
    ),
    f"POST {_MODEL}stakeholders/<uuid:stakeholder_id>/end/": Case(
        _at("models/{s.model}/stakeholders/{s.stakeholder.pk}/end/")
    ),
    f"POST {_MODEL}uses/": Case(_at("models/{s.model}/uses/"), Scene.use_body, also=("name",)),
    f"PATCH {_USE}": Case(
        _at("models/{s.model}/uses/{s.use}/"),
        lambda s: {
            name: value
            for name, value in s.use_body().items()
            if name not in ("name", "tier", "tier_reason")
        },
    ),
    f"POST {_USE}retire/": Case(_at("models/{s.model}/uses/{s.use}/retire/"), _REASON),
    f"POST {_USE}tiers/": Case(
        _at("models/{s.model}/uses/{s.use}/tiers/"), _is(tier=1, reason="looked")
    ),
    f"POST {_MODEL}grants/": Case(
        _at("models/{s.model}/grants/"), lambda s: {"user": s.person.username, "role": "owner"}
    ),
    f"POST {_MODEL}versions/": Case(
        _at("models/{s.model}/versions/"), _version, also=("artifact_name",)
    ),
    f"PATCH {_VERSION}": Case(_at("{s.base}"), _version_changes),
    f"POST {_VERSION}evidence/": Case(
        _at("{s.base}evidence/"),
        _is(kind="note", name="n.json", media_type="application/json", document={"a": 1}),
        also=("document", "name"),
    ),
    "POST grants/<uuid:grant_id>/end/": Case(_at("grants/{s.grant.pk}/end/")),
    "POST portfolios/": Case(_at("portfolios/"), _NAMED),
    "POST portfolios/<slug:name>/grants/": Case(
        _at("portfolios/{s.portfolio}/grants/"),
        lambda s: {"user": s.person.username, "role": "owner"},
    ),
    "POST legal-entities/": Case(_at("legal-entities/"), _NAMED),
    "POST datasets/": Case(_at("datasets/"), _dataset, also=("digest",)),
    "POST environments/": Case(
        _at("environments/"), _is(name="staging", title="Staging", mode="warn", position=3)
    ),
    "POST environments/<slug:name>/mode/": Case(
        _at("environments/{s.trial}/mode/"), _is(mode="warn", reason="trial", position=4)
    ),
    "POST environments/<slug:name>/mode/second/": Case(
        _at("environments/{s.environment}/mode/second/"), lambda s: {"proposal": str(s.proposal)}
    ),
    "POST deployments/": Case(
        _at("deployments/"),
        lambda s: {
            **s.place,
            "artifact_digest": s.version.artifact_digest,
            "kind": "shadow",
            "gate_decision": None,
            "is_rollback": False,
        },
    ),
    "POST deployments/<uuid:deployment_id>/end/": Case(_at("deployments/{s.deployment.pk}/end/")),
    # monitoring
    f"POST {_VERSION}checks/": Case(
        _at("{s.base}checks/"),
        lambda s: {
            "kind": "performance",
            "dataset": s.dataset.name,
            "reference": None,
            "reference_run": None,
            "config": {"grade": "recomputed"},
        },
    ),
    f"POST {_MODEL}not-collected/": Case(
        _at("models/{s.model}/not-collected/"), lambda s: s.not_collected_body()
    ),
    "POST not-collected/<uuid:id>/end/": Case(_at("not-collected/{s.declaration.pk}/end/")),
    "POST check-runs/<uuid:id>/cube/erase/": Case(
        _at("check-runs/{s.counted_run.pk}/cube/erase/"), _is(reason="asked to")
    ),
    "POST monitors/<uuid:id>/rollups/": Case(
        _at("monitors/{s.counting.pk}/rollups/"),
        _is(since="2026-01-01T00:00:00Z", until="2026-02-01T00:00:00Z"),
    ),
    "POST check-runs/<uuid:id>/cancel/": Case(_at("check-runs/{s.run.pk}/cancel/")),
    "POST check-runs/<uuid:id>/retry/": Case(_at("check-runs/{s.ended_run.pk}/retry/")),
    "POST monitors/": Case(_at("monitors/"), _monitor),
    "POST monitors/backtests/": Case(_at("monitors/backtests/"), _backtest),
    "POST monitors/backtests/<uuid:id>/cancel/": Case(
        _at("monitors/backtests/{s.running_backtest.pk}/cancel/")
    ),
    "POST monitors/<uuid:id>/arm/": Case(
        _at("monitors/{s.unarmed.pk}/arm/"), lambda s: {"backtest": str(s.backtest.pk)}
    ),
    "POST monitors/<uuid:id>/backfill/": Case(
        _at("monitors/{s.monitor.pk}/backfill/"), _is(**_PAST)
    ),
    "POST monitors/<uuid:id>/end/": Case(_at("monitors/{s.monitor.pk}/end/")),
    "POST breaches/<uuid:id>/resolve/": Case(
        _at("breaches/{s.breach.pk}/resolve/"), _is(resolution="it was a false alarm")
    ),
    # governance
    "POST policies/": Case(_at("policies/"), _policy),
    "POST policies/<slug:name>/bindings/": Case(
        _at("policies/small/bindings/"), lambda s: {"environment": s.environment, "tier": 1}
    ),
    "POST policies/<slug:name>/bindings/<uuid:id>/end/": Case(
        lambda s: f"policies/small/bindings/{s.binding}/end/"
    ),
    f"POST {_VERSION}reviews/": Case(
        _at("{s.base}reviews/"),
        lambda s: {"environment": s.environment, "use": s.world.use.name, "note": "Please"},
    ),
    f"POST {_VERSION}reopen/": Case(
        lambda s: f"{s.base}reopen/" if s.review else "", _is(reason="to mend it")
    ),
    "POST reviews/<uuid:id>/validations/": Case(
        _at("reviews/{s.review.pk}/validations/"), _validation
    ),
    "POST reviews/<uuid:id>/signatures/": Case(
        _at("reviews/{s.review.pk}/signatures/"), _signature
    ),
    "POST reviews/<uuid:id>/withdraw/": Case(_at("reviews/{s.review.pk}/withdraw/"), _REASON),
    "POST approvals/<uuid:id>/revoke/": Case(_at("approvals/{s.approval.pk}/revoke/"), _REASON),
    "POST gate/decisions/": Case(_at("gate/decisions/"), _gate),
    "POST gate/enforce/": Case(_at("gate/enforce/"), _gate),
    "POST waivers/": Case(
        _at("waivers/"),
        lambda s: {
            **s.place,
            "controls": ["code"],
            "reason": "it comes on Monday",
            "compensating_control": "somebody reads all",
            "ends_at": later(),
        },
    ),
    "POST waivers/<uuid:id>/grant/": Case(_at("waivers/{s.waiver.pk}/grant/")),
    "POST waivers/<uuid:id>/end/": Case(_at("waivers/{s.waiver.pk}/end/")),
    "POST suspensions/": Case(
        _at("suspensions/"), lambda s: {**s.place, "effect": "stop", "reason": "complaints"}
    ),
    "POST suspensions/<uuid:id>/lift/": Case(_at("suspensions/{s.suspension.pk}/lift/"), _REASON),
    "POST incidents/": Case(_at("incidents/"), lambda s: {**s.place, "summary": "many refusals"}),
    "POST incidents/<uuid:id>/classify/": Case(
        _at("incidents/{s.incident.pk}/classify/"),
        lambda s: {"incident_class": "serious", "aware_at": later(days=-1)},
    ),
    "POST incidents/<uuid:id>/dismiss/": Case(_at("incidents/{s.incident.pk}/dismiss/"), _REASON),
    "POST incidents/<uuid:id>/close/": Case(
        lambda s: f"incidents/{s.confirmed.pk}/close/", _is(conclusion="it is mended")
    ),
    "POST findings/": Case(
        _at("findings/"),
        lambda s: {
            "model": s.model,
            "version": s.version.number,
            "title": "Odd",
            "detail": "Very odd",
            "severity": "low",
            "owner": s.world.submitter.username,
            "due_at": later(),
        },
    ),
    "POST findings/<uuid:id>/close/": Case(
        _at("findings/{s.finding.pk}/close/"), _is(closure="mended")
    ),
    "POST retraining-requests/": Case(
        _at("retraining-requests/"),
        lambda s: {"model": s.model, "version": s.version.number, "reason": "it drifted"},
    ),
    # reports
    "POST reports/": Case(_at("reports/"), lambda s: s.place),
}

#: Writes that take no JSON; `test_uploads.py` has their wrong input.
UPLOADS = {
    "POST observations/",
    f"PUT {_VERSION}artifact/",
    "PUT datasets/<slug:name>/content/",
}
