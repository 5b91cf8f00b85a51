"""The id of a request: who gives it, where it is told, and that the log knows it wherever the request is worked on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from runwire.lanes import Lanes
from runwire.server.log_context import begin_request, told
from tests.server.conftest import LiveServer, greet, hear, subscribe


class Listener(logging.Handler):
    """Keeps each line with what was known when it was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: SimpleQueue[tuple[str, dict[str, str]]] = SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put((record.getMessage(), told()))


@pytest.fixture
def listener() -> Iterator[Listener]:
    made, logger = Listener(), logging.getLogger("runwire")
    logger.addHandler(made)
    yield made
    logger.removeHandler(made)


def test_the_id_of_the_request_comes_back_and_is_logged_with_the_masked_error(
    server: LiveServer, listener: Listener
) -> None:
    answer = server.post("query Broken { fault }", headers={"X-Request-Id": "mine"})
    assert answer.headers.get_list("x-request-id") == ["mine"]
    error_id = answer.json()["errors"][0]["extensions"]["errorId"]
    message, known = listener.lines.get(timeout=30)
    assert message.startswith(f"internal error {error_id} at ")
    assert known == {"request_id": "mine", "operation": "Broken"}


async def test_operations_of_a_websocket_are_told_apart(
    server: LiveServer, listener: Listener
) -> None:
    headers = {"X-Request-Id": "handshake"}
    async with server.connect(additional_headers=headers) as client:
        assert client.response is not None
        assert client.response.headers.get_all("x-request-id") == ["handshake"]
        await greet(client)
        await subscribe(client, "subscription One { fault }", id="first")
        for kind in ("next", "error"):
            assert (await hear(client))["type"] == kind
        await subscribe(client, "{ fault }", id="second")
        assert (await hear(client))["type"] == "next"
    known = [listener.lines.get(timeout=30)[1] for _ in range(2)]
    assert known == [
        {"request_id": "handshake", "operation": "One", "operation_id": "first"},
        {"request_id": "handshake", "operation_id": "second"},
    ]


def test_refusals_have_an_id_as_well(server: LiveServer) -> None:
    foreign = server.post("{ hello }", headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, len(foreign.headers["x-request-id"])) == (403, 32)
    unknown = server.request("GET", "/nothing")
    assert (unknown.status_code, len(unknown.headers["x-request-id"])) == (404, 32)
    assert foreign.headers["x-request-id"] != unknown.headers["x-request-id"]


async def test_threads_know_the_request_that_they_work_for() -> None:
    lanes = Lanes()
    given = begin_request(None)
    assert await lanes.read(told) == {"request_id": given}
    assert await lanes.write(told) == {"request_id": given}
    await asyncio.to_thread(lanes.close)
