"""`countersign register` and `countersign evidence`."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from countersign_client.errors import Answer, UsageError
from countersign_client.manifest import LISTS, TABLES, Manifest, sha256_of
from countersign_client.screen import Bar, say
from countersign_client.session import Session


def register(session: Session, manifest_path: Path) -> dict[str, Any]:
    """Register what the manifest says: the model if it is new, its datasets, a version, evidence.

    Running it again registers nothing twice: what is there by its digest is left alone.
    """
    manifest = Manifest(manifest_path)
    name = manifest.need("model", "name")
    _model(session, manifest)
    datasets = [
        _dataset(session, manifest, index) for index in range(len(manifest.rows("datasets")))
    ]
    version = _version(session, manifest, name, datasets)
    for index, row in enumerate(manifest.rows("evidence")):
        path = manifest.file(row.get("file"), f"evidence[{index}].file")
        add_evidence(
            session,
            name,
            version["number"],
            kind=row.get("kind", ""),
            path=path,
            name=row.get("name"),
        )
    return version


def _model(session: Session, manifest: Manifest) -> None:
    record = manifest.table("model")
    try:
        session.get(f"models/{record['name']}/")
    except Answer as answer:
        if answer.status != 404:
            raise
    else:
        say(f"model {record['name']}: registered before")
        return
    # A use is the model's own legal entity's unless it says otherwise.
    record["use"] = {"legal_entity": record.get("legal_entity")} | manifest.table("use")
    record["stakeholders"] = manifest.rows("stakeholders")
    if manifest.table("columns"):
        record["columns"] = manifest.table("columns")
    with _named("model"):
        session.post("models/", record)
    say(f"model {record['name']}: registered")


def _dataset(session: Session, manifest: Manifest, index: int) -> dict[str, str]:
    row = manifest.rows("datasets")[index]
    place = f"datasets[{index}]"
    purpose = row.pop("purpose", "")
    path = manifest.file(row.pop("file", None), f"{place}.file")
    name = row.get("name")
    if not isinstance(name, str) or not purpose:
        raise UsageError(f"{place} needs a name and a purpose")
    digest = sha256_of(path)
    try:
        known = session.get(f"datasets/{name}/")
    except Answer as answer:
        if answer.status != 404:
            raise
        record = _dataset_record(row, place) | {"digest": digest}
        bar = Bar(f"dataset {name}")
        with _named(place):
            session.upload(
                f"datasets/?model={manifest.need('model', 'name')}",
                {"record": json.dumps(record)},
                {"file": path},
                progress=bar.bytes,
            )
        bar.done()
        say(f"dataset {name}: registered, sha256 {digest}")
    else:
        if known["digest"] != digest:
            raise UsageError(
                f"{place}: a dataset {name} with other bytes is registered ({known['digest']}); "
                "data never changes under a name, so give this one another"
            )
        say(f"dataset {name}: registered before")
    return {"name": name, "purpose": purpose}


def _dataset_record(row: dict[str, Any], place: str) -> dict[str, Any]:
    record = dict(row)
    parents = record.pop("derived_from", [])
    transformation = record.pop("transformation", "")
    if parents and not transformation:
        raise UsageError(f"{place}.transformation says how it was derived, and is missing")
    record["sources"] = [
        {"dataset": parent, "transformation": transformation}
        for parent in ([parents] if isinstance(parents, str) else parents)
    ]
    for name in ("collected_from", "collected_until"):
        if name in record:
            record[name] = str(record[name])
    return record


def _version(
    session: Session, manifest: Manifest, name: str, datasets: list[dict[str, str]]
) -> dict[str, Any]:
    record = manifest.table("version")
    artifact = manifest.file(record.pop("artifact", None), "version.artifact")
    digest = sha256_of(artifact)
    for known in session.get(f"models/{name}/versions/", artifact_digest=digest).get("results", []):
        if known["artifact_digest"] == digest:
            say(f"version {known['number']}: registered before, sha256 {digest}")
            return dict(known)
    if "format" in record:
        record["artifact_format"] = record.pop("format")
    if isinstance(record.get("input_spec"), str):
        spec = manifest.file(record["input_spec"], "version.input_spec")
        record["input_spec"] = json.loads(spec.read_text())
    record |= {
        "artifact_name": artifact.name,
        "artifact_digest": digest,
        "datasets": datasets,
        "claims": manifest.rows("claims"),
    }
    bar = Bar(f"artifact {artifact.name}")
    with _named("version"):
        version = session.upload(
            f"models/{name}/versions/",
            {"record": json.dumps(record)},
            {"artifact": artifact},
            progress=bar.bytes,
        )
    bar.done()
    say(f"version {version['number']}: registered, sha256 {digest}")
    return dict(version)


@contextlib.contextmanager
def _named(place: str) -> Iterator[None]:
    """Name the fields of a refusal by where they stand in the manifest, as `datasets[0].source`."""

    def field(name: str) -> str:
        # A model is registered with its use, and a version with its claims: tables of their own.
        table = name.split(".")[0].split("[")[0]
        return name if table in TABLES | LISTS else f"{place}.{name}"

    try:
        yield
    except Answer as answer:
        raise answer.named(field) from None


def add_evidence(
    session: Session, model: str, number: int, *, kind: str, path: Path, name: str | None = None
) -> dict[str, Any]:
    """Add a file as evidence of a version."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    bar = Bar(f"evidence {path.name}")
    evidence = session.upload(
        f"models/{model}/versions/{number}/evidence/",
        {"kind": kind, "name": name or path.name, "digest": sha256_of(path)},
        {"file": path},
        progress=bar.bytes,
    )
    bar.done()
    addendum = " (an addendum: the version is submitted)" if evidence.get("is_addendum") else ""
    say(f"evidence {evidence['name']}: added, sha256 {evidence['digest']}{addendum}")
    return dict(evidence)
