"""Followers of real storages: what they get, once and in order, and how their streams end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from runwire.errors import (
    RunNotFoundError,
    StorageDamagedError,
    StorageUnavailableError,
    UnavailableError,
)
from runwire.feed import RunFeed
from runwire.runs import RunStatus, StepCounts
from runwire.storage import EventLogPage, HeadsWatch, InstanceStorage, LogHead
from tests.feed.conftest import (
    Journal,
    MakeFeed,
    assert_seamless,
    follow,
    positions,
    take,
)


async def test_the_first_batch_comes_at_once_even_when_there_is_nothing(
    feed: RunFeed, journal: Journal
) -> None:
    (batch,) = await take(feed, journal.record, 1)
    assert (batch.records, batch.from_position, batch.to_position) == ((), 0, 0)
    assert (batch.head_position, batch.caught_up) == (0, True)
    assert batch.run == journal.record


async def test_a_run_that_has_ended_is_read_in_pages_and_then_complete(
    feed: RunFeed, journal: Journal
) -> None:
    journal.write_many(1500)
    journal.finish()
    batches = await follow(feed, journal.record)
    assert_seamless(batches, 0, 1501)
    assert max(len(batch.records) for batch in batches) <= 1000
    assert [batch.caught_up for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert {batch.head_position for batch in batches} == {1501}
    assert {batch.run.status for batch in batches} == {RunStatus.SUCCESS}


async def test_after_the_head_of_a_run_that_has_ended_comes_one_empty_batch(
    feed: RunFeed, journal: Journal
) -> None:
    journal.write("a")
    journal.finish()
    (batch,) = await follow(feed, journal.record, after=2)
    assert (batch.records, batch.from_position, batch.to_position) == ((), 2, 2)
    assert (batch.head_position, batch.caught_up) == (2, True)


async def test_it_starts_after_the_position_that_was_given(feed: RunFeed, journal: Journal) -> None:
    journal.write_many(20)
    journal.finish()
    assert_seamless(await follow(feed, journal.record, after=7), 7, 21)


async def test_what_came_after_the_terminal_event_is_sent_before_the_end(
    feed: RunFeed, journal: Journal
) -> None:
    journal.finish()
    journal.write("late")
    journal.finish()
    batches = await follow(feed, journal.record)
    assert_seamless(batches, 0, 3)
    assert [r.applied for batch in batches for r in batch.records] == [True, True, False]
    assert batches[-1].run.status is RunStatus.SUCCESS


async def test_history_and_what_comes_later_are_one_stream(feed: RunFeed, journal: Journal) -> None:
    journal.write_many(1200)
    batches = []
    async for batch in feed.follow_run(journal.record, 0):
        batches.append(batch)
        if batch.to_position == 1200:
            journal.write("live")
        elif batch.to_position == 1201:
            journal.finish()
    assert_seamless(batches, 0, 1202)
    assert batches[-1].run.status is RunStatus.SUCCESS


async def test_a_batch_carries_the_run_as_it_is_after_its_records(
    feed: RunFeed, journal: Journal, storage: InstanceStorage
) -> None:
    stream = feed.follow_run(journal.record, 0)
    before = await anext(stream)
    with storage.run_storage.hold_run("r1") as held:
        held.add_tags({"team": "a"})
    journal.finish()
    after = await anext(stream)
    assert [before.run.status, after.run.status] == [RunStatus.MANAGED, RunStatus.SUCCESS]
    assert after.run.run.tags == {"team": "a"}
    assert after.run == storage.get_run_record("r1")
    assert [batch async for batch in stream] == []


async def test_a_row_that_is_behind_its_log_is_folded_ahead(
    feed: RunFeed, journal: Journal, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write("a")
    journal.finish()
    ended = storage.get_run_record("r1")
    row = replace(journal.record, counts=StepCounts(planned=99))
    monkeypatch.setattr(storage.run_storage, "find_run_record", lambda run_id: row)
    (batch,) = await follow(feed, journal.record)
    assert replace(batch.run, counts=StepCounts()) == replace(ended, counts=StepCounts())
    assert batch.run.counts == storage.event_log_storage.get_run_stats(row)


async def test_two_live_followers_get_the_same_batch(feed: RunFeed, journal: Journal) -> None:
    one, other = (feed.follow_run(journal.record, 0) for _ in range(2))
    await asyncio.gather(anext(one), anext(other))
    journal.write("a")
    first, second = await asyncio.gather(anext(one), anext(other))
    assert first is second
    await one.aclose()
    await other.aclose()


async def test_live_batches_have_a_hundred_records_at_most(feed: RunFeed, journal: Journal) -> None:
    stream = feed.follow_run(journal.record, 0)
    batches = [await anext(stream)]
    journal.write(*("x" for _ in range(250)))
    journal.finish()
    batches += [batch async for batch in stream]
    assert_seamless(batches, 0, 251)
    assert max(len(batch.records) for batch in batches) <= 100


async def test_an_empty_batch_tells_from_time_to_time_that_nothing_is_missing(
    make_feed: MakeFeed, journal: Journal
) -> None:
    feed = make_feed(poll_seconds=0.005, checkpoint_seconds=0.02)
    await feed.start()
    journal.write("a")
    page, *empty = await take(feed, journal.record, 4)
    assert positions([page]) == [1]
    assert [(b.records, b.from_position, b.to_position) for b in empty] == [((), 1, 1)] * 3


async def test_a_follower_beyond_what_the_tail_has_read_waits_for_what_follows(
    feed: RunFeed, journal: Journal, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cursor may be newer than the last poll."""
    async with aclosing(feed.follow_run(journal.record, 0)) as other:
        await anext(other)
        journal.write("a", "b", "c")
        stream = feed.follow_run(journal.record, 2)
        journal.finish()
        assert_seamless([batch async for batch in stream], 2, 4)


