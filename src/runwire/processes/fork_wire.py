"""What a fork server and those who ask it say to one another, over a unix socket: one connection a child.

A request is a line of JSON, then the payload; the descriptors travel with its beginning. The answer is a line:
the pid, or why there is none. When the child has ended, a second line tells its exit code. A connection that
closes before that kills a bound child.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from typing import Any

MAX_DESCRIPTORS = 3
READ_BYTES = 262_144


def encode_line(message: dict[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message).encode() + b"\n"


def read_line(connection: socket.socket) -> dict[str, Any] | None:
    """The next line; None when the other end is gone."""
    line = bytearray()
    while not line.endswith(b"\n"):
        part = connection.recv(1)
        if not part:
            return None
        line += part
    return dict(json.loads(line))


def send_request(
    connection: socket.socket,
    message: dict[str, Any],
    payload: bytes,
    descriptors: Sequence[int],
) -> None:
    """Sends a request, with descriptors that stay the caller's."""
    body = encode_line({**message, "size": len(payload)}) + payload
    sent = socket.send_fds(connection, [body], descriptors)
    connection.sendall(memoryview(body)[sent:])


def read_request(
    connection: socket.socket, descriptors: list[int], timeout_seconds: float
) -> tuple[dict[str, Any], bytes] | None:
    """A request and its payload; None when the other end says nothing and is gone.

    Args:
        connection: where it comes from; it has some time-out afterwards.
        descriptors: takes those that come with it; they are the caller's to close, also when this raises.
        timeout_seconds: how long all of it may take to come.

    Raises:
        TimeoutError: it takes longer.
        EOFError: the other end is gone in the middle of it.
        ValueError, TypeError, KeyError: it is none.
    """
    deadline = time.monotonic() + timeout_seconds
    body = bytearray(_receive(connection, descriptors, deadline))
    if not body:
        return None
    while b"\n" not in body:
        body += _receive_more(connection, descriptors, deadline)
    line, _, payload = body.partition(b"\n")
    message = dict(json.loads(line))
    while len(payload) < int(message["size"]):
        payload += _receive_more(connection, descriptors, deadline)
    return message, bytes(payload)


def _receive_more(connection: socket.socket, descriptors: list[int], deadline: float) -> bytes:
    part = _receive(connection, descriptors, deadline)
    if not part:
        raise EOFError("the other end is gone in the middle of its request")
    return part


def _receive(connection: socket.socket, descriptors: list[int], deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the request did not come in time")
    connection.settimeout(left)
    part, received, _, _ = socket.recv_fds(connection, READ_BYTES, MAX_DESCRIPTORS)
    descriptors += received
    return part
