"""A small receiver of signed webhooks on loopback, as a retraining pipeline would run one."""

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_BODY = 1024 * 1024


class Receiver:
    """Listens on a free port of this machine, keeps what is signed, refuses what is not."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[dict[str, Any]] = []
        self.refused = 0
        self.secret = ""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), MAX_BODY))
                self.send_response(receiver._accept(self.headers, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Standard error is the story's."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/countersign"

    def types(self) -> list[str]:
        return [str(event.get("type")) for event in list(self.received)]

    def _accept(self, headers: Any, body: bytes) -> int:
        if not self._signed(headers, body):
            self.refused += 1
            return 401
        self.received.append(json.loads(body))
        return 204

    def _signed(self, headers: Any, body: bytes) -> bool:
        """Standard Webhooks: HMAC-SHA256 over `id.timestamp.body` under the shared secret."""
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        given = str(headers.get("webhook-signature", "")).split()
        return any(hmac.compare_digest(f"v1,{wanted}", one) for one in given)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
