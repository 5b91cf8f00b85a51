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
            page, answer = asyncio.run(_load(endpoint, request))
        with tempfile.TemporaryFile() as body:
            body.write(answer)
            body.seek(0)
            with program("-c", STATIC, stdin=body) as static:
                port = first_line(static)
                floor, _ = asyncio.run(_load(f"http://127.0.0.1:{port}/graphql", request))
    return [*_start_rows(starts, floors), _page_row(page, floor)]


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


def _page_row(page: float, floor: float) -> Row:
    return Row(
        name=f"page of 25 runs, {CLIENTS} clients, against the same bytes from memory",
        measured=page,
        unit="pages/s",
        floor=floor,
        ratio=page / floor,
    )


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


def _page_request(endpoint: str) -> bytes:
    query = load_document("RunsPage")
    variables = {"first": 25}
    return _post(endpoint, {"query": query, "operationName": "RunsPage", "variables": variables})


def _post(endpoint: str, members: object) -> bytes:
    """A request as bytes."""
    body = json.dumps(members).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {urlsplit(endpoint).netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _load(endpoint: str, request: bytes) -> tuple[float, bytes]:
    """Answers a second with all clients asking at once, and the last answer."""
    ends_at = time.perf_counter() + SECONDS
    results = await asyncio.gather(*(_ask(endpoint, request, ends_at) for _ in range(CLIENTS)))
    return sum(count for count, _ in results) / SECONDS, results[0][1]


async def _ask_once(endpoint: str, request: bytes) -> None:
    await _ask(endpoint, request, 0)


async def _ask(endpoint: str, request: bytes, ends_at: float) -> tuple[int, bytes]:
    """Asks once, and again until a time comes; the number of answers, and the last one."""
    place = urlsplit(endpoint)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    count, answer = 0, b""
    while not count or time.perf_counter() < ends_at:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        assert head.startswith(b"HTTP/1.1 200")
        answer = await reader.readexactly(int(length[1]))
        count += 1
    writer.close()
    await writer.wait_closed()
    assert b'"errors"' not in answer
    return count, answer
