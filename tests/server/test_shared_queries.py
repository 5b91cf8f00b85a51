"""Queries that are the same, and come at the same time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from runwire.server import shared_queries
from runwire.server.shared_queries import SharedQueries


class Executions:
    """Executions that end when a test says so; each answers with its number."""

    def __init__(self) -> None:
        self.begun: list[asyncio.Future[int]] = []

    async def __call__(self) -> int:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.begun.append(future)
        return await future

    def end(self, number: int) -> None:
        self.begun[number].set_result(number)


@pytest.fixture
def executions() -> Executions:
    return Executions()


@pytest.fixture
def queries() -> SharedQueries[int]:
    return SharedQueries()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No query goes on because another is slow, unless a test wants it."""
    monkeypatch.setattr(shared_queries, "PATIENCE_SECONDS", 60.0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for knows of no events
            await asyncio.sleep(0.001)


def asking(
    queries: SharedQueries[int], execute: Callable[[], Awaitable[int]], key: object = "page"
) -> asyncio.Task[int]:
    return asyncio.create_task(queries.execute(key, execute))


async def test_who_comes_while_one_is_executed_waits_for_the_next_and_shares_it(
    queries: SharedQueries[int], executions: Executions
) -> None:
    first = asking(queries, executions)
    await until(lambda: executions.begun)
    late = [asking(queries, executions) for _ in range(7)]
    await asyncio.sleep(0.01)
    assert len(executions.begun) == 1
    executions.end(0)
    assert await first == 0
    await until(lambda: len(executions.begun) == 2)
    assert not any(each.done() for each in late)
    executions.end(1)
    assert await asyncio.gather(*late) == [1] * 7
    assert (queries.joined, len(queries)) == (6, 0)


async def test_another_query_waits_for_nobody(
    queries: SharedQueries[int], executions: Executions
) -> None:
    asked = [asking(queries, executions, key) for key in ("one", "two", "three")]
    await until(lambda: len(executions.begun) == 3)
    for number in range(3):
        executions.end(number)
    assert await asyncio.gather(*asked) == [0, 1, 2]
    assert queries.joined == 0


async def test_a_slow_one_keeps_nobody_waiting_for_long(
    queries: SharedQueries[int], executions: Executions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_queries, "PATIENCE_SECONDS", 0.01)
    slow = asking(queries, executions)
    await until(lambda: executions.begun)
    quick = asking(queries, executions)
    await until(lambda: len(executions.begun) == 2)
    executions.end(1)
    assert await quick == 1
    assert not slow.done()
    executions.end(0)
    assert await slow == 0
    assert len(queries) == 0


async def test_who_leaves_takes_nobody_along(
    queries: SharedQueries[int], executions: Executions
) -> None:
    first = asking(queries, executions)
    await until(lambda: executions.begun)
    leaving, staying = asking(queries, executions), asking(queries, executions)
    await asyncio.sleep(0)
    leaving.cancel()
    executions.end(0)
    assert await first == 0
    await until(lambda: len(executions.begun) == 2)
    executions.end(1)
    assert await staying == 1
    assert leaving.cancelled()


@pytest.mark.parametrize("is_begun", [True, False])
async def test_what_nobody_waits_for_ends(
    queries: SharedQueries[int], executions: Executions, is_begun: bool
) -> None:
    first = asking(queries, executions)
    await until(lambda: executions.begun)
    second = asking(queries, executions)
    await asyncio.sleep(0.01)
    (first if is_begun else second).cancel()
    await until(lambda: len(executions.begun) == 2 if is_begun else second.done())
    assert executions.begun[0].cancelled() is is_begun
    remaining = len(executions.begun) - 1
    executions.end(remaining)
    assert await (second if is_begun else first) == remaining
    assert len(queries) == 0


async def test_a_failure_is_told_to_all(queries: SharedQueries[int]) -> None:
    numbers = itertools.count()

    async def fail() -> int:
        await asyncio.sleep(0.01)
        raise ZeroDivisionError(next(numbers))

    asked = [asking(queries, fail) for _ in range(3)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(each) for each in results] == ["0", "0", "0"]
    assert len(queries) == 0
