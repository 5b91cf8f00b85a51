"""Live latency, from before an event is written to when a client has read it.

A process writes, the server follows, clients of this process read. The floor is a websocket server that
does nothing but pass each message on to all clients.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.programs import first_line, program, served
from benchmarks.table import Row
from runwire import clock
from runwire.documents import load_document
from runwire.runs import Run
from runwire.storages.sqlite import SqliteStorage

EVENTS = 400
PER_SECOND = 100
SUBSCRIBERS = (1, 20)
AIM_MS = 60.0
PATIENCE_SECONDS = 60
SUBPROTOCOL = Subprotocol("graphql-transport-ws")

WRITER = """
import sys, time
from runwire.events.entry import EventLogEntry
from runwire.storages.sqlite import SqliteStorage

home, run_id, count, per_second = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
storage = SqliteStorage(home)
record = storage.get_run_record(run_id)
start = time.monotonic()
for n in range(count):
    time.sleep(max(0.0, start + n / per_second - time.monotonic()))
    entry = EventLogEntry(run_id=run_id, message=str(time.monotonic_ns()))
    storage.store_events(run_id, [entry], known=record)
"""

BROADCASTER = """
import asyncio
from websockets.asyncio.server import broadcast, serve

async def main():
    clients = set()
    async def handle(socket):
        if socket.request.path == "/write":
            async for message in socket:
                broadcast(clients, message)
        else:
            clients.add(socket)
            await socket.wait_closed()
    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
"""

RAW_WRITER = """
import sys, time
from websockets.sync.client import connect

port, count, per_second = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with connect(f"ws://127.0.0.1:{port}/write", proxy=None, compression=None) as socket:
    start = time.monotonic()
    for n in range(count):
        time.sleep(max(0.0, start + n / per_second - time.monotonic()))
        socket.send(str(time.monotonic_ns()))
"""

Stamps = Callable[[str], list[int]]
"""The times at which the events of a message were written."""


def run() -> list[Row]:
    """Measures with one subscriber and with many, each beside its floor."""
    rows = []
    for subscribers in SUBSCRIBERS:
        floor = asyncio.run(_broadcast(subscribers))
        measured = asyncio.run(_follow(subscribers))
        rows += _rows(subscribers, measured, floor)
    return rows


def _rows(subscribers: int, measured: list[float], floor: list[float]) -> list[Row]:
    what = (
        f"write to client, {subscribers} subscriber{'s' * (subscribers > 1)}, {PER_SECOND} events/s"
    )
    p99, floor_p99 = _percentile(measured, 99), _percentile(floor, 99)
    p50, floor_p50 = statistics.median(measured), statistics.median(floor)
    return [
        Row(name=f"{what}: p50", measured=p50, unit="ms", floor=floor_p50, ratio=p50 / floor_p50),
        Row(
            name=f"{what}: p99",
            measured=p99,
            unit="ms",
            floor=floor_p99,
            ratio=p99 / floor_p99,
            aim=f"at most {AIM_MS:g} ms",
            met=p99 <= AIM_MS,
        ),
    ]


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


async def _follow(subscribers: int) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        storage = SqliteStorage(folder)
        run = Run(job_name="bench", managed=True)
        storage.run_storage.add_run(run, created_at=clock.timestamp())
        storage.dispose()
        with served(Path(folder)) as (_, endpoint):
            url = f"ws://{urlsplit(endpoint).netloc}/graphql"
            writer = ["-c", WRITER, folder, run.run_id, str(EVENTS), str(PER_SECOND)]
            async with AsyncExitStack() as stack:
                sockets = [
                    await stack.enter_async_context(_subscribed(url, run.run_id))
                    for _ in range(subscribers)
                ]
                with program(*writer):
                    return await _latencies(sockets, _stamps_of_batch)


async def _broadcast(subscribers: int) -> list[float]:
    with program("-c", BROADCASTER) as broadcaster:
        port = first_line(broadcaster)
        async with AsyncExitStack() as stack:
            sockets = [
                await stack.enter_async_context(
                    connect(f"ws://127.0.0.1:{port}/read", compression=None, proxy=None)
                )
                for _ in range(subscribers)
            ]
            with program("-c", RAW_WRITER, port, str(EVENTS), str(PER_SECOND)):
                return await _latencies(sockets, lambda text: [int(text)])


@asynccontextmanager
async def _subscribed(url: str, run_id: str) -> AsyncIterator[ClientConnection]:
    """A socket that follows a run and has read its first, empty batch."""
    async with connect(
        url, subprotocols=[SUBPROTOCOL], compression=None, proxy=None, max_size=None
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init"}))
        await socket.recv()
        query = load_document("FollowRun")
        payload = {"query": query, "operationName": "FollowRun", "variables": {"runId": run_id}}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        await socket.recv()
        yield socket


async def _latencies(sockets: list[ClientConnection], stamps: Stamps) -> list[float]:
    """For each event and each socket the milliseconds until it was read."""

    async def read(socket: ClientConnection) -> list[float]:
        latencies: list[float] = []
        while len(latencies) < EVENTS:
            text = str(await socket.recv())
            now = time.monotonic_ns()
            latencies += [(now - stamp) / 1e6 for stamp in stamps(text)]
        return latencies

    async with asyncio.timeout(PATIENCE_SECONDS):
        return [x for latencies in await asyncio.gather(*map(read, sockets)) for x in latencies]


def _stamps_of_batch(text: str) -> list[int]:
    batch: Any = json.loads(text)["payload"]["data"]["runEvents"]
    return [int(record["message"]) for record in batch["records"]]
