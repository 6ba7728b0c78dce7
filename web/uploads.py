"""Files that people send from pages: no byte of one is kept for somebody who may not send it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.files.uploadhandler import (
    FileUploadHandler,
    SkipFile,
    TemporaryFileUploadHandler,
)
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from kernel.errors import Invalid, TooLarge
from registry.store import Stored, put

View = Callable[..., HttpResponse]
_TOO_LARGE = "upload_too_large"


class Limited(FileUploadHandler):
    """Lets a file by to the next handler up to `limit` bytes; of a longer one nothing is kept.

    The fields that come after it are read all the same, so that a form loses nothing.
    """

    def __init__(self, request: HttpRequest, limit: int) -> None:
        super().__init__(request)
        self._request, self._limit = request, limit

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        if start + len(raw_data) > self._limit:
            setattr(self._request, _TOO_LARGE, self.field_name)
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


def takes_files(limit: Callable[[HttpRequest], int]) -> Callable[[View], View]:
    """Make a view one whose POST may hold a file of up to `limit(request)` bytes.

    The token against forged requests is in the body, too: so the limit is set before any of it is
    read, and the token is asked for right after.
    """

    def decorate(view: View) -> View:
        guarded = csrf_protect(view)

        @csrf_exempt
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST":
                request.upload_handlers = [
                    Limited(request, limit(request)),
                    TemporaryFileUploadHandler(request),
                ]
            return guarded(request, *args, **kwargs)

        return wrapper

    return decorate


def taken(request: HttpRequest, field: str, limit: int) -> tuple[Stored, str]:
    """The uploaded file of a field, put into the store, and its name.

    Raises:
        Invalid: there is none, or it is empty.
        TooLarge: it has more than `limit` bytes.
    """
    if getattr(request, _TOO_LARGE, None) == field:
        raise TooLarge(f"the file has more than {limit} bytes", field=field)
    file = request.FILES.get(field)
    if file is None:
        raise Invalid("choose a file", field=field)
    if not file.size:
        raise Invalid("the file is empty", field=field)
    return put(file, limit=limit, field=field), file.name or ""
