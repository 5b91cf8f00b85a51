"""What a fork server and those who ask it say, over real sockets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from runwire.processes.fork_wire import encode_line, read_line, read_request, send_request

PATIENCE = 30.0


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Whoever asks, and who is asked."""
    asking, asked = socket.socketpair()
    asking.settimeout(PATIENCE)
    with asking, asked:
        yield asking, asked


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Does something in a thread that ends before the test does."""
    threads: list[threading.Thread] = []

    def beside(work: Callable[[], object]) -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield beside
    for thread in threads:
        thread.join()


def test_a_request_arrives_with_its_payload_and_its_descriptors(
    ends: tuple[socket.socket, socket.socket], beside: Callable[[Callable[[], object]], None]
) -> None:
    asking, asked = ends
    payload = os.urandom(3_000_000) + b"\n{}\n"
    read, write = os.pipe()
    beside(lambda: send_request(asking, {"entry": "a"}, payload, [read, write]))
    descriptors: list[int] = []
    message, received = read_request(asked, descriptors, PATIENCE) or ({}, b"")
    assert message == {"entry": "a", "size": len(payload)}
    assert received == payload
    os.write(descriptors[1], b"x")
    assert os.read(descriptors[0], 10) == b"x"
    for descriptor in (*descriptors, read, write):
        os.close(descriptor)


def test_a_request_that_comes_byte_by_byte_is_the_same(
    ends: tuple[socket.socket, socket.socket], beside: Callable[[Callable[[], object]], None]
) -> None:
    asking, asked = ends
    body = encode_line({"size": 3}) + b"abc"
    beside(lambda: [asking.send(body[at : at + 1]) for at in range(len(body))])
    assert read_request(asked, [], PATIENCE) == ({"size": 3}, b"abc")


@pytest.mark.parametrize("begin", [b"", b'{"size": 100}\n'], ids=["line", "payload"])
def test_a_request_has_one_time_however_often_some_of_it_comes(
    ends: tuple[socket.socket, socket.socket],
    beside: Callable[[Callable[[], object]], None],
    begin: bytes,
) -> None:
    asking, asked = ends
    given_up = threading.Event()
    asking.sendall(begin)

    def drip() -> None:
        for _ in range(100):  # then it is whole, or over
            if given_up.wait(0.05):
                return
            asking.send(b"x")
        asking.shutdown(socket.SHUT_WR)

    beside(drip)
    try:
        with pytest.raises(TimeoutError):
            read_request(asked, [], 0.2)
    finally:
        given_up.set()


def test_who_says_nothing_and_goes_has_no_request(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    asking, asked = ends
    asking.close()
    assert read_request(asked, [], PATIENCE) is None
    assert read_line(asked) is None


@pytest.mark.parametrize("begin", [b'{"si', b'{"size": 10}\nabc'])
def test_a_request_that_breaks_off_is_none(
    ends: tuple[socket.socket, socket.socket], begin: bytes
) -> None:
    asking, asked = ends
    asking.sendall(begin)
    asking.close()
    with pytest.raises(EOFError):
        read_request(asked, [], PATIENCE)
