"""Followers of the instance-wide log of real storages: what they get, once and in order."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from runwire import clock
from runwire.errors import (
    CursorExpiredError,
    StorageDamagedError,
    StorageUnavailableError,
    UnavailableError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.filters import EventRecordsFilter
from runwire.events.types import RUN_EVENTS, EventType
from runwire.feed import InstanceFeed, InstanceTailBatch, Wanted
from runwire.lanes import Lanes
from runwire.runs import Run, RunStatus
from runwire.storage import HeadsWatch, InstanceEventKind, InstanceLogPage, InstanceStorage
from runwire.storages.memory import MemoryStorage
from runwire.storages.sqlite import SqliteStorage


@pytest.fixture(params=["memory", "sharded", "consolidated"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InstanceStorage]:
    made = (
        MemoryStorage()
        if request.param == "memory"
        else SqliteStorage(tmp_path, layout=request.param)
    )
    yield made
    made.dispose()


MakeFeed = Callable[..., InstanceFeed]

EVERYTHING = Wanted()


@pytest.fixture
async def make_feed(storage: InstanceStorage, lanes: Lanes) -> AsyncIterator[MakeFeed]:
    feeds: list[InstanceFeed] = []

    def make(**options: Any) -> InstanceFeed:
        feeds.append(InstanceFeed(storage, lanes, **{"poll_seconds": 0.002, **options}))
        return feeds[-1]

    yield make
    for feed in feeds:
        await feed.close()


@pytest.fixture
async def feed(make_feed: MakeFeed) -> InstanceFeed:
    made = make_feed()
    await made.start()
    return made


def add_run(storage: InstanceStorage, run_id: str, **values: Any) -> None:
    run = Run(**{"job_name": "job", "run_id": run_id, "managed": True, **values})
    storage.run_storage.add_run(run, created_at=clock.timestamp())


def finish(storage: InstanceStorage, run_id: str, message: str = "done") -> None:
    done = EventLogEntry(run_id=run_id, message=message, event_type=EventType.RUN_SUCCESS)
    storage.store_events(run_id, [done])


def add_runs(storage: InstanceStorage, first: int, last: int, **values: Any) -> None:
    for number in range(first, last + 1):
        add_run(storage, f"run-{number}", **values)


async def next_of(stream: AsyncIterator[InstanceTailBatch]) -> InstanceTailBatch:
    async with asyncio.timeout(60):
        return await anext(stream)


async def take_to(
    feed: InstanceFeed, to: int, after: int = 0, wanted: Wanted = EVERYTHING
) -> list[InstanceTailBatch]:
    """The batches that cover the log up to a position."""
    batches = []
    async with asyncio.timeout(60), aclosing(feed.follow_log(after, wanted)) as stream:
        async for batch in stream:
            batches.append(batch)
            if batch.to_position >= to:
                break
    return batches


def positions(batches: Sequence[InstanceTailBatch]) -> list[int]:
    return [entry.position for batch in batches for entry in batch.entries]


def assert_contiguous(batches: Sequence[InstanceTailBatch], after: int, last: int) -> None:
    """The ranges of the batches follow one another from a position up to another."""
    ends = [after, *(batch.to_position for batch in batches)]
    assert [batch.from_position for batch in batches] == ends[:-1]
    assert ends[-1] == last


async def test_the_first_batch_comes_at_once_even_when_there_is_nothing(
    feed: InstanceFeed, storage: InstanceStorage
) -> None:
    async with aclosing(feed.follow_log(0)) as stream:
        batch = await next_of(stream)
    log_id = storage.event_log_storage.get_instance_log_id()
    assert batch == InstanceTailBatch.of(log_id, (), {}, (0, 0), 0)
    assert batch.caught_up


async def test_history_and_what_comes_later_are_one_stream(
    feed: InstanceFeed, storage: InstanceStorage
) -> None:
    add_runs(storage, 1, 20)
    async with aclosing(feed.follow_log(0)) as stream:
        batches = [await next_of(stream)]
        assert batches[0].caught_up
        add_runs(storage, 21, 22)
        finish(storage, "run-22")
        while batches[-1].to_position < 23:
            batches.append(await next_of(stream))
    assert_contiguous(batches, 0, 23)
    assert positions(batches) == list(range(1, 24))
    assert batches[-1].runs["run-22"].status is RunStatus.SUCCESS
    assert {entry.kind for entry in batches[0].entries} == {InstanceEventKind.RUN_CREATED}


async def test_it_starts_after_the_position_that_was_given(
    feed: InstanceFeed, storage: InstanceStorage
) -> None:
    add_runs(storage, 1, 9)
    batches = await take_to(feed, 9, after=6)
    assert_contiguous(batches, 6, 9)
    assert positions(batches) == [7, 8, 9]


async def test_a_run_that_was_deleted_is_not_among_the_runs(
    feed: InstanceFeed, storage: InstanceStorage
) -> None:
    add_runs(storage, 1, 2)
    storage.delete_run("run-1")
    (batch,) = await take_to(feed, 3)
    assert set(batch.runs) == {"run-2"}
    assert batch.entries[-1].kind is InstanceEventKind.RUN_DELETED


@pytest.mark.parametrize("is_live", [True, False])
async def test_only_what_is_wanted_comes_and_the_ranges_cover_the_rest(
    feed: InstanceFeed, storage: InstanceStorage, is_live: bool
) -> None:
    wanted = Wanted(
        frozenset({InstanceEventKind.EVENT}),
        EventRecordsFilter(event_types=RUN_EVENTS, job_names=frozenset({"wanted"})),
    )

    def write() -> None:
        for number in range(1, 11):
            name = "wanted" if number % 5 == 0 else "other"
            add_run(storage, f"run-{number}", job_name=name)
            finish(storage, f"run-{number}")

    if not is_live:
        write()
    async with aclosing(feed.follow_log(0, wanted)) as stream:
        batches = [await next_of(stream)]
        if is_live:
            write()
        while batches[-1].to_position < 20:
            batches.append(await next_of(stream))
    assert_contiguous(batches, 0, 20)
    assert positions(batches) == [10, 20]


async def test_what_is_rare_is_sought_in_stretches(
    feed: InstanceFeed, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.feed.instance_reads._SCANNED", 4)
    add_runs(storage, 1, 9)
    finish(storage, "run-3")
    batches = await take_to(feed, 10, wanted=Wanted(frozenset({InstanceEventKind.EVENT})))
    assert [(b.from_position, b.to_position) for b in batches] == [(0, 4), (4, 8), (8, 10)]
    assert [b.caught_up for b in batches] == [False, False, True]
    assert positions(batches) == [10]


async def test_large_entries_are_read_in_small_batches(
    feed: InstanceFeed, storage: InstanceStorage
) -> None:
    for number in range(12):
        add_run(storage, f"run-{number}")
        finish(storage, f"run-{number}", "x" * 60_000)
    batches = await take_to(feed, 24)
    assert positions(batches) == list(range(1, 25))
    assert len(batches) > 1
    assert max(batch.weight for batch in batches) < 512 * 1024


async def test_two_live_followers_share_one_poll_and_one_read(
    feed: InstanceFeed, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs, opened, reads = storage.event_log_storage, list[HeadsWatch](), list[Any]()
    open_heads, get_event_records = logs.open_heads, logs.get_event_records

    def opening() -> HeadsWatch:
        opened.append(open_heads())
        return opened[-1]

    def reading(*args: Any, **options: Any) -> InstanceLogPage:
        reads.append(options)
        return get_event_records(*args, **options)

    monkeypatch.setattr(logs, "open_heads", opening)
    streams = [feed.follow_log(0) for _ in range(10)]
    for stream in streams:
        await next_of(stream)
    monkeypatch.setattr(logs, "get_event_records", reading)
    add_run(storage, "run-1")
    found = [await next_of(stream) for stream in streams]
    assert len(opened) == 1
    assert len([options for options in reads if options.get("limit") != 1]) == 1
    assert [positions([batch]) for batch in found] == [[1]] * 10
    for stream in streams:
        await stream.aclose()


async def test_nothing_is_held_while_nobody_follows(
    feed: InstanceFeed, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs, closed = storage.event_log_storage, threading.Event()
    open_heads = logs.open_heads

    def opening() -> HeadsWatch:
        watch = open_heads()
        close = watch.close

        def closing() -> None:
            close()
            closed.set()

        monkeypatch.setattr(watch, "close", closing, raising=False)
        return watch

    monkeypatch.setattr(logs, "open_heads", opening)
    first, second = (feed.follow_log(0) for _ in range(2))
    await next_of(first)
    await next_of(second)
    add_run(storage, "run-1")
    await next_of(first)
    await first.aclose()
    assert len(feed._keepers) == 1
    await second.aclose()
    assert feed._tail is None
    assert await asyncio.to_thread(closed.wait, 30)


async def test_an_empty_batch_tells_from_time_to_time_that_nothing_is_missing(
    make_feed: MakeFeed, storage: InstanceStorage
) -> None:
    feed = make_feed(checkpoint_seconds=0.02)
    await feed.start()
    add_run(storage, "run-1")
    async with aclosing(feed.follow_log(0)) as stream:
        batches = [await next_of(stream) for _ in range(4)]
    assert positions(batches) == [1]
    spans = [(b.from_position, b.to_position, b.caught_up) for b in batches[1:]]
    assert spans == [(1, 1, True)] * 3


async def test_a_slow_follower_falls_behind_the_ring_and_misses_nothing(
    make_feed: MakeFeed, storage: InstanceStorage
) -> None:
    feed = make_feed(ring_weight=20_000)
    await feed.start()
    async with aclosing(feed.follow_log(0)) as slow, aclosing(feed.follow_log(0)) as quick:
        batches = [await next_of(slow)]
        seen = await next_of(quick)
        for turn in range(3):
            add_runs(storage, turn * 60 + 1, turn * 60 + 60)
            while seen.to_position < turn * 60 + 60:
                seen = await next_of(quick)
            tail = feed._tail
            assert tail is not None
            assert tail.weight <= 20_000
            assert batches[-1].to_position < tail.start
            batches.append(await next_of(slow))
        while batches[-1].to_position < 180:
            batches.append(await next_of(slow))
    assert_contiguous(batches, 0, 180)
    assert positions(batches) == list(range(1, 181))


async def test_whoever_joins_while_many_write_gets_every_position_once(
    feed: InstanceFeed, storage: InstanceStorage
) -> None:
    """Followers join at random, and drop and go on by their last position."""
    writers, turns = 4, 15
    total = writers * turns * 3

    def write(writer: int) -> None:
        for turn in range(turns):
            run_id = f"run-{writer}-{turn}"
            add_run(storage, run_id)
            finish(storage, run_id)
            storage.delete_run(run_id)

    async def follow(seed: int) -> list[InstanceTailBatch]:
        chance, batches, position = random.Random(seed), list[InstanceTailBatch](), 0
        await asyncio.sleep(chance.random() * 0.5)
        while position < total:
            async with aclosing(feed.follow_log(position)) as stream:
                for _ in range(chance.randrange(1, 6)):
                    batches.append(await next_of(stream))
                    position = batches[-1].to_position
                    if position == total:
                        break
        return batches

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    streams = await asyncio.gather(*(follow(seed) for seed in range(12)))
    for thread in threads:
        thread.join()
    for batches in streams:
        assert_contiguous(batches, 0, total)
        assert positions(batches) == list(range(1, total + 1))


async def test_what_was_purged_cannot_be_followed(
    feed: InstanceFeed, storage: InstanceStorage
) -> None:
    add_runs(storage, 1, 9)
    storage.event_log_storage.purge_instance_log(5)
    place = await feed.place()
    assert (place.purged_position, place.head) == (5, 9)
    assert positions(await take_to(feed, 9, after=5)) == [6, 7, 8, 9]
    async with aclosing(feed.follow_log(4)) as stream:
        with pytest.raises(CursorExpiredError):
            await next_of(stream)


async def test_a_follower_whose_next_entry_is_purged_learns_it(
    make_feed: MakeFeed, storage: InstanceStorage
) -> None:
    feed = make_feed(ring_weight=0)
    await feed.start()
    async with aclosing(feed.follow_log(0)) as slow:
        await next_of(slow)
        add_runs(storage, 1, 4)
        await take_to(feed, 4, after=3)
        storage.event_log_storage.purge_instance_log(3)
        with pytest.raises(CursorExpiredError):
            await next_of(slow)


async def test_a_storage_that_does_not_answer_is_asked_again(
    feed: InstanceFeed, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_runs(storage, 1, 3)
    logs = storage.event_log_storage
    for name in ("get_event_records", "get_instance_log_span", "open_heads"):
        monkeypatch.setattr(logs, name, fails_twice(getattr(logs, name)))
    async with aclosing(feed.follow_log(0)) as stream:
        batches = [await next_of(stream)]
        add_run(storage, "run-4")
        batches.append(await next_of(stream))
    assert positions(batches) == [1, 2, 3, 4]


def fails_twice(call: Callable[..., Any]) -> Callable[..., Any]:
    failures = [StorageUnavailableError("locked")] * 2

    def failing(*args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return call(*args, **options)

    return failing


async def test_a_storage_that_is_damaged_ends_every_stream_and_the_next_begins_anew(
    feed: InstanceFeed, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = [feed.follow_log(0) for _ in range(2)]
    for stream in streams:
        await next_of(stream)

    def damaged(*args: Any, **options: Any) -> None:
        raise StorageDamagedError("the file is damaged")

    with monkeypatch.context() as patch:
        patch.setattr(storage.event_log_storage, "get_event_records", damaged)
        add_run(storage, "run-1")
        for stream in streams:
            with pytest.raises(StorageDamagedError):
                await next_of(stream)
    assert positions(await take_to(feed, 1)) == [1]


async def test_a_hole_is_never_passed_over(
    make_feed: MakeFeed, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = make_feed(give_up_seconds=0.1)
    await feed.start()
    logs = storage.event_log_storage
    get_event_records = logs.get_event_records

    def holed(*args: Any, **options: Any) -> InstanceLogPage:
        page = get_event_records(*args, **options)
        return InstanceLogPage(page.records[1:], page.has_more)

    async with aclosing(feed.follow_log(0)) as stream:
        await next_of(stream)
        add_runs(storage, 1, 3)
        monkeypatch.setattr(logs, "get_event_records", holed)
        with pytest.raises(StorageUnavailableError, match="hole after position"):
            await next_of(stream)


async def test_a_log_that_went_back_ends_the_stream(
    feed: InstanceFeed, storage: InstanceStorage
) -> None:
    add_runs(storage, 1, 3)
    async with aclosing(feed.follow_log(0)) as stream:
        await next_of(stream)
        tail = feed._tail
        assert tail is not None
        with pytest.raises(StorageUnavailableError, match="reached 3 before"):
            tail.see_head(2)


async def test_a_feed_that_does_not_run_refuses_and_one_that_ends_says_so(
    make_feed: MakeFeed,
) -> None:
    feed = make_feed()
    with pytest.raises(UnavailableError):
        await next_of(feed.follow_log(0))
    await feed.start()
    stream = feed.follow_log(0)
    await next_of(stream)
    await feed.close()
    with pytest.raises(UnavailableError):
        await next_of(stream)
    await feed.close()
