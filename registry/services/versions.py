"""Versions: one artifact of a model each, immutable but for what is stated about it until it is frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from accounts.access import require, roles_of, who_can
from accounts.actors import pseudonym_of
from accounts.models import Role, User
from audit.actor import Actor
from audit.writing import RefusedConflict, write
from kernel.errors import Conflict, Invalid, Unprocessable
from registry import demands, formats
from registry.models import Dataset, DatasetUse, ModelVersion, RegisteredModel, RevisionChange
from registry.services.registration import open_model
from registry.services.steps import blob_of, bump, insert_once, lock_version, note, tick
from registry.store import Stored


@dataclass(frozen=True)
class DatasetLink:
    """A version used a dataset, as what."""

    dataset: Dataset
    purpose: str


@write
def register_version(
    model: RegisteredModel,
    *,
    artifact_name: str,
    code_commit: str,
    artifact_digest: str | None = None,
    stored: Stored | None = None,
    artifact_format: str | None = None,
    label: str = "",
    description: str = "",
    code_repository: str = "",
    parameters: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    claims: Sequence[Mapping[str, Any]] = (),
    input_spec: Mapping[str, Any] | None = None,
    datasets: Sequence[DatasetLink] = (),
    parent: ModelVersion | None = None,
    author: User | None = None,
    actor: Actor,
) -> ModelVersion:
    """Register an artifact as the next version of a model, by its bytes or by its digest alone.

    The author is a person: the actor itself, or whom a pipeline names. The number is the server's.

    Raises:
        Conflict: the model has a version of this digest.
        Unprocessable: the stored bytes have another digest; the parent is another model's.
    """
    require(actor, "version.register", model)
    model = open_model(model.pk)
    digest = _digest(artifact_digest, stored)
    writer = _author(model, author, actor)
    if parent is not None and parent.model_id != model.pk:
        raise Unprocessable("the parent is a version of another model", field="parent")
    same = ModelVersion.objects.filter(model=model, artifact_digest=digest).first()
    if same is not None:
        raise Conflict(
            f"these bytes are version {same.number} of the model already", field="artifact_digest"
        )
    name = demands.text(artifact_name, "artifact_name", longest=200)
    facts = _facts(
        {
            "label": label,
            "description": description,
            "code_commit": code_commit,
            "code_repository": code_repository,
            "parameters": dict(parameters or {}),
            "environment": dict(environment or {}),
            "claims": [dict(claim) for claim in claims],
            "input_spec": None if input_spec is None else dict(input_spec),
        }
    )
    at = tick(after=[_newest_moment(model)])
    with insert_once("the model has this version already", "artifact_digest"):
        version = ModelVersion.objects.create(
            model=model,
            number=model.last_number + 1,
            artifact_digest=digest,
            artifact_name=name,
            artifact_format=formats.settle(artifact_format, name),
            artifact=blob_of(stored, at) if stored else None,
            parent=parent,
            author=writer,
            registered_by_id=actor.id,
            registered_at=at,
            last_edited_by_id=actor.id,
            moment=at,
            **facts,
        )
    RevisionChange.objects.create(version=version, revision=version.revision, at=at)
    model.last_number = version.number
    model.save(update_fields=["last_number"])
    _link(version, datasets)
    note(
        "registry.version.registered",
        version,
        actor=actor,
        at=at,
        public={
            "model": model.name,
            "number": version.number,
            "artifact_digest": digest,
            "artifact_format": version.artifact_format,
            "author": pseudonym_of(writer.pk),
            "datasets": sorted({link.dataset.digest for link in datasets}),
            "parent": parent.number if parent else None,
        },
        private={**facts, "artifact_name": name, "author": writer.name},
    )
    return version


@write
def amend_version(
    version: ModelVersion,
    *,
    changes: Mapping[str, Any],
    datasets: Sequence[DatasetLink] = (),
    actor: Actor,
) -> ModelVersion:
    """Change what is stated about a version, or link more datasets. Each change is a new revision.

    Raises:
        RefusedConflict: `frozen` once it was submitted: reopen it first; `retired`.
    """
    require(actor, "version.amend", version)
    version = lock_version(version.pk)
    refuse_retired(version)
    if version.frozen_at is not None:
        raise refusal(version, "frozen", "it was submitted; an owner must reopen it first")
    wanted = {
        name: value for name, value in _facts(changes).items() if getattr(version, name) != value
    }
    linked = _link(version, datasets)
    if not wanted and not linked:
        return version
    for name, value in wanted.items():
        setattr(version, name, value)
    version.save(update_fields=list(wanted))
    at = tick(version)
    fields = sorted([*wanted, *(["datasets"] if linked else [])])
    revision = bump(version, at, editor=actor.id)
    note(
        "registry.version.amended",
        version,
        actor=actor,
        at=at,
        public={
            "model": version.model.name,
            "number": version.number,
            "fields": fields,
            "revision": revision,
        },
        private=wanted,
    )
    return version


@write
def store_artifact(version: ModelVersion, stored: Stored, *, actor: Actor) -> ModelVersion:
    """Bring the bytes of a version that was registered by its digest. They are the same, so no fact
    changes.

    Raises:
        Unprocessable: they have another digest.
    """
    require(actor, "version.register", version)
    version = lock_version(version.pk)
    refuse_retired(version)
    if stored.digest != version.artifact_digest:
        raise Unprocessable(
            f"the file's SHA-256 is {stored.digest}, and the version is {version.artifact_digest}",
            field="artifact",
        )
    if version.artifact_id is not None:
        return version
    at = tick(version)
    version.artifact = blob_of(stored, at)
    version.save(update_fields=["artifact"])
    note(
        "registry.artifact.stored",
        version,
        actor=actor,
        at=at,
        public={
            "model": version.model.name,
            "number": version.number,
            "artifact_digest": stored.digest,
            "size": stored.size,
        },
    )
    return version


@write
def reopen_version(version: ModelVersion, *, reason: str, actor: Actor) -> ModelVersion:
    """Let a submitted version be worked on again. It becomes another revision, so approvals lapse."""
    require(actor, "version.reopen", version)
    version = lock_version(version.pk)
    refuse_retired(version)
    if version.frozen_at is None:
        raise refusal(version, "not_frozen", "it was not submitted, so there is nothing to reopen")
    reason = demands.text(reason, "reason")
    at = tick(version)
    revision = bump(version, at)
    note(
        "registry.version.reopened",
        version,
        actor=actor,
        at=at,
        public={"model": version.model.name, "number": version.number, "revision": revision},
        private={"reason": reason},
    )
    return version


@write
def retire_version(version: ModelVersion, *, reason: str, actor: Actor) -> ModelVersion:
    """End a version for ever: the gate denies it from now on."""
    require(actor, "version.retire", version)
    version = lock_version(version.pk)
    refuse_retired(version)
    reason = demands.text(reason, "reason")
    version.retired_at = tick(version)
    version.save(update_fields=["retired_at"])
    note(
        "registry.version.retired",
        version,
        actor=actor,
        at=version.retired_at,
        public={"model": version.model.name, "number": version.number},
        private={"reason": reason},
    )
    return version


def editor_of(version: ModelVersion, actor: Actor) -> UUID | None:
    """Who edits by adding evidence. What a validator finds out is no work on the version itself."""
    if actor.kind == "system" or Role.VALIDATOR in roles_of(actor.id, version):
        return None
    return actor.id


def refuse_retired(version: ModelVersion) -> None:
    if version.retired_at is not None:
        raise refusal(version, "retired", "it is retired")


def refusal(version: ModelVersion, code: str, detail: str) -> RefusedConflict:
    return RefusedConflict(
        code,
        f"version {version.number} of {version.model.name}: {detail}",
        object_type="version",
        object_id=version.pk,
        scope=version.model_id,
    )


def _facts(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are stated about a version, each as it must be."""
    readers: dict[str, Any] = {
        "label": lambda value, name: demands.optional_text(value, name, longest=100),
        "description": demands.optional_text,
        "code_commit": lambda value, name: demands.text(value, name, longest=64),
        "code_repository": lambda value, name: demands.optional_text(value, name, longest=300),
        "parameters": demands.json_object,
        "environment": demands.json_object,
        "claims": demands.claims,
        "input_spec": lambda value, name: (
            None if value is None else demands.json_object(value, name)
        ),
    }
    for name in values:
        if name not in readers:
            raise Invalid(f"only these can be stated: {', '.join(readers)}", field=name)
    return {name: readers[name](value, name) for name, value in values.items()}


