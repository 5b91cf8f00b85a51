"""The server: from its start to its first answer, its memory, and how many pages of runs it answers."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.programs import first_line, program, served
from benchmarks.table import Row
from runwire import clock
from runwire.documents import load_document
from runwire.runs import Run
from runwire.storages.sqlite import SqliteStorage

STARTS = 5
RUNS = 200
CLIENTS = 8
SECONDS = 3.0
AIM_START_SECONDS = 1.0
AIM_MEBIBYTES = 100.0
AIM_PAGES_PER_SECOND = 600.0
AIM_PAGE_MS = 30.0

IMPORTS = "import strawberry, starlette.applications, uvicorn, sqlalchemy, pydantic, msgspec"
"""What a server of these parts imports, whoever writes it: the floor of a start."""

STATIC = """
import socket, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

body = sys.stdin.buffer.read()

async def answer(request):
    await request.body()
    return Response(body, media_type="application/json")

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])])
config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False)
uvicorn.Server(config).run([listener])
"""


def run() -> list[Row]:
    """Measures starts first, then pages of one server."""
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        home = Path(folder)
        starts = [_start(home) for _ in range(STARTS)]
        floors = [_imports() for _ in range(STARTS)]
        _fill(home)
        with served(home) as (_, endpoint):
            request = _page_request(endpoint)
            times, answer = asyncio.run(_load(endpoint, [request] * CLIENTS))
            each_its_own = [_page_request(endpoint, 25 + n) for n in range(CLIENTS)]
            own_times, _ = asyncio.run(_load(endpoint, each_its_own))
        with tempfile.TemporaryFile() as body:
            body.write(answer)
            body.seek(0)
            with program("-c", STATIC, stdin=body) as static:
                port = first_line(static)
                static_endpoint = f"http://127.0.0.1:{port}/graphql"
                floors_ms, _ = asyncio.run(_load(static_endpoint, [request] * CLIENTS))
    own = Row(
        name="… each client another page, so that nothing is shared",
        measured=len(own_times) / SECONDS,
        unit="pages/s",
        floor=len(floors_ms) / SECONDS,
        ratio=len(own_times) / len(floors_ms),
    )
    return [*_start_rows(starts, floors), *_page_rows(times, floors_ms), own]


def _start_rows(starts: list[tuple[float, float]], floors: list[float]) -> list[Row]:
    seconds = statistics.median(start for start, _ in starts)
    mebibytes = statistics.median(memory for _, memory in starts)
    floor = statistics.median(floors)
    return [
        Row(
            name="start of the server to its first answer, against the imports of its parts",
            measured=seconds,
            unit="s",
            floor=floor,
            ratio=seconds / floor,
            aim=f"at most {AIM_START_SECONDS:g} s",
            met=seconds <= AIM_START_SECONDS,
        ),
        Row(
            name="memory of the server after its first answer",
            measured=mebibytes,
            unit="MiB",
            aim=f"at most {AIM_MEBIBYTES:g} MiB",
            met=mebibytes <= AIM_MEBIBYTES,
        ),
    ]


def _page_rows(times: list[float], floors: list[float]) -> list[Row]:
    name = f"page of 25 runs, {CLIENTS} clients, against the same bytes from memory"
    page, floor = len(times) / SECONDS, len(floors) / SECONDS
    p99, floor_p99 = (statistics.quantiles(each, n=100)[98] for each in (times, floors))
    return [
        Row(
            name=name,
            measured=page,
            unit="pages/s",
            floor=floor,
            ratio=page / floor,
            aim=f"at least {AIM_PAGES_PER_SECOND:g}",
            met=page >= AIM_PAGES_PER_SECOND,
        ),
        Row(
            name=f"{name}: p99",
            measured=p99,
            unit="ms",
            floor=floor_p99,
            ratio=p99 / floor_p99,
            aim=f"at most {AIM_PAGE_MS:g} ms",
            met=p99 <= AIM_PAGE_MS,
        ),
    ]


def _start(home: Path) -> tuple[float, float]:
    """Seconds to the first answer, and resident MiB after it."""
    started = time.perf_counter()
    with served(home) as (process, endpoint):
        asyncio.run(_ask_once(endpoint, _post(endpoint, {"query": "{ instance { version } }"})))
        seconds = time.perf_counter() - started
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    resident = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert resident is not None
    return seconds, int(resident[1]) / 1024


def _imports() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.perf_counter() - started


def _fill(home: Path) -> None:
    storage = SqliteStorage(home)
    for n in range(RUNS):
        run = Run(job_name=f"job{n % 7}", managed=True, tags={"team": f"team{n % 3}"})
        storage.run_storage.add_run(run, created_at=clock.timestamp())
    storage.dispose()


def _page_request(endpoint: str, count: int = 25) -> bytes:
    query = load_document("RunsPage")
    variables = {"first": count}
    return _post(endpoint, {"query": query, "operationName": "RunsPage", "variables": variables})


def _post(endpoint: str, members: object) -> bytes:
    """A request as bytes."""
    body = json.dumps(members).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {urlsplit(endpoint).netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _load(endpoint: str, requests: Sequence[bytes]) -> tuple[list[float], bytes]:
    """How long each answer took, in ms, with all clients asking at once; and the last answer.

    Args:
        endpoint: where they ask.
        requests: what each client asks, again and again.
    """
    ends_at = time.perf_counter() + SECONDS
    results = await asyncio.gather(*(_ask(endpoint, request, ends_at) for request in requests))
    return [each for times, _ in results for each in times], results[0][1]


async def _ask_once(endpoint: str, request: bytes) -> None:
    await _ask(endpoint, request, 0)


async def _ask(endpoint: str, request: bytes, ends_at: float) -> tuple[list[float], bytes]:
    """Asks once, and again until a time comes; how long each answer took, in ms, and the last one."""
    place = urlsplit(endpoint)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    times: list[float] = []
    answer = b""
    while not times or time.perf_counter() < ends_at:
        asked = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        assert head.startswith(b"HTTP/1.1 200")
        answer = await reader.readexactly(int(length[1]))
        times.append(1000 * (time.perf_counter() - asked))
    writer.close()
    await writer.wait_closed()
    assert b'"errors"' not in answer
    return times, answer
