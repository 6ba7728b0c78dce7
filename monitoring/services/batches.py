"""Production data by batches. The sender names a batch; to send it again is to say it once."""

import hashlib
import tempfile
from datetime import datetime
from typing import IO, Any, cast

from django.conf import settings

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import write
from kernel import keys
from kernel.errors import Conflict, Invalid, TooLarge, Unprocessable
from kernel.moments import rfc3339
from monitoring import configs, oversight
from monitoring.models import Monitor, ObservationBatch
from monitoring.services.windows import note_batch
from registry.models import Environment, ModelVersion, Use
from registry.services import blob_of, lock_version, permit, tick
from registry.store import Stored, put


def record_batch(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    batch_id: str,
    file: IO[bytes],
    media_type: str,
    window_start: datetime,
    window_end: datetime,
    digest: str | None = None,
    kind: str = ObservationBatch.Kind.DATA,
    actor: Actor,
) -> tuple[ObservationBatch, bool]:
    """Take in a batch of production data, and have each monitor of that place look at it.

    Returns the batch and whether it is new. The bytes go into the store first, so the service
    keeps none in memory; `digest`, where given, must be theirs. Of human decisions (`kind`
    `oversight`) the ids are replaced by pseudonyms first: what was sent is kept nowhere.

    Raises:
        Invalid: naming the field.
        Conflict: the batch's id was used for other bytes or another window.
        TooLarge, Unprocessable: the bytes are too many, of no readable type, or not of `digest`.
    """
    permit("observation.send", version, actor=actor)
    _check(version, use, batch_id, media_type, window_start, window_end, kind)
    if kind == ObservationBatch.Kind.OVERSIGHT:
        stored, sent = _put_decisions(version, file, digest)
    else:
        stored, sent = _put(file, digest), ""
    return _record_batch(
        version,
        stored,
        actor=actor,
        kind=kind,
        sent_digest=sent,
        use=use,
        environment=environment,
        batch_id=batch_id,
        media_type=media_type,
        window_start=window_start,
        window_end=window_end,
    )


def _put(file: IO[bytes], digest: str | None) -> Stored:
    limit = settings.COUNTERSIGN.max_evidence_bytes
    try:
        return put(file, limit=limit, field="file", expected=digest)
    except Unprocessable as error:
        # The bytes came as they are; it is the statement about them that does not fit.
        raise Unprocessable(error.detail, field="digest") from None


def _put_decisions(
    version: ModelVersion, file: IO[bytes], digest: str | None
) -> tuple[Stored, str]:
    """Store a file of human decisions without the ids that it came with; and its own digest."""
    limit = settings.COUNTERSIGN.max_evidence_bytes
    hasher = hashlib.sha256()
    with tempfile.TemporaryFile(dir=settings.COUNTERSIGN.data_dir) as hidden:
        counted = _Counted(file, hasher, limit)
        pepper = keys.current("pepper").secret
        oversight.pseudonymise(cast("IO[bytes]", counted), hidden, pepper, str(version.model_id))
        sent = hasher.hexdigest()
        if digest is not None and digest != sent:
            raise Unprocessable(
                f"the file's SHA-256 is {sent}, and {digest} was declared", field="digest"
            )
        hidden.seek(0)
        return put(hidden, limit=limit, field="file"), sent


class _Counted:
    """Reads a stream, hashes what is read, and refuses too much of it."""

    def __init__(self, stream: IO[bytes], hasher: Any, limit: int) -> None:
        self._stream, self._hasher, self._left = stream, hasher, limit

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge("the file has more bytes than are taken", field="file")
        self._hasher.update(data)
        return data


def _check(
    version: ModelVersion,
    use: Use,
    batch_id: str,
    media_type: str,
    window_start: datetime,
    window_end: datetime,
    kind: str,
) -> None:
    errors = {}
    if kind not in ObservationBatch.Kind.values:
        errors["kind"] = f"expected one of {', '.join(ObservationBatch.Kind.values)}"
    if use.model_id != version.model_id:
        errors["use"] = "the use is of another model"
    if not batch_id.strip() or len(batch_id) > 100 or "\x00" in batch_id:
        errors["batch_id"] = "expected a text of up to 100 characters"
    if window_end <= window_start:
        errors["window_end"] = "the window must end after it starts"
    if errors:
        raise Invalid.many(errors)
    form = configs.data_format(media_type)
    if kind == ObservationBatch.Kind.OVERSIGHT and form != "csv":
        raise Unprocessable(
            "human decisions are taken as text/csv: their ids are replaced before they are kept",
            field="media_type",
        )
    if form is None:
        raise Unprocessable(
            f"{media_type} is not read; taken are {', '.join(configs.MEDIA_TYPES)}",
            field="media_type",
        )


@write
def _record_batch(
    version: ModelVersion,
    stored: Stored,
    *,
    actor: Actor,
    use: Use,
    environment: Environment,
    batch_id: str,
    **facts: Any,
) -> tuple[ObservationBatch, bool]:
    # Asked again: the bytes may have taken long, and the role may be gone.
    require(actor, "observation.send", version)
    version = lock_version(version.pk)
    there = ObservationBatch.objects.filter(
        version=version, use=use, environment=environment, batch_id=batch_id
    ).first()
    if there is not None:
        return _same(there, stored, facts), False
    if version.retired_at is not None:
        raise Conflict("the version is retired; no more production data is taken of it")
    at = tick(version)
    batch = ObservationBatch.objects.create(
        version=version,
        use=use,
        environment=environment,
        batch_id=batch_id,
        blob=blob_of(stored, at),
        received_at=at,
        received_from_id=actor.id,
        **facts,
    )
    record(
        "monitoring.batch.received",
        actor=actor,
        at=at,
        object_type="observation_batch",
        object_id=str(batch.pk),
        public={
            "model": version.model.name,
            "number": version.number,
            "use": use.name,
            "environment": environment.name,
            "kind": batch.kind,
            "digest": stored.digest,
            "window_start": rfc3339(batch.window_start),
            "window_end": rfc3339(batch.window_end),
        },
        private={"batch_id": batch_id},
        scope=version.model_id,
    )
    watching = Monitor.objects.filter(
        version=version, use=use, environment=environment, until=None
    ).select_related("version__model", "reference")
    for monitor in watching.order_by("pk"):
        note_batch(monitor, batch, at=at, actor=actor)
    return batch, True


def _same(there: ObservationBatch, stored: Stored, facts: dict[str, Any]) -> ObservationBatch:
    was = there.sent_digest or there.blob_id
    if there.kind != facts["kind"] or was != (facts["sent_digest"] or stored.digest):
        raise Conflict(
            f"the batch {there.batch_id} was received with the digest {was}; other "
            "bytes are another batch and take another id",
            field="batch_id",
            code="batch_differs",
        )
    for name in ("window_start", "window_end"):
        if getattr(there, name) != facts[name]:
            raise Conflict(
                f"the batch {there.batch_id} was received for another window",
                field=name,
                code="batch_differs",
            )
    return there
