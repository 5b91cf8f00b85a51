"""Whoever follows all runs and resumes by the last cursor gets every instance-wide position once."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.end_to_end.conftest import (
    PATIENCE_SECONDS,
    STORAGES,
    Server,
    report,
    storage_setting,
    wait_until,
)
from tests.torture import FULL

pytestmark = [pytest.mark.torture, pytest.mark.timeout(600)]

WRITERS = 4
RUNS = 100 if FULL else 12
SUBSCRIBERS = 100 if FULL else 12

EVENT_TYPES = [
    "RUN_ENQUEUED",
    "RUN_STARTING",
    "RUN_START",
    "RUN_SUCCESS",
    "STEP_FAILURE",
    "ASSET_MATERIALIZATION",
]

EVENTS = """subscription ($types: [EventType!]!, $after: String) {
  stream: eventRecords(filter: {eventTypes: $types}, after: $after) {
    ... on EventRecordBatch {
      fromPosition toPosition endCursor
      items: records { runId position eventType }
    }
    ... on UserError { message }
  }
}"""

CHANGES = """subscription ($after: String) {
  stream: runs(after: $after) {
    ... on RunChangeBatch {
      fromPosition toPosition endCursor
      items: changes { type runId record { position eventType } run { status } }
    }
    ... on UserError { message }
  }
}"""

PAGE = """query ($types: [EventType!]!, $after: String) {
  eventRecords(filter: {eventTypes: $types}, first: 1000, after: $after) {
    nodes { runId position eventType }
    pageInfo { hasNextPage endCursor }
  }
}"""


@pytest.fixture(params=STORAGES)
def stored(request: pytest.FixtureRequest, server: Server) -> Server:
    """The server, on each storage."""
    (server.home / "runwire.yaml").write_text(storage_setting(request, request.param))
    return server


class Follower(threading.Thread):
    """Joins at some moment, drops its connection again and again, and goes on by its last cursor."""

    def __init__(self, server: Server, query: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.query = query
        self.chance = random.Random(seed)
        self.items: list[dict[str, Any]] = []
        self.spans: list[tuple[int, int]] = []
        self.until: int | None = None
        self.failure: str | None = None
        self.connections = 0
        self._cursor: str | None = None

    @property
    def covered(self) -> int:
        """The last position that it knows to be covered."""
        return self.spans[-1][1] if self.spans else 0

    @property
    def is_contiguous(self) -> bool:
        """Whether each range that it got begins where the one before ended, whatever the connection."""
        ends = [0, *(end for _, end in self.spans)]
        return [start for start, _ in self.spans] == ends[:-1]

    @property
    def is_done(self) -> bool:
        return self.until is not None and self.covered >= self.until

    def run(self) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        time.sleep(self.chance.random())
        while not (self.is_done or self.failure) and time.monotonic() < end:
            try:
                self._follow(self.chance.randrange(1, 30))
            except (OSError, WebSocketException, TimeoutError):
                time.sleep(0.05)

    def _follow(self, count: int) -> None:
        url = self.server.url.replace("http", "ws")
        with connect(url, subprotocols=["graphql-transport-ws"], compression=None) as socket:  # type: ignore[list-item]
            self.connections += 1
            socket.send('{"type":"connection_init"}')
            assert json.loads(socket.recv(30))["type"] == "connection_ack"
            variables = {"after": self._cursor, "types": EVENT_TYPES}
            payload = {"query": self.query, "variables": variables}
            socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            for _ in range(count):
                self._read(socket)
                if self.is_done or self.failure:
                    return
            # Lost without a word, as by a cable that is cut.
            socket.socket.shutdown(2)

    def _read(self, socket: ClientConnection) -> None:
        message = json.loads(socket.recv(5))
        batch = message["payload"]["data"]["stream"] if message["type"] == "next" else {}
        if "items" not in batch:
            self.failure = f"got {message}"
            return
        self._cursor = batch["endCursor"]
        self.items += batch["items"]
        self.spans.append((batch["fromPosition"], batch["toPosition"]))


def write(server: Server, writer: int) -> None:
    """Runs of an external system, with lines, failures and assets, one after another."""
    for turn in range(RUNS):
        run_id = server.create_managed_run()
        data = {"asset": {"assetKey": ["sales", str(writer)]}}
        events: list[dict[str, Any]] = [
            {"message": "hello"},
            {"message": "made", "eventType": "ASSET_MATERIALIZATION", "data": data},
        ]
        report(server, run_id, events, "begin")
        report(server, run_id, [{"message": "done", "eventType": "RUN_SUCCESS"}], f"end-{turn}")


def stored_events(server: Server) -> list[dict[str, Any]]:
    """All events of the instance-wide log, in its order."""
    found: list[dict[str, Any]] = []
    after, more = None, True
    while more:
        page = server.execute(PAGE, types=EVENT_TYPES, after=after)["eventRecords"]
        found += page["nodes"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return found


def test_subscribers_of_all_runs_join_drop_and_lose_their_server_and_get_each_position_once(
    stored: Server,
) -> None:
    server = stored
    server.start()
    followers = [
        Follower(server, CHANGES if seed % 3 == 0 else EVENTS, seed) for seed in range(SUBSCRIBERS)
    ]
    writers = [threading.Thread(target=write, args=(server, n)) for n in range(WRITERS)]
    for thread in (*followers, *writers[: WRITERS // 2]):
        thread.start()
    for thread in writers[: WRITERS // 2]:
        thread.join(PATIENCE_SECONDS)
    wait_until(
        lambda: all(each.connections for each in followers), "each follower to have connected"
    )
    server.kill()
    server.start()
    for thread in writers[WRITERS // 2 :]:
        thread.start()
    for thread in writers[WRITERS // 2 :]:
        thread.join(PATIENCE_SECONDS)
    # Each run has its making, an asset and its end.
    for follower in followers:
        follower.until = 3 * WRITERS * RUNS
    wait_until(lambda: not any(each.is_alive() for each in followers), "the followers to end")
    told = stored_events(server)
    assert len(told) == 2 * WRITERS * RUNS
    for follower in followers:
        assert follower.failure is None
        assert follower.is_contiguous
        assert follower.covered == 3 * WRITERS * RUNS
        assert follower.connections > 1
        if follower.query is EVENTS:
            assert follower.items == told
        else:
            assert_changes(follower.items, told)


def assert_changes(changes: list[dict[str, Any]], told: list[dict[str, Any]]) -> None:
    """Each run came once and ended once, in the order of the log, and its last state is its end."""
    ends = [event["runId"] for event in told if event["eventType"] == "RUN_SUCCESS"]
    updated = [change for change in changes if change["type"] == "UPDATED"]
    assert [change["runId"] for change in updated] == ends
    assert {change["record"]["eventType"] for change in updated} == {"RUN_SUCCESS"}
    assert {change["run"]["status"] for change in updated} == {"SUCCESS"}
    created = [change["runId"] for change in changes if change["type"] == "CREATED"]
    assert sorted(created) == sorted(ends)
    assert len(changes) == len(created) + len(updated)
