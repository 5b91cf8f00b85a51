"""The statuses of the daemons, live: one poll for however many watch them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping

from runwire.daemons.status import DaemonStatus, daemon_statuses
from runwire.errors import StorageUnavailableError, UnavailableError
from runwire.feed.patient_reads import PatientReads
from runwire.instance import Instance
from runwire.lanes import Lanes

logger = logging.getLogger(__name__)


class DaemonFeed:
    """Watches the daemons of an instance while anybody listens. All of it belongs to one event loop.

    Args:
        instance: whose daemons.
        lanes: where its storages are called.
        poll_seconds: how often the statuses are read.
        give_up_seconds: for how long a storage is asked again that does not answer.
    """

    def __init__(
        self,
        instance: Instance,
        lanes: Lanes,
        *,
        poll_seconds: float = 0.5,
        give_up_seconds: float = 30.0,
    ) -> None:
        self._instance = instance
        self._reads = PatientReads(lanes, give_up_seconds)
        self._poll_seconds = poll_seconds
        self._watch: _Watch | None = None
        self._polling: asyncio.Task[None] | None = None
        self._is_running = False

    async def start(self) -> None:
        """Gets ready to watch. Harmless when called twice."""
        self._is_running = True

    async def close(self) -> None:
        """Ends; whoever watches gets an UnavailableError. Harmless when called twice or early."""
        self._is_running = False
        polling = self._polling
        if self._watch is not None:
            self._drop(self._watch, _not_running())
        if polling is not None:
            await asyncio.gather(polling, return_exceptions=True)

    async def follow_daemons(self) -> AsyncGenerator[DaemonStatus, None]:
        """The status of every daemon at once, then each again whenever it has changed, for ever.

        A follower has no queue: who reads slowly gets the latest status of each daemon, and misses those
        between.

        Raises:
            StorageUnavailableError: the storage did not answer for long, or is damaged.
            UnavailableError: the feed is not running.
        """
        if not self._is_running:
            raise _not_running()
        watch = self._attach()
        seen: dict[str, DaemonStatus] = {}
        try:
            while True:
                known = watch.statuses
                # In turn, so that one that changes all the time hides no other.
                for daemon_type in known:
                    status = watch.statuses.get(daemon_type)
                    if status is not None and status != seen.get(daemon_type):
                        seen[daemon_type] = status
                        yield status
                await watch.wait_beyond(known)
        finally:
            self._detach(watch)

    def _attach(self) -> _Watch:
        if self._watch is None:
            self._watch = _Watch()
            self._polling = asyncio.create_task(self._poll(self._watch), name="poll of daemons")
        self._watch.followers += 1
        return self._watch

    def _detach(self, watch: _Watch) -> None:
        watch.followers -= 1
        if not watch.followers:
            self._drop(watch)

    def _drop(self, watch: _Watch, error: Exception | None = None) -> None:
        """Ends a watch; harmless when it has ended already."""
        if watch is not self._watch:
            return
        polling, self._watch, self._polling = self._polling, None, None
        if error is not None:
            watch.fail(error)
        if polling is not None and polling is not asyncio.current_task():
            polling.cancel()

    async def _poll(self, watch: _Watch) -> None:
        """Reads the statuses for ever."""
        try:
            while True:
                watch.take(await self._reads.read(self._read))
                await asyncio.sleep(self._poll_seconds)
        except StorageUnavailableError as error:
            self._drop(watch, error)
        except Exception as error:
            logger.exception("the poll of daemons failed")
            self._drop(watch, error)

    def _read(self) -> dict[str, DaemonStatus]:
        statuses = daemon_statuses(self._instance)
        return {status.daemon_type: status for status in statuses}


class _Watch:
    """What is known of the daemons while somebody follows them; once it has failed, it stays so."""

    def __init__(self) -> None:
        self.followers = 0
        self.statuses: Mapping[str, DaemonStatus] = {}
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    def take(self, statuses: Mapping[str, DaemonStatus]) -> None:
        """Takes the statuses as they are now, by daemon type."""
        if statuses != self.statuses:
            self.statuses = statuses
            self._notify()

    def fail(self, error: Exception) -> None:
        """Ends it: every follower gets the error."""
        self._error = error
        self._notify()

    async def wait_beyond(self, known: Mapping[str, DaemonStatus]) -> None:
        """Waits until there are other statuses than those; raises the error that ends it."""
        while self._error is None and self.statuses is known:
            await self._changed.wait()
        if self._error is not None:
            raise self._error

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _not_running() -> UnavailableError:
    return UnavailableError(
        "the feed of daemons is not running; the server is starting or shutting down"
    )
