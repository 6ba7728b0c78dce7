"""A relay before a server that loses answers on the way, to see what a client does then."""

import http.client
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any


class Relay(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Passes requests on. `faults` says what befalls the next ones, first first:

    `lose_answer`: the server does it, the client hears nothing; `drop`: it does not reach the server;
    an integer: that status is answered for the server; `in_progress`: as the server answers while the
    first request under a key is still under way.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.faults: list[str | int] = []
        #: Method, path, Idempotency-Key of each request.
        self.seen: list[tuple[str, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def keys_of(self, method: str, ending: str) -> list[str | None]:
        return [key for verb, path, key in self.seen if verb == method and path.endswith(ending)]


class _Handler(BaseHTTPRequestHandler):
    server: Relay

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = self.headers.get("Idempotency-Key")
        self.server.seen.append((self.command, self.path, key))
        fault = self.server.faults.pop(0) if self.server.faults else None
        if fault == "drop":
            self.close_connection = True
            return
        if fault == "in_progress":
            problem = b'{"status":409,"code":"in_progress"}'
            self.send_response(409)
            self.send_header("Content-Length", str(len(problem)))
            self.end_headers()
            self.wfile.write(problem)
            return
        if isinstance(fault, int):
            self.send_response(fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status, headers, data = self._ask(body)
        if fault == "lose_answer":
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", headers.get("Content-Type", ""))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = _pass

    def _ask(self, body: bytes) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        try:
            passed = {name: value for name, value in self.headers.items() if name != "Host"}
            connection.request(self.command, self.path, body, passed)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def log_message(self, *args: object) -> None:
        """Tests print nothing."""


@contextmanager
def relay(upstream: tuple[str, int]) -> Iterator[Relay]:
    server = Relay(upstream)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
