"""What an outgoing request may reach."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from kernel.outbound import OutboundRefused, is_public, post


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:a00:1::",
    ],
)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_what_is(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"])
def test_a_private_address_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises((OutboundRefused, OSError)) as error:
        post(f"http://{host}:9/", b"", {}, allow=())
    assert not isinstance(error.value, ConnectionError)


def test_a_name_that_is_none_is_a_failure_like_others() -> None:
    with pytest.raises(OSError, match="no name"):
        post("http://a..b/", b"", {}, allow=())


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that answers a byte at a time and never ends; its `host:port`."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            try:
                while not stop.wait(0.02):
                    peer.sendall(b".")
            except OSError:
                return

    server = threading.Thread(target=serve)
    server.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    stop.set()
    server.join()
    listener.close()


def test_an_answer_in_drops_is_cut_off(dripping: str) -> None:
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no whole answer within 0.3 s"):
        post(f"http://{dripping}/", b"x", {}, allow=(dripping,), timeout=0.3)
    assert time.monotonic() - begun < 60, "it would go on for ever"
