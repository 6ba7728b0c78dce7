"""The only way out: an HTTP POST that refuses private addresses at connect time.

The address is checked on the socket that carries the request, after name resolution, so a name that
resolves to a public address first and to a private one later (DNS rebinding) gains nothing.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from kernel.errors import Invalid

MAX_RESPONSE = 64 * 1024


class OutboundRefused(Exception):
    """The address is private, or the scheme is not http(s)."""


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes


def check_url(url: str, field: str) -> str:
    """Return `url` if it is an absolute http(s) URL without credentials.

    Raises:
        Invalid: naming `field`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid("expected an absolute http or https URL", field=field) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise Invalid("expected an absolute http or https URL", field=field)
    if parts.username or parts.password:
        raise Invalid("the URL must not carry credentials", field=field)
    return url


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float = 10.0,
    allow: tuple[str, ...] | None = None,
    most: int = MAX_RESPONSE,
) -> Response:
    """POST `body` and return the answer's status and first `most` bytes. Redirects are not followed.

    `timeout`, in seconds, is for connecting and then for the whole exchange: an answer that comes in
    drops holds nobody up. `allow` lists `host:port` pairs that the operator exempts from the guard; by default the
    installation's `COUNTERSIGN_OUTBOUND_ALLOW`.

    Raises:
        OutboundRefused: if the address may not be reached.
        OSError, http.client.HTTPException: if the exchange fails; TimeoutError if it takes too long.
    """
    parts = urlsplit(check_url(url, "url"))
    if allow is None:
        from django.conf import settings

        allow = settings.COUNTERSIGN.outbound_allow
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    sock = _connect(host, port, timeout, exempt=f"{host}:{port}" in allow)
    try:
        if parts.scheme == "https":
            sock = ssl.create_default_context().wrap_socket(
                sock, server_hostname=host, do_handshake_on_connect=False
            )
        connection.sock = sock
        with _cut_after(timeout, sock):
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            return Response(answer.status, answer.read(most))
    finally:
        connection.close()
        sock.close()


@contextmanager
def _cut_after(seconds: float, sock: socket.socket) -> Iterator[None]:
    """Shut the connection once `seconds` are over; a socket's own timeout is for each wait alone."""
    is_over = threading.Event()

    def cut() -> None:
        is_over.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    watch = threading.Timer(seconds, cut)
    watch.daemon = True
    watch.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if is_over.is_set():
            raise TimeoutError(f"no whole answer within {seconds:g} s") from error
        raise
    finally:
        watch.cancel()
    if is_over.is_set():
        raise TimeoutError(f"no whole answer within {seconds:g} s")


# Their addresses carry an IPv4 address, which a gateway on the way may turn them into: NAT64 (RFC 6052,
# RFC 8215) and 6to4 (RFC 3056).
_TRANSLATED = tuple(
    ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")
)


def is_public(address: str) -> bool:
    """Is it an address of the public internet, of one host, by itself and not by translation?"""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        elif any(parsed in network for network in _TRANSLATED):
            return False
    return parsed.is_global and not parsed.is_multicast


def _connect(host: str, port: int, timeout: float, *, exempt: bool) -> socket.socket:
    refused: str | None = None
    failure: OSError | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(f"{host} is no name of a host") from None
    for family, kind, protocol, _, address in found:
        if not exempt and not is_public(str(address[0])):
            refused = str(address[0])
            continue
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(timeout)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
            continue
        return sock
    if failure is not None:
        raise failure
    raise OutboundRefused(
        f"{host} resolves to {refused}, which is not a public address; an operator may exempt "
        f"{host}:{port} in COUNTERSIGN_OUTBOUND_ALLOW"
    )
