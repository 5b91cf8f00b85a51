"""The poll of heads, with a watch that a test controls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import cast

import pytest

from runwire.errors import StorageUnavailableError
from runwire.feed.heads import HeadsPoll
from runwire.lanes import Lanes
from runwire.storage import EventLogStorage, HeadsWatch, LogHead


class FakeWatch(HeadsWatch):
    def __init__(self, calls: list[str]) -> None:
        self.calls = calls
        self.fails: list[Exception] = []
        self.watched: set[str] = set()

    def watch(self, run_id: str) -> None:
        self.calls.append(f"watch {run_id}")
        self.watched.add(run_id)

    def unwatch(self, run_id: str) -> None:
        self.calls.append(f"unwatch {run_id}")
        self.watched.remove(run_id)

    def poll(self) -> dict[str, LogHead]:
        self.calls.append("poll")
        if self.fails:
            raise self.fails.pop()
        return dict.fromkeys(self.watched, LogHead(1, None))

    def poll_instance_log(self) -> int | None:
        raise NotImplementedError

    def close(self) -> None:
        self.calls.append("close")
        self.watched.clear()


class Fixture:
    """A poll that runs, what it told, and what it asked of its watch; made anew by each `open`."""

    def __init__(self, lanes: Lanes) -> None:
        self.calls: list[str] = []
        self.watch = FakeWatch(self.calls)
        self.reports: asyncio.Queue[Mapping[str, LogHead]] = asyncio.Queue()
        logs = cast(EventLogStorage, self)
        self.poll = HeadsPoll(logs, lanes, 0.001, self.reports.put_nowait)

    def open_heads(self) -> HeadsWatch:
        self.calls.append("open")
        return self.watch

    async def until(self, call: str) -> None:
        while call not in self.calls:
            await self.reports.get()


@pytest.fixture
async def heads(lanes: Lanes) -> AsyncIterator[Fixture]:
    fixture = Fixture(lanes)
    task = asyncio.create_task(fixture.poll.run())
    yield fixture
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await fixture.poll.close()
    await fixture.poll.close()
    assert fixture.calls.count("close") == fixture.calls.count("open")


async def test_heads_are_told(heads: Fixture) -> None:
    heads.poll.watch("r1", "log1")
    assert await heads.reports.get() == {"r1": LogHead(1, None)}
    assert heads.calls[:3] == ["open", "watch r1", "poll"]


async def test_only_what_changed_is_watched_or_not_any_more(heads: Fixture) -> None:
    heads.poll.watch("r1", "log1")
    await heads.reports.get()
    heads.poll.watch("r2", "log2")
    await heads.until("watch r2")
    heads.poll.unwatch("r1")
    await heads.until("unwatch r1")
    assert [c for c in heads.calls if c != "poll"] == ["open", "watch r1", "watch r2", "unwatch r1"]


async def test_another_log_of_a_run_is_watched_anew(heads: Fixture) -> None:
    heads.poll.watch("r1", "log1")
    await heads.reports.get()
    heads.poll.watch("r1", "log2")
    await heads.until("unwatch r1")
    assert [c for c in heads.calls if c != "poll"] == ["open", "watch r1", "unwatch r1", "watch r1"]


@pytest.mark.parametrize("failure", [StorageUnavailableError("busy"), ZeroDivisionError()])
async def test_a_poll_that_fails_begins_anew(
    heads: Fixture, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.feed.heads._MAX_PAUSE_SECONDS", 0.01)
    heads.watch.fails = [failure]
    heads.poll.watch("r1", "log1")
    assert await heads.reports.get() == {"r1": LogHead(1, None)}
    once = ["open", "watch r1", "poll"]
    assert heads.calls[:7] == [*once, "close", *once]


async def test_a_head_of_a_log_that_is_not_watched_any_more_is_not_told(
    heads: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is watched in its place would seem to reach as far."""
    loop = asyncio.get_running_loop()

    def poll(_watch: FakeWatch) -> dict[str, LogHead]:
        monkeypatch.undo()
        asyncio.run_coroutine_threadsafe(replace(), loop).result()
        return {"r1": LogHead(9, None)}

    async def replace() -> None:
        heads.poll.watch("r1", "log2")

    monkeypatch.setattr(FakeWatch, "poll", poll)
    heads.poll.watch("r1", "log1")
    assert await heads.reports.get() == {"r1": LogHead(1, None)}
