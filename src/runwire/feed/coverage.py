"""Which batches of a filtered stream are sent, so that it proves that nothing is missing and says no more."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runwire.feed.instance_batch import InstanceTailBatch


@dataclass(slots=True)
class Coverage:
    """What a stream has covered. A batch without anything to send is kept back, its range goes with the next.

    Sent in any case are the first batch, one with which the stream catches up, and one after `checkpoint_seconds`
    without.

    Attributes:
        position: the last position that was told to be covered.
        checkpoint_seconds: after how long a stream says how far it is, in any case.
    """

    position: int
    checkpoint_seconds: float
    _caught_up: bool = False
    _due: float = -math.inf

    def extend(self, batch: InstanceTailBatch, *, is_empty: bool, now: float) -> int | None:
        """The position before the first one that the message of this batch covers; None for no message.

        Args:
            batch: the next batch.
            is_empty: whether there is nothing in it that the stream sends.
            now: the time, in seconds.
        """
        catches_up = batch.caught_up and not self._caught_up
        if is_empty and not catches_up and now < self._due:
            return None
        start, self.position = self.position, batch.to_position
        self._caught_up, self._due = batch.caught_up, now + self.checkpoint_seconds
        return start
