"""The end of the server: what is being answered is finished, what streams is told, and it is over in a stated time."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import httpx
import pytest

from tests.server.conftest import LiveServer, closed, greet, hear, subscribe

WAIT = "query Wait($file: String!) { wait(file: $file) }"
SHUTDOWN_SECONDS = 30
"""Far longer than what is waited for here takes."""


@contextmanager
def slow(
    shutdown_seconds: int = SHUTDOWN_SECONDS, drain_seconds: int = 0
) -> Iterator[tuple[subprocess.Popen[str], LiveServer]]:
    program = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.server.slow_serving",
            str(shutdown_seconds),
            str(drain_seconds),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), program.stderr and program.stderr.read()
        yield program, LiveServer(url, [], SimpleQueue())
    finally:
        program.kill()
        program.communicate()


def wait_for(file: Path) -> None:
    end = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def wait_until_refused(server: LiveServer) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            server.request("GET", "/livez")
        except httpx.TransportError:
            return
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_answers_are_finished_and_streams_are_told(
    tmp_path: Path, stop: signal.Signals
) -> None:
    file = tmp_path / "go"
    with slow() as (program, server), ThreadPoolExecutor() as pool:
        answer = pool.submit(server.post, WAIT, variables={"file": str(file)})
        await asyncio.to_thread(wait_for, tmp_path / "go.begun")
        events = {"Accept": "text/event-stream"}
        document = {"query": "subscription { forever }"}
        async with (
            server.connect() as idle,
            server.connect() as busy,
            httpx.AsyncClient(trust_env=False, timeout=30) as client,
            client.stream("POST", server.endpoint, json=document, headers=events) as stream,
        ):
            await greet(idle)
            await greet(busy)
            await subscribe(busy, document["query"])
            assert (await hear(busy))["type"] == "next"
            lines = stream.aiter_lines()
            while await anext(lines) != "event: next":
                pass
            program.send_signal(stop)
            assert (await closed(idle))[0] == 1012
            assert (await closed(busy))[0] == 1012
            # The stream ends in order, and does not say that the operation is complete.
            rest = [line async for line in lines]
            assert "event: complete" not in rest
        await asyncio.to_thread(wait_until_refused, server)
        assert program.poll() is None
        assert not answer.done()
        file.touch()
        assert answer.result(30).json() == {"data": {"wait": "done"}}
        out, err = await asyncio.to_thread(program.communicate, timeout=30)
    assert (program.returncode, out, err) == (0, "", "")


async def test_what_takes_longer_than_the_stated_time_is_cut_off(tmp_path: Path) -> None:
    with slow(shutdown_seconds=1) as (program, server), ThreadPoolExecutor() as pool:
        answer = pool.submit(server.post, WAIT, variables={"file": str(tmp_path / "never")})
        await asyncio.to_thread(wait_for, tmp_path / "never.begun")
        program.terminate()
        _, err = await asyncio.to_thread(program.communicate, timeout=30)
        cut_off = answer.result(30)
    assert (cut_off.status_code, cut_off.json()["errors"][0]["extensions"]) == (
        503,
        {"code": "UNAVAILABLE"},
    )
    assert program.returncode == 0
    (line,) = err.splitlines()
    assert line == "Cancel 1 running task(s), timeout graceful shutdown exceeded"


def test_before_it_stops_it_answers_for_a_while() -> None:
    with slow(drain_seconds=1) as (program, server):
        stopped_at = time.monotonic()
        program.terminate()
        answers = 0
        while True:
            try:
                answers += server.request("GET", "/livez").status_code == 200
            except httpx.TransportError:
                break
            time.sleep(0.02)
        assert time.monotonic() - stopped_at >= 1
        assert answers >= 2
        assert program.wait(30) == 0
