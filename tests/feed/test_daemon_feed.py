"""The statuses of the daemons, live: at once, on each change, one poll for all, the latest for who is slow."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from runwire import clock
from runwire.daemons.status import DaemonState, DaemonStatus
from runwire.error_info import ErrorInfo
from runwire.errors import StorageDamagedError, StorageUnavailableError, UnavailableError
from runwire.feed import DaemonFeed
from runwire.instance import Instance
from runwire.lanes import Lanes
from runwire.storage import DaemonHeartbeat
from tests.daemons.ticks_off import need_monitoring_only


def status(
    daemon_type: str = "MONITORING", state: DaemonState = DaemonState.RUNNING, lease: float = 1.0
) -> DaemonStatus:
    return DaemonStatus(
        daemon_type=daemon_type,
        required=True,
        healthy=state is DaemonState.RUNNING,
        state=state,
        last_heartbeat=None,
        standbys=(),
        lease_expires_at=lease,
    )


class Daemons:
    """What the feed reads instead of an instance's storage: what a test says, and how often."""

    def __init__(self) -> None:
        self.statuses = [status()]
        self.error: Exception | None = None
        self.reads = 0
        self._has_read = threading.Condition()

    def read(self, instance: Instance) -> list[DaemonStatus]:
        with self._has_read:
            self.reads += 1
            self._has_read.notify_all()
        if self.error is not None:
            raise self.error
        return list(self.statuses)

    async def wait_for_reads(self, count: int = 2) -> None:
        """Waits until what was set before must have been read."""
        wanted = self.reads + count
        assert await asyncio.to_thread(self._wait_for, wanted)

    def _wait_for(self, wanted: int) -> bool:
        with self._has_read:
            return self._has_read.wait_for(lambda: self.reads >= wanted, 30)


@pytest.fixture
def daemons(monkeypatch: pytest.MonkeyPatch) -> Daemons:
    made = Daemons()
    monkeypatch.setattr("runwire.feed.daemon_feed.daemon_statuses", made.read)
    return made


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance.ephemeral(tmp_path) as made:
        yield made


@pytest.fixture
async def feed(instance: Instance, lanes: Lanes, daemons: Daemons) -> AsyncIterator[DaemonFeed]:
    made = DaemonFeed(instance, lanes, poll_seconds=0.001, give_up_seconds=0.2)
    await made.start()
    yield made
    await made.close()


async def take(statuses: AsyncIterator[DaemonStatus], count: int = 1) -> list[DaemonStatus]:
    async with asyncio.timeout(30):
        return [await anext(statuses) for _ in range(count)]


async def test_every_daemon_comes_at_once_and_again_when_it_changed(
    feed: DaemonFeed, daemons: Daemons
) -> None:
    daemons.statuses = [status(), status("OTHER")]
    async with aclosing(feed.follow_daemons()) as statuses:
        assert await take(statuses, 2) == daemons.statuses
        stale = status("OTHER", DaemonState.STALE)
        daemons.statuses = [status(), stale]
        assert await take(statuses) == [stale]


async def test_what_did_not_change_is_not_sent_again(feed: DaemonFeed, daemons: Daemons) -> None:
    async with aclosing(feed.follow_daemons()) as statuses:
        await take(statuses)
        waiting = asyncio.ensure_future(anext(statuses))
        await daemons.wait_for_reads(5)
        assert not waiting.done()
        daemons.statuses = [status(lease=2.0)]
        assert await asyncio.wait_for(waiting, 30) == status(lease=2.0)


async def test_who_reads_slowly_gets_the_latest_of_each_and_nothing_piles_up(
    feed: DaemonFeed, daemons: Daemons
) -> None:
    daemons.statuses = [status(lease=0), status("OTHER", lease=0)]
    async with aclosing(feed.follow_daemons()) as slow:
        assert await take(slow) == [status(lease=0)]
        for lease in range(1, 6):
            daemons.statuses = [status(lease=lease), status("OTHER", lease=lease)]
            await daemons.wait_for_reads()
        # The one that was not sent yet comes first, however often the other has changed.
        assert await take(slow, 2) == [status("OTHER", lease=5), status(lease=5)]


async def test_a_daemon_that_the_instance_ceases_to_know_is_passed_over(
    feed: DaemonFeed, daemons: Daemons
) -> None:
    daemons.statuses = [status(), status("OTHER")]
    async with aclosing(feed.follow_daemons()) as statuses:
        await take(statuses)
        daemons.statuses = [status(lease=2.0)]
        await daemons.wait_for_reads()
        assert await take(statuses) == [status(lease=2.0)]