async def with_records(stream: AsyncIterator[Any]) -> Any:
    """The next batch that has any."""
    while not (batch := await anext(stream)).records:
        pass
    return batch


@pytest.mark.parametrize("has_log", [True, False], ids=["with a log", "without a log"])
async def test_a_run_that_is_deleted_ends_its_streams(
    feed: RunFeed, journal: Journal, has_log: bool
) -> None:
    if has_log:
        journal.write("a")
    streams = [feed.follow_run(journal.record, 0) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    journal.delete()
    for stream in streams:
        # One that was just looking tells once more how far it is.
        with pytest.raises(RunNotFoundError):
            await with_records(stream)
    assert len(feed._tails) == 0


async def test_a_run_that_was_deleted_before_is_not_found(feed: RunFeed, journal: Journal) -> None:
    journal.write("a")
    journal.delete()
    with pytest.raises(RunNotFoundError):
        await follow(feed, journal.record)


async def test_a_run_that_is_made_anew_has_another_stream(
    feed: RunFeed, journal: Journal, storage: InstanceStorage
) -> None:
    journal.write("old", "old", "old")
    stream = feed.follow_run(journal.record, 0)
    await anext(stream)
    journal.delete()
    anew = Journal(storage)
    anew.write("new")
    anew.finish()
    batches = await follow(feed, anew.record)
    assert_seamless(batches, 0, 2)
    assert batches[0].records[0].message == "new"
    with pytest.raises(RunNotFoundError):
        await anext(stream)


async def test_a_stream_does_not_go_on_in_another_log_of_the_same_run_id(
    feed: RunFeed, journal: Journal, storage: InstanceStorage
) -> None:
    journal.write("old")
    stream = feed.follow_run(journal.record, 0)
    await anext(stream)
    journal.delete()
    Journal(storage).write("new", "new", "new")
    with pytest.raises(RunNotFoundError):
        await anext(stream)


async def test_the_tail_is_freed_when_its_last_follower_leaves(
    feed: RunFeed, journal: Journal
) -> None:
    first, second = (feed.follow_run(journal.record, 0) for _ in range(2))
    await asyncio.gather(anext(first), anext(second))
    assert len(feed._tails) == 1
    waiting: asyncio.Task[Any] = asyncio.create_task(anext(first))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert len(feed._tails) == 1
    await second.aclose()
    assert len(feed._tails) == 0


async def test_nothing_is_held_while_nothing_is_followed(
    feed: RunFeed, journal: Journal, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, closed, opened = asyncio.get_running_loop(), asyncio.Event(), []
    real = storage.event_log_storage.open_heads

    def open_heads() -> HeadsWatch:
        watch = real()
        opened.append(watch)
        close = watch.close

        def close_and_tell() -> None:
            close()
            loop.call_soon_threadsafe(closed.set)

        monkeypatch.setattr(watch, "close", close_and_tell, raising=False)
        return watch

    monkeypatch.setattr(storage.event_log_storage, "open_heads", open_heads)
    for _ in range(10):
        await asyncio.sleep(0)
    assert opened == []
    stream = feed.follow_run(journal.record, 0)
    await anext(stream)
    journal.write("a")
    await anext(stream)
    await stream.aclose()
    await closed.wait()
    assert len(opened) == 1


async def test_a_storage_that_does_not_answer_is_asked_again(
    feed: RunFeed, journal: Journal, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write_many(30)
    logs = storage.event_log_storage
    for name in ("get_records", "get_head", "open_heads"):
        monkeypatch.setattr(logs, name, fails_twice(getattr(logs, name)))
    stream = feed.follow_run(journal.record, 0)
    batches = [await anext(stream)]
    journal.finish()
    batches += [batch async for batch in stream]
    assert_seamless(batches, 0, 31)


def fails_twice(method: Any) -> Any:
    failures = iter([StorageUnavailableError("busy"), StorageUnavailableError("busy")])

    def call(*args: Any, **kwargs: Any) -> Any:
        for failure in failures:
            raise failure
        return method(*args, **kwargs)

    return call


async def test_a_hole_is_read_again(
    feed: RunFeed, journal: Journal, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write_many(30)
    journal.finish()
    real = storage.event_log_storage.get_records
    holes = iter([3, 0])

    def get_records(*args: Any, **kwargs: Any) -> EventLogPage:
        page = real(*args, **kwargs)
        for missing in holes:
            return EventLogPage([*page.records[:missing], *page.records[missing + 1 :]], False)
        return page

    monkeypatch.setattr(storage.event_log_storage, "get_records", get_records)
    assert_seamless(await follow(feed, journal.record), 0, 31)


async def test_a_hole_that_stays_ends_the_stream_with_an_error(
    make_feed: MakeFeed,
    journal: Journal,
    storage: InstanceStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = make_feed(give_up_seconds=0.1)
    await feed.start()
    journal.write_many(30)
    real = storage.event_log_storage.get_records
    monkeypatch.setattr(
        storage.event_log_storage,
        "get_records",
        lambda *a, **k: EventLogPage(real(*a, **k).records[1:], False),
    )
    with pytest.raises(StorageUnavailableError, match="a hole after position 0"):
        await follow(feed, journal.record)
    assert len(feed._tails) == 0


async def test_a_log_that_became_shorter_ends_the_stream_with_an_error(
    make_feed: MakeFeed,
    journal: Journal,
    storage: InstanceStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = make_feed(give_up_seconds=0.1, checkpoint_seconds=0.2)
    await feed.start()
    journal.write_many(30)
    stream = feed.follow_run(journal.record, 0)
    await anext(stream)
    monkeypatch.setattr(storage.event_log_storage, "get_head", lambda record: LogHead(20, None))
    with pytest.raises(StorageUnavailableError, match="ends at position 20, but reached 30"):
        async for _ in stream:
            pass


async def test_a_damaged_log_ends_the_stream_at_once(
    feed: RunFeed, journal: Journal, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_head(record: object) -> LogHead:
        raise StorageDamagedError("no")

    monkeypatch.setattr(storage.event_log_storage, "get_head", get_head)
    with pytest.raises(StorageDamagedError):
        await follow(feed, journal.record)


async def test_a_fault_of_the_feed_reaches_its_followers_and_the_log(
    feed: RunFeed,
    journal: Journal,
    storage: InstanceStorage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def get_head(record: object) -> LogHead:
        raise ZeroDivisionError

    monkeypatch.setattr(storage.event_log_storage, "get_head", get_head)
    with pytest.raises(ZeroDivisionError):
        await follow(feed, journal.record)
    assert "the tail of run r1 failed" in caplog.text


async def test_closing_ends_the_streams(feed: RunFeed, journal: Journal) -> None:
    stream = feed.follow_run(journal.record, 0)
    await anext(stream)
    waiting: asyncio.Task[Any] = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    await feed.close()
    with pytest.raises(UnavailableError):
        await waiting
    await feed.close()


async def test_a_feed_that_does_not_run_is_told(make_feed: MakeFeed, journal: Journal) -> None:
    feed = make_feed()
    await feed.close()
    with pytest.raises(UnavailableError, match="not running"):
        await follow(feed, journal.record)


async def test_the_head_is_as_it_is_now(feed: RunFeed, journal: Journal) -> None:
    journal.write("a", "b")
    assert await feed.head(journal.record) == LogHead(2, None)
    journal.finish()
    assert await feed.head(journal.record) == LogHead(3, 3)


async def test_catching_up_on_large_records_reads_about_what_it_sends(
    feed: RunFeed, journal: Journal, storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch takes few of them, so a whole page is read once and then no more."""
    journal.write_many(400, size=100_000)
    journal.finish()
    read: list[int] = []
    get_records = storage.event_log_storage.get_records

    def counted(*args: Any, **kwargs: Any) -> EventLogPage:
        page = get_records(*args, **kwargs)
        read.append(len(page.records))
        return page

    monkeypatch.setattr(storage.event_log_storage, "get_records", counted)
    batches = await follow(feed, journal.record)
    assert_seamless(batches, 0, 401)
    assert max(len(batch.records) for batch in batches) < 4
    assert sum(read) <= 401 + 2 * 401 + 10
