"""Reads that are more than a filter. Where a state is an interval, they answer for any instant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from accounts.access import can, roles_held, visible
from audit.actor import Actor
from kernel.errors import Conflict
from registry.models import (
    ColumnMapping,
    Dataset,
    DatasetUse,
    Deployment,
    Environment,
    EnvironmentSetting,
    Evidence,
    ModelVersion,
    RegisteredModel,
    Use,
    UseTier,
)

M = TypeVar("M", bound=Model)
FACTS_SCHEMA = "countersign.version-facts/1"
_MAX_LINEAGE = 1000


class AmbiguousDigest(Conflict):
    """The same bytes are versions of several models, so the model must be named."""


def at_time(
    rows: QuerySet[M], at: datetime | None, *, since: str = "since", until: str = "until"
) -> QuerySet[M]:
    """Those intervals that hold at `at`; without it, now."""
    if at is None:
        return rows.filter(**{until: None})
    return rows.filter(Q(**{until: None}) | Q(**{f"{until}__gt": at}), **{f"{since}__lte": at})


def find_version(digest: str, *, actor: Actor, model: str | None = None) -> ModelVersion | None:
    """The version with this artifact among those that `actor` may read, or ask the gate about.

    Raises:
        AmbiguousDigest: several models have it, and `model` names none.
    """
    rows = ModelVersion.objects.filter(artifact_digest=digest).select_related("model")
    if model is not None:
        rows = rows.filter(model__name=model)
    found = [row for row in rows if _may_see(row, actor)]
    if len(found) > 1:
        raise AmbiguousDigest(
            "this digest is a version of several models; name the model", field="model"
        )
    return found[0] if found else None


def _may_see(version: ModelVersion, actor: Actor) -> bool:
    # A gate token need not have the scope to read; what it may ask about, it may find.
    return bool(can(actor, "model.read", version) or can(actor, "gate.ask", version))


def visible_datasets(actor: Actor) -> QuerySet[Dataset]:
    """The datasets that `actor` may read: all with a role for the organisation, else those that it
    registered and those that versions of its models use, with their direct sources."""
    rows = Dataset.objects.all()
    if actor.kind == "system" or (roles_held(actor) and _reads(actor)):
        return rows
    versions = visible(ModelVersion.objects.all(), actor, "model")
    used = DatasetUse.objects.filter(version__in=versions.order_by().values("pk"))
    own = Q(registered_by_id=actor.id) if _reads(actor) else Q(pk__in=[])
    mine = Q(pk__in=used.values("dataset")) | own
    return rows.filter(
        mine | Q(derived__child__uses__version__in=versions.order_by().values("pk"))
    ).distinct()


def _reads(actor: Actor) -> bool:
    return actor.scopes is None or "read" in actor.scopes


def mapping_of(model: RegisteredModel, at: datetime | None = None) -> ColumnMapping | None:
    """What the columns of the model's data mean."""
    return at_time(ColumnMapping.objects.filter(model=model), at).first()


def tier_of(use: Use, at: datetime | None = None) -> UseTier | None:
    """The risk tier of a use; None only before the use was registered."""
    return at_time(UseTier.objects.filter(use=use), at).first()


def environment_setting(
    environment: Environment, at: datetime | None = None
) -> EnvironmentSetting | None:
    """The mode and place of an environment; None only before it was made."""
    return at_time(EnvironmentSetting.objects.filter(environment=environment), at).first()


def environments_in_order(at: datetime | None = None) -> list[EnvironmentSetting]:
    """Every environment's setting, in the order of promotion."""
    rows = at_time(EnvironmentSetting.objects.select_related("environment"), at)
    return list(rows.order_by("position", "environment__name"))


def live_deployments(
    *,
    at: datetime | None = None,
    environment: Environment | None = None,
    use: Use | None = None,
    version: ModelVersion | None = None,
) -> QuerySet[Deployment]:
    """What runs, or ran at `at`, newest first."""
    rows = Deployment.objects.select_related("version__model", "use", "environment")
    wanted = {"environment": environment, "use": use, "version": version}
    rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
    return at_time(rows, at, since="live_from", until="live_until")


def was_live(version: ModelVersion, use: Use, environment: Environment, *, since: datetime) -> bool:
    """Did these bytes run there for this use at any time from `since` on?"""
    return Deployment.objects.filter(
        Q(live_until=None) | Q(live_until__gte=since),
        use=use,
        environment=environment,
        artifact_digest=version.artifact_digest,
    ).exists()