async def test_one_poll_serves_all_and_stops_with_the_last(
    feed: DaemonFeed, daemons: Daemons
) -> None:
    assert daemons.reads == 0
    first, second = feed.follow_daemons(), feed.follow_daemons()
    await take(first)
    polling = feed._polling
    assert await take(second) == [status()]
    assert feed._polling is polling
    await first.aclose()
    await daemons.wait_for_reads()
    daemons.statuses = [status(lease=2.0)]
    assert await take(second) == [status(lease=2.0)]
    await second.aclose()
    assert polling is not None
    await asyncio.wait([polling], timeout=30)
    assert polling.cancelled()
    assert feed._polling is None


async def test_who_comes_after_all_have_left_gets_what_is_true_then(
    feed: DaemonFeed, daemons: Daemons
) -> None:
    async with aclosing(feed.follow_daemons()) as statuses:
        await take(statuses)
    daemons.statuses = [status(lease=2.0)]
    async with aclosing(feed.follow_daemons()) as statuses:
        assert await take(statuses) == [status(lease=2.0)]


async def test_a_storage_that_does_not_answer_for_a_moment_is_asked_again(
    instance: Instance, lanes: Lanes, daemons: Daemons, caplog: pytest.LogCaptureFixture
) -> None:
    feed = DaemonFeed(instance, lanes, poll_seconds=0.001)
    await feed.start()
    async with aclosing(feed.follow_daemons()) as statuses:
        await take(statuses)
        daemons.error = StorageUnavailableError("the file is locked")
        await daemons.wait_for_reads()
        daemons.statuses, daemons.error = [status(lease=2.0)], None
        assert await take(statuses) == [status(lease=2.0)]
    assert "the file is locked" in caplog.text
    await feed.close()


async def test_a_storage_that_stays_away_ends_the_streams_but_not_the_feed(
    feed: DaemonFeed, daemons: Daemons
) -> None:
    async with aclosing(feed.follow_daemons()) as one, aclosing(feed.follow_daemons()) as two:
        await take(one)
        await take(two)
        daemons.error = StorageUnavailableError("the file is locked")
        for statuses in (one, two):
            with pytest.raises(StorageUnavailableError, match="the file is locked"):
                await take(statuses)
        daemons.error = None
        async with aclosing(feed.follow_daemons()) as later:
            assert await take(later) == [status()]


async def test_a_damaged_storage_is_not_asked_again(feed: DaemonFeed, daemons: Daemons) -> None:
    daemons.error = StorageDamagedError("not a database")
    with pytest.raises(StorageDamagedError):
        await take(feed.follow_daemons())
    assert daemons.reads == 1


async def test_a_fault_ends_the_streams_and_is_logged(
    feed: DaemonFeed, daemons: Daemons, caplog: pytest.LogCaptureFixture
) -> None:
    daemons.error = ZeroDivisionError("a fault")
    with caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError):
        await take(feed.follow_daemons())
    assert "the poll of daemons failed" in caplog.text


async def test_a_feed_that_is_closed_ends_its_streams(feed: DaemonFeed) -> None:
    async with aclosing(feed.follow_daemons()) as statuses:
        await take(statuses)
        waiting = asyncio.ensure_future(anext(statuses))
        await asyncio.sleep(0)
        await feed.close()
        with pytest.raises(UnavailableError, match="the feed of daemons is not running"):
            await asyncio.wait_for(waiting, 30)
    await feed.close()


async def test_a_feed_that_is_not_running_refuses(instance: Instance, lanes: Lanes) -> None:
    feed = DaemonFeed(instance, lanes)
    await feed.close()
    with pytest.raises(UnavailableError, match="the feed of daemons is not running"):
        await take(feed.follow_daemons())


async def test_what_a_daemon_writes_is_told(instance: Instance, lanes: Lanes) -> None:
    """Nothing between the storage and the stream is made up."""
    need_monitoring_only(instance)
    storage = instance.storage.run_storage
    feed = DaemonFeed(instance, lanes, poll_seconds=0.001)
    await feed.start()
    async with aclosing(feed.follow_daemons()) as statuses:
        (first,) = await take(statuses)
        assert (first.daemon_type, first.state) == ("MONITORING", DaemonState.NOT_RUNNING)
        beat = heartbeat("one")
        storage.add_daemon_heartbeat(beat)
        (second,) = await take(statuses)
        assert (second.state, second.last_heartbeat) == (DaemonState.RUNNING, beat)
        failed = replace(beat, errors=(ErrorInfo("it broke"),))
        storage.add_daemon_heartbeat(failed)
        (third,) = await take(statuses)
        assert (third.state, third.last_heartbeat) == (DaemonState.ERRORING, failed)
    await feed.close()


def heartbeat(daemon_id: str) -> DaemonHeartbeat:
    now = clock.timestamp()
    return DaemonHeartbeat(
        daemon_type="MONITORING",
        daemon_id=daemon_id,
        hostname="here",
        timestamp=now,
        progress_at=now,
    )
