"""Feeds on real storages, and what writes to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from runwire import clock
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.feed import RunFeed, RunTailBatch
from runwire.lanes import Lanes
from runwire.runs import Run, RunRecord
from runwire.storage import InstanceStorage
from runwire.storages.memory import MemoryStorage
from runwire.storages.sqlite import SqliteStorage


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InstanceStorage]:
    made = MemoryStorage() if request.param == "memory" else SqliteStorage(tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes()
    yield made
    made.close()


MakeFeed = Callable[..., RunFeed]


@pytest.fixture
async def make_feed(storage: InstanceStorage, lanes: Lanes) -> AsyncIterator[MakeFeed]:
    """Makes feeds with the options of RunFeed; the test starts them."""
    feeds: list[RunFeed] = []

    def make(**options: Any) -> RunFeed:
        feeds.append(RunFeed(storage, lanes, **options))
        return feeds[-1]

    yield make
    for feed in feeds:
        await feed.close()


@pytest.fixture
async def feed(make_feed: MakeFeed) -> RunFeed:
    made = make_feed(poll_seconds=0.005)
    await made.start()
    return made


class Journal:
    """One MANAGED run and its log."""

    def __init__(self, storage: InstanceStorage, run_id: str = "r1") -> None:
        self.storage = storage
        run = Run(job_name="job", run_id=run_id, managed=True)
        self.record, _ = storage.run_storage.add_run(run, created_at=clock.timestamp())

    def write(self, *messages: str, size: int = 0) -> None:
        """Logs lines."""
        self._store([EventLogEntry(run_id=self._id, message=m + "." * size) for m in messages])

    def write_many(self, count: int, *, size: int = 0) -> None:
        """Logs so many lines, 500 at a time."""
        for first in range(0, count, 500):
            self.write(*("x" for _ in range(first, min(first + 500, count))), size=size)

    def finish(self) -> None:
        """Ends the run."""
        done = EventLogEntry(run_id=self._id, message="done", event_type=EventType.RUN_SUCCESS)
        self._store([done])

    def delete(self) -> None:
        self.storage.delete_run(self._id)

    @property
    def _id(self) -> str:
        return self.record.run_id

    def _store(self, entries: Sequence[EventLogEntry]) -> None:
        self.storage.store_events(self._id, entries, known=self.record)


@pytest.fixture
def journal(storage: InstanceStorage) -> Journal:
    return Journal(storage)


async def follow(feed: RunFeed, record: RunRecord, after: int = 0) -> list[RunTailBatch]:
    """All batches of a run until its stream ends."""
    return [batch async for batch in feed.follow_run(record, after)]


async def take(feed: RunFeed, record: RunRecord, count: int, after: int = 0) -> list[RunTailBatch]:
    """The first batches of a run."""
    batches = []
    async with aclosing(feed.follow_run(record, after)) as stream:
        async for batch in stream:
            batches.append(batch)
            if len(batches) == count:
                break
    return batches


def positions(batches: Sequence[RunTailBatch]) -> list[int]:
    return [record.position for batch in batches for record in batch.records]


def assert_seamless(batches: Sequence[RunTailBatch], after: int, last: int) -> None:
    """Every position after one up to another came exactly once and in order, and each batch says so."""
    assert positions(batches) == list(range(after + 1, last + 1))
    ends = [after, *(batch.to_position for batch in batches)]
    assert [batch.from_position for batch in batches] == ends[:-1]
    assert ends[-1] == last
