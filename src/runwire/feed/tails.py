"""The tails that are followed now, and the task beside each that keeps it at the head of its log."""

from __future__ import annotations

import asyncio
import logging
import operator
from collections.abc import Mapping

from runwire.errors import RunNotFoundError, RunwireError
from runwire.feed.batch import PAGE_RECORDS
from runwire.feed.heads import HeadsPoll
from runwire.feed.reads import LogPage, LogReads
from runwire.feed.tail import Tail
from runwire.lanes import Lanes
from runwire.runs.run import RunRecord
from runwire.storage import EventLogStorage, LogHead

logger = logging.getLogger(__name__)

_UNBORN_LOG_SECONDS = 1.0
"""How often a run is looked up whose log does not exist yet, and so cannot tell that it was deleted."""

_FRESH_SECONDS = 1.0
"""How long what a run's log does not tell of, such as its tags, may be as it was read."""


class Tails:
    """At most one tail per run; it lives while somebody follows it.

    Args:
        logs: whose heads are polled.
        lanes: where they are polled.
        reads: what reads them.
        poll_seconds: how often all heads are polled, at once.
        refresh_seconds: how often a run is looked up whose log does not move.
        ring_weight: the most bytes that one tail keeps.
        total_weight: the most bytes that all tails keep.
    """

    def __init__(
        self,
        logs: EventLogStorage,
        lanes: Lanes,
        reads: LogReads,
        *,
        poll_seconds: float,
        refresh_seconds: float,
        ring_weight: int,
        total_weight: int,
    ) -> None:
        self._reads = reads
        self._heads = HeadsPoll(logs, lanes, poll_seconds, self._see_heads)
        self._refresh_seconds = refresh_seconds
        self._ring_weight = ring_weight
        self._total_weight = total_weight
        self._weight = 0
        self._tails: dict[str, Tail] = {}
        self._keepers: dict[Tail, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._tails)

    @property
    def weight(self) -> int:
        """What all tails keep, in bytes."""
        return self._weight

    async def run(self) -> None:
        """Polls the heads of the followed logs, for ever."""
        await self._heads.run()

    async def close(self, error: Exception) -> None:
        """Ends every tail with an error."""
        keepers = list(self._keepers.values())
        for tail in list(self._tails.values()):
            self._drop(tail, error)
        await asyncio.gather(*keepers, return_exceptions=True)
        await self._heads.close()

    def attach(self, record: RunRecord) -> Tail:
        """The tail of a run's log, for one more follower."""
        tail = self._tails.get(record.run_id)
        if tail is not None and tail.log_id != record.log_id:
            self._drop(tail, RunNotFoundError(record.run_id))
            tail = None
        if tail is None:
            tail = self._begin(record)
        tail.followers += 1
        return tail

    def detach(self, tail: Tail) -> None:
        """Says that one follower has left."""
        tail.followers -= 1
        if not tail.followers:
            self._drop(tail)

    def _begin(self, record: RunRecord) -> Tail:
        tail = self._tails[record.run_id] = Tail(record, self._ring_weight)
        self._keepers[tail] = asyncio.create_task(self._keep(tail), name=f"tail of {record.run_id}")
        self._heads.watch(record.run_id, record.log_id)
        return tail

    def _drop(self, tail: Tail, error: Exception | None = None) -> None:
        """Frees a tail; harmless when it is freed already."""
        keeper = self._keepers.pop(tail, None)
        if keeper is None:
            return
        if error is not None:
            tail.fail(error)
        if keeper is not asyncio.current_task():
            keeper.cancel()
        del self._tails[tail.run_id]
        self._heads.unwatch(tail.run_id)
        self._weight -= tail.weight

    def _append(self, tail: Tail, page: LogPage) -> None:
        before = tail.weight
        tail.append(page.run, page.records)
        self._weight += tail.weight - before
        while self._weight > self._total_weight:
            heaviest = max(self._tails.values(), key=operator.attrgetter("weight"))
            self._weight -= heaviest.evict()

    def _lookup_seconds(self, tail: Tail) -> float:
        return (
            self._refresh_seconds if tail.end else min(_UNBORN_LOG_SECONDS, self._refresh_seconds)
        )

    def _see_heads(self, heads: Mapping[str, LogHead]) -> None:
        for run_id, head in heads.items():
            if run_id in self._tails:
                self._tails[run_id].see_head(head)

    async def _keep(self, tail: Tail) -> None:
        loop = asyncio.get_running_loop()
        try:
            end = await self._reads.end(tail.run)
            looked_up_at = loop.time()
            tail.open(end.run, end.head)
            while True:
                if tail.is_behind:
                    now = loop.time()
                    is_fresh = now - looked_up_at < _FRESH_SECONDS
                    page = await self._reads.page(
                        tail.run, tail.end, PAGE_RECORDS, is_fresh=is_fresh
                    )
                    if page.run is not tail.run:
                        looked_up_at = now
                    self._append(tail, page)
                elif not await tail.wait_head(self._lookup_seconds(tail)):
                    end = await self._reads.end(tail.run, tail.end)
                    looked_up_at = loop.time()
                    tail.refresh(end.run, end.head)
        except RunwireError as error:
            self._drop(tail, error)
        except Exception as error:
            logger.exception("the tail of run %s failed", tail.run_id)
            self._drop(tail, error)
