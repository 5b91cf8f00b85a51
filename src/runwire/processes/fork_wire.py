"""What a fork server and those who ask it say to one another, over a unix socket: one connection a child.

A request is a line of JSON, then the payload; the descriptors travel with the line. The answer is a line: the
pid, or why there is none. When the child has ended, a second line tells its exit code. A connection that closes
before that kills a bound child.
"""

from __future__ import annotations

import json
import socket
from typing import Any

MAX_DESCRIPTORS = 3


def encode_line(message: dict[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message).encode() + b"\n"


def read_line(connection: socket.socket, begun: bytes = b"") -> dict[str, Any] | None:
    """The next line, of which some may have been read; None when the other end is gone."""
    line = bytearray(begun)
    while not line.endswith(b"\n"):
        part = connection.recv(1)
        if not part:
            return None
        line += part
    return dict(json.loads(line))


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """The next bytes.

    Raises:
        EOFError: the other end is gone.
    """
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
