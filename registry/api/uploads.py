"""Files on their way in: hashed and stored while they are read, one pass, never whole in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any, ClassVar, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers
from django.http.multipartparser import MultiPartParser as DjangoMultiPartParser
from django.http.multipartparser import MultiPartParserError
from rest_framework.parsers import BaseParser, DataAndFiles
from rest_framework.parsers import MultiPartParser as RestMultiPartParser
from rest_framework.request import Request

from accounts.access import can
from accounts.rest.authentication import actor_of
from kernel.errors import Invalid, TooLarge
from kernel.rest.parsers import loads
from registry import services
from registry.store import CHUNK, BlobWriter, Stored, put, store

RECORD = "record"


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file that is in the store already."""

    stored: Stored
    name: str
    content_type: str

    def close(self) -> None:
        """Django closes what was uploaded once it has answered; there is nothing left open."""

    def __str__(self) -> str:
        return self.stored.digest


class StoreUploadHandler(FileUploadHandler):
    """Writes file parts into the store; keeps a part named `record` in memory, it is JSON."""

    chunk_size = CHUNK

    def __init__(self, request: Any, limit: int) -> None:
        super().__init__(request)
        self._limit = limit
        self._writer: BlobWriter | None = None
        self._record = BytesIO()

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self.field_name == RECORD:
            self._record = BytesIO()
        else:
            self._writer = store().writer(limit=self._limit, field=self.field_name or "file")
        raise StopFutureHandlers

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if self._writer is not None:
            self._writer.write(raw_data)
            return
        if start + len(raw_data) > settings.COUNTERSIGN.max_json_bytes:
            raise TooLarge(
                f"the record is larger than {settings.COUNTERSIGN.max_json_bytes} bytes",
                field=RECORD,
            )
        self._record.write(raw_data)

    def file_complete(self, file_size: int) -> Any:
        if self._writer is None:
            return self._record
        writer, self._writer = self._writer, None
        return StoredFile(writer.commit(), self.file_name or "", self.content_type or "")

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.abort()

    upload_interrupted = abort


class StoreMultiPartParser(RestMultiPartParser):
    """`multipart/form-data` whose files go straight into the store.

    The view says the most bytes of a file in `upload_limit`.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> "DataAndFiles[Any, Any]":
        context = parser_context or {}
        request = context["request"]
        handler = StoreUploadHandler(request, context["view"].upload_limit())
        meta = request.META.copy()
        meta["CONTENT_TYPE"] = media_type
        try:
            data, files = DjangoMultiPartParser(meta, cast(Any, stream), [handler], "utf-8").parse()
        except RequestDataTooBig:
            raise TooLarge(
                f"the fields are larger than {settings.COUNTERSIGN.max_json_bytes} bytes",
                field=RECORD,
            ) from None
        except (MultiPartParserError, SuspiciousOperation) as error:
            raise Invalid(f"the multipart body is malformed: {error}", field="body") from None
        finally:
            handler.abort()
        return DataAndFiles(data, files)


class LimitUploadHandler(FileUploadHandler):
    """Lets bytes by to the next handler, up to a limit."""

    def __init__(self, request: Any, limit: int) -> None:
        super().__init__(request)
        self._limit = limit

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        if start + len(raw_data) > self._limit:
            raise TooLarge(
                f"the file is larger than {self._limit} bytes", field=self.field_name or "file"
            )
        return raw_data

    def file_complete(self, file_size: int) -> Any:
        return None


class LimitedMultiPartParser(RestMultiPartParser):
    """`multipart/form-data` whose files Django keeps, none larger than the view's `upload_limit`."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> "DataAndFiles[Any, Any]":
        context = parser_context or {}
        request = context["request"]._request
        limit = LimitUploadHandler(request, context["view"].upload_limit())
        if limit.__class__ not in map(type, request.upload_handlers):
            request.upload_handlers.insert(0, limit)
        return super().parse(stream, media_type, parser_context)


class StreamParser(BaseParser):
    """`application/octet-stream`: the body is the file."""

    media_type = "application/octet-stream"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        limit = (parser_context or {})["view"].upload_limit()
        return StoredFile(put(stream, limit=limit, field="body"), "", "")


class AsksFirst:
    """A view that takes files asks for the role before it takes the first byte, and refuses on record."""

    actions: ClassVar[dict[str, str]]

    def subject(self, request: Request, **kwargs: Any) -> object:
        """What the action is done to."""
        raise NotImplementedError

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        if request.method in ("POST", "PUT"):
            action, actor = self.actions[request.method], actor_of(request)
            subject = self.subject(request, **kwargs)
            if not can(actor, action, subject):
                services.permit(action, subject, actor=actor)


def is_multipart(request: Request) -> bool:
    return (request.content_type or "").startswith("multipart/form-data")


def file_of(request: Request, field: str, *, limit: int) -> StoredFile | None:
    """The uploaded file of a multipart field, in the store; None if there is none.

    Raises:
        Invalid: it is empty, or no file.
    """
    value = request.data.get(field) if isinstance(request.data, Mapping) else request.data
    if value is None:
        return None
    if isinstance(value, UploadedFile):
        # A page's upload: Django has read it into a file of its own to find the CSRF token.
        value = StoredFile(
            put(value, limit=limit, field=field), value.name or "", value.content_type or ""
        )
    if not isinstance(value, StoredFile):
        raise Invalid("expected a file", field=field)
    if value.stored.size == 0:
        raise Invalid("the file is empty", field=field)
    return value


def record_of(request: Request, *files: str) -> Any:
    """The JSON that describes what is sent: the body, or the part `record` of a multipart body.

    Raises:
        Invalid: naming a part that is neither `record` nor one of `files`.
    """
    if not is_multipart(request):
        return request.data
    assert isinstance(request.data, Mapping)
    for name in request.data:
        if name not in (RECORD, *files):
            raise Invalid(f"unknown name; known are: {', '.join((RECORD, *files))}", field=name)
    part = request.data.get(RECORD)
    if part is None:
        raise Invalid("this part is required: the record, as JSON", field=RECORD)
    if isinstance(part, BytesIO):
        return loads(part.getvalue())
    if isinstance(part, UploadedFile):
        return loads(part.read(settings.COUNTERSIGN.max_json_bytes))
    return loads(str(part).encode())
