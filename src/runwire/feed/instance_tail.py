"""The state of the instance-wide log while somebody follows it: its ring, its head, and who waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from runwire.errors import StorageUnavailableError
from runwire.feed.batch import LIVE_RECORDS, cut
from runwire.feed.instance_batch import InstanceTailBatch
from runwire.feed.instance_reads import InstanceLogPlace, InstancePage
from runwire.feed.ring import Ring


class InstanceTail:
    """The live end of the instance-wide log.

    One task writes it, any number of followers read it. Until it is open nothing is known of the log; once
    it has failed, it stays so, and a follower that comes later gets another tail.
    """

    def __init__(self, ring_weight: int) -> None:
        self.followers = 0
        self.is_open = False
        self.log_id = ""
        self.head = 0
        self._ring: Ring[InstanceTailBatch] = Ring(0, ring_weight)
        self._ring_weight = ring_weight
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    @property
    def start(self) -> int:
        """The position after which the ring covers the log; what lies before is read from storage."""
        return self._ring.start

    @property
    def end(self) -> int:
        """The last position that was read."""
        return self._ring.end

    @property
    def weight(self) -> int:
        """What the ring holds, in bytes."""
        return self._ring.weight

    def open(self, place: InstanceLogPlace) -> None:
        """Begins at the head of the log."""
        self.log_id, self.head = place.log_id, place.head
        self._ring = Ring(place.head, self._ring_weight)
        self.is_open = True
        self._notify()

    @property
    def is_behind(self) -> bool:
        """Whether the log is known to reach further than was read."""
        return self.head > self.end

    def see_head(self, head: int) -> None:
        """Takes note of how far the log reaches.

        Raises:
            StorageUnavailableError: it reached further before.
        """
        if head < self.end:
            raise StorageUnavailableError(
                f"the instance-wide log ends at position {head}, but reached {self.end} before; it was wiped,"
                " or its storage was put back to an earlier state"
            )
        self.head = head

    def append(self, page: InstancePage) -> None:
        """Adds the entries that follow its end, in batches, with the runs as they are after them."""
        self.head = max(self.head, page.to_position)
        for piece in cut(page.entries, LIVE_RECORDS):
            run_ids = {entry.run_id for entry in piece}
            runs = {run_id: page.runs[run_id] for run_id in run_ids if run_id in page.runs}
            span = self.end, piece[-1].position
            self._ring.append(InstanceTailBatch.of(self.log_id, piece, runs, span, self.head))
        self._notify()

    def fail(self, error: Exception) -> None:
        """Ends it: every follower gets the error."""
        self._error = error
        self._notify()

    def raise_failure(self) -> None:
        """Raises the error that ended it, if one did."""
        if self._error is not None:
            raise self._error

    def batch_after(self, position: int) -> InstanceTailBatch | None:
        """What follows a position that the ring covers; None while nothing does."""
        batch = self._ring.batch_after(position)
        if batch is None or not batch.caught_up or batch.to_position >= self.head:
            return batch
        return replace(batch, head_position=self.head, caught_up=False)

    def page_after(self, position: int, page: InstancePage) -> InstanceTailBatch:
        """A batch of what was read from storage."""
        span = position, page.to_position
        return InstanceTailBatch.of(self.log_id, page.entries, page.runs, span, self.head)

    def checkpoint(self, position: int) -> InstanceTailBatch:
        """An empty batch, which tells that the log is covered up to a position."""
        return InstanceTailBatch.of(self.log_id, (), {}, (position, position), self.head)

    async def wait_change(self, deadline: float | None = None) -> bool:
        """Waits until a follower has to look again; False when the deadline comes first.

        The deadline is by the clock of the event loop.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
