"""The feed: one tail per watched run, and followers who read on from any position.

Catching up and being live are one path. A follower attaches to the tail first. While its position lies
before what the tail's ring covers, it reads storage up to there; then it goes on from the ring. One that
falls behind the ring reads storage again, by its own position. Positions are dense, so each hand-over
proves itself: what follows must begin at the next position. A follower has no queue, it asks when it is
ready; so the rings are all the memory that following takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from runwire.errors import UnavailableError
from runwire.feed.batch import PAGE_RECORDS, RunTailBatch, cut
from runwire.feed.reads import LogReads
from runwire.feed.ring import MAX_WEIGHT
from runwire.feed.tail import Tail
from runwire.feed.tails import Tails
from runwire.lanes import Lanes
from runwire.runs.run import RunRecord
from runwire.storage import InstanceStorage, LogHead

_CATCH_UP_READS = 2
"""How many pages are asked for at once, so that live tails never wait for long."""


class RunFeed:
    """Follows runs. All of it belongs to one event loop.

    Attributes:
        catch_up_reads: how many pages followers read from storage, because no ring had what they wanted.

    Args:
        storage: where runs and logs are.
        lanes: where storages are called.
        poll_seconds: how often the heads of all watched logs are polled, at once.
        checkpoint_seconds: after how long without a batch a follower gets an empty one.
        give_up_seconds: for how long a storage is asked again that does not answer, or whose log has a
            hole.
        ring_weight: the most bytes that one tail keeps.
        total_weight: the most bytes that all tails keep.
    """

    def __init__(
        self,
        storage: InstanceStorage,
        lanes: Lanes,
        *,
        poll_seconds: float = 0.025,
        checkpoint_seconds: float = 15.0,
        give_up_seconds: float = 30.0,
        ring_weight: int = MAX_WEIGHT,
        total_weight: int = 64 * MAX_WEIGHT,
    ) -> None:
        logs = storage.event_log_storage
        self._logs = logs
        self._lanes = lanes
        self._checkpoint_seconds = checkpoint_seconds
        self._reads = LogReads(storage, lanes, give_up_seconds)
        self._pages = asyncio.Semaphore(_CATCH_UP_READS)
        self.catch_up_reads = 0
        self._tails = Tails(
            logs,
            lanes,
            self._reads,
            poll_seconds=poll_seconds,
            refresh_seconds=checkpoint_seconds,
            ring_weight=ring_weight,
            total_weight=total_weight,
        )
        self._polling: asyncio.Task[None] | None = None

    @property
    def tails(self) -> int:
        """How many runs are followed."""
        return len(self._tails)

    @property
    def ring_bytes(self) -> int:
        """What the rings of all tails hold."""
        return self._tails.weight

    async def start(self) -> None:
        """Gets ready to follow runs. Harmless when called twice."""
        if self._polling is None:
            self._polling = asyncio.create_task(self._tails.run(), name="poll of heads")

    async def close(self) -> None:
        """Ends; whoever follows a run gets an UnavailableError. Harmless when called twice or early."""
        polling, self._polling = self._polling, None
        if polling is None:
            return
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await self._tails.close(_not_running())

    async def head(self, record: RunRecord) -> LogHead:
        """The end of a run's log as it is now."""
        return await self._lanes.catch_up(self._logs.get_head, record)

    async def follow_run(self, record: RunRecord, after: int) -> AsyncGenerator[RunTailBatch, None]:
        """Every record of a run's log after a position, once and in order, those to come as well.

        The first batch comes at once, an empty one if nothing follows yet; so does another empty one
        whenever `checkpoint_seconds` pass without. Each begins where the one before ended. The stream ends
        when the head is covered, and with it the applied terminal event of the run.

        Args:
            record: the run.
            after: the position after which to start, not beyond the head.

        Raises:
            RunNotFoundError: the run was deleted.
            StorageUnavailableError: the storage did not answer for long, or the log is damaged.
            UnavailableError: the feed is not running.
        """
        if self._polling is None:
            raise _not_running()
        loop = asyncio.get_running_loop()
        tail = self._tails.attach(record)
        try:
            while not tail.is_open:
                tail.raise_failure()
                await tail.wait_change()
            position, due, limit = after, 0.0, PAGE_RECORDS
            while not (due and tail.has_ended_at(position)):
                batch = await self._next_batch(tail, position, due, limit)
                if batch is None:
                    continue
                if batch.from_position != position:
                    raise RuntimeError(f"the batch next to {position} is {batch.from_position}")
                yield batch
                position, due = batch.to_position, loop.time() + self._checkpoint_seconds
                # Where records are so large that a batch takes few, reading a whole page is in vain.
                limit = min(PAGE_RECORDS, 2 * max(1, len(batch.records)))
        finally:
            self._tails.detach(tail)

    async def _next_batch(
        self, tail: Tail, position: int, due: float, limit: int
    ) -> RunTailBatch | None:
        """What follows a position; None when that has to be asked again."""
        tail.raise_failure()
        if position < tail.start:
            return await self._catch_up(tail, position, limit)
        batch = tail.batch_after(position)
        if batch is None and not await tail.wait_change(due):
            return tail.checkpoint(position)
        return batch

    async def _catch_up(self, tail: Tail, position: int, limit: int) -> RunTailBatch:
        self.catch_up_reads += 1
        limit = min(limit, tail.start - position)
        async with self._pages:
            page = await self._reads.page(tail.run, position, limit)
        return tail.page_after(position, page.run, next(cut(page.records, limit)))


def _not_running() -> UnavailableError:
    return UnavailableError(
        "the feed of events is not running; the server is starting or shutting down"
    )
