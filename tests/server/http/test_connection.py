"""Connections of clients that send without end, or nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from runwire.instance.limits import Limits
from runwire.server.http.connection import HttpProtocol
from tests.server.conftest import LiveServer, ServeTry


@contextmanager
def connected(server: LiveServer) -> Iterator[socket.socket]:
    """A connection on which nothing was said."""
    host, port = server.authority.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as client:
        yield client


def everything(client: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    received = b""
    while chunk := client.recv(65536):
        received += chunk
    return received


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_does_not_arrive_is_not_waited_for(serve_try: ServeTry, sent: bytes) -> None:
    with connected(serve_try(Limits(head_seconds=0.2))) as client:
        client.sendall(sent)
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert answer.endswith(b"\r\n\r\nthe head of the request did not arrive in time")


def request(server: LiveServer, *more: str) -> bytes:
    lines = ["GET /livez HTTP/1.1", f"Host: {server.authority}", *more, "", ""]
    return "\r\n".join(lines).encode()


def test_the_head_of_the_next_request_is_not_waited_for_either(serve_try: ServeTry) -> None:
    server = serve_try(Limits(head_seconds=0.2))
    with connected(server) as client:
        client.sendall(request(server))
        while not client.recv(65536).endswith(b"ok\n"):
            pass
        client.sendall(b"GET /livez")
        assert everything(client).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_arrived_is_not_timed_any_more(
    serve_try: ServeTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[bytes] = []
    monkeypatch.setattr(HttpProtocol, "_refuse", lambda self, *told: refused.append(told[0]))
    server = serve_try(Limits(head_seconds=0.1, keep_alive_seconds=0.05))
    with connected(server) as client:
        query = "/graphql?query=subscription{forever}"
        lines = [f"GET {query} HTTP/1.1", f"Host: {server.authority}", "Accept: text/event-stream"]
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        received = b""
        while received.count(b":\n\n") < 6:
            received += client.recv(65536)
    assert not refused


@pytest.mark.parametrize("ends", [True, False])
def test_a_head_that_is_too_large_is_refused(serve_try: ServeTry, ends: bool) -> None:
    server = serve_try(Limits(head_bytes=1000))
    with connected(server) as client:
        head = request(server, "X-Large: " + "x" * 2000)
        client.sendall(head if ends else head.removesuffix(b"\r\n\r\n"))
        answer = everything(client) if not ends else client.recv(65536)
    # A head that came whole was read already, and is as large as what came at once.
    assert answer.startswith(b"HTTP/1.1 200 " if ends else b"HTTP/1.1 431 ")


def test_each_request_of_a_connection_has_a_head_of_its_own(serve_try: ServeTry) -> None:
    server = serve_try(Limits(head_bytes=300))
    with connected(server) as client:
        for _ in range(5):
            client.sendall(request(server, "X-Some: " + "x" * 100))
            received = b""
            while not received.endswith(b"ok\n"):
                received += client.recv(65536)
            assert received.startswith(b"HTTP/1.1 200 ")


def test_a_client_that_does_not_read_its_answer_is_dropped(serve_try: ServeTry) -> None:
    server = serve_try(Limits(stall_seconds=0.2))
    with connected(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lines = [
            "GET /graphql?query=subscription{flood} HTTP/1.1",
            f"Host: {server.authority}",
            "Accept: text/event-stream",
        ]
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        assert server.ended.get(timeout=60) == "flood"


def test_a_client_that_goes_with_requests_unanswered_leaves_no_traceback(
    server: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"query": "{ hello(n: 2000000) }"}'
    head = f"POST /graphql HTTP/1.1\r\nHost: {server.authority}\r\nContent-Type: application/json"
    with connected(server) as client:
        client.sendall((f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body) * 4)
        client.recv(1)
        # It goes at once, with answers unread.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert server.post("{ hello }").status_code == 200
    assert caplog.messages == []
