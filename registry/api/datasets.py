"""REST: datasets, their bytes and what they were made from."""

from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import can
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from kernel.errors import Forbidden, Invalid
from kernel.identifiers import parse_digest
from kernel.rest.parsers import StrictJSONParser
from registry import locations, schemas, services
from registry.api import describe, inputs
from registry.api.base import (
    datasets_of,
    filters,
    find_dataset,
    find_model,
    flag,
    named_dataset,
    paged,
    validated,
)
from registry.api.uploads import (
    AsksFirst,
    StoredFile,
    StoreMultiPartParser,
    StreamParser,
    file_of,
    is_multipart,
    record_of,
)
from registry.models import RegisteredModel
from registry.sources import catalogue
from registry.store import path_of


class _TakesData(AsksFirst):
    def upload_limit(self) -> int:
        return int(settings.COUNTERSIGN.max_artifact_bytes)

    def subject(self, request: Request, **kwargs: Any) -> RegisteredModel | None:
        """The model whose role lets the caller register data: `?model=`."""
        name = request.query_params.get("model")
        return find_model(request, name) if name is not None else None


def _contents(file: StoredFile, media_type: str) -> services.Contents:
    rows, columns = schemas.read(path_of(file.stored.digest), media_type)
    return services.Contents(rows, columns)


class Datasets(_TakesData, APIView):
    """Datasets. Filters: digest, stored.

    POST takes the record as JSON with the data's digest, or multipart: the part `record` and the file
    `file`, whose rows and columns are then read. With `location` the data stays where it is, in a bucket
    or a source that the operator named (`sources/`). `?model=` names a model whose role lets the caller.
    """

    actions: ClassVar[dict[str, str]] = {"GET": "model.read", "POST": "dataset.register"}
    parser_classes = (StrictJSONParser, StoreMultiPartParser)

    def get(self, request: Request) -> Response:
        rows = datasets_of(request)
        wanted = filters(request, "digest", "stored")
        if "digest" in wanted:
            rows = rows.filter(digest=parse_digest(wanted["digest"], "digest"))
        if "stored" in wanted:
            rows = rows.filter(blob__isnull=not flag(wanted["stored"], "stored"))
        return paged(self, request, rows, describe.dataset)

    @extend_schema(
        request={
            "application/json": inputs.DatasetInput,
            "multipart/form-data": inputs.DatasetUpload,
        },
        responses={201: OpenApiTypes.OBJECT},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        given = validated(inputs.DatasetInput, record_of(request, "file"))
        sources = [
            services.Source(
                named_dataset(request, one["dataset"], f"sources[{index}].dataset"),
                one["transformation"],
            )
            for index, one in enumerate(given.pop("sources", []))
        ]
        contents = services.Contents(given.pop("rows", None), given.pop("columns", ()))
        file = None
        if is_multipart(request):
            file = file_of(request, "file", limit=self.upload_limit())
        if file is not None:
            given.setdefault("media_type", schemas.guess_media_type(file.name))
            found = _contents(file, given["media_type"])
            if found.columns:
                contents = found
        located = None
        if (where := given.pop("location", None)) is not None:
            if file is not None:
                raise Invalid("give either the file or where it is", field="location")
            pinned = where.pop("pinned", True)
            located = locations.examine(
                where,
                digest=given.get("digest"),
                pinned=pinned,
                media_type=given.pop("media_type", None),
            )
        row = services.register_dataset(
            **given,
            stored=file.stored if file else None,
            located=located,
            contents=contents,
            sources=sources,
            model=self.subject(request),
            actor=actor_of(request),
        )
        return Response(describe.dataset_in_full(row), status=201)


class Sources(APIView):
    """The sources and buckets that the operator named for data: names alone, never an address."""

    actions: ClassVar[dict[str, str]] = {"GET": "dataset.register"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        name = request.query_params.get("model")
        model = find_model(request, name) if name is not None else None
        if not can(actor_of(request), "dataset.register", model):
            raise Forbidden("only who may register data sees where it may come from")
        known = catalogue.current().sources.values()
        return Response(
            {
                "sources": [one.to_json() for one in sorted(known, key=lambda one: one.name)],
                "buckets": sorted(dict(settings.COUNTERSIGN.buckets)),
            }
        )


class OneDataset(APIView):
    actions: ClassVar[dict[str, str]] = {"GET": "model.read"}

    def get(self, request: Request, name: str) -> Response:
        return Response(describe.dataset_in_full(find_dataset(request, name)))


class DatasetContent(_TakesData, APIView):
    """PUT the bytes of a dataset that was registered by its digest: as the body, or as the multipart
    file `file`. They are for checks alone and are never handed out."""

    actions: ClassVar[dict[str, str]] = {"PUT": "dataset.register"}
    parser_classes = (StreamParser, StoreMultiPartParser)

    @extend_schema(
        request={
            "application/octet-stream": OpenApiTypes.BINARY,
            "multipart/form-data": inputs.FileUpload,
        },
        responses=OpenApiTypes.OBJECT,
    )
    def put(self, request: Request, name: str) -> Response:
        row = find_dataset(request, name)
        file = file_of(request, "file", limit=self.upload_limit())
        if file is None:
            raise Invalid("this file is required", field="file")
        contents = None
        if file.stored.digest == row.digest:
            contents = _contents(file, row.media_type)
        row = services.store_dataset(
            row,
            file.stored,
            contents=contents,
            model=self.subject(request),
            actor=actor_of(request),
        )
        return Response(describe.dataset_in_full(row))
