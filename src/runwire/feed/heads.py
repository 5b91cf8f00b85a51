"""The one poll that tells which of the watched runs' logs moved."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping

from runwire.errors import StorageUnavailableError
from runwire.lanes import Lanes
from runwire.storage import EventLogStorage, HeadsWatch, LogHead

logger = logging.getLogger(__name__)

_MAX_PAUSE_SECONDS = 2.0
_WAIT_SECONDS = 1.0
"""How long a call polls in its thread before it says that nothing moved."""


class HeadsPoll:
    """Polls the heads of all watched logs at once; does nothing at all while none is watched.

    It polls in a thread, which comes back when something moved: asking from the loop each time cost more than the
    polls.
    """

    def __init__(
        self,
        logs: EventLogStorage,
        lanes: Lanes,
        seconds: float,
        report: Callable[[Mapping[str, LogHead]], None],
    ) -> None:
        self._lanes = lanes
        self._report = report
        self._wanted: dict[str, str] = {}
        self._is_wanted = asyncio.Event()
        self._poll = _Poll(logs, seconds)

    def watch(self, run_id: str, log_id: str) -> None:
        """Watches the log of a run in place of any other log of that run."""
        self._wanted[run_id] = log_id
        self._is_wanted.set()
        self._poll.interrupt()

    def unwatch(self, run_id: str) -> None:
        """Stops watching a run."""
        self._wanted.pop(run_id, None)
        if not self._wanted:
            self._is_wanted.clear()
            self._poll.interrupt()

    async def run(self) -> None:
        """Polls for ever."""
        pause = 0.0
        while True:
            if not self._wanted:
                await self.close()
            await self._is_wanted.wait()
            self._poll.resume()
            wanted = dict(self._wanted)
            try:
                heads = await self._lanes.watch(self._poll.wait_moved, wanted, pause)
                pause = 0.0
            except StorageUnavailableError as error:
                pause = min(max(pause, self._poll.seconds) * 2, _MAX_PAUSE_SECONDS)
                logger.warning("trying again in %s s: %s", pause, error)
            except Exception:
                pause = _MAX_PAUSE_SECONDS
                logger.exception("the poll of heads failed")
            else:
                # What was seen of a log tells nothing of one that is watched in its place since.
                current = self._wanted.items() & wanted.items()
                moved = {run_id: heads[run_id] for run_id, _ in current if run_id in heads}
                if moved:
                    self._report(moved)

    async def close(self) -> None:
        """Frees the watch. Harmless when called twice."""
        self._poll.interrupt()
        await self._lanes.watch(self._poll.close)


class _Poll:
    """Polls where it is called; synchronous, one call at a time.

    Args:
        logs: whose heads are polled.
        seconds: how long is waited between two polls.
    """

    def __init__(self, logs: EventLogStorage, seconds: float) -> None:
        self.seconds = seconds
        self._logs = logs
        self._lock = threading.Lock()
        self._is_interrupted = threading.Event()
        self._polled_at = -seconds
        self._watch: HeadsWatch | None = None
        self._watched: dict[str, str] = {}

    def interrupt(self) -> None:
        """Has a call that waits poll or return at once; may be called from anywhere."""
        self._is_interrupted.set()

    def resume(self) -> None:
        """Lets calls wait again."""
        self._is_interrupted.clear()

    def wait_moved(self, wanted: Mapping[str, str], pause: float) -> dict[str, LogHead]:
        """The heads of the logs that moved, of those wanted; none when it was interrupted, or nothing moved.

        Args:
            wanted: the ids of the logs by run.
            pause: how many seconds to wait before the first poll; as long as between two polls at least.
        """
        end = time.monotonic() + _WAIT_SECONDS
        with self._lock:
            while True:
                until = self._polled_at + max(self.seconds, pause)
                is_interrupted = self._is_interrupted.wait(max(0.0, until - time.monotonic()))
                heads = self._poll(wanted)
                self._polled_at = now = time.monotonic()
                if heads or is_interrupted or now >= end:
                    return heads

    def close(self) -> None:
        """Frees the watch. Harmless when called twice."""
        with self._lock:
            self._free()

    def _poll(self, wanted: Mapping[str, str]) -> dict[str, LogHead]:
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

    def _free(self) -> None:
        watch, self._watch, self._watched = self._watch, None, {}
        if watch is not None:
            watch.close()
