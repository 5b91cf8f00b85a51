"""What attacks cost a bystander: how each is answered, what another client waits meanwhile, and the server's memory.

Attackers are a process of their own (`benchmarks.attacker`), and peace and attack take turns, so that whatever else
the machine does hits both. All call from this machine without a token, which leaves the limits of each caller out:
with them an attack could only do less.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.parse import urlsplit

from benchmarks.attacker import ATTACKS, host_and_port, post
from benchmarks.idle import resident_kibibytes
from benchmarks.programs import first_line, program, served
from benchmarks.table import Row

ROUNDS = 4
SAMPLES = 150
"""How often the bystander asks in each phase: of peace, and of attack."""
PACE_SECONDS = 0.01
WARMING_SECONDS = 0.5
"""What goes by of an attack, or of the peace after it, before the bystander's times count."""
PHASE_SECONDS = 20.0
"""When a phase ends although the bystander was not answered as often as that; the row is missed then."""
SETTLING_SECONDS = 3.0
MAX_SLOWDOWN = 2.0
MAX_PEAK_MEBIBYTES = 64.0
MAX_LEFT_MEBIBYTES = 16.0

LIMITS = {"head_seconds": 1.0, "body_seconds": 1.0, "init_seconds": 1.0, "stall_seconds": 1.0}
"""Short, so that a turn of what waits for them fits into a measurement."""


def run() -> list[Row]:
    """Measures a server of its own for each attack, so that none inherits another's memory."""
    return [row for name in ATTACKS for row in _rows(name)]


def _rows(name: str) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        home = Path(folder)
        (home / "runwire.yaml").write_text(json.dumps({"server": {"limits": LIMITS}}))
        with served(home) as (server, endpoint):
            place = urlsplit(endpoint).netloc
            with program("-m", "benchmarks.attacker", name, place, stdin=PIPE) as attacker:
                first_line(attacker, "ready")
                return asyncio.run(_measure(name, place, server.pid, attacker))


async def _measure(name: str, place: str, pid: int, attacker: Popen[str]) -> list[Row]:
    await _stand_by(place)
    before = peak = resident_kibibytes(pid)
    calm: list[float] = []
    meanwhile: list[float] = []
    told: Counter[str] = Counter()

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident_kibibytes(pid))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    for _ in range(ROUNDS):
        await asyncio.sleep(WARMING_SECONDS)
        calm += await _stand_by(place)
        _say(attacker, "go")
        await asyncio.sleep(WARMING_SECONDS)
        meanwhile += await _stand_by(place)
        _say(attacker, "stop")
        told.update(json.loads(await asyncio.to_thread(first_line, attacker)))
    watching.cancel()
    await asyncio.sleep(SETTLING_SECONDS)
    after = resident_kibibytes(pid)
    answers = ", ".join(f"{answer} × {count:,}" for answer, count in told.most_common(3))
    return [
        _latency(f"{name} ({answers}): a bystander's p50", calm, meanwhile, 50),
        _latency(f"{name}: a bystander's p99", calm, meanwhile, 99),
        _memory(
            f"{name}: memory above that before, at the peak", peak - before, MAX_PEAK_MEBIBYTES
        ),
        _memory(f"{name}: … and after", after - before, MAX_LEFT_MEBIBYTES),
    ]


def _say(attacker: Popen[str], word: str) -> None:
    assert attacker.stdin is not None
    attacker.stdin.write(f"{word}\n")
    attacker.stdin.flush()


def _latency(name: str, calm: list[float], meanwhile: list[float], percent: int) -> Row:
    floor, measured = (statistics.quantiles(each, n=100)[percent - 1] for each in (calm, meanwhile))
    return Row(
        name=name,
        measured=measured,
        unit="ms",
        floor=floor,
        ratio=measured / floor,
        aim=f"at most {MAX_SLOWDOWN:g} times that in peace",
        met=len(meanwhile) == len(calm) and measured <= MAX_SLOWDOWN * floor,
    )


def _memory(name: str, kibibytes: int, most: float) -> Row:
    measured = kibibytes / 1024
    return Row(
        name=name, measured=measured, unit="MiB", aim=f"at most {most:g} MiB", met=measured <= most
    )


async def _stand_by(place: str) -> list[float]:
    """How long somebody waits who asks for a little, a hundred times a second; in milliseconds."""
    request = post(place, json.dumps({"query": "{ instance { version } }"}).encode())
    reader, writer = await asyncio.open_connection(*host_and_port(place))
    times: list[float] = []
    ends_at = time.monotonic() + PHASE_SECONDS
    while len(times) < SAMPLES and time.monotonic() < ends_at:
        asked = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(_length(head))
        times.append(1000 * (time.perf_counter() - asked))
        await asyncio.sleep(PACE_SECONDS)
    writer.close()
    return times


def _length(head: bytes) -> int:
    [line] = [each for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:")]
    return int(line.split(b":")[1])
