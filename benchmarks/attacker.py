"""Attacks on a server, as a process of its own, so that what an attack costs the attacker is in nobody's times.

Arguments: the name of the attack, and the host and port of the server. It says "ready". With each line "go" on its
standard input four attackers begin, who attack again as soon as they were answered; with the next line they stop, and
it tells, as a JSON object on one line, how often each answer came.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

ATTACKERS = 4
FAREWELL_SECONDS = 1.0
SUBPROTOCOL = Subprotocol("graphql-transport-ws")

Tell = Callable[[str], None]
"""Takes note of an answer."""

Attack = Callable[[str, Tell], Awaitable[None]]
"""One turn of an attack on an address."""


async def main() -> None:
    name, place = sys.argv[1:]
    loop, attack = asyncio.get_running_loop(), ATTACKS[name]
    print("ready", flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        told: Counter[str] = Counter()
        attackers = [asyncio.create_task(_go_on(attack, place, told)) for _ in range(ATTACKERS)]
        await loop.run_in_executor(None, sys.stdin.readline)
        for each in attackers:
            each.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await asyncio.gather(*attackers, return_exceptions=True)
        print(json.dumps(told), flush=True)


async def _go_on(attack: Attack, place: str, told: Counter[str]) -> None:
    def tell(answer: str) -> None:
        told[answer] += 1

    while True:
        try:
            await attack(place, tell)
        except (OSError, EOFError, ConnectionClosed):
            tell("cut off")


def host_and_port(place: str) -> tuple[str, int]:
    """The two parts of an address."""
    host, _, port = place.rpartition(":")
    return host, int(port)


def post(place: str, body: bytes, accept: str = "application/graphql-response+json") -> bytes:
    """A request of HTTP with a body of JSON."""
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {place}\r\nAccept: {accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _send(place: str, *parts: bytes) -> str:
    """Sends parts on a connection of their own; returns the status of what comes back."""
    reader, writer = await asyncio.open_connection(*host_and_port(place))
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


def _document(make: Callable[[int], str]) -> Attack:
    """Sends documents that a number tells apart, each once."""
    made = 0

    async def attack(place: str, tell: Tell) -> None:
        nonlocal made
        made += 1
        tell(await _send(place, post(place, json.dumps({"query": make(made)}).encode())))

    return attack


def _same(text: str) -> Attack:
    """Sends one document again and again."""
    return _document(lambda _: text)


def doubling() -> str:
    """Fragments that spread the next one twice."""
    parts = [f"fragment F{n} on Query{{...F{n + 1} ...F{n + 1}}}" for n in range(60)]
    return f"{{...F0}} {' '.join(parts)} fragment F60 on Query{{a:viewer{{id}}}}"


def _aliases(count: int) -> Callable[[int], str]:
    return lambda made: "{" + " ".join(f"a{made}_{n}:viewer{{id}}" for n in range(count)) + "}"


def _directives(count: int) -> Callable[[int], str]:
    return lambda made: "{viewer" + " @include(if:true)" * count + f"{{a{made}:id}}}}"


async def _deep_json(place: str, tell: Tell) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    body = b'{"query": "{viewer{id}}", "variables": {"x": %b}}' % deep
    tell(await _send(place, post(place, body)))


async def _many_values(place: str, tell: Tell) -> None:
    """As many values as a body may have."""
    body = b'{"query": "{viewer{id}}", "variables": {"x": [%b{}]}}' % (b"{}," * 690_000)
    tell(await _send(place, post(place, body)))


async def _large_body(place: str, tell: Tell) -> None:
    head = f"POST /graphql HTTP/1.1\r\nHost: {place}\r\nContent-Type: application/json\r\n"
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    tell(await _send(place, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *[chunk] * 60))


def _many(part: Callable[[str], bytes]) -> Attack:
    """A hundred connections that begin and do not go on."""

    async def attack(place: str, tell: Tell) -> None:
        for each in await asyncio.gather(*(_send(place, part(place)) for _ in range(100))):
            tell(each)

    return attack


def _connect(place: str) -> connect:
    return connect(
        f"ws://{place}/graphql", subprotocols=[SUBPROTOCOL], compression=None, proxy=None
    )


async def _silence(place: str, tell: Tell) -> None:
    async def wait() -> None:
        async with _connect(place) as socket:
            tell(await _end_of(socket))

    await asyncio.gather(*(wait() for _ in range(40)))


async def _end_of(socket: ClientConnection) -> str:
    with suppress(ConnectionClosed):
        async for _ in socket:
            pass
    return str(socket.close_code)


async def _subscriptions(place: str, tell: Tell) -> None:
    """Ten thousand on one socket."""
    query = "subscription { daemonHeartbeats { daemonType } }"
    async with _connect(place) as socket:
        await socket.send('{"type":"connection_init"}')
        await socket.recv()

        async def send() -> None:
            for n in range(10_000):
                message = {"type": "subscribe", "id": str(n), "payload": {"query": query}}
                await socket.send(json.dumps(message))

        sending = asyncio.create_task(send())
        try:
            seen: set[str] = set()
            while len(seen) < 10_000:
                message = json.loads(await socket.recv())
                if message.get("id") not in seen:
                    seen.add(message["id"])
                    tell("served" if message["type"] == "next" else "refused")
        finally:
            sending.cancel()


async def _stalled(place: str, tell: Tell) -> None:
    """Asks for much on one connection, again and again, and reads nothing."""
    body = json.dumps({"query": "{ __schema { types { name description fields { name } } } }"})
    _, writer = await asyncio.open_connection(*host_and_port(place), limit=1 << 10)
    try:
        while True:
            writer.write(post(place, body.encode()))
            await writer.drain()
            tell("asked")
            await asyncio.sleep(0.005)
    finally:
        writer.transport.abort()


ATTACKS: dict[str, Attack] = {
    "fragments that double": _same(doubling()),
    "400 aliases": _same(_aliases(400)(0)),
    "280 aliases, other ones each time": _document(_aliases(280)),
    "400 directives": _same(_directives(400)(0)),
    "280 directives, elsewhere each time": _document(_directives(280)),
    "fields that are to be merged": _document(
        lambda made: f"{{runs{{nodes{{a{made}:runId {'job{name} ' * 400}}}}}}}"
    ),
    "the schema in the schema": _document(
        lambda made: (
            f"{{__schema{{types{{a{made}:name fields{{type{{fields{{type{{fields{{type{{name}}}}}}}}}}}}}}}}}}}}"
        )
    ),
    "deep JSON": _deep_json,
    "many values": _many_values,
    "bodies of 60 MiB": _large_body,
    "heads that do not end": _many(
        lambda place: f"POST /graphql HTTP/1.1\r\nHost: {place}\r\n".encode()
    ),
    "bodies that do not end": _many(lambda place: post(place, b"{" * 100)[:-50]),
    "init never sent": _silence,
    "10,000 subscriptions": _subscriptions,
    "a reader that stalls": _stalled,
}
"""By name."""


if __name__ == "__main__":
    asyncio.run(main())
