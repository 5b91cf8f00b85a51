"""Documents are read once, beside the event loop, and each source within its allowance."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from graphql import graphql_sync

from runwire.server import document_check
from runwire.server.allowance import Allowance
from runwire.server.document_check import BusyError, DocumentRefusedError, Documents
from runwire.server.settings import Limits
from tests.server.conftest import SCHEMA, LiveServer, ServeTry, greet, hear, subscribe

STRICT = {"accept": "application/graphql-response+json"}


class CountedDocuments(Documents):
    """Tells where documents were read, and which."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits or Limits(), SCHEMA._schema)
        self.read_in: list[tuple[str, threading.Thread]] = []

    def _examine(self, text: str) -> document_check.Document | DocumentRefusedError:
        self.read_in.append((text, threading.current_thread()))
        return super()._examine(text)

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.read_in]


@pytest.fixture
async def documents() -> AsyncIterator[CountedDocuments]:
    made = CountedDocuments()
    yield made
    made.close()


async def test_a_document_is_read_once_beside_the_loop_for_all_who_send_it(
    documents: CountedDocuments,
) -> None:
    await asyncio.gather(*(documents.learn("{hello}", f"source {n % 2}") for n in range(100)))
    await documents.learn("{hello}", "a")
    assert documents.texts == ["{hello}"]
    assert documents.read_in[0][1] is not threading.current_thread()
    assert documents.read("{hello}").parsed.definitions


@pytest.mark.parametrize("text", ["{", "{nothing}", "{" + "hello " * 51 + "}"])
async def test_a_document_that_is_refused_is_not_read_again(
    documents: CountedDocuments, text: str
) -> None:
    await documents.learn(text, "a")
    for _ in range(3):
        with pytest.raises(DocumentRefusedError) as told:
            documents.read(text)
        assert told.value.errors[0]["message"]
    assert documents.texts == [text]


async def test_what_is_longer_than_a_document_may_be_is_neither_read_nor_remembered() -> None:
    documents = CountedDocuments(Limits(document_chars=10))
    await documents.learn("{hello}" + "," * 10, "a")
    with pytest.raises(DocumentRefusedError, match="more than 10 characters"):
        documents.read("{hello}" + "," * 10)
    assert documents.texts == []
    assert not documents._known


async def test_what_is_remembered_is_bounded_in_bytes(
    documents: CountedDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_check, "_MAX_KNOWN_BYTES", 20_000)
    for n in range(10):
        await documents.learn(f"query Q{n} {{hello}}", "a")
    assert 0 < documents._weight <= 20_000
    assert len(documents._known) == 2  # of seven tokens, a beginning and an end among them
    await documents.learn("query Q9 {hello}", "a")
    await documents.learn("query Q0 {hello}", "a")
    assert documents.texts[-2:] == ["query Q9 {hello}", "query Q0 {hello}"]


async def test_who_has_too_much_read_waits_or_is_refused_and_others_are_not(
    documents: CountedDocuments,
) -> None:
    documents._allowance.spend("a", 0.5 + 0.15 * 100)
    with pytest.raises(BusyError) as told:
        await documents.learn("{hello}", "a")
    assert told.value.retry_after_seconds == 100
    await documents.learn("{hello}", "b")
    await documents.learn("{hello}", "a")  # it is known by now
    assert documents.texts == ["{hello}"]


async def test_so_many_documents_of_a_source_wait_at_once(documents: CountedDocuments) -> None:
    async def learn(n: int) -> bool:
        try:
            await documents.learn(f"query Q{n} {{hello}}", "a")
        except BusyError:
            return False
        return True

    told = await asyncio.gather(*(learn(n) for n in range(30)))
    assert told == [True] * 20 + [False] * 10
    assert documents.texts == [f"query Q{n} {{hello}}" for n in range(20)]
    assert not documents._turns
    assert not documents._reading


async def test_who_leaves_keeps_nobody_waiting(documents: CountedDocuments) -> None:
    documents._allowance.spend("a", 0.5 + 0.15 * 2)
    leaving = asyncio.create_task(documents.learn("{hello}", "a"))
    await asyncio.sleep(0)
    staying = asyncio.create_task(documents.learn("{hello}", "b"))
    await asyncio.sleep(0)
    leaving.cancel()
    async with asyncio.timeout(30):
        await staying
    assert documents.texts == ["{hello}"]


BUSY = (
    "you send more documents that are new here than are read in time; use variables for what differs,"
    " or try again in 100 s"
)


async def test_every_transport_tells_who_sends_too_many_that_are_not_known(
    serve_try: ServeTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Allowance, "seconds_left", lambda *_: 100.0)
    monkeypatch.setattr("runwire.server.operations.Refusals.hold_back", _at_once)
    server = serve_try()
    error = {"message": BUSY, "extensions": {"code": "RATE_LIMITED"}}

    def refused() -> None:
        posted = server.post("{hello}", headers=STRICT)
        assert (posted.status_code, posted.json()) == (429, {"errors": [error]})
        got = server.request("GET", params={"query": "mutation{touch}"})
        assert (got.status_code, got.json()) == (429, {"errors": [{"message": BUSY}]})
        assert posted.headers["retry-after"] == got.headers["retry-after"] == "100"
        streamed = server.post("{hello}", headers={"accept": "text/event-stream"})
        assert '"code":"RATE_LIMITED"' in streamed.text

    await asyncio.to_thread(refused)
    async with server.connect() as socket:
        await greet(socket)
        await subscribe(socket, "{hello}")
        assert await hear(socket) == {"id": "1", "type": "error", "payload": [error]}
    assert server.contexts == []


async def _at_once(*_: object, **__: object) -> None:
    pass


SCHEMA_QUERIES = [
    "{__schema{types{name}}}",
    'query A {__schema{queryType{...F}} b: __type(name: "Query"){...F}} fragment F on __Type{name}',
    "{...F} fragment F on Query{__schema{queryType{name}}}",
    "{__schema{queryType{name}} hello}",
]


@pytest.mark.parametrize("text", SCHEMA_QUERIES)
async def test_the_schema_is_told_the_same_whoever_asks(server: LiveServer, text: str) -> None:
    told = graphql_sync(SCHEMA._schema, text.replace(" hello}", "}")).data
    assert told is not None
    if " hello}" in text:
        told = {**told, "hello": "hello"}
    for _ in range(2):
        answer = await asyncio.to_thread(server.post, text, headers=STRICT)
        assert (answer.status_code, answer.json()) == (200, {"data": told})
    async with server.connect() as socket:
        await greet(socket)
        await subscribe(socket, text)
        assert await hear(socket) == {"id": "1", "type": "next", "payload": {"data": told}}
        assert await hear(socket) == {"id": "1", "type": "complete"}


def test_a_type_is_told_by_variables_and_wrong_ones_are_refused(server: LiveServer) -> None:
    text = "query($name: String!) {__type(name: $name){name}}"
    for name in ("Query", "Mutation", "Query"):
        answer = server.post(text, variables={"name": name}, headers=STRICT)
        assert answer.json() == {"data": {"__type": {"name": name}}}
    for _ in range(2):
        answer = server.post(text, variables={"name": 5}, headers=STRICT)
        assert answer.status_code == 400
        (error,) = answer.json()["errors"]
        assert error["message"].startswith("Variable '$name' has invalid value")
