"""The server as a process: where it listens, what it refuses, how it starts and stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import httpx
import pytest
from pydantic import SecretStr

from runwire.errors import InvalidConfigurationError, StorageUnavailableError
from runwire.instance import Instance
from runwire.instance.settings import AuthSettings, ServerSettings, Settings
from runwire.server import serve as serve_module
from runwire.server.address import (
    AddressUnavailableError,
    OpenAddressError,
    check_address,
    listen,
    url_of,
)
from runwire.server.app import assemble
from runwire.server.serve import configured_token, serve
from runwire.server.settings import AppSettings, Limits
from tests.server.conftest import (
    SCHEMA,
    LiveServer,
    TryContext,
    closed,
    greet,
    hear,
    subscribe,
)
from tests.server.serving import EmptyWorkspace


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance.ephemeral(tmp_path) as made:
        yield made


@contextmanager
def process(home: Path) -> Iterator[tuple[subprocess.Popen[str], LiveServer]]:
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.server.serving", str(home), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "RUNWIRE_TOKEN"},
    )
    try:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), program.stderr and program.stderr.read()
        yield program, LiveServer(url, [], SimpleQueue())
    finally:
        program.kill()
        program.communicate()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_that_it_restarts_and_ends_normally(
    tmp_path: Path, stop: signal.Signals
) -> None:
    with process(tmp_path) as (program, server):
        answer = server.post("{ instance { version } }")
        assert answer.json()["data"]["instance"]["version"]
        created = server.post(
            'mutation { createRun(input: { managed: true, newRun: { job: { jobName: "j" } } })'
            " { ... on CreateRunSuccess { run { runId } } } }"
        )
        run_id = created.json()["data"]["createRun"]["run"]["runId"]
        async with server.connect() as idle, server.connect() as busy:
            await greet(idle)
            await greet(busy)
            document = "subscription($id: ID!) { runEvents(runId: $id) { __typename } }"
            await subscribe(busy, document, variables={"id": run_id})
            assert (await hear(busy))["type"] == "next"
            program.send_signal(stop)
            assert (await closed(idle))[0] == 1012
            assert (await closed(busy))[0] == 1012
        out, err = await asyncio.to_thread(program.communicate, timeout=30)
        assert (program.returncode, out, err) == (0, "", "")


def test_an_address_beyond_loopback_demands_a_token(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNWIRE_TOKEN", raising=False)
    with pytest.raises(OpenAddressError, match=r"to listen on '0\.0\.0\.0', set RUNWIRE_TOKEN"):
        serve(instance, EmptyWorkspace(), "0.0.0.0", 0)
    check_address("0.0.0.0", demands_token=True)
    check_address("localhost", demands_token=False)
    check_address("::1", demands_token=False)


def test_a_port_in_use_is_one_clear_line(instance: Instance) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnavailableError) as refused:
            serve(instance, EmptyWorkspace(), "127.0.0.1", port)
    assert str(refused.value) == (
        f"cannot listen on 127.0.0.1 port {port}: address already in use; choose another host or port"
    )


def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    with pytest.raises(AddressUnavailableError, match="cannot assign requested address"):
        listen("192.0.2.1", 0)
    with pytest.raises(
        AddressUnavailableError, match=r"cannot listen on nowhere\.invalid port 1: "
    ):
        listen("nowhere.invalid", 1)


def test_urls_say_where_it_listens() -> None:
    with listen("localhost", 0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert url_of("localhost", listener) == f"http://localhost:{port}"
        assert url_of("::1", listener) == f"http://[::1]:{port}"


def test_the_token_is_that_of_the_environment_else_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RUNWIRE_TOKEN", raising=False)
    written = Settings(auth=AuthSettings(token=SecretStr("a-token-of-the-file")))
    assert configured_token(Settings()) is None
    assert configured_token(written) == "a-token-of-the-file"
    monkeypatch.setenv("RUNWIRE_TOKEN", "a-token-of-the-environment")
    assert configured_token(written) == "a-token-of-the-environment"
    monkeypatch.setenv("RUNWIRE_TOKEN", "")
    assert configured_token(Settings()) is None


@pytest.mark.parametrize(
    "settings", [ServerSettings(allowed_hosts=("a/b",)), ServerSettings(allowed_origins=("here",))]
)
def test_a_host_or_origin_that_is_none_is_told_as_configuration(
    instance: Instance, settings: ServerSettings
) -> None:
    instance.settings = Settings(server=settings)
    with pytest.raises(InvalidConfigurationError, match=r"server: '.*' is not an? "):
        serve(instance, EmptyWorkspace(), "127.0.0.1", 0)


def test_runs_are_repaired_before_anything_is_answered(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def repair() -> int:
        raise StorageUnavailableError("the disk is full")

    monkeypatch.setattr(instance.storage, "repair", repair)
    told: list[str] = []
    with pytest.raises(StorageUnavailableError, match="the disk is full"):
        serve(instance, EmptyWorkspace(), "127.0.0.1", 0, ready=told.append)
    assert told == []


async def test_a_client_that_stalls_and_answers_no_ping_is_dropped() -> None:
    """Its receive buffer is full, so a closing handshake would wait for ever."""
    contexts: list[TryContext] = []
    ended: SimpleQueue[str] = SimpleQueue()
    app = assemble(SCHEMA, lambda p: TryContext(p, contexts, ended), AppSettings())
    config = serve_module._config(app, Limits())
    config.ws_ping_interval = config.ws_ping_timeout = 0.1
    started = threading.Event()
    listener = listen("127.0.0.1", 0)
    server = serve_module._Server(config, started.set)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert await asyncio.to_thread(started.wait, 30)
        live = LiveServer(url_of("127.0.0.1", listener), contexts, ended)
        # Pings of the socket are answered by the client as long as it reads, so it has to stop reading.
        connection = await live.connect(max_queue=1, ping_interval=None)
        await greet(connection)
        connection.transport.pause_reading()
        await subscribe(connection, "subscription{flood}")
        assert await asyncio.to_thread(ended.get, timeout=30) == "flood"
        connection.transport.abort()
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join)


def test_idle_connections_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with process(tmp_path) as (program, server):
        host, port = server.authority.split(":")
        with httpx.Client(trust_env=False) as client, socket.create_connection((host, int(port))):
            assert client.get(f"{server.url}/livez").status_code == 200
            program.terminate()
            assert program.wait(30) == 0
