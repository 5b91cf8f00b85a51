"""Code locations of which nothing is launched for now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runwire.errors import CodeLocationNotFoundError
from runwire.workspace import CodeLocationStatus, Workspace


class PausedLocations:
    """Remembers which code locations did not answer. Thread-safe.

    Args:
        workspace: the code locations.
        seconds: for how long one that did not answer is left alone, unless it is loaded anew.
        monotonic: tells the time, in seconds.
    """

    def __init__(
        self,
        workspace: Workspace,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workspace = workspace
        self._seconds = seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._until: dict[str, tuple[float, float]] = {}

    def pause(self, name: str) -> None:
        """Notes that a code location did not answer."""
        try:
            updated_at = self._workspace.get_location(name).state.updated_at
        except CodeLocationNotFoundError:
            return
        with self._lock:
            self._until[name] = self._monotonic() + self._seconds, updated_at

    def is_waited_for(self, name: str | None) -> bool:
        """Whether runs of a code location wait: it is not loaded, or did not answer lately.

        Not for one that the workspace does not have: that it is gone is told by the launch.
        """
        if name is None:
            return False
        try:
            state = self._workspace.get_location(name).state
        except CodeLocationNotFoundError:
            return False
        if state.status is not CodeLocationStatus.LOADED:
            return True
        with self._lock:
            until, updated_at = self._until.get(name, (float("-inf"), 0.0))
            if state.updated_at == updated_at and self._monotonic() < until:
                return True
            self._until.pop(name, None)
        return False
