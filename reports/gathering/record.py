"""What the version is: its model, use, record, data and files."""

from datetime import datetime
from typing import Any

from accounts.models import OrganisationRole, Role
from kernel.moments import rfc3339
from registry.models import Dataset as DatasetRow
from registry.models import Evidence, ModelVersion, RoleGrant, Stakeholder
from registry.models import Use as UseRow
from registry.selectors import at_time, lineage, tier_of, use_facts, version_facts
from reports.bundle_schema import Artifact, Dataset, Model, Person, Use, Version
from reports.gathering.index import Cited, EvidenceIndex, who


def model_of(version: ModelVersion, at: datetime) -> Model:
    model = version.model
    stakeholders = at_time(Stakeholder.objects.filter(model=model), at).order_by("since", "pk")
    return {
        "name": model.name,
        "title": model.title,
        "kind": model.kind.replace("_", " "),
        "description": model.description,
        "portfolio": model.portfolio.name,
        "legal_entity": model.legal_entity.name,
        "people": _people(version, at),
        "stakeholders": [{"name": row.name, "interest": row.interest} for row in stakeholders],
    }


_ANSWERABLE = (Role.DEVELOPER, Role.OWNER, Role.VALIDATOR, Role.RISK_OFFICER)


def _people(version: ModelVersion, at: datetime) -> list[Person]:
    """Who answered for the model at the cut-off: every role on it or on its portfolio, and those roles
    for the whole organisation that develop, own, validate and approve."""
    model = version.model
    grants = at_time(RoleGrant.objects.select_related("user"), at).order_by("role", "since", "pk")
    everywhere = at_time(OrganisationRole.objects.select_related("user"), at)
    held: list[RoleGrant | OrganisationRole] = [
        *grants.filter(model=model),
        *grants.filter(portfolio=model.portfolio_id),
        *everywhere.filter(role__in=_ANSWERABLE).order_by("role", "since", "pk"),
    ]
    found: dict[tuple[str, str], Person] = {}
    for row in held:
        said: Person = {"name": str(row.user), "role": row.role, "since": rfc3339(row.since)}
        found.setdefault((str(row.user_id), row.role), said)
    return list(found.values())


def use_of(use: UseRow, at: datetime) -> Use:
    said, tier = use_facts(use, at), tier_of(use, at)
    return {
        "name": use.name,
        "purpose": said["purpose"],
        "excluded_uses": [str(one) for one in said["excluded_uses"]],
        "success_criteria": [_criterion(one) for one in said["success_criteria"]],
        "affected_people": said["affected_people"],
        "decision_rule": said["decision_rule"],
        "exposure": said["exposure"],
        "operator_role": said["operator_role"],
        "legal_entity": use.legal_entity.name,
        "tier": tier.tier if tier else None,
        "tier_reason": tier.reason if tier else "",
    }


def _criterion(stated: Any) -> str:
    if isinstance(stated, dict):
        return ", ".join(f"{name}: {value}" for name, value in stated.items())
    return str(stated)


def version_of(version: ModelVersion, use: UseRow, at: datetime, index: EvidenceIndex) -> Version:
    said = version_facts(version, use=use, at=at)["version"]
    ref = index.cite(
        Cited(
            "version",
            f"{version.model.name} {version.number}",
            "version",
            str(version.pk),
            version.artifact_digest,
            version.registered_at,
            who(version.registered_by),
            "registry.version.registered",
        )
    )
    return {
        "ref": ref,
        "number": version.number,
        "label": said["label"],
        "revision": said["revision"],
        "description": said["description"],
        "artifact": _artifact(version),
        "code_repository": said["code_repository"],
        "code_commit": said["code_commit"],
        "parameters": said["parameters"],
        "environment": said["environment"],
        "claims": [
            {
                "metric": claim["metric"],
                "value": claim["value"],
                "slice": claim.get("slice") or {},
            }
            for claim in version.claims
        ],
        "parent": said["parent"],
        "author": who(version.author),
        "registered_by": who(version.registered_by),
        "registered_at": rfc3339(version.registered_at),
        "retired_at": rfc3339(version.retired_at) if version.retired_at else None,
    }


def _artifact(version: ModelVersion) -> Artifact:
    return {
        "name": version.artifact_name,
        "format": version.artifact_format,
        "digest": version.artifact_digest,
        "size": version.artifact.size if version.artifact else None,
    }


def datasets_of(
    version: ModelVersion, use: UseRow, at: datetime, index: EvidenceIndex
) -> list[Dataset]:
    """The datasets that the version names and all that they were made from; the named ones first."""
    facts = version_facts(version, use=use, at=at)["datasets"]
    named = [link.dataset for link in version.dataset_uses.select_related("dataset")]
    rows = {row.name: row for row in lineage(named)}
    return [
        _dataset(said, cite_dataset(rows[said["name"]], index))
        for said in sorted(facts, key=lambda one: (not one["purposes"], one["name"]))
    ]


def cite_dataset(row: DatasetRow, index: EvidenceIndex) -> str:
    return index.cite(
        Cited(
            "dataset",
            row.name,
            "dataset",
            str(row.pk),
            row.digest,
            row.registered_at,
            who(row.registered_by),
        )
    )


def _dataset(said: dict[str, Any], ref: str) -> Dataset:
    return {
        "ref": ref,
        "name": said["name"],
        "title": said["title"],
        "digest": said["digest"],
        "purposes": said["purposes"] or ["source"],
        "rows": said["rows"],
        "columns": [str(column["name"]) for column in said["columns"]],
        "source": said["source"],
        "licence": said["licence"],
        "collected_from": said["collected_from"],
        "collected_until": said["collected_until"],
        "contains_personal_data": said["contains_personal_data"],
        "sources": said["sources"],
    }


def cite_files(version: ModelVersion, at: datetime, index: EvidenceIndex) -> None:
    """Every evidence file of the version, addenda too, goes into the index."""
    rows = Evidence.objects.filter(version=version, added_at__lte=at).order_by("added_at", "pk")
    for row in rows.select_related("added_by"):
        beside = ", beside the dossier" if row.is_addendum else ""
        index.cite(
            Cited(
                f"evidence: {row.kind.replace('_', ' ')}{beside}",
                row.name,
                "evidence",
                str(row.pk),
                row.blob_id,
                row.added_at,
                who(row.added_by),
            )
        )
