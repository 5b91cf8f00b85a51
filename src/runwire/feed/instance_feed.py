"""The feed of the instance-wide log: one tail for however many follow it, from any position.

It works as the feed of runs does (`runwire.feed.run_feed`): a follower reads storage up to where the ring begins,
goes on from the ring, and reads storage again should it fall behind. The ring has every entry. What is read
from storage is filtered there already, so that a follower that wants little catches up quickly.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator

from runwire.errors import (
    CursorExpiredError,
    RunwireError,
    UnavailableError,
)
from runwire.feed.batch import PAGE_RECORDS, cut
from runwire.feed.instance_batch import InstanceTailBatch, Wanted
from runwire.feed.instance_reads import InstanceLogPlace, InstanceLogReads, InstancePage
from runwire.feed.instance_tail import InstanceTail
from runwire.feed.patient_reads import PatientReads
from runwire.feed.ring import MAX_WEIGHT
from runwire.lanes import Lanes
from runwire.storage import EventLogStorage, HeadsWatch, InstanceStorage

logger = logging.getLogger(__name__)

_CATCH_UP_READS = 2
"""How many pages are asked for at once, so that the live tail never waits for long."""

_WAIT_SECONDS = 0.5
"""How long the poll waits for the head to move until it lets others have its lane."""

_EVERYTHING = Wanted()


class InstanceFeed:
    """Follows the instance-wide log while anybody listens. All of it belongs to one event loop.

    Attributes:
        catch_up_reads: how many pages followers read from storage, because the ring did not have what they wanted.

    Args:
        storage: whose log.
        lanes: where storages are called.
        poll_seconds: how often the head of the log is polled.
        checkpoint_seconds: after how long without a batch a follower gets an empty one.
        give_up_seconds: for how long a storage is asked again that does not answer, or whose log has a
            hole.
        ring_weight: the most bytes that the tail keeps.
    """

    def __init__(
        self,
        storage: InstanceStorage,
        lanes: Lanes,
        *,
        poll_seconds: float = 0.04,
        checkpoint_seconds: float = 15.0,
        give_up_seconds: float = 30.0,
        ring_weight: int = 4 * MAX_WEIGHT,
    ) -> None:
        self.checkpoint_seconds = checkpoint_seconds
        self._logs = storage.event_log_storage
        self._lanes = lanes
        self._poll_seconds = poll_seconds
        self._ring_weight = ring_weight
        self._reads = InstanceLogReads(storage, lanes, give_up_seconds)
        self._news = PatientReads(lanes, give_up_seconds, waits=True)
        self._pages = asyncio.Semaphore(_CATCH_UP_READS)
        self.catch_up_reads = 0
        self._tail: InstanceTail | None = None
        self._keepers: dict[InstanceTail, asyncio.Task[None]] = {}
        self._is_running = False

    async def start(self) -> None:
        """Gets ready to follow the log. Harmless when called twice."""
        self._is_running = True

    async def close(self) -> None:
        """Ends; whoever follows gets an UnavailableError. Harmless when called twice or early."""
        self._is_running = False
        keepers = list(self._keepers.values())
        if self._tail is not None:
            self._drop(self._tail, _not_running())
        await asyncio.gather(*keepers, return_exceptions=True)

    async def place(self) -> InstanceLogPlace:
        """Which log it is, and what it spans now."""
        return await self._reads.place()

    async def follow_log(
        self, after: int, wanted: Wanted = _EVERYTHING
    ) -> AsyncGenerator[InstanceTailBatch, None]:
        """The wanted entries of the log after a position, once and in order, those to come as well, for ever.

        The first batch comes at once, an empty one if nothing follows yet; so does another empty one
        whenever `checkpoint_seconds` pass without. Each begins where the one before ended, whether its entries
        are wanted or not.

        Args:
            after: the position after which to start, not beyond the head.
            wanted: which entries the batches have.

        Raises:
            CursorExpiredError: what follows the position was purged.
            StorageUnavailableError: the storage did not answer for long, or the log is damaged.
            UnavailableError: the feed is not running.
        """
        if not self._is_running:
            raise _not_running()
        loop = asyncio.get_running_loop()
        tail = self._attach()
        try:
            while not tail.is_open:
                tail.raise_failure()
                await tail.wait_change()
            position, due, limit = after, 0.0, PAGE_RECORDS
            while True:
                batch = await self._next_batch(tail, position, wanted, due, limit)
                if batch is None:
                    continue
                if batch.from_position != position:
                    raise RuntimeError(f"the batch next to {position} is {batch.from_position}")
                yield batch
                position, due = batch.to_position, loop.time() + self.checkpoint_seconds
                # Where entries are so large that a batch takes few, reading a whole page is in vain.
                limit = min(PAGE_RECORDS, 2 * max(PAGE_RECORDS // 20, len(batch.entries)))
        finally:
            self._detach(tail)

    async def _next_batch(
        self, tail: InstanceTail, position: int, wanted: Wanted, due: float, limit: int
    ) -> InstanceTailBatch | None:
        """What follows a position; None when that has to be asked again."""
        tail.raise_failure()
        if position < tail.start:
            return await self._catch_up(tail, position, wanted, limit)
        batch = tail.batch_after(position)
        if batch is None:
            return None if await tail.wait_change(due) else tail.checkpoint(position)
        return batch.only(wanted)

    async def _catch_up(
        self, tail: InstanceTail, position: int, wanted: Wanted, limit: int
    ) -> InstanceTailBatch:
        self.catch_up_reads += 1
        async with self._pages:
            page = await self._reads.wanted(wanted, position, tail.start, limit)
        piece = next(cut(page.entries, limit), ())
        if len(piece) < len(page.entries):
            page = InstancePage(piece, page.runs, piece[-1].position)
        return tail.page_after(position, page)

    def _attach(self) -> InstanceTail:
        if self._tail is None:
            tail = self._tail = InstanceTail(self._ring_weight)
            keeping = self._keep(tail)
            self._keepers[tail] = asyncio.create_task(keeping, name="tail of the instance-wide log")
        self._tail.followers += 1
        return self._tail

    def _detach(self, tail: InstanceTail) -> None:
        tail.followers -= 1
        if not tail.followers:
            self._drop(tail)

    def _drop(self, tail: InstanceTail, error: Exception | None = None) -> None:
        """Ends a tail; harmless when it has ended already."""
        if tail is not self._tail:
            return
        self._tail = None
        if error is not None:
            tail.fail(error)
        keeper = self._keepers[tail]
        if keeper is not asyncio.current_task():
            keeper.cancel()

    async def _keep(self, tail: InstanceTail) -> None:
        """Keeps a tail at the head of the log, until it is dropped or fails."""
        poll = _HeadPoll(self._logs, self._poll_seconds)
        try:
            tail.open(await self._reads.place())
            while True:
                head = await self._news.read(poll.wait_moved)
                if head is None:
                    continue
                tail.see_head(head)
                while tail.is_behind:
                    await self._read_on(tail)
                # What moves all the time is read in batches, not entry by entry.
                await asyncio.sleep(self._poll_seconds)
        except RunwireError as error:
            self._drop(tail, error)
        except Exception as error:
            logger.exception("the tail of the instance-wide log failed")
            self._drop(tail, error)
        finally:
            poll.stop()
            del self._keepers[tail]
            await self._lanes.watch(poll.close)

    async def _read_on(self, tail: InstanceTail) -> None:
        try:
            page = await self._reads.all(tail.end, PAGE_RECORDS)
        except CursorExpiredError:
            # It was purged before it was read: whoever follows learns that from its own position.
            tail.open(await self._reads.place())
        else:
            tail.append(page)


class _HeadPoll:
    """The one poll of the head of the log. Synchronous: runs in the lane for what waits, one call at a time."""

    def __init__(self, logs: EventLogStorage, seconds: float) -> None:
        self._logs = logs
        self._seconds = seconds
        self._lock = threading.Lock()
        self._is_stopped = threading.Event()
        self._watch: HeadsWatch | None = None

    def wait_moved(self) -> int | None:
        """The head of the log once it has moved; None when it did not for a while. The first call tells it."""
        end = time.monotonic() + _WAIT_SECONDS
        with self._lock:
            while True:
                head = self._poll()
                if head is not None or time.monotonic() >= end:
                    return head
                if self._is_stopped.wait(self._seconds):
                    return None

    def stop(self) -> None:
        """Has a call that waits return; may be called from anywhere."""
        self._is_stopped.set()

    def close(self) -> None:
        """Frees the watch. Harmless when called twice."""
        with self._lock:
            self._free()

    def _poll(self) -> int | None:
        if self._watch is None:
            self._watch = self._logs.open_heads()
        try:
            return self._watch.poll_instance_log()
        except BaseException:
            self._free()  # its state is not known; the next poll begins anew
            raise

    def _free(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()


def _not_running() -> UnavailableError:
    return UnavailableError(
        "the feed of the instance-wide log is not running; the server is starting or shutting down"
    )
