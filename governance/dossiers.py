"""Dossiers: the facts that a decision rests on, as canonical JSON, frozen at submission.

Facts only: no policy, no verdict, no person's name. What is true beside a dossier now (addenda,
validations, findings) joins it as `live` when controls are judged.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from audit.writing import in_write
from governance.controls.base import SEVERITIES
from governance.controls.results import ControlResult
from governance.models import Dossier, Finding, PolicyRevision, Validation
from kernel import canonical
from kernel.moments import rfc3339
from monitoring.selectors import measurement_facts
from registry.models import Environment, Evidence, ModelVersion, Use
from registry.selectors import version_facts

SCHEMA = "countersign.dossier/1"
SIGNED_SCHEMA = "countersign.signed/1"


def document_of(version: ModelVersion, use: Use) -> dict[str, Any]:
    """The dossier of a version for a use, as its facts are at its present revision.

    What came after it was submitted is an addendum and stands beside it.
    """
    record = version_facts(version, use=use)
    runs = measurement_facts(version, at=version.frozen_at)
    return {**record, "schema": SCHEMA, "record_schema": record["schema"], "runs": runs}


def freeze(version: ModelVersion, use: Use, at: datetime) -> Dossier:
    """Keep the dossier of the locked, frozen version. A step inside a write.

    The same facts are the same dossier, kept once.
    """
    in_write()
    data = canonical.dumps(document_of(version, use))
    dossier, _ = Dossier.objects.get_or_create(
        digest=canonical.sha256_hex(data),
        defaults={
            "version": version,
            "revision": version.revision,
            "document": data,
            "frozen_at": version.frozen_at or at,
        },
    )
    return dossier


@lru_cache(maxsize=32)
def _read(digest: str) -> Mapping[str, Any]:
    """A dossier's document by its digest: never changed, so kept. Nobody writes into it."""
    data = bytes(Dossier.objects.values_list("document", flat=True).get(pk=digest))
    if canonical.sha256_hex(data) != digest:
        raise ValueError(f"the dossier {digest} is not what its digest says")
    document: dict[str, Any] = json.loads(data)
    return document


def facts(
    version: ModelVersion, use: Use, environment: Environment, dossier: str | None = None
) -> dict[str, Any]:
    """What controls are judged on: the dossier of that digest and what is true beside it now.

    Without a dossier, the facts that one would freeze now.
    """
    if dossier is None:
        document: Mapping[str, Any] = document_of(version, use)
        digest, since = canonical.digest(document), version.frozen_at
    else:
        document, digest = _read(dossier), dossier
        since = Dossier.objects.values_list("frozen_at", flat=True).get(pk=dossier)
    own = next((one for one in document["uses"] if one["name"] == use.name), None)
    return {
        **document,
        "use": own,
        "environment": environment.name,
        "live": {
            "dossier": digest,
            "artifact_stored": version.artifact_id is not None,
            "runs": [] if since is None else measurement_facts(version, since=since),
            **_evidence(version, document),
            "validations": _validations(version, use),
            "findings": _findings(version),
        },
    }


def _evidence(version: ModelVersion, document: Mapping[str, Any]) -> dict[str, Any]:
    """What was added beside the dossier, and when each piece was added."""
    known = {one["id"] for one in document["evidence"]}
    rows = list(Evidence.objects.filter(version=version))
    return {
        "evidence": [
            {"id": str(row.pk), "kind": row.kind, "name": row.name, "digest": row.blob_id}
            for row in rows
            if str(row.pk) not in known
        ],
        "added": {str(row.pk): rfc3339(row.added_at) for row in rows},
    }


def _validations(version: ModelVersion, use: Use) -> list[dict[str, Any]]:
    return [
        {
            "id": str(row.pk),
            "dossier": row.dossier_id,
            "rating": row.rating,
            "written_at": rfc3339(row.written_at),
        }
        for row in Validation.objects.filter(version=version, use=use).order_by("written_at")
    ]


def _findings(version: ModelVersion) -> dict[str, Any]:
    rows = Finding.objects.filter(version=version, closed_at=None).order_by("opened_at")
    listed = [{"id": str(row.pk), "severity": row.severity} for row in rows]
    counts = dict.fromkeys(SEVERITIES, 0)
    for one in listed:
        counts[one["severity"]] += 1  # type: ignore[index]
    return {"counts": counts, "open": listed}


def signed_document(
    dossier: Dossier,
    use: Use,
    environment: Environment,
    revision: PolicyRevision,
    results: Iterable[ControlResult],
) -> bytes:
    """What people sign: the dossier, what for and where, by which policy, and how it was judged."""
    return canonical.dumps(
        {
            "schema": SIGNED_SCHEMA,
            "dossier": dossier.digest,
            "use": use.name,
            "environment": environment.name,
            "policy": {
                "name": revision.policy.name,
                "number": revision.number,
                "digest": revision.digest,
            },
            "controls": [result.to_json() for result in results],
        }
    )
