"""The time on which all processes of an instance agree."""

from __future__ import annotations

import time
from collections.abc import Callable


class SharedClock:
    """Tells the time of the storage, asked now and then, and carried on in between by the monotonic clock.

    So a clock of this host that is wrong, or is put forward or back, moves nothing. Thread-safe.

    Args:
        ask: tells the storage's time, in epoch seconds.
        first: the time until it was asked, in epoch seconds.
        monotonic: tells the time that no change of the clock moves, in seconds.
    """

    def __init__(
        self,
        ask: Callable[[], float],
        first: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._known = (first, monotonic())

    def agree(self) -> None:
        """Asks the storage. What is told afterwards is never ahead of it.

        Raises:
            StorageUnavailableError: it does not answer; time goes on as before.
        """
        instant = self._ask()
        self._known = (instant, self._monotonic())

    def now(self) -> float:
        """The instant, in epoch seconds."""
        instant, at = self._known
        return instant + self._monotonic() - at
