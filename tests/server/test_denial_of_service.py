"""What is sent to take the server down: each is refused or bounded, and others are answered meanwhile."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from runwire.server import operations
from runwire.server.settings import Limits
from tests.server.conftest import LiveServer, ServeTry, closed, greet, hear, subscribe

STRICT = {"accept": "application/graphql-response+json"}
GENEROUS_SECONDS = 20
"""Far more than an answer takes, and far less than what is attacked here would."""


def answered(server: LiveServer) -> None:
    """Another client is answered in time."""
    begun = time.monotonic()
    assert server.post("{hello}").json() == {"data": {"hello": "hello"}}
    assert time.monotonic() - begun < GENEROUS_SECONDS


def raw(server: LiveServer) -> socket.socket:
    host, port = server.authority.split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def resident_bytes() -> int:
    """The memory of this process, which the server runs in."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def everything(client: socket.socket) -> bytes:
    received = b""
    while chunk := client.recv(1 << 16):
        received += chunk
    return received


def doubling(count: int, leaf: str) -> str:
    """Fragments that spread the next one twice."""
    parts = [f"fragment F{n} on Query{{...F{n + 1} ...F{n + 1}}}" for n in range(count)]
    return f"{{...F0}} {' '.join(parts)} fragment F{count} on Query{{{leaf}}}"


