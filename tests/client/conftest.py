from __future__ import annotations

from collections.abc import Iterator

import pytest

from runwire.client.connection import Connection
from tests.client.fake_server import FakeServer, fake_server


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that answers as it is told."""
    with fake_server() as running:
        yield running


@pytest.fixture
def connection(server: FakeServer) -> Iterator[Connection]:
    """A connection to that server, with a token."""
    opened = Connection(server.url, "secret-token", timeout_seconds=10)
    yield opened
    opened.close()
