"""Talking to the server: JSON and streamed uploads over one connection for each request."""

import contextlib
import http.client
import json
import math
import mimetypes
import os
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from countersign_client.errors import Answer, ClientError, UsageError

CHUNK = 1024 * 1024
RETRIES = (0.5, 1.0, 2.0, 4.0)
Progress = Callable[[int, int], None]
Body = bytes | Callable[[], Iterator[bytes]]


class Session:
    """A server's address and a token.

    Requests that fail on the way, or with 502 to 504, are tried again under the same
    `Idempotency-Key`, so that nothing is done twice.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(
                "COUNTERSIGN_URL must be an http or https URL, as https://countersign.example"
            )
        if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise UsageError("a token is sent over https only, or to this machine")
        self._parts = parts
        self._token = token
        self._timeout = timeout

    @classmethod
    def from_environment(cls) -> "Session":
        """Read COUNTERSIGN_URL and COUNTERSIGN_TOKEN (or COUNTERSIGN_TOKEN_FILE)."""
        url = os.environ.get("COUNTERSIGN_URL", "")
        token = os.environ.get("COUNTERSIGN_TOKEN", "")
        path = os.environ.get("COUNTERSIGN_TOKEN_FILE", "")
        if not token and path:
            try:
                token = Path(path).read_text().strip()
            except OSError as error:
                raise UsageError(f"COUNTERSIGN_TOKEN_FILE: {error.strerror}: {path}") from None
        if not url or not token:
            raise UsageError("set COUNTERSIGN_URL, and COUNTERSIGN_TOKEN or COUNTERSIGN_TOKEN_FILE")
        return cls(url, token)

    def page(self, path: str) -> str:
        """The address at which people see it."""
        return f"{self._parts.scheme}://{self._parts.netloc}{self._parts.path.rstrip('/')}/{path}"

    def get(self, path: str, **query: Any) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        status, data = self._request("GET", path + (f"?{urlencode(given)}" if given else ""))
        return _json(status, data)

    def post(self, path: str, body: Mapping[str, Any], *, accept: tuple[int, ...] = ()) -> Any:
        """POST JSON. Statuses in `accept` are answers too, though they are errors in HTTP."""
        status, data = self._request("POST", path, _encoded(body), "application/json")
        return _json(status, data, accept)

    def upload(
        self,
        path: str,
        fields: Mapping[str, str],
        files: Mapping[str, Path],
        *,
        method: str = "POST",
        progress: Progress | None = None,
    ) -> Any:
        """Send a multipart form, streaming the files."""
        form = _Form(fields, files, progress)
        status, data = self._request(method, path, form.stream, form.content_type, form.length)
        return _json(status, data)

    def download(self, path: str, target: Path) -> int:
        """Save what GET answers to `target`, whole or not at all. Returns the number of bytes."""
        connection = self._connection()
        try:
            connection.request("GET", self._path(path), headers=self._headers())
            response = connection.getresponse()
            if response.status != 200:
                _json(response.status, response.read(CHUNK))
            partial = target.with_name(target.name + ".part")
            size = 0
            with partial.open("wb") as file:
                while chunk := response.read(CHUNK):
                    size += file.write(chunk)
            partial.replace(target)
            return size
        except (OSError, http.client.HTTPException) as error:
            raise ClientError(f"cannot reach {self._parts.netloc}: {error}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def _path(self, path: str) -> str:
        return f"{self._parts.path.rstrip('/')}/api/v1/{path}" if not path.startswith("/") else path

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}

    def _request(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        content_type: str = "",
        length: int | None = None,
    ) -> tuple[int, bytes]:
        headers = self._headers()
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if content_type:
            headers["Content-Type"] = content_type
        if length is not None:
            headers["Content-Length"] = str(length)
        failure: Exception | None = None
        for pause in (0.0, *RETRIES):
            time.sleep(pause)
            try:
                status, data = self._once(method, path, body, headers)
            except (OSError, http.client.HTTPException) as error:
                failure = error
                continue
            if status in {502, 504}:
                failure = ClientError(f"HTTP {status}")
            elif status == 409 and b'"in_progress"' in data:
                # Our own earlier try, whose answer was lost, is still being worked on.
                failure = ClientError("the first request is still under way")
            else:
                return status, data
        raise ClientError(f"cannot reach {self._parts.netloc}: {failure}")

    def _once(
        self, method: str, path: str, body: Body | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            sent = body() if callable(body) else body
            # A server that refuses a large upload may answer and close before it has read all.
            with contextlib.suppress(BrokenPipeError):
                connection.request(method, self._path(path), body=sent, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _encoded(body: Mapping[str, Any]) -> bytes:
    """The body as JSON. A number of Python's that JSON cannot say (1e400 is read as one) is a mistake
    in what was given."""
    try:
        return json.dumps(body, allow_nan=False).encode()
    except ValueError:
        name = _unsaid(body, "") or "the body"
        raise UsageError(f"{name}: JSON has no such number; it is too large, or none") from None


def _unsaid(value: Any, path: str) -> str:
    """Where the first float stands that is no number of JSON; empty if there is none."""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        inner = [(f"{path}.{name}" if path else str(name), one) for name, one in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(f"{path}[{index}]", one) for index, one in enumerate(value)]
    elif isinstance(value, float) and not math.isfinite(value):
        return path
    return next(filter(None, (_unsaid(one, name) for name, one in inner)), "")


def _json(status: int, data: bytes, accept: tuple[int, ...] = ()) -> Any:
    try:
        body = json.loads(data) if data else {}
    except ValueError:
        body = {"detail": f"HTTP {status}, and the answer is not JSON"}
    if status >= 300 and status not in accept:
        raise Answer(status, body if isinstance(body, dict) else {})
    return body


class _Form:
    """A multipart form (RFC 7578) whose files are read while they are sent."""

    def __init__(
        self, fields: Mapping[str, str], files: Mapping[str, Path], progress: Progress | None
    ) -> None:
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._progress = progress
        self._parts: list[bytes | Path] = []
        for name, value in fields.items():
            self._parts.append(
                f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            )
        for name, path in files.items():
            media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            safe = path.name.replace('"', "%22").replace("\r", "").replace("\n", "")
            head = (
                f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
                f'filename="{safe}"\r\nContent-Type: {media}\r\n\r\n'
            )
            self._parts += [head.encode(), path, b"\r\n"]
        self._parts.append(f"--{boundary}--\r\n".encode())
        self.length = sum(
            part.stat().st_size if isinstance(part, Path) else len(part) for part in self._parts
        )

    def stream(self) -> Iterator[bytes]:
        sent = 0
        for part in self._parts:
            for chunk in _chunks(part) if isinstance(part, Path) else (part,):
                yield chunk
                sent += len(chunk)
                if self._progress:
                    self._progress(sent, self.length)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
