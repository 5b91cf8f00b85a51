"""The state of one followed run: its ring, its head, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from runwire.events.entry import EventLogRecord
from runwire.events.types import TERMINAL_RUN_EVENTS
from runwire.feed.batch import LIVE_RECORDS, RunTailBatch, cut, is_contiguous
from runwire.feed.ring import MAX_WEIGHT, Ring
from runwire.runs.run import RunRecord
from runwire.storage import LogHead


class Tail:
    """The live end of one run's log.

    One task writes it, any number of followers read it. Until it is open nothing is known of the log; once
    it has failed, it stays so, and a follower that comes later gets another tail.
    """

    def __init__(self, record: RunRecord, ring_weight: int = MAX_WEIGHT) -> None:
        self.run = record
        self.followers = 0
        self.is_open = False
        self._error: Exception | None = None
        self._ring: Ring[RunTailBatch] = Ring(0, ring_weight)
        self._ring_weight = ring_weight
        self._head = LogHead(0, None)
        self._changed = asyncio.Event()
        self._stirred = asyncio.Event()

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.run.run_id

    @property
    def log_id(self) -> str:
        """The id of the log; another one under the same run id is another log."""
        return self.run.log_id

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

    @property
    def is_behind(self) -> bool:
        """Whether the log is known to reach further than was read."""
        return self.is_open and self._head.position > self.end

    def open(self, run: RunRecord, head: LogHead) -> None:
        """Begins at the head of the log."""
        self._ring = Ring(head.position, self._ring_weight)
        self.is_open = True
        self.refresh(run, head)
        self._notify()

    def refresh(self, run: RunRecord, head: LogHead) -> None:
        """Takes the run and the head as they were just looked up."""
        self.run = run
        self.see_head(head)

    def see_head(self, head: LogHead) -> None:
        """Takes note of how far the log reaches. A head that went back has to be looked up."""
        if head.position >= self._head.position:
            self._head = head
        if self.is_behind or head.position < self.end:
            self._stirred.set()

    def append(self, run: RunRecord, records: Sequence[EventLogRecord]) -> None:
        """Adds the records that follow its end, in batches, and the run as it is after them.

        Raises:
            ValueError: they do not follow its end without a hole.
        """
        if not is_contiguous(records, self.end):
            raise ValueError(f"the records do not follow position {self.end}")
        self.run = run
        end = self.end + len(records)
        self._head = LogHead(
            max(self._head.position, end),
            _terminal_position(records) or self._head.terminal_position,
        )
        for piece in cut(records, LIVE_RECORDS):
            self._ring.append(RunTailBatch.of(run, piece, self.end, self._head.position))
        self._notify()

    def evict(self) -> int:
        """Forgets the oldest batch of its ring and returns what that weighed."""
        return self._ring.evict()

    def fail(self, error: Exception) -> None:
        """Ends it: every follower gets the error."""
        self._error = error
        self._notify()

    def raise_failure(self) -> None:
        """Raises the error that ended it, if one did."""
        if self._error is not None:
            raise self._error

    def has_ended_at(self, position: int) -> bool:
        """Whether a position is the head of a log whose run has ended."""
        terminal = self._head.terminal_position
        return terminal is not None and terminal <= position and position >= self._head.position

    def batch_after(self, position: int) -> RunTailBatch | None:
        """What follows a position that the ring covers; None while nothing does."""
        batch = self._ring.batch_after(position)
        if batch is None or not batch.caught_up or batch.to_position >= self._head.position:
            return batch
        return replace(batch, head_position=self._head.position, caught_up=False)

    def page_after(
        self, position: int, run: RunRecord, records: Sequence[EventLogRecord]
    ) -> RunTailBatch:
        """A batch of records that were read from storage."""
        return RunTailBatch.of(run, records, position, self._head.position)

    def checkpoint(self, position: int) -> RunTailBatch:
        """An empty batch, which tells that the log is covered up to a position."""
        return RunTailBatch.of(self.run, (), position, self._head.position)

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

    async def wait_head(self, seconds: float) -> bool:
        """Waits until it is behind; False when the log has to be looked up instead."""
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            return False
        self._stirred.clear()
        return self.is_behind

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _terminal_position(records: Sequence[EventLogRecord]) -> int | None:
    for record in reversed(records):
        if record.applied and record.event_type in TERMINAL_RUN_EVENTS:
            return record.position
    return None