DOCUMENTS = {
    "doubling fragments": (doubling(60, "a:hello"), "has more than 50 aliases"),
    "doubling fields": (doubling(60, "hello"), "begins with more than 50 fields"),
    "doubling directives": (
        "{me{...F0}}" + doubling(60, "hello @include(if: true)").split("}", 1)[1],
        "has more than 50 directives",
    ),
    "a fragment in itself": (
        "{...A} fragment A on Query{...B} fragment B on Query{...A}",
        "Cannot spread fragment 'A' within itself via 'B'.",
    ),
    "aliases": ("{" + " ".join(f"a{n}:hello" for n in range(400)) + "}", "more than 50 aliases"),
    "directives": ("{hello" + " @include(if:true)" * 100 + "}", "more than 50 directives"),
    "unknown directives": ("{hello" + " @x" * 900 + "}", "more than 50 directives"),
    "fields": ("{" + "hello " * 1900 + "}", "begins with more than 50 fields"),
    "tokens": ("{" + "hello " * 9_000 + "}", "more than 2000 tokens"),
    "characters": ("{hello}" + "," * 65_536, "more than 65536 characters"),
    "fields that are to be merged": (
        "{me{" + "me{hello} " * 320 + "}}",
        "repeats fields or fragments too often",
    ),
    "fragments that are to be merged": (
        "{me{" + "...F " * 160 + "}} fragment F on Query{hello}",
        "repeats fields or fragments too often",
    ),
    "depth": ("{me" * 100 + "{hello}" + "}" * 100, "nests deeper than 15 levels"),
    "depth without end": ("{me" * 900 + "{hello}" + "}" * 900, "nested too deeply"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_document_that_would_explode_is_refused(server: LiveServer, name: str) -> None:
    document, problem = DOCUMENTS[name]
    begun = time.monotonic()
    answer = await asyncio.to_thread(server.post, document, headers=STRICT)
    assert time.monotonic() - begun < GENEROUS_SECONDS
    assert answer.status_code == 400
    assert "data" not in answer.json()
    assert problem in answer.json()["errors"][0]["message"]
    async with server.connect() as socket:
        await greet(socket)
        if len(document) < 60_000:  # else the message is larger than one may be
            await subscribe(socket, document)
            message = await hear(socket)
            assert message["type"] == "error"
            assert problem in message["payload"][0]["message"]
    answered(server)


@pytest.mark.parametrize("member", ["variables", "extensions"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_that_nests_without_end_is_refused(
    server: LiveServer, member: str, opening: str, closing: str
) -> None:
    deep = opening * 10_000 + "1" + closing * 10_000
    body = '{"query": "{hello}", "%s": {"x": %s}}' % (member, deep)  # noqa: UP031 - braces
    headers = {**STRICT, "content-type": "application/json"}
    answer = server.request("POST", content=body, headers=headers)
    assert answer.status_code == 400
    assert "nested too deeply" in answer.json()["errors"][0]["message"]
    answered(server)


@pytest.mark.parametrize("value", ["{}", "[]", "1", '"a"', '"\\"\\\\"', '{"a":1}'])
def test_a_body_of_many_values_is_refused_before_it_is_decoded(
    server: LiveServer, value: str
) -> None:
    headers = {**STRICT, "content-type": "application/json"}
    body = '{"query": "{hello}", "variables": {"x": [%s]}}'
    answer = server.request("POST", content=body % ",".join([value] * 30_000), headers=headers)
    assert answer.status_code == 400
    problem = "the body has more than 25000 values of JSON; send less at once"
    assert answer.json() == {"errors": [{"message": problem}]}
    answer = server.request("POST", content=body % ",".join([value] * 12_000), headers=headers)
    assert answer.json() == {"data": {"hello": "hello"}}


@pytest.mark.parametrize("text", [",[{" * 30_000, '\\",[{' * 30_000, "\\\\"])
def test_what_is_in_a_text_is_no_value(server: LiveServer, text: str) -> None:
    body = '{"query": "{hello}", "variables": {"x": "%s"}}'
    headers = {**STRICT, "content-type": "application/json"}
    answer = server.request("POST", content=body % text, headers=headers)
    assert answer.json() == {"data": {"hello": "hello"}}


async def test_who_is_refused_often_waits_for_it_and_others_do_not(
    serve_try: ServeTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "_REFUSALS_AT_ONCE", 2)
    monkeypatch.setattr(operations, "_REFUSALS_PER_SECOND", 1)
    server = serve_try()
    told: list[str] = []

    async def ask(name: str, query: str, **headers: str) -> None:
        answer = await asyncio.to_thread(server.post, query, headers={**STRICT, **headers})
        assert answer.status_code == (200 if query == "{hello}" else 400)
        told.append(name)

    await ask("first", "{")
    await ask("second", "{nothing}")
    held = asyncio.create_task(ask("third", "{nothing}"))
    await asyncio.sleep(0.1)
    await ask("good", "{hello}")
    await held
    assert told == ["first", "second", "good", "third"]


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_body_of_60_mib_is_refused_and_not_kept(server: LiveServer, is_declared: bool) -> None:
    answered(server)
    before = resident_bytes()
    with raw(server) as client:
        head = f"POST /graphql HTTP/1.1\r\nHost: {server.authority}\r\nContent-Type: application/json\r\n"
        size = "Content-Length: 62914560" if is_declared else "Transfer-Encoding: chunked"
        client.sendall(f"{head}{size}\r\n\r\n".encode())
        part = b" " * (1 << 20)
        framed = part if is_declared else b"%x\r\n%b\r\n" % (len(part), part)
        try:
            for _ in range(60):
                client.sendall(framed)
            told = everything(client)
        except (BrokenPipeError, ConnectionResetError):
            told = b""  # it was cut off before it had read why
    assert told == b"" or told.startswith(b"HTTP/1.1 413 ")
    gc.collect()
    assert resident_bytes() - before < 30 * 1024 * 1024
    answered(server)


def test_heads_and_bodies_that_never_end_are_cut_off(serve_try: ServeTry) -> None:
    server = serve_try(Limits(head_seconds=1.0, body_seconds=1.0))
    head = f"POST /graphql HTTP/1.1\r\nHost: {server.authority}\r\n"
    body = f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    with ExitStack() as stack:
        clients = []
        for text in ("", "POST", head, body) * 25:
            clients.append((text, stack.enter_context(raw(server))))
            clients[-1][1].sendall(text.encode())
        answered(server)
        for _, client in clients:
            assert everything(client).startswith(b"HTTP/1.1 408 ")
    answered(server)


async def test_sockets_that_never_say_who_they_are_are_closed(serve_try: ServeTry) -> None:
    server = serve_try(Limits(init_seconds=1.0, connections=50))
    sockets = [await server.connect() for _ in range(50)]
    await asyncio.to_thread(answered, server)
    for each in sockets:
        assert await closed(each) == (4408, "Connection initialisation timeout")
    async with server.connect() as other:
        await greet(other)


async def test_ten_thousand_subscriptions_on_one_socket_are_bounded(serve_try: ServeTry) -> None:
    server = serve_try(Limits(operations=100))
    many, told = 10_000, {"next": 0, "error": 0}
    async with server.connect() as socket, server.connect() as other:
        await greet(socket)
        await greet(other)

        async def send() -> None:
            for n in range(many):
                await subscribe(socket, "subscription { forever }", str(n))

        sending = asyncio.create_task(send())
        while sum(told.values()) < 200:
            message = await hear(socket)
            told[message["type"]] += 1
            if message["type"] == "error":
                problem = "at most 100 operations run at once on one socket"
                assert message["payload"] == [{"message": problem}]
            if sum(told.values()) == 110:
                await subscribe(other, "{ hello }")
                assert (await hear(other))["payload"] == {"data": {"hello": "hello"}}
        assert await closed(socket) == (4429, "Too many operations: 100 were refused")
        await asyncio.gather(sending, return_exceptions=True)
    assert told == {"next": 100, "error": 100}
    for _ in range(100):
        assert await asyncio.to_thread(server.ended.get, timeout=60) == "forever"


async def test_a_reader_that_stalls_costs_no_more_than_its_share(serve_try: ServeTry) -> None:
    server = serve_try(Limits(stall_seconds=1.0))
    body = json.dumps({"query": "subscription { flood }"})
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {server.authority}\r\nContent-Type: application/json\r\n"
    )
    await asyncio.to_thread(answered, server)
    before = resident_bytes()
    with raw(server) as client:
        length = f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(f"{head}{length}{body}".encode())
        await asyncio.to_thread(answered, server)
        assert await asyncio.to_thread(server.ended.get, timeout=60) == "flood"
        assert resident_bytes() - before < 60 * 1024 * 1024
    await asyncio.to_thread(answered, server)
