"""A real server process that can be killed and started again, and the raw clients that torture it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from runwire.fault_points import VARIABLE
from tests.preloaded import Running, start_runwire
from tests.torture import FULL

PATIENCE_SECONDS = 300 if FULL else 100


STORAGES = {
    "sharded": "storage: {sqlite: {layout: sharded}}\n",
    "consolidated": "storage: {sqlite: {layout: consolidated}}\n",
    "postgres": "storage: {postgres: {postgres_url: {env: POSTGRES_URL}}}\n",
}
"""What `runwire.yaml` says, by name."""


def storage_setting(request: pytest.FixtureRequest, storage: str) -> str:
    """What `runwire.yaml` says of a storage, which is there for this test."""
    if storage == "postgres":
        url = request.getfixturevalue("postgres_url")
        request.getfixturevalue("monkeypatch").setenv("POSTGRES_URL", url)
    return STORAGES[storage]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


StartDaemon = Callable[..., Running]
"""Starts daemons on the home of the test, with the fault point at which they die."""


@pytest.fixture
def start_daemon(home: Path) -> Iterator[StartDaemon]:
    """Starts daemons on a home, with its jobs if it has some; they are stopped at the end."""
    started: list[Running] = []
    jobs = home / "jobs.py"

    def start(fault: str = "") -> Running:
        place = ["--home", str(home), *(["-f", str(jobs)] if jobs.exists() else [])]
        env = {**os.environ, VARIABLE: fault}
        process = start_runwire("daemon", "run", *place, env=env, cwd=home)
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


class Endpoint(Protocol):
    """Where clients go: one server, or several in turn."""

    @property
    def url(self) -> str: ...

    def execute(self, query: str, **variables: Any) -> dict[str, Any]: ...


@dataclass
class Server:
    """`runwire serve` on one home and one port, again and again."""

    home: Path
    port: int = field(default_factory=free_port)
    environ: dict[str, str] = field(default_factory=dict)
    process: Running | subprocess.Popen[bytes] | None = None
    is_found_by_its_command: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    def start(self, *command: str) -> None:
        """Starts `runwire serve`, or another command that serves, and waits until it is ready."""
        place = ["--home", str(self.home), "--host", "127.0.0.1", "--port", str(self.port)]
        arguments = [*(command or ["serve"]), *place]
        log, env = self.home / "server.log", {**os.environ, **self.environ}
        if self.is_found_by_its_command:
            with log.open("ab") as out:
                called = [sys.executable, "-m", "runwire.cli", *arguments]
                self.process = subprocess.Popen(called, stdout=out, stderr=out, env=env)
        else:
            self.process = start_runwire(*arguments, log=log, env=env)
        process = self.process
        wait_until(
            lambda: self.answers("/readyz") or process.poll() is not None, "the server to be ready"
        )
        assert process.poll() is None, "the server died before it was ready"

    def answers(self, path: str = "/livez") -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def execute(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation; raises OSError when the server is not there."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            self.url, body, {"content-type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            result = json.load(answer)
        assert "errors" not in result, result
        data: dict[str, Any] = result["data"]
        return data

    def create_managed_run(self) -> str:
        query = """mutation ($input: CreateRunInput!) {
          createRun(input: $input) { ... on CreateRunSuccess { run { runId } } }
        }"""
        new_run = {"job": {"jobName": "torture"}}
        data = self.execute(query, input={"newRun": new_run, "managed": True})
        run_id: str = data["createRun"]["run"]["runId"]
        return run_id


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait(30)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Waits for something that must come; how long it takes decides nothing."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


REPORT = """mutation ($input: ReportEventsInput!) {
  reportEvents(input: $input) {
    __typename
    ... on ReportEventsSuccess { records { position } }
    ... on UserError { message }
  }
}"""

FOLLOW = """subscription ($runId: ID!, $after: String) {
  runEvents(runId: $runId, after: $after) {
    __typename
    ... on RunEventBatch {
      fromPosition toPosition endCursor
      records { position message }
      run { status }
    }
    ... on UserError { message }
  }
}"""


def report(server: Endpoint, run_id: str, events: list[dict[str, Any]], key: str) -> list[int]:
    """Reports until it is acknowledged, through kills and restarts: the key makes that safe."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = server.execute(
                REPORT, input={"runId": run_id, "events": events, "idempotencyKey": key}
            )["reportEvents"]
        except (OSError, json.JSONDecodeError):
            assert time.monotonic() < end, "the server did not come back"
            time.sleep(0.05)
            continue
        assert answer["__typename"] == "ReportEventsSuccess", answer
        return [record["position"] for record in answer["records"]]


class Subscriber(threading.Thread):
    """Follows a run as a client does that resumes by its last cursor, and remembers all that it got."""

    def __init__(
        self, server: Endpoint, run_id: str, drop_at: tuple[int, ...] = (), query: str = FOLLOW
    ) -> None:
        super().__init__(daemon=True)
        self.query = query
        self.server = server
        self.run_id = run_id
        self.positions: list[int] = []
        self.messages: list[str] = []
        self.ranges_are_contiguous = True
        self.connections = 0
        self.failure: str | None = None
        self.statuses: list[str] = []
        self._covered = 0
        self._cursor: str | None = None
        self._drops = sorted(drop_at, reverse=True)

    def run(self) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                if self._follow():
                    return
            except (OSError, WebSocketException, TimeoutError):
                time.sleep(0.05)
        self.failure = "the stream did not complete in time"

    def _follow(self) -> bool:
        """Whether the stream completed; False when the connection was dropped on purpose."""
        url = self.server.url.replace("http", "ws")
        with connect(url, subprotocols=["graphql-transport-ws"], compression=None) as socket:  # type: ignore[list-item]
            self.connections += 1
            socket.send('{"type":"connection_init"}')
            assert json.loads(socket.recv(30))["type"] == "connection_ack"
            variables = {"runId": self.run_id, "after": self._cursor}
            payload = {"query": self.query, "variables": variables}
            socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            return self._read(socket)

    def _read(self, socket: ClientConnection) -> bool:
        while True:
            message = json.loads(socket.recv(60))
            if message["type"] == "complete":
                return True
            if message["type"] == "ping":
                socket.send('{"type":"pong"}')
                continue
            batch = message["payload"]["data"]["runEvents"] if message["type"] == "next" else {}
            if "records" not in batch:
                self.failure = f"got {message}"
                return True
            self._take(batch)
            if self._drops and self._covered >= self._drops[-1]:
                self._drops.pop()
                # Lost without a word, as by a cable that is cut.
                socket.socket.shutdown(2)
                return False

    def _take(self, batch: dict[str, Any]) -> None:
        if batch["fromPosition"] != self._covered:
            self.ranges_are_contiguous = False
        self._covered = batch["toPosition"]
        self._cursor = batch["endCursor"]
        self.positions += [record["position"] for record in batch["records"]]
        self.messages += [record["message"] for record in batch["records"]]
        self.statuses.append(batch["run"]["status"])
