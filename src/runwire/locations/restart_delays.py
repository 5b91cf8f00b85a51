"""When to start again what ended by itself."""

from __future__ import annotations

LONGEST_SECONDS = 30.0
HEALTHY_SECONDS = 60.0


class RestartDelays:
    """At once the first time, then after 1, 2, 4 … 30 s; from the beginning again after a minute of health."""

    def __init__(self) -> None:
        self._restarts = 0

    def next(self, lived_seconds: float) -> float:
        """How many seconds to wait.

        Args:
            lived_seconds: how long it was well before it ended.
        """
        if lived_seconds >= HEALTHY_SECONDS:
            self._restarts = 0
        self._restarts += 1
        if self._restarts == 1:
            return 0.0
        return min(2.0 ** min(self._restarts - 2, 10), LONGEST_SECONDS)
