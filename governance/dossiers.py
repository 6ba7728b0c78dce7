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
from governance.models import Dossier, PolicyRevision
from governance.records import Records, beside_dossier
from kernel import canonical
from kernel.moments import rfc3339
from monitoring.selectors import measurement_facts
from registry.models import Environment, ModelVersion, Use
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
def _read(digest: str) -> tuple[Mapping[str, Any], datetime]:
    """A dossier's document, and when it was frozen: never changed, so kept. Nobody writes into it."""
    row = Dossier.objects.only("document", "frozen_at").get(pk=digest)
    data = bytes(row.document)
    if canonical.sha256_hex(data) != digest:
        raise ValueError(f"the dossier {digest} is not what its digest says")
    document: dict[str, Any] = json.loads(data)
    return document, row.frozen_at


def facts(
    version: ModelVersion,
    use: Use,
    environment: Environment,
    dossier: str | None = None,
    records: Records | None = None,
) -> dict[str, Any]:
    """What controls are judged on: the dossier of that digest and what is true beside it now.

    Without a dossier, the facts that one would freeze now. `records` are those about the place, if
    they were read already.
    """
    if dossier is None:
        document: Mapping[str, Any] = document_of(version, use)
        digest, since = canonical.digest(document), version.frozen_at
    else:
        digest, (document, since) = dossier, _read(dossier)
    if records is None:
        records = beside_dossier(version.pk, use.pk)
    own = next((one for one in document["uses"] if one["name"] == use.name), None)
    return {
        **document,
        "use": own,
        "environment": environment.name,
        "live": {
            "dossier": digest,
            "artifact_stored": version.artifact_id is not None,
            "runs": _runs(version, since, records),
            **_evidence(records, document),
            "validations": _validations(records),
            "findings": _findings(records),
        },
    }


def _runs(version: ModelVersion, since: datetime | None, records: Records) -> list[dict[str, Any]]:
    """What was measured since. Runs are large, and mostly there are none."""
    if since is None or not any(one.ended and one.ended > since for one in records.of("run")):
        return []
    return measurement_facts(version, since=since)


def _evidence(records: Records, document: Mapping[str, Any]) -> dict[str, Any]:
    """What was added beside the dossier, and when each piece was added."""
    known = {one["id"] for one in document["evidence"]}
    rows = sorted(records.of("evidence"), key=lambda one: str(one.id))
    return {
        "evidence": [
            {"id": str(row.id), "kind": row.text, "name": row.name, "digest": row.digest}
            for row in rows
            if str(row.id) not in known
        ],
        "added": {str(row.id): _instant(row.at) for row in rows},
    }


def _validations(records: Records) -> list[dict[str, Any]]:
    return [
        {
            "id": str(row.id),
            "dossier": row.digest,
            "rating": row.text,
            "written_at": _instant(row.at),
        }
        for row in sorted(records.of("validation"), key=lambda one: (_instant(one.at), str(one.id)))
    ]


def _findings(records: Records) -> dict[str, Any]:
    rows = sorted(records.of("finding"), key=lambda one: (_instant(one.at), str(one.id)))
    listed = [{"id": str(row.id), "severity": row.text} for row in rows]
    counts: dict[str | None, int] = dict.fromkeys(SEVERITIES, 0)
    for one in listed:
        counts[one["severity"]] += 1
    return {"counts": counts, "open": listed}


def _instant(value: datetime | None) -> str:
    assert value is not None
    return rfc3339(value)


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
