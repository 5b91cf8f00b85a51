"""Streams that are executed once for all who ask for the same, over a log of numbers."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
import strawberry
from strawberry.types import Info

from runwire.api.access import Principal, Role
from runwire.api.context import Covered, OperationContext
from runwire.api.errors import PublicErrors
from runwire.api.schema import RunwireSchema
from runwire.errors import StorageUnavailableError
from runwire.server.cohorts import Cohorts
from runwire.server.operations import Answer, Operations
from runwire.server.requests import GraphQLRequest
from runwire.server.settings import Limits

ANN, BOB = Principal("ann", True), Principal("bob", True, expires_at=1e12)
VIEWER = Principal("ann", True, Role.VIEWER)
FOLLOW = "subscription F($after: String, $times: Int) { numbers(after: $after, times: $times) { since to items } }"


@dataclass(eq=False)
class Log:
    """What is followed, and what became of the streams that follow it."""

    items: list[int] = field(default_factory=list)
    is_over: bool = False
    fault: Exception | None = None
    open: int = 0
    executed: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, count: int = 1) -> None:
        self.items += range(len(self.items) + 1, len(self.items) + count + 1)
        self.wake()

    def end(self, fault: Exception | None = None) -> None:
        self.fault, self.is_over = fault, True
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def context(self, principal: Principal) -> LogContext:
        return LogContext(self, principal)


@dataclass(eq=False)
class LogContext(OperationContext):
    log: Log
    principal: Principal


LogInfo = Info[LogContext, None]


@strawberry.type
class Batch:
    start: strawberry.Private[int]
    end: strawberry.Private[int]
    times: strawberry.Private[int]

    @strawberry.field
    def since(self) -> int:
        return self.start

    @strawberry.field
    def to(self) -> int:
        return self.end

    @strawberry.field
    def items(
        self, info: LogInfo, as_: Annotated[str | None, strawberry.argument(name="as")] = None
    ) -> list[int]:
        info.context.log.executed += 1
        return [self.times * item for item in info.context.log.items[self.start : self.end]]


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "hello"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def numbers(
        self, info: LogInfo, after: str | None = None, times: int | None = None
    ) -> AsyncGenerator[Batch, None]:
        context, log = info.context, info.context.log
        log.open += 1
        try:
            position, first = int(context.resume_after or after or 0), True
            while True:
                if log.fault is not None:
                    raise log.fault
                # A page of history is at most ten items; what is live comes as it is.
                end = min(len(log.items), position + 10)
                if end > position or first:
                    batch = Batch(start=position, end=end, times=times or 1)
                    context.covered = Covered(str(end), end, end == len(log.items))
                    position, first = end, False
                    yield batch
                elif log.is_over:
                    return
                else:
                    await log.changed.wait()
        finally:
            log.open -= 1

    @strawberry.subscription
    async def plain(self) -> AsyncGenerator[int, None]:
        for n in range(3):
            yield n


SCHEMA = RunwireSchema(Query, None, Subscription, extensions=[PublicErrors])


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def cohorts(log: Log) -> Cohorts:
    return cohorts_of(log)


def cohorts_of(log: Log, max_bytes: int = 1024 * 1024) -> Cohorts:
    return Cohorts(Operations(SCHEMA, log.context, Limits()), max_bytes=max_bytes)


class Client:
    """Follows as fast as it may, checks that every message begins where the one before ended."""

    def __init__(
        self, cohorts: Cohorts, principal: Principal = ANN, query: str = FOLLOW, **variables: Any
    ) -> None:
        request = GraphQLRequest(query, variables, None)
        self.stream = cohorts.stream(request, principal)
        self.position = int(variables.get("after") or 0)
        self.items: list[int] = []
        self.answers: list[Answer] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with aclosing(self.stream) as answers:
            async for answer in answers:
                self.answers.append(answer)
                data = json.loads(answer.encoded).get("data")
                if data is not None and "numbers" in data:
                    assert data["numbers"]["since"] == self.position
                    self.position = data["numbers"]["to"]
                    self.items += data["numbers"]["items"]
                await self.may_read.wait()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - what is waited for depends on the order of steps
            await asyncio.sleep(0)


async def all_at(position: int, *clients: Client) -> None:
    await until(lambda: all(client.position == position for client in clients))


async def test_what_follows_is_executed_once_for_all(log: Log, cohorts: Cohorts) -> None:
    clients = [Client(cohorts) for _ in range(20)]
    await until(lambda: log.open == 1 and all(client.answers for client in clients))
    before = log.executed
    for n in range(1, 6):
        log.append()
        await all_at(n, *clients)
    assert log.executed == before + 5
    assert len(cohorts) == 1
    assert all(client.items == [1, 2, 3, 4, 5] for client in clients)
    # It is the same bytes that everybody is sent.
    assert len({id(client.answers[-1].encoded) for client in clients}) == 1


async def test_who_comes_late_catches_up_alone_and_joins(log: Log, cohorts: Cohorts) -> None:
    log.append(25)
    first = Client(cohorts)
    await all_at(25, first)
    second, third = Client(cohorts), Client(cohorts, after="12")
    await all_at(25, second, third)
    await until(lambda: log.open == 1)
    log.append()
    await all_at(26, first, second, third)
    assert second.items == first.items == log.items
    assert third.items == log.items[12:]
    assert first.answers[-1] is second.answers[-1] is third.answers[-1]


async def test_callers_of_one_role_share_a_cohort(log: Log, cohorts: Cohorts) -> None:
    clients = Client(cohorts, ANN), Client(cohorts, BOB)
    await until(lambda: cohorts.members == 2 and log.open == 1)
    log.append()
    await all_at(1, *clients)
    assert clients[0].answers[-1] is clients[1].answers[-1]


@pytest.mark.parametrize(
    "other",
    [
        {"principal": VIEWER},
        {"times": 2},
        {"query": FOLLOW.replace("since to", "to since")},
    ],
)
async def test_who_asks_for_something_else_has_another_cohort(
    log: Log, cohorts: Cohorts, other: dict[str, Any]
) -> None:
    clients = Client(cohorts), Client(cohorts, **other)
    await until(lambda: len(cohorts) == 2)
    log.append()
    await all_at(1, *clients)
    assert log.open == 2
    assert clients[1].items == [other.get("times", 1)]


@pytest.mark.parametrize(
    ("query", "streams"),
    [
        ("subscription($a: String) { numbers(after: $a) { since to items } }", 1),
        ("subscription($a: String) { numbers(after: $a) { since to items(as: $a) } }", 2),
        (
            "subscription($a: String) { ...N } fragment N on Subscription { numbers(after: $a) {since to items} }",
            2,
        ),
    ],
)
async def test_only_a_variable_that_says_where_to_start_is_no_part_of_what_is_asked(
    log: Log, cohorts: Cohorts, query: str, streams: int
) -> None:
    log.append(3)
    clients = Client(cohorts, query=query, a="2"), Client(cohorts, query=query, a="1")
    clients[0].position, clients[1].position = 2, 1
    await all_at(3, *clients)
    for _ in range(100):
        await asyncio.sleep(0)
    assert (log.open, len(cohorts)) == (streams, streams)


async def test_a_cohort_goes_on_without_the_one_who_began_it(log: Log, cohorts: Cohorts) -> None:
    first, second = Client(cohorts), Client(cohorts)
    await until(lambda: log.open == 1 and bool(second.answers))
    await first.leave()
    log.append()
    await all_at(1, second)
    assert log.open == 1
    await second.leave()
    await until(lambda: log.open == 0)
    assert len(cohorts) == 0


async def test_nothing_is_kept_of_those_who_come_and_go_while_nothing_happens(
    log: Log, cohorts: Cohorts
) -> None:
    first = Client(cohorts)
    await until(lambda: log.open == 1 and bool(first.answers))
    for _ in range(200):
        client = Client(cohorts)
        await until(lambda: cohorts.members == 2)
        await asyncio.sleep(0)
        await client.leave()
    (cohort,) = cohorts._cohorts.values()
    assert len(cohort._waiting) < 50
    log.append()
    await all_at(1, first)


async def test_everybody_leaves_at_once(log: Log, cohorts: Cohorts) -> None:
    clients = [Client(cohorts) for _ in range(5)]
    await until(lambda: log.open == 1)
    await asyncio.gather(*(client.leave() for client in clients))
    await until(lambda: log.open == 0)
    assert len(cohorts) == 0
    again = Client(cohorts)
    log.append()
    await all_at(1, again)


async def test_who_does_not_read_keeps_nobody_waiting_and_misses_nothing(log: Log) -> None:
    cohorts = cohorts_of(log, max_bytes=500)
    quick, slow = Client(cohorts), Client(cohorts)
    await until(lambda: log.open == 1 and bool(slow.answers))
    slow.may_read.clear()
    for n in range(1, 101):
        log.append()
        await all_at(n, quick)
    (cohort,) = cohorts._cohorts.values()
    assert sum(len(answer.encoded) for answer in cohort._messages) <= 500
    assert len(slow.items) < 5
    slow.may_read.set()
    await all_at(100, slow)
    assert slow.items == log.items
    # Having caught up, it is one of them again.
    await until(lambda: log.open == 1)
    log.append()
    await all_at(101, quick, slow)
    assert quick.answers[-1] is slow.answers[-1]


async def test_a_large_message_is_kept_for_all(log: Log) -> None:
    cohorts = cohorts_of(log, max_bytes=1)
    clients = Client(cohorts), Client(cohorts)
    await until(lambda: log.open == 1 and all(client.answers for client in clients))
    for n in range(1, 4):
        log.append()
        await all_at(n, *clients)


async def test_what_is_kept_does_not_grow_while_everybody_reads(log: Log, cohorts: Cohorts) -> None:
    client = Client(cohorts)
    for n in range(1, 101):
        log.append()
        await all_at(n, client)
    (cohort,) = cohorts._cohorts.values()
    assert len(cohort._messages) <= 20


async def test_the_end_is_the_end_for_all(log: Log, cohorts: Cohorts) -> None:
    clients = [Client(cohorts) for _ in range(3)]
    await until(lambda: log.open == 1 and all(client.answers for client in clients))
    log.append()
    log.end()
    await asyncio.gather(*(client.task for client in clients))
    assert all(client.items == [1] for client in clients)
    assert (len(cohorts), log.open) == (0, 0)


async def test_a_refusal_in_the_middle_is_told_to_all(log: Log, cohorts: Cohorts) -> None:
    clients = [Client(cohorts) for _ in range(3)]
    await until(lambda: log.open == 1 and all(client.answers for client in clients))
    log.end(StorageUnavailableError("the disk is full"))
    await asyncio.gather(*(client.task for client in clients))
    for client in clients:
        (error,) = json.loads(client.answers[-1].encoded)["errors"]
        assert error["message"] == "the disk is full"
    assert (len(cohorts), log.open) == (0, 0)


async def test_a_fault_is_logged_once_and_told_to_all(
    log: Log, cohorts: Cohorts, caplog: pytest.LogCaptureFixture
) -> None:
    clients = [Client(cohorts) for _ in range(3)]
    await until(lambda: log.open == 1 and all(client.answers for client in clients))
    log.end(ZeroDivisionError("a secret"))
    await asyncio.gather(*(client.task for client in clients))
    ids = set()
    for client in clients:
        (error,) = json.loads(client.answers[-1].encoded)["errors"]
        assert "a secret" not in json.dumps(error)
        ids.add(error["extensions"]["errorId"])
    assert len(ids) == 1
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_what_has_no_cursor_is_not_shared(cohorts: Cohorts) -> None:
    clients = [Client(cohorts, query="subscription { plain }") for _ in range(2)]
    await asyncio.gather(*(client.task for client in clients))
    for client in clients:
        assert [json.loads(answer.encoded)["data"]["plain"] for answer in client.answers] == [
            0,
            1,
            2,
        ]
    assert clients[0].answers[0] is not clients[1].answers[0]


async def test_queries_and_refused_requests_pass(cohorts: Cohorts) -> None:
    clients = [Client(cohorts, query=query) for query in ("{ hello }", "{ nothing }", "{")]
    await asyncio.gather(*(client.task for client in clients))
    assert clients[0].answers[0].payload == {"data": {"hello": "hello"}}
    assert not any(client.answers[0].was_executed for client in clients[1:])


@pytest.mark.parametrize("seed", range(10))
async def test_whoever_comes_and_goes_gets_each_item_once(seed: int, log: Log) -> None:
    chance = random.Random(seed)
    cohorts = cohorts_of(log, max_bytes=chance.choice([1, 200, 2000]))
    clients: list[Client] = []
    for _ in range(300):
        match chance.randrange(6):
            case 0 | 1:
                log.append(chance.randrange(1, 4))
            case 2:
                after = chance.randrange(len(log.items) + 1)
                clients.append(Client(cohorts, after=str(after)))
            case 3 if clients:
                await clients.pop(chance.randrange(len(clients))).leave()
            case 4 if clients:
                chance.choice(clients).may_read.clear()
            case 5 if clients:
                chance.choice(clients).may_read.set()
        for _ in range(chance.randrange(8)):
            await asyncio.sleep(0)
        assert not any(client.task.done() for client in clients)
    for client in clients:
        client.may_read.set()
    await all_at(len(log.items), *clients)
    # One message more, and all of them are at the same place.
    log.append()
    await all_at(len(log.items), *clients)
    await until(lambda: log.open <= 1)
    log.end()
    await asyncio.gather(*(client.task for client in clients))
    assert (len(cohorts), log.open) == (0, 0)
