"""Two daemon processes as a web page sees them: one works, is killed, is replaced; that one halts, goes on and ends."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from runwire.testing.left_behind import pause
from tests.daemons.ticks_off import NO_TICKS
from tests.end_to_end.conftest import PATIENCE_SECONDS, Server
from tests.preloaded import Running, start_runwire

pytestmark = pytest.mark.timeout(6 * PATIENCE_SECONDS)

YAML = (
    """
daemons:
  heartbeat_interval_seconds: 0.2
  heartbeat_tolerance_seconds: 3
  lease_seconds: 2
"""
    + NO_TICKS
)

HEARTBEATS = """subscription {
  daemonHeartbeats {
    daemonType state healthy leaseExpiresAt
    lastHeartbeat { daemonId timestamp }
    standbys { daemonId }
  }
}"""

Status = dict[str, Any]


class Heartbeats:
    """What the subscription tells, message by message."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def wait_for(self, holds: Callable[[Status], bool], what: str) -> Status:
        """Reads on until a status is so, and returns it."""
        end = time.monotonic() + PATIENCE_SECONDS
        last: Status | None = None
        while time.monotonic() < end:
            last = self._next(end) or last
            if last is not None and holds(last):
                return last
        raise AssertionError(f"waited {PATIENCE_SECONDS} s to be told of {what}; last of {last}")

    def _next(self, end: float) -> Status | None:
        """The next status; None when none came, or something else."""
        try:
            message = json.loads(self._socket.recv(max(0.0, end - time.monotonic())))
        except TimeoutError:
            return None
        if message["type"] == "ping":
            self._socket.send('{"type":"pong"}')
            return None
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        status: Status = message["payload"]["data"]["daemonHeartbeats"]
        assert status["daemonType"] == "MONITORING"
        return status


@contextmanager
def heartbeats(server: Server) -> Iterator[Heartbeats]:
    """Subscribes as a browser does."""
    url = server.url.replace("http", "ws")
    with connect(url, subprotocols=["graphql-transport-ws"], compression=None) as socket:  # type: ignore[list-item]
        socket.send('{"type":"connection_init"}')
        assert json.loads(socket.recv(PATIENCE_SECONDS))["type"] == "connection_ack"
        payload = {"query": HEARTBEATS}
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        yield Heartbeats(socket)


@contextmanager
def daemon(server: Server) -> Iterator[Running]:
    """`runwire daemon` on the home of a server, which is killed at the end unless it has ended."""
    log = server.home / "daemons.log"
    process = start_runwire("daemon", "--home", str(server.home), cwd=server.home, log=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


def holder(status: Status) -> str | None:
    """The id of the process whose heartbeat counts: the one that has the lease, or had it last."""
    return status["lastHeartbeat"] and str(status["lastHeartbeat"]["daemonId"])


def is_held_by(status: Status, daemon_id: str) -> bool:
    """Whether a process works, in good health, with the lease."""
    return (
        holder(status) == daemon_id
        and status["state"] == "RUNNING"
        and status["healthy"] is True
        and status["leaseExpiresAt"] is not None
    )


def test_the_subscription_tells_who_works_who_takes_over_who_is_silent_and_who_is_gone(
    server: Server,
) -> None:
    (server.home / "runwire.yaml").write_text(YAML)
    server.start()
    with ExitStack() as running:
        told = running.enter_context(heartbeats(server))
        nobody = told.wait_for(lambda status: True, "the daemon")
        assert (nobody["state"], nobody["healthy"], holder(nobody)) == ("NOT_RUNNING", False, None)

        first = running.enter_context(daemon(server))
        one = holder(told.wait_for(lambda s: s["state"] == "RUNNING", "the first at work"))
        assert one is not None
        told.wait_for(lambda s: is_held_by(s, one), "the first with the lease")

        second = running.enter_context(daemon(server))
        beside = told.wait_for(lambda s: s["standbys"] != [], "the second beside it")
        [other] = {holder(beside), *(each["daemonId"] for each in beside["standbys"])} - {one}
        assert other is not None

        first.kill()
        first.wait(PATIENCE_SECONDS)
        killed_at = time.monotonic()
        told.wait_for(lambda s: is_held_by(s, other), "the second in its place")
        print(f"\ntaken over {time.monotonic() - killed_at:.1f} s after the kill")  # noqa: T201 - for -s

        pause(second.pid)
        silent = told.wait_for(
            lambda s: s["state"] == "STALE" and s["leaseExpiresAt"] is None, "the second's silence"
        )
        assert (silent["healthy"], holder(silent)) == (False, other)
        assert second.poll() is None

        os.kill(second.pid, signal.SIGCONT)
        told.wait_for(lambda s: is_held_by(s, other), "the second at work again")

        second.terminate()
        gone = told.wait_for(lambda s: s["state"] == "NOT_RUNNING", "the second's end")
        assert (gone["healthy"], holder(gone), gone["standbys"]) == (False, other, [])
        assert second.wait(PATIENCE_SECONDS) == 0
    assert server.stop() == 0