def _digest(declared: str | None, stored: Stored | None) -> str:
    if stored is None and declared is None:
        raise Invalid("give the artifact's SHA-256, or the artifact", field="artifact_digest")
    if stored is not None and declared is not None and stored.digest != declared:
        raise Unprocessable(
            f"the file's SHA-256 is {stored.digest}, and {declared} was declared",
            field="artifact_digest",
        )
    return stored.digest if stored is not None else str(declared)


def _author(model: RegisteredModel, named: User | None, actor: Actor) -> User:
    """The person who answers for having made the version."""
    if named is None:
        if actor.kind != "person":
            raise Invalid("a service account names the person who made the version", field="author")
        return User.objects.get(pk=actor.id)
    if named.kind != User.Kind.PERSON or not named.is_active:
        raise Invalid("the author must be a person with an active account", field="author")
    # Else a pipeline could name a reviewer, who could then not sign, or anybody but the real author.
    if not who_can("version.register", model).filter(pk=named.pk).exists():
        raise Unprocessable("the author must be a developer or owner of the model", field="author")
    return named


def _link(version: ModelVersion, datasets: Sequence[DatasetLink]) -> list[DatasetUse]:
    made = []
    for index, link in enumerate(datasets):
        demands.choice(link.purpose, DatasetUse.Purpose.values, f"datasets[{index}].purpose")
        row, created = DatasetUse.objects.get_or_create(
            version=version, dataset=link.dataset, purpose=link.purpose
        )
        if created:
            made.append(row)
    return made


def _newest_moment(model: RegisteredModel) -> Any:
    newest = ModelVersion.objects.filter(model=model).order_by("-moment").first()
    return newest.moment if newest else None
