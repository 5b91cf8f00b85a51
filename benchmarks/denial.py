"""What attacks cost a bystander: how each is answered, what another client waits meanwhile, and the server's memory.

Attackers and the bystander are one process, so what an attack costs them is in the bystander's times as well; these
are the most that it may have waited for the server.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.idle import resident_kibibytes
from benchmarks.programs import served
from benchmarks.table import Row

PACE_SECONDS = 0.01
CALM_SECONDS = 3.0
ATTACK_SECONDS = 4.0
RECOVERY_SECONDS = 2.0
ATTACKERS = 4
PATIENCE_SECONDS = 60
MAX_SLOWDOWN = 2.0
SUBPROTOCOL = Subprotocol("graphql-transport-ws")

LIMITS = {"head_seconds": 1.0, "body_seconds": 1.0, "init_seconds": 1.0, "stall_seconds": 1.0}
"""Short, so that a turn of what waits for them fits into a measurement."""

Attack = Callable[[str], Awaitable[str]]
"""One turn of an attack on an address; tells how it ended."""


def run() -> list[Row]:
    """Measures a server of its own for each attack, so that none inherits another's memory."""
    return [row for name, attack in ATTACKS.items() for row in _rows(name, attack)]


def _rows(name: str, attack: Attack) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        home = Path(folder)
        (home / "runwire.yaml").write_text(json.dumps({"server": {"limits": LIMITS}}))
        with served(home) as (process, endpoint):
            place = urlsplit(endpoint).netloc
            return asyncio.run(_measure(name, attack, place, process.pid))


async def _measure(name: str, attack: Attack, place: str, pid: int) -> list[Row]:
    await _stand_by(place, CALM_SECONDS / 2)
    calm = await _stand_by(place, CALM_SECONDS)
    before = peak = resident_kibibytes(pid)
    told: Counter[str] = Counter()
    ends_at = time.monotonic() + ATTACK_SECONDS

    async def go_on() -> None:
        while time.monotonic() < ends_at:
            async with asyncio.timeout(PATIENCE_SECONDS):
                told[await attack(place)] += 1

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident_kibibytes(pid))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    attacking = [asyncio.create_task(go_on()) for _ in range(ATTACKERS)]
    meanwhile = await _stand_by(place, ATTACK_SECONDS)
    await asyncio.gather(*attacking)
    watching.cancel()
    await asyncio.sleep(RECOVERY_SECONDS)
    after = resident_kibibytes(pid)
    answers = ", ".join(f"{answer} × {count:,}" for answer, count in told.most_common(2))
    return [
        *(
            _latency(f"{name} ({answers}): a bystander's p{percent}", calm, meanwhile, percent)
            for percent in (50, 99)
        ),
        Row(
            name=f"{name}: memory above that before, at the peak",
            measured=(peak - before) / 1024,
            unit="MiB",
        ),
        Row(name=f"{name}: … and after", measured=(after - before) / 1024, unit="MiB"),
    ]


def _latency(name: str, calm: list[float], meanwhile: list[float], percent: int) -> Row:
    floor, measured = (statistics.quantiles(each, n=100)[percent - 1] for each in (calm, meanwhile))
    return Row(
        name=name,
        measured=measured,
        unit="ms",
        floor=floor,
        ratio=measured / floor,
        aim=f"at most {MAX_SLOWDOWN:g} times that in peace",
        met=measured <= MAX_SLOWDOWN * floor,
    )


async def _stand_by(place: str, seconds: float) -> list[float]:
    """How long somebody waits who asks for a little, a hundred times a second; in milliseconds."""
    request = _post(place, json.dumps({"query": "{ instance { version } }"}).encode())
    reader, writer = await asyncio.open_connection(*_host_and_port(place))
    times: list[float] = []
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        asked = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(_length(head))
        times.append(1000 * (time.perf_counter() - asked))
        await asyncio.sleep(PACE_SECONDS)
    writer.close()
    return times


