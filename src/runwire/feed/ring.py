"""The newest batches of one run's log, side by side, for the followers that keep up."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter

from runwire.events.entry import EventLogRecord
from runwire.feed.batch import PAGE_RECORDS, RunTailBatch, cut, weigh

MAX_WEIGHT = 1024 * 1024
"""The most that a ring holds."""

_BATCH_WEIGHT = 256
"""What a batch weighs beside its records, about."""

_MANY_BATCHES = 16
"""A follower with more batches than this ahead of it gets them merged into pages."""


class Ring:
    """Covers the positions after `start` up to `end` without a hole; old batches fall out at its start."""

    def __init__(self, position: int, max_weight: int = MAX_WEIGHT) -> None:
        self._batches: list[RunTailBatch] = []
        self._max_weight = max_weight
        self.start = position
        self.end = position
        self.weight = 0

    def append(self, batch: RunTailBatch) -> None:
        """Adds the batch that follows its end.

        Raises:
            ValueError: the batch begins elsewhere, or is empty.
        """
        if batch.from_position != self.end or not batch.records:
            raise ValueError(f"a batch after {batch.from_position} does not follow {self.end}")
        self._batches.append(batch)
        self.end = batch.to_position
        self.weight += _weigh(batch)
        while self.weight > self._max_weight:
            self.evict()

    def evict(self) -> int:
        """Forgets its oldest batch and returns what that weighed."""
        oldest = self._batches.pop(0)
        self.start = oldest.to_position
        weight = _weigh(oldest)
        self.weight -= weight
        return weight

    def batch_after(self, position: int) -> RunTailBatch | None:
        """What follows a position; None at its end and beyond.

        A follower that keeps up gets the batches as they were added, the same objects for all.

        Raises:
            ValueError: the position lies before what it covers.
        """
        if position < self.start:
            raise ValueError(f"position {position} lies before {self.start}")
        if position >= self.end:
            return None
        index = bisect_right(self._batches, position, key=attrgetter("from_position")) - 1
        if len(self._batches) - index > _MANY_BATCHES:
            return self._page(index, position)
        return self._batches[index].after(position)

    def _page(self, index: int, position: int) -> RunTailBatch:
        records: list[EventLogRecord] = []
        for batch in self._batches[index:]:
            records.extend(batch.records)
            if len(records) > 2 * PAGE_RECORDS:
                break
        records = records[position - self._batches[index].from_position :]
        page = next(cut(records, PAGE_RECORDS))
        newest = self._batches[-1]
        return RunTailBatch.of(newest.run, page, position, newest.head_position)


def _weigh(batch: RunTailBatch) -> int:
    return _BATCH_WEIGHT + sum(map(weigh, batch.records))
