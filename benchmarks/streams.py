"""Live streams: the time from before an event is written to when a client has read it, and what a delivery costs.

A process writes, the server follows, cheap clients of this process read; all share the machine. The floor of each
is a server on the same foundation that does nothing but send each message, prebuilt, to all clients. What
Strawberry's own application makes of the same schema is the baseline of the cost.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.listeners import Listener, Tally, listen, subscribing
from benchmarks.programs import first_line, program, served
from benchmarks.table import Row
from runwire import clock
from runwire.documents import load_document
from runwire.instance import Instance
from runwire.runs import Run
from tests.postgres import PostgresServer

FULL = os.environ.get("RUNWIRE_SCALE") == "full"
EVENTS = 400
PER_SECOND = 100
PATIENCE_SECONDS = 90
SUBPROTOCOL = "graphql-transport-ws"
BATCH = 25
"""Events of a batch, where the cost of a batch is asked for."""

MAX_COST_TO_FLOOR = 2.0
MIN_COST_TO_PLAIN = 20.0

WRITER = """
import sys, time
from pathlib import Path
from runwire.events.entry import EventLogEntry
from runwire.instance import Instance

home, count, per_second, batch, silent = sys.argv[1], *map(int, sys.argv[2:6])
storage = Instance.from_home(Path(home)).storage
records = [storage.get_run_record(run_id) for run_id in sys.argv[6:]]
sys.stdin.readline()
time.sleep(silent)
start = time.monotonic()
for n in range(0, count, batch):
    time.sleep(max(0.0, start + n / per_second - time.monotonic()))
    record = records[n // batch % len(records)]
    stamp = str(time.monotonic_ns())
    entries = [EventLogEntry(run_id=record.run_id, message=stamp) for _ in range(batch)]
    storage.store_events(record.run_id, entries, known=record)
"""

RAW_WRITER = """
import sys, time
from websockets.sync.client import connect

port, count, per_second, batch, filling = sys.argv[1], *map(int, sys.argv[2:])
with connect(f"ws://127.0.0.1:{port}/write", proxy=None, compression=None, ping_interval=None) as socket:
    sys.stdin.readline()
    start = time.monotonic()
    for n in range(0, count, batch):
        time.sleep(max(0.0, start + n / per_second - time.monotonic()))
        stamp = str(time.monotonic_ns())
        socket.send(" ".join([stamp] * batch) + " " * (filling - batch * (len(stamp) + 1)))
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured.

    Attributes:
        subscribers: how many clients listen.
        runs: how many runs there are; the clients are spread over them.
        batch: how many events are written at once.
        per_second: events written in a second, over all runs.
        events: how many events (times `batch`) are written over all.
        silent_seconds: how long nothing is written before.
        aim_ms: what the 99th percentile of latency is to be at the most; None without an aim.
    """

    subscribers: int
    runs: int = 1
    batch: int = 1
    per_second: int = PER_SECOND
    events: int = EVENTS
    silent_seconds: int = 0
    aim_ms: float | None = None

    def __str__(self) -> str:
        if self.silent_seconds:
            return f"the first event after {self.silent_seconds} s of silence"
        runs = f", {self.runs} runs" if self.runs > 1 else ""
        rate = f"{self.per_second} events/s"
        batches = f" in batches of {self.batch}" if self.batch > 1 else ""
        return f"{self.subscribers} subscriber{'s' * (self.subscribers > 1)}{runs}, {rate}{batches}"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case.

    Attributes:
        latencies: of every event at every client, in milliseconds.
        messages: how many messages the clients read.
        size: the mean size of a message, in bytes.
        cpu_seconds: what the server's process used.
    """

    latencies: list[float]
    messages: int
    size: int
    cpu_seconds: float

    @property
    def cost(self) -> float:
        """Processor time of the server for one message to one client, in microseconds."""
        return self.cpu_seconds / self.messages * 1e6


CASES = (
    Case(1, aim_ms=60),
    Case(20, aim_ms=60),
    Case(100, aim_ms=60),
    Case(500, aim_ms=150),
    Case(100, runs=100, aim_ms=100),
)
BATCHES = Case(100, batch=BATCH, per_second=20 * BATCH)
PLAIN_SUBSCRIBERS = 5
"""As many as the baseline can serve; what a delivery costs it does not depend on how many there are."""


SILENCE = Case(1, events=1, silent_seconds=60 if FULL else 5, aim_ms=100)


def run() -> list[Row]:
    """Measures each case beside its floor, on SQLite, and those that tell most on PostgreSQL too."""
    rows = []
    floors: dict[Case, Result] = {}
    for case in CASES:
        measured = asyncio.run(_follow(case))
        floors[case] = asyncio.run(_broadcast(case, measured.size))
        rows += _latency_rows(str(case), case, measured, floors[case])
    measured = asyncio.run(_follow(BATCHES))
    floor = asyncio.run(_broadcast(BATCHES, measured.size))
    plain_case = Case(PLAIN_SUBSCRIBERS, batch=BATCH, per_second=20 * BATCH)
    plain = asyncio.run(_follow(plain_case, is_plain=True))
    rows += _cost_rows(BATCHES, measured, floor, plain)
    server = PostgresServer()
    try:
        server.start()
        for case in (*CASES[2:], SILENCE):
            url = server.url(server.make_database())
            measured = asyncio.run(_follow(case, url))
            rows += _latency_rows(f"PostgreSQL, {case}", case, measured, floors.get(case))
    finally:
        server.close()
    return rows


def _latency_rows(name: str, case: Case, measured: Result, floor: Result | None) -> list[Row]:
    if floor is None:
        (latency,) = measured.latencies
        aim = f"at most {case.aim_ms:g} ms"
        met = case.aim_ms is not None and latency <= case.aim_ms
        return [Row(name=f"write to client, {name}", measured=latency, unit="ms", aim=aim, met=met)]
    p50, floor_p50 = statistics.median(measured.latencies), statistics.median(floor.latencies)
    p99, floor_p99 = _percentile(measured.latencies, 99), _percentile(floor.latencies, 99)
    return [
        Row(
            name=f"write to client, {name}: p50",
            measured=p50,
            unit="ms",
            floor=floor_p50,
            ratio=p50 / floor_p50,
        ),
        Row(
            name=f"write to client, {name}: p99",
            measured=p99,
            unit="ms",
            floor=floor_p99,
            ratio=p99 / floor_p99,
            aim="" if case.aim_ms is None else f"at most {case.aim_ms:g} ms",
            met=None if case.aim_ms is None else p99 <= case.aim_ms,
        ),
    ]


def _cost_rows(case: Case, measured: Result, floor: Result, plain: Result) -> list[Row]:
    ratio, gain = measured.cost / floor.cost, plain.cost / measured.cost
    return [
        Row(
            name=f"processor time of a delivery, {case}",
            measured=measured.cost,
            unit="µs",
            floor=floor.cost,
            ratio=ratio,
            aim=f"at most {MAX_COST_TO_FLOOR:g} times the floor",
            met=ratio <= MAX_COST_TO_FLOOR,
        ),
        Row(
            name="… by Strawberry's own application, and how many times as much that is",
            measured=plain.cost,
            unit="µs",
            ratio=gain,
            aim=f"at least {MIN_COST_TO_PLAIN:g} times",
            met=gain >= MIN_COST_TO_PLAIN,
        ),
    ]


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


async def _follow(case: Case, postgres_url: str | None = None, *, is_plain: bool = False) -> Result:
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        if postgres_url is not None:
            setting = {"storage": {"postgres": {"postgres_url": postgres_url}}}
            (Path(folder) / "runwire.yaml").write_text(json.dumps(setting))
        run_ids = _make_runs(folder, case.runs)
        with _plain(folder) if is_plain else _served(folder) as (pid, url):
            tally = Tally(case.events * case.batch // case.runs, _stamps_of_batch)
            says = [
                subscribing(load_document("FollowRun"), "FollowRun", runId=run_ids[n % case.runs])
                for n in range(case.subscribers)
            ]
            # The acknowledgement, and the first, empty batch.
            listeners = await listen(url, SUBPROTOCOL, says, 2, tally)
            numbers = (case.events * case.batch, case.per_second, case.batch, case.silent_seconds)
            writing = [*map(str, numbers), *run_ids]
            return await _measure(pid, listeners, tally, ["-c", WRITER, folder, *writing])


def _make_runs(folder: str, count: int) -> list[str]:
    instance = Instance.from_home(Path(folder))
    runs = [Run(job_name="bench", managed=True) for _ in range(count)]
    for each in runs:
        instance.storage.run_storage.add_run(each, created_at=clock.timestamp())
    instance.dispose()
    return [each.run_id for each in runs]


@contextmanager
def _served(folder: str) -> Iterator[tuple[int, str]]:
    with served(Path(folder)) as (process, endpoint):
        yield process.pid, f"http://{urlsplit(endpoint).netloc}/graphql"


@contextmanager
def _plain(folder: str) -> Iterator[tuple[int, str]]:
    with program("-m", "benchmarks.plain_strawberry", folder) as process:
        yield process.pid, f"http://127.0.0.1:{first_line(process)}/graphql"


async def _broadcast(case: Case, size: int) -> Result:
    with program("-m", "benchmarks.broadcaster") as broadcaster:
        port = first_line(broadcaster)
        events = EVENTS * case.batch
        # Clients are not told apart: each gets as many messages as a client of one run would.
        tally = Tally(events, lambda message: [int(each) for each in message.split()])
        url = f"http://127.0.0.1:{port}/read"
        listeners = await listen(url, "", [[]] * (case.subscribers // case.runs), 0, tally)
        writing = [port, str(events), str(case.per_second), str(case.batch), str(size)]
        return await _measure(broadcaster.pid, listeners, tally, ["-c", RAW_WRITER, *writing])


async def _measure(
    pid: int, listeners: Sequence[Listener], tally: Tally, writer: list[str]
) -> Result:
    async with _writing(writer) as begin:
        before = _cpu_seconds(pid)
        begin()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(listener.done for listener in listeners))
        used = _cpu_seconds(pid) - before
    for listener in listeners:
        listener.close()
    return Result(tally.latencies, tally.messages, tally.size // tally.messages, used)


@asynccontextmanager
async def _writing(command: list[str]) -> AsyncIterator[Any]:
    """A program that has started and waits for the word to begin."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    stdin = process.stdin
    # Until it has imported what it needs, its start would be measured.
    await asyncio.sleep(1)
    try:
        yield lambda: stdin.write(b"\n")
    finally:
        stdin.close()
        await process.wait()


def _cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _stamps_of_batch(message: bytes) -> list[int]:
    batch: Any = json.loads(message)["payload"]["data"]["runEvents"]
    return [int(record["message"]) for record in batch["records"]]
