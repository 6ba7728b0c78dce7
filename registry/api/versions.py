"""REST: versions, their artifact and their evidence."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.http import FileResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from kernel.errors import Invalid, Unprocessable
from kernel.identifiers import parse_digest
from kernel.rest.parsers import StrictJSONParser
from registry import services
from registry.api import describe, inputs
from registry.api.base import (
    dataset_links,
    filters,
    find_model,
    find_version,
    flag,
    named_user,
    paged,
    validated,
    versions_of,
)
from registry.api.uploads import (
    AsksFirst,
    StoreMultiPartParser,
    StreamParser,
    file_of,
    is_multipart,
    record_of,
)
from registry.models import Evidence, ModelVersion
from registry.store import open_blob

# Larger files are hashed by whoever downloads them; the digest comes along.
_VERIFIED = 64 * 1024**2


class Versions(AsksFirst, APIView):
    """Versions of a model. Filters: artifact_digest, label, retired.

    POST takes the record as JSON with the artifact's digest, or multipart: the part `record` (the same
    JSON, where the digest may be left out) and the file `artifact`.
    """

    actions: ClassVar[dict[str, str]] = {"GET": "model.read", "POST": "version.register"}
    parser_classes = (StrictJSONParser, StoreMultiPartParser)

    def upload_limit(self) -> int:
        return int(settings.COUNTERSIGN.max_artifact_bytes)

    def subject(self, request: Request, **kwargs: Any) -> object:
        return find_model(request, kwargs["name"])

    def get(self, request: Request, name: str) -> Response:
        rows = versions_of(find_model(request, name))
        wanted = filters(request, "artifact_digest", "label", "retired")
        if "artifact_digest" in wanted:
            digest = parse_digest(wanted["artifact_digest"], "artifact_digest")
            rows = rows.filter(artifact_digest=digest)
        if "label" in wanted:
            rows = rows.filter(label=wanted["label"])
        if "retired" in wanted:
            rows = rows.filter(retired_at__isnull=not flag(wanted["retired"], "retired"))
        return paged(self, request, rows, describe.version)

    @extend_schema(
        request={
            "application/json": inputs.VersionInput,
            "multipart/form-data": inputs.VersionUpload,
        },
        responses={201: OpenApiTypes.OBJECT},
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        model = find_model(request, name)
        given = validated(inputs.VersionInput, record_of(request, "artifact"))
        file = None
        if is_multipart(request):
            file = file_of(request, "artifact", limit=self.upload_limit())
        if "artifact_name" not in given and not (file and file.name):
            raise Invalid("this field is required", field="artifact_name")
        parent = None
        if given.get("parent") is not None:
            parent = versions_of(model).filter(number=given["parent"]).first()
            if parent is None:
                raise Invalid(f"the model has no version {given['parent']}", field="parent")
        links = dataset_links(request, given.pop("datasets", []))
        author = given.pop("author", None)
        version = services.register_version(
            model,
            **given
            | {
                "artifact_name": given.get("artifact_name") or (file.name if file else ""),
                "stored": file.stored if file else None,
                "datasets": links,
                "parent": parent,
                "author": named_user(author, "author") if author is not None else None,
            },
            actor=actor_of(request),
        )
        return Response(describe.version_in_full(version), status=201)


class Version(APIView):
    actions: ClassVar[dict[str, str]] = {"GET": "model.read", "PATCH": "version.amend"}

    def get(self, request: Request, name: str, number: int) -> Response:
        return Response(describe.version_in_full(find_version(request, name, number)))

    @extend_schema(request=inputs.VersionChanges, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, name: str, number: int) -> Response:
        version = find_version(request, name, number)
        changes = validated(inputs.VersionChanges, request.data)
        links = dataset_links(request, changes.pop("datasets", []))
        version = services.amend_version(
            version, changes=changes, datasets=links, actor=actor_of(request)
        )
        return Response(describe.version_in_full(version))


class Artifact(AsksFirst, APIView):
    """PUT the bytes of a version that was registered by its digest: as the body, or as the multipart
    file `artifact`. They must have that digest."""

    actions: ClassVar[dict[str, str]] = {"PUT": "version.register"}
    parser_classes = (StreamParser, StoreMultiPartParser)

    def upload_limit(self) -> int:
        return int(settings.COUNTERSIGN.max_artifact_bytes)

    def subject(self, request: Request, **kwargs: Any) -> object:
        return find_version(request, kwargs["name"], kwargs["number"])

    @extend_schema(
        request={
            "application/octet-stream": OpenApiTypes.BINARY,
            "multipart/form-data": inputs.ArtifactUpload,
        },
        responses=OpenApiTypes.OBJECT,
    )
    def put(self, request: Request, name: str, number: int) -> Response:
        version = find_version(request, name, number)
        file = file_of(request, "artifact", limit=self.upload_limit())
        if file is None:
            raise Invalid("this file is required", field="artifact")
        version = services.store_artifact(version, file.stored, actor=actor_of(request))
        return Response(describe.version_in_full(version))


class VersionEvidence(AsksFirst, APIView):
    """Evidence for a version. Filters: kind, addendum.

    POST takes a JSON document (`kind`, `name`, `document`) or multipart: the fields `kind`, `name`,
    `media_type`, `digest` and the file `file`.
    """

    actions: ClassVar[dict[str, str]] = {"GET": "model.read", "POST": "evidence.add"}
    parser_classes = (StrictJSONParser, StoreMultiPartParser)

    def upload_limit(self) -> int:
        return int(settings.COUNTERSIGN.max_evidence_bytes)

    def subject(self, request: Request, **kwargs: Any) -> object:
        return find_version(request, kwargs["name"], kwargs["number"])

    def get(self, request: Request, name: str, number: int) -> Response:
        rows = Evidence.objects.filter(version=find_version(request, name, number))
        wanted = filters(request, "kind", "addendum")
        if "kind" in wanted:
            rows = rows.filter(kind=wanted["kind"])
        if "addendum" in wanted:
            rows = rows.filter(is_addendum=flag(wanted["addendum"], "addendum"))
        return paged(self, request, rows.select_related("blob", "added_by"), describe.evidence)

    @extend_schema(
        request={
            "application/json": inputs.EvidenceInput,
            "multipart/form-data": inputs.EvidenceUpload,
        },
        responses={201: OpenApiTypes.OBJECT},
    )
    @idempotent
    def post(self, request: Request, name: str, number: int) -> Response:
        version = find_version(request, name, number)
        row = (
            self._file(request, version)
            if is_multipart(request)
            else self._document(request, version)
        )
        return Response(describe.evidence(row), status=201)

    def _file(self, request: Request, version: ModelVersion) -> Evidence:
        assert isinstance(request.data, Mapping)
        fields = {key: value for key, value in request.data.items() if key != "file"}
        given = validated(inputs.EvidenceInput, fields)
        if "document" in given:
            raise Invalid("a document comes as JSON, a file as multipart", field="document")
        file = file_of(request, "file", limit=self.upload_limit())
        if file is None:
            raise Invalid("this file is required", field="file")
        if given.get("digest", file.stored.digest) != file.stored.digest:
            raise Unprocessable(
                f"the file's SHA-256 is {file.stored.digest}, and {given['digest']} was declared",
                field="digest",
            )
        return services.add_evidence(
            version,
            file.stored,
            kind=given["kind"],
            name=given.get("name") or file.name,
            media_type=given.get("media_type") or file.content_type or "application/octet-stream",
            actor=actor_of(request),
        )

    def _document(self, request: Request, version: ModelVersion) -> Evidence:
        given = validated(inputs.EvidenceInput, request.data)
        if "document" not in given:
            raise Invalid("this field is required", field="document")
        if "name" not in given:
            raise Invalid("this field is required", field="name")
        stored = services.store_document(given["document"])
        if given.get("digest", stored.digest) != stored.digest:
            raise Unprocessable(
                f"the SHA-256 of the canonical document is {stored.digest}", field="digest"
            )
        return services.add_evidence(
            version,
            stored,
            kind=given["kind"],
            name=given["name"],
            media_type=given.get("media_type", "application/json"),
            actor=actor_of(request),
        )


class EvidenceContent(APIView):
    """The bytes of one piece of evidence, always to be saved and never to be shown."""

    actions: ClassVar[dict[str, str]] = {"GET": "model.read"}

    def get(self, request: Request, name: str, number: int, evidence_id: str) -> HttpResponseBase:
        version = find_version(request, name, number)
        row = get_object_or_404(
            Evidence.objects.select_related("blob"), version=version, pk=evidence_id
        )
        stream = open_blob(row.blob_id, verify=row.blob.size <= _VERIFIED)
        response = FileResponse(
            stream, as_attachment=True, filename=row.name, content_type=row.media_type
        )
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        digest = base64.b64encode(bytes.fromhex(row.blob_id)).decode()
        response["Repr-Digest"] = f"sha-256=:{digest}:"
        return response
