"""Followers that join at any moment, under writers that do not wait for them."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from contextlib import aclosing
from pathlib import Path

import pytest

from runwire.feed import RunFeed, RunTailBatch
from runwire.lanes import Lanes
from runwire.storage import InstanceStorage
from runwire.storages.sqlite import SqliteStorage
from tests.feed.conftest import Journal, MakeFeed, assert_seamless, follow, positions, take
from tests.feed.time_ordered import TimeOrderedLogs

WRITERS = 4
LINES = 300

WRITE_FROM_ANOTHER_PROCESS = """
import sys
from runwire.events.entry import EventLogEntry
from runwire.storages.sqlite import SqliteStorage

base_dir, writer, lines = sys.argv[1], sys.argv[2], int(sys.argv[3])
storage = SqliteStorage(base_dir)
record = storage.get_run_record("r1")
for line in range(lines):
    entry = EventLogEntry(run_id="r1", message=f"{writer}:{line}")
    storage.store_events("r1", [entry], known=record)
storage.dispose()
"""


def write_in_threads(journal: Journal) -> list[threading.Thread]:
    def write(writer: int) -> None:
        for line in range(LINES):
            journal.write(f"{writer}:{line}")

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    return threads


def write_in_processes(base_dir: Path) -> list[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", WRITE_FROM_ANOTHER_PROCESS, str(base_dir)]
    return [subprocess.Popen([*command, str(n), str(LINES)]) for n in range(WRITERS)]


async def join_while_writing(feed: RunFeed, journal: Journal) -> list[list[RunTailBatch]]:
    """Followers begin as another one sees more and more of the log; some begin in its middle."""
    chance = random.Random(7)
    moments = sorted(chance.sample(range(1, WRITERS * LINES), 15))
    followers = [asyncio.create_task(follow(feed, journal.record))]
    async with aclosing(feed.follow_run(journal.record, 0)) as pacemaker:
        async for batch in pacemaker:
            while moments and batch.to_position >= moments[0]:
                moments.pop(0)
                followers.append(asyncio.create_task(follow(feed, journal.record)))
            if batch.to_position == WRITERS * LINES:
                journal.finish()
    return list(await asyncio.gather(*followers))


def assert_every_line_once(batches: list[RunTailBatch]) -> None:
    """Each writer's lines came once each, in the order in which it wrote them."""
    messages = [record.message for batch in batches for record in batch.records]
    for writer in range(WRITERS):
        assert [m for m in messages if m.startswith(f"{writer}:")] == [
            f"{writer}:{line}" for line in range(LINES)
        ]


async def test_whoever_joins_under_fast_writers_gets_everything_once(
    feed: RunFeed, journal: Journal
) -> None:
    threads = write_in_threads(journal)
    streams = await join_while_writing(feed, journal)
    for thread in threads:
        thread.join()
    assert len(streams) == 16
    for batches in streams:
        assert_seamless(batches, 0, WRITERS * LINES + 1)
        assert_every_line_once(batches)


async def test_writers_in_other_processes_are_followed_the_same(
    tmp_path: Path, lanes: Lanes
) -> None:
    storage = SqliteStorage(tmp_path)
    journal = Journal(storage)
    feed = RunFeed(storage, lanes, poll_seconds=0.005)
    await feed.start()
    processes = write_in_processes(tmp_path)
    try:
        streams = await join_while_writing(feed, journal)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        await feed.close()
        storage.dispose()
    for batches in streams:
        assert_seamless(batches, 0, WRITERS * LINES + 1)
        assert_every_line_once(batches)


async def test_positions_from_a_time_ordered_read_lose_lines(
    storage: InstanceStorage, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with the order of timestamps in place of positions the same harness must fail."""
    journal = Journal(storage)
    logs = TimeOrderedLogs(storage.event_log_storage)
    for name in ("append", "get_records"):
        monkeypatch.setattr(storage.event_log_storage, name, getattr(logs, name))
    feed = RunFeed(storage, lanes, poll_seconds=0.001)
    await feed.start()
    threads = write_in_threads(journal)
    batches = []
    async with aclosing(feed.follow_run(journal.record, 0)) as stream:
        async for batch in stream:
            batches.append(batch)
            if batch.to_position == WRITERS * LINES:
                break
    for thread in threads:
        thread.join()
    await feed.close()
    assert_seamless(batches, 0, WRITERS * LINES)  # it looks well …
    with pytest.raises(AssertionError):
        assert_every_line_once(batches)  # … and is not


async def test_a_slow_follower_falls_behind_the_ring_and_misses_nothing(
    make_feed: MakeFeed, journal: Journal
) -> None:
    feed = make_feed(poll_seconds=0.005, ring_weight=50_000)
    await feed.start()
    slow = feed.follow_run(journal.record, 0)
    batches = [await anext(slow)]
    for _ in range(3):
        before = batches[-1].to_position
        journal.write_many(1000, size=400)
        quick = await take(feed, journal.record, 1, after=before + 999)
        assert positions(quick) in ([], [before + 1000])
        batches.append(await anext(slow))
    journal.finish()
    batches += [batch async for batch in slow]
    assert_seamless(batches, 0, 3001)
    (tail_weight,) = {feed._tails.weight}
    assert tail_weight == 0  # freed with its last follower


async def test_all_rings_together_are_bounded(
    make_feed: MakeFeed, storage: InstanceStorage
) -> None:
    feed = make_feed(poll_seconds=0.005, ring_weight=50_000, total_weight=120_000)
    await feed.start()
    journals = [Journal(storage, f"run{n}") for n in range(4)]
    streams = [feed.follow_run(journal.record, 0) for journal in journals]
    batches = {stream: [await anext(stream)] for stream in streams}
    for _ in range(3):
        for journal in journals:
            journal.write_many(500, size=100)
        for stream in streams:
            batches[stream].append(await anext(stream))
        assert feed._tails.weight <= 120_000
        assert feed._tails.weight == sum(t.weight for t in feed._tails._tails.values())
    for journal in journals:
        journal.finish()
    for stream in streams:
        batches[stream] += [batch async for batch in stream]
        assert_seamless(batches[stream], 0, 1501)
    assert feed._tails.weight == 0
