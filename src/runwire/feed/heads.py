"""The one poll that tells which of the watched runs' logs moved."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping

from runwire.errors import StorageUnavailableError
from runwire.lanes import Lanes
from runwire.storage import EventLogStorage, HeadsWatch, LogHead

logger = logging.getLogger(__name__)

_MAX_PAUSE_SECONDS = 2.0


class HeadsPoll:
    """Polls the heads of all watched logs at once; does nothing at all while none is watched."""

    def __init__(
        self,
        logs: EventLogStorage,
        lanes: Lanes,
        seconds: float,
        report: Callable[[Mapping[str, LogHead]], None],
    ) -> None:
        self._logs = logs
        self._lanes = lanes
        self._seconds = seconds
        self._report = report
        self._wanted: dict[str, str] = {}
        self._is_wanted = asyncio.Event()
        self._changed = asyncio.Event()
        # Touched in the lane only, by one call at a time.
        self._in_lane = threading.Lock()
        self._watch: HeadsWatch | None = None
        self._watched: dict[str, str] = {}

    def watch(self, run_id: str, log_id: str) -> None:
        """Watches the log of a run in place of any other log of that run."""
        self._wanted[run_id] = log_id
        self._is_wanted.set()
        self._changed.set()

    def unwatch(self, run_id: str) -> None:
        """Stops watching a run."""
        self._wanted.pop(run_id, None)
        if not self._wanted:
            self._is_wanted.clear()
            self._changed.set()

    async def run(self) -> None:
        """Polls for ever."""
        pause = self._seconds
        while True:
            await self._is_wanted.wait()
            self._changed.clear()
            try:
                heads = await self._lanes.catch_up(self._poll, dict(self._wanted))
                pause = self._seconds
            except StorageUnavailableError as error:
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)
                logger.warning("trying again in %s s: %s", pause, error)
            except Exception:
                pause = _MAX_PAUSE_SECONDS
                logger.exception("the poll of heads failed")
            else:
                self._report(heads)
            await self._pause(pause)

    async def close(self) -> None:
        """Frees the watch. Harmless when called twice."""
        await self._lanes.catch_up(self._close)

    async def _pause(self, seconds: float) -> None:
        """Waits; less long when another log is to be watched, or none any more."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
        if not self._wanted:
            await self.close()

    def _poll(self, wanted: Mapping[str, str]) -> dict[str, LogHead]:
        with self._in_lane:
            try:
                return self._sync(wanted).poll()
            except BaseException:
                self._free()  # its state is not known; the next poll begins anew
                raise

    def _sync(self, wanted: Mapping[str, str]) -> HeadsWatch:
        if self._watch is None:
            self._watch = self._logs.open_heads()
        # Another log under the same run id has to be watched anew, so that its head is told.
        for run_id, _ in self._watched.items() - wanted.items():
            self._watch.unwatch(run_id)
        for run_id, _ in wanted.items() - self._watched.items():
            self._watch.watch(run_id)
        self._watched = dict(wanted)
        return self._watch

    def _close(self) -> None:
        with self._in_lane:
            self._free()

    def _free(self) -> None:
        watch, self._watch, self._watched = self._watch, None, {}
        if watch is not None:
            watch.close()
