"""The stream to a SIEM: each entry as one OCSF event, to a file, to syslog or to an HTTP collector.

It is one more subscriber of the outbox: at least once, tried again for about three days, in the worker.
Where it goes is the operator's setting `COUNTERSIGN_SIEM`, never a user's:

    file:///var/log/countersign/siem.jsonl
    syslog://host:514 (UDP)   syslog+tcp://host:601   syslog+tls://host:6514
    https://collector.example/path
"""

import json
import os
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings

from audit import checkpoints, merkle, ocsf, outbox
from audit.models import Delivery, Entry
from kernel import outbound
from kernel.conf import ConfigurationError
from kernel.moments import rfc3339

PREFIX = "siem"
NAME = f"{PREFIX}:stream"
TIMEOUT = 10.0
PRODUCT_VERSION = "0.1.0"
# Facility 13, log audit (RFC 5424, 6.2.1), and the severities that OCSF's stand for.
_FACILITY = 13
_SYSLOG_SEVERITIES = {1: 6, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1}
_MAX_DATAGRAM = 60_000


class StreamFailed(Exception):
    """The receiver did not take the event. It is sent again."""


Send = Callable[[SplitResult, Entry, dict[str, Any]], None]


def check(url: str) -> SplitResult:
    """Read `COUNTERSIGN_SIEM`.

    Raises:
        ConfigurationError: if it leads nowhere that is known.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    known = parts.scheme in _SENDERS
    placed = parts.path.startswith("/") if parts.scheme == "file" else bool(parts.hostname)
    if not known or not placed or port == 0:
        schemes = ", ".join(sorted(_SENDERS))
        raise ConfigurationError(
            f"COUNTERSIGN_SIEM: expected a URL that starts with one of {schemes}"
        )
    return parts


def event(entry: Entry) -> dict[str, Any]:
    """Return the OCSF event of an entry, with the newest log checkpoint. No private payload is in it."""
    return ocsf.event_of(
        entry.content,
        leaf_hash=merkle.leaf_hash(bytes(entry.leaf)).hex(),
        product_version=PRODUCT_VERSION,
        checkpoint=checkpoints.latest(),
    )


def _names(entry_type: str) -> Iterable[str]:
    known = settings.COUNTERSIGN
    if known.siem and any(outbox.matches(one, entry_type) for one in known.siem_types):
        yield NAME


def _deliver(delivery: Delivery, entry: Entry) -> None:
    if not settings.COUNTERSIGN.siem:
        raise outbox.GiveUp("no SIEM is configured any more")
    parts = check(settings.COUNTERSIGN.siem)
    _SENDERS[parts.scheme](parts, entry, event(entry))


def _line(happened: dict[str, Any]) -> bytes:
    return json.dumps(happened, separators=(",", ":"), ensure_ascii=False).encode()


def _to_file(parts: SplitResult, entry: Entry, happened: dict[str, Any]) -> None:
    # Opened each time, so that it can be rotated; one write, so that lines do not mix.
    handle = os.open(unquote(parts.path), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(handle, _line(happened) + b"\n")
    finally:
        os.close(handle)


def syslog_message(entry: Entry, happened: dict[str, Any]) -> bytes:
    """Return the event as an RFC 5424 message, its body in UTF-8 with the mark that the RFC asks for."""
    priority = _FACILITY * 8 + _SYSLOG_SEVERITIES.get(happened["severity_id"], 6)
    host = settings.COUNTERSIGN.host[:255]
    kind = entry.type[:32]
    header = f"<{priority}>1 {rfc3339(entry.at)} {host} countersign - {kind} - "
    return header.encode("ascii", "replace") + b"\xef\xbb\xbf" + _line(happened)


def _to_datagram(parts: SplitResult, entry: Entry, happened: dict[str, Any]) -> None:
    message = syslog_message(entry, happened)
    if len(message) > _MAX_DATAGRAM:
        raise outbox.GiveUp(f"{len(message)} bytes do not fit into a datagram; use syslog+tcp")
    family, kind, protocol, _, address = socket.getaddrinfo(
        parts.hostname, parts.port or 514, type=socket.SOCK_DGRAM
    )[0]
    with socket.socket(family, kind, protocol) as sock:
        sock.settimeout(TIMEOUT)
        sock.sendto(message, address)


def _to_stream(parts: SplitResult, entry: Entry, happened: dict[str, Any]) -> None:
    message = syslog_message(entry, happened)
    tls = parts.scheme == "syslog+tls"
    address = (parts.hostname or "", parts.port or (6514 if tls else 601))
    # Counted in octets (RFC 6587, 3.4.1; RFC 5425), since a body may hold any character.
    counted = f"{len(message)} ".encode() + message
    with socket.create_connection(address, timeout=TIMEOUT) as plain:
        if not tls:
            plain.sendall(counted)
            return
        context = ssl.create_default_context()
        with context.wrap_socket(plain, server_hostname=parts.hostname) as sock:
            sock.sendall(counted)


def _to_collector(parts: SplitResult, entry: Entry, happened: dict[str, Any]) -> None:
    headers = {"content-type": "application/json", "user-agent": "countersign-siem/1"}
    if settings.COUNTERSIGN.siem_authorization:
        headers["authorization"] = settings.COUNTERSIGN.siem_authorization
    answer = outbound.post(parts.geturl(), _line(happened), headers, timeout=TIMEOUT)
    if not 200 <= answer.status < 300:
        raise StreamFailed(f"the collector answered {answer.status}")


_SENDERS: dict[str, Send] = {
    "file": _to_file,
    "syslog": _to_datagram,
    "syslog+tcp": _to_stream,
    "syslog+tls": _to_stream,
    "http": _to_collector,
    "https": _to_collector,
}


def connect() -> None:
    """Have the outbox fan entries out to the SIEM, if one is configured. Called in `AppConfig.ready()`."""
    outbox.subscribe_rows(outbox.Fanout(PREFIX, _names, _deliver))