def dossier_evidence(version: ModelVersion) -> QuerySet[Evidence]:
    """The evidence that belongs to the version's present revision.

    An addendum stands beside the dossier of the revision that it was added at; from the next revision
    on it is part of it.
    """
    return (
        Evidence.objects.filter(version=version)
        .filter(Q(is_addendum=False) | Q(revision__lt=version.revision))
        .select_related("blob")
        .order_by("id")
    )


def lineage(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The datasets and everything that they were made from, nearest first, each once."""
    order: dict[Any, Dataset] = {}
    front = list(datasets)
    while front and len(order) < _MAX_LINEAGE:
        fresh = {one.pk: one for one in front if one.pk not in order}
        order.update(fresh)
        parents = Dataset.objects.filter(derived__child__in=list(fresh)).distinct()
        front = list(parents.order_by("name"))
    return list(order.values())


def version_facts(
    version: ModelVersion, *, use: Use | None = None, at: datetime | None = None
) -> dict[str, Any]:
    """The registry's part of a dossier: facts only, no person's name, ready for canonical JSON.

    With `use` the facts of the other uses are left out, so that adding one changes no dossier. Two
    calls at one revision of the version give the same document. `at` is for the tier.
    """
    model = version.model
    uses = [use] if use is not None else list(model.uses.filter(retired_at=None).order_by("name"))
    mapping = mapping_of(model, at)
    return {
        "schema": FACTS_SCHEMA,
        "model": {
            "name": model.name,
            "title": model.title,
            "kind": model.kind,
            "description": model.description,
            "legal_entity": model.legal_entity.slug,
        },
        "uses": [use_facts(one, at) for one in uses],
        "columns": mapping.columns if mapping else None,
        "version": _record(version),
        "datasets": _datasets(version),
        "evidence": [
            {
                "id": str(one.pk),
                "kind": one.kind,
                "name": one.name,
                "media_type": one.media_type,
                "digest": one.blob_id,
                "size": one.blob.size,
            }
            for one in dossier_evidence(version)
        ],
    }


def use_facts(use: Use, at: datetime | None = None) -> dict[str, Any]:
    """What is stated about a use."""
    tier = tier_of(use, at)
    return {
        "name": use.name,
        "purpose": use.purpose,
        "excluded_uses": use.excluded_uses,
        "success_criteria": use.success_criteria,
        "affected_people": use.affected_people,
        "decision_rule": use.decision_rule,
        "exposure": use.exposure,
        "operator_role": use.operator_role,
        "legal_entity": use.legal_entity.slug,
        "tier": tier.tier if tier else None,
    }


def _record(version: ModelVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "label": version.label,
        "revision": version.revision,
        "description": version.description,
        "artifact": {
            "name": version.artifact_name,
            "format": version.artifact_format,
            "digest": version.artifact_digest,
        },
        "code_repository": version.code_repository,
        "code_commit": version.code_commit,
        "parameters": version.parameters,
        "environment": version.environment,
        "input_spec": version.input_spec,
        "claims": version.claims,
        "parent": version.parent.number if version.parent else None,
    }


def _datasets(version: ModelVersion) -> list[dict[str, Any]]:
    """The datasets of a version and all they were made from; those have no purpose of their own."""
    purposes: dict[Any, list[str]] = {}
    direct: dict[Any, Dataset] = {}
    for link in version.dataset_uses.select_related("dataset").order_by("dataset__name", "purpose"):
        direct[link.dataset_id] = link.dataset
        purposes.setdefault(link.dataset_id, []).append(link.purpose)
    rows = lineage(list(direct.values()))
    return [
        {
            "name": one.name,
            "title": one.title,
            "digest": one.digest,
            **({"digest_of": one.digest_of, "location": one.location} if one.location else {}),
            "media_type": one.media_type,
            "purposes": purposes.get(one.pk, []),
            "rows": one.rows,
            "columns": one.columns,
            "source": one.source,
            "licence": one.licence,
            "collected_from": one.collected_from.isoformat() if one.collected_from else None,
            "collected_until": one.collected_until.isoformat() if one.collected_until else None,
            "contains_personal_data": one.contains_personal_data,
            "sources": [
                {
                    "name": edge.parent.name,
                    "digest": edge.parent.digest,
                    "transformation": edge.transformation,
                }
                for edge in one.sources.select_related("parent").order_by("parent__name")
            ],
        }
        for one in sorted(rows, key=lambda row: row.name)
    ]