def _host_and_port(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return host, int(port)


def _length(head: bytes) -> int:
    [line] = [each for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:")]
    return int(line.split(b":")[1])


def _post(place: str, body: bytes, accept: str = "application/graphql-response+json") -> bytes:
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {place}\r\nAccept: {accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _send(place: str, *parts: bytes) -> str:
    """Sends parts on a connection of their own; returns the status of what comes back."""
    reader, writer = await asyncio.open_connection(*_host_and_port(place))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        line = await reader.readline()
    except OSError:
        return "cut off"
    finally:
        writer.close()
    return line.decode().split(" ")[1] if line else "cut off"


def _document(text: str) -> Attack:
    body = json.dumps({"query": text}).encode()
    return lambda place: _send(place, _post(place, body))


def _doubling() -> str:
    parts = [f"fragment F{n} on Query{{...F{n + 1} ...F{n + 1}}}" for n in range(60)]
    return f"{{...F0}} {' '.join(parts)} fragment F60 on Query{{a:viewer{{id}}}}"


def _deep_json(place: str) -> Awaitable[str]:
    deep = b"[" * 100_000 + b"]" * 100_000
    return _send(place, _post(place, b'{"query": "{viewer{id}}", "variables": {"x": %b}}' % deep))


def _large_body(place: str) -> Awaitable[str]:
    head = f"POST /graphql HTTP/1.1\r\nHost: {place}\r\nContent-Type: application/json\r\n"
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    return _send(place, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *[chunk] * 60)


def _many(part: Callable[[str], bytes]) -> Attack:
    """A hundred connections that begin and do not go on."""

    async def attack(place: str) -> str:
        told = await asyncio.gather(*(_send(place, part(place)) for _ in range(100)))
        return Counter(told).most_common(1)[0][0]

    return attack


def _connect(place: str) -> connect:
    return connect(
        f"ws://{place}/graphql", subprotocols=[SUBPROTOCOL], compression=None, proxy=None
    )


async def _silence(place: str) -> str:
    async def wait() -> str:
        async with _connect(place) as socket:
            return await _end_of(socket)

    return Counter(await asyncio.gather(*(wait() for _ in range(40)))).most_common(1)[0][0]


async def _end_of(socket: ClientConnection) -> str:
    with suppress(ConnectionClosed):
        async for _ in socket:
            pass
    return str(socket.close_code)


async def _subscriptions(place: str) -> str:
    """Ten thousand on one socket."""
    query = "subscription { daemonHeartbeats { daemonType } }"
    told: Counter[str] = Counter()
    async with _connect(place) as socket:
        await socket.send('{"type":"connection_init"}')
        await socket.recv()

        async def send() -> None:
            for n in range(10_000):
                message = {"type": "subscribe", "id": str(n), "payload": {"query": query}}
                await socket.send(json.dumps(message))

        sending = asyncio.create_task(send())
        seen: set[str] = set()
        while len(seen) < 10_000:
            message = json.loads(await socket.recv())
            if message.get("id") not in seen:
                seen.add(message["id"])
                told[message["type"]] += 1
        await sending
    return f"{told['next']} served, {told['error']:,} refused"


async def _stalled(place: str) -> str:
    """Asks for much on one connection, again and again, and reads nothing."""
    body = json.dumps({"query": "{ __schema { types { name description fields { name } } } }"})
    _, writer = await asyncio.open_connection(*_host_and_port(place), limit=1 << 10)
    try:
        async with asyncio.timeout(ATTACK_SECONDS):
            while True:
                writer.write(_post(place, body.encode()))
                await writer.drain()
                await asyncio.sleep(0.005)
    except (OSError, TimeoutError) as end:
        return "not read" if isinstance(end, TimeoutError) else "cut off"
    finally:
        writer.transport.abort()


ATTACKS: dict[str, Attack] = {
    "fragments that double": _document(_doubling()),
    "aliases": _document("{" + " ".join(f"a{n}:viewer{{id}}" for n in range(400)) + "}"),
    "directives": _document("{viewer" + " @include(if:true)" * 400 + "{id}}"),
    "deep JSON": _deep_json,
    "bodies of 60 MiB": _large_body,
    "heads that do not end": _many(
        lambda place: f"POST /graphql HTTP/1.1\r\nHost: {place}\r\n".encode()
    ),
    "bodies that do not end": _many(
        lambda place: _post(place, b"{" * 100)[:-50],
    ),
    "init never sent": _silence,
    "10,000 subscriptions": _subscriptions,
    "a reader that stalls": _stalled,
}
"""Each by four attackers, who begin again as soon as they were answered."""
