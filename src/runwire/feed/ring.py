"""The newest batches of one log, side by side, for the followers that keep up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Generic, Protocol, Self, TypeVar

MAX_WEIGHT = 1024 * 1024
"""The most that a ring holds."""

_MANY_BATCHES = 16
"""A follower with more batches than this ahead of it gets them merged into pages."""


class Batch(Protocol):
    """A stretch of a log that covers the positions after `from_position` up to `to_position`."""

    @property
    def from_position(self) -> int: ...

    @property
    def to_position(self) -> int: ...

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""

    def after(self, position: int) -> Self:
        """What of it lies after a position that it covers."""

    def joined(self, later: Sequence[Self]) -> Self:
        """It and those that follow it as one page, as far as a page goes; `later` is not empty."""


B = TypeVar("B", bound=Batch)


class Ring(Generic[B]):
    """Covers the positions after `start` up to `end` without a hole; old batches fall out at its start."""

    def __init__(self, position: int, max_weight: int = MAX_WEIGHT) -> None:
        self._batches: list[B] = []
        self._max_weight = max_weight
        self.start = position
        self.end = position
        self.weight = 0

    def append(self, batch: B) -> None:
        """Adds the batch that follows its end.

        Raises:
            ValueError: the batch begins elsewhere, or covers nothing.
        """
        if batch.from_position != self.end or batch.to_position == self.end:
            raise ValueError(f"a batch after {batch.from_position} does not follow {self.end}")
        self._batches.append(batch)
        self.end = batch.to_position
        self.weight += batch.weight
        while self.weight > self._max_weight:
            self.evict()

    def evict(self) -> int:
        """Forgets its oldest batch and returns what that weighed."""
        oldest = self._batches.pop(0)
        self.start = oldest.to_position
        self.weight -= oldest.weight
        return oldest.weight

    def batch_after(self, position: int) -> B | None:
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
        batch = self._batches[index].after(position)
        later = self._batches[index + 1 :]
        return batch.joined(later) if len(later) >= _MANY_BATCHES else batch
