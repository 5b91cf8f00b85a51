"""Pushing the records of event logs to callbacks: one thread, one poll of heads for all of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from runwire.errors import StorageUnavailableError
from runwire.events.entry import EventLogRecord
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import EventLogStorage, HeadsWatch

logger = logging.getLogger(__name__)

Callback = Callable[[EventLogRecord], None]

_POLL_SECONDS = 0.025
_MAX_PAUSE_SECONDS = 2.0


@dataclass(eq=False, slots=True)
class _Watch:
    """One callback on one log. `calling` is held while the callback runs."""

    record: RunRecord
    position: int
    callback: Callback
    ended: bool = False
    behind: bool = True
    calling: threading.RLock = field(default_factory=threading.RLock)


class LogWatcher:
    """Implements `EventLogStorage.watch` and `end_watch` on the storage's own heads and reads."""

    def __init__(self, logs: EventLogStorage, poll_seconds: float = _POLL_SECONDS) -> None:
        self._logs = logs
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._watches: list[_Watch] = []
        self._thread: threading.Thread | None = None
        self._changed = threading.Event()

    def watch(self, record: RunRecord, after: int, callback: Callback) -> None:
        """As `EventLogStorage.watch`."""
        with self._lock:
            self._watches = [*self._watches, _Watch(record, after, callback)]
            self._changed.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._follow, name="runwire-log-watcher", daemon=True
                )
                self._thread.start()

    def end_watch(self, run_id: str, callback: Callback) -> None:
        """As `EventLogStorage.end_watch`."""
        for watch in self._watches:
            if watch.record.run_id == run_id and watch.callback == callback:
                self._end(watch)

    def dispose(self) -> None:
        """Ends all watches and the thread. Harmless when called twice."""
        for watch in self._watches:
            self._end(watch)
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _end(self, watch: _Watch) -> None:
        watch.ended = True
        with self._lock:
            self._watches = [other for other in self._watches if other is not watch]
            self._changed.set()
        with watch.calling:  # waits for a call that is under way, unless this is inside of it
            pass

    def _follow(self) -> None:
        """The thread: lives while something is watched."""
        heads = self._logs.open_heads()
        watched: set[str] = set()
        pause = self._poll_seconds
        try:
            while watches := self._watches_or_leave():
                try:
                    watched = _follow_runs(heads, watched, {w.record.run_id for w in watches})
                    self._deliver(heads, watches)
                    pause = self._poll_seconds
                except StorageUnavailableError as error:
                    pause = min(pause * 2, _MAX_PAUSE_SECONDS)
                    logger.warning("event logs cannot be followed: %s", error)
                self._changed.wait(pause)
        finally:
            heads.close()

    def _watches_or_leave(self) -> list[_Watch]:
        with self._lock:
            self._changed.clear()
            if not self._watches:
                self._thread = None
            return self._watches

    def _deliver(self, heads: HeadsWatch, watches: list[_Watch]) -> None:
        moved = heads.poll()
        for watch in watches:
            watch.behind = watch.behind or watch.record.run_id in moved
            if watch.behind and not watch.ended:
                self._catch_up(watch)

    def _catch_up(self, watch: _Watch) -> None:
        try:
            page = self._logs.get_records(watch.record, after=watch.position)
            while page.records and self._call(watch, page.records):
                page = self._logs.get_records(watch.record, after=watch.position)
            watch.behind = False
        except StorageUnavailableError as error:  # it stays behind; the next round tries again
            logger.warning("the log of run %s cannot be followed: %s", watch.record.run_id, error)
        except Exception:
            logger.exception("the log of run %s is not followed any more", watch.record.run_id)
            self._end(watch)

    def _call(self, watch: _Watch, records: list[EventLogRecord]) -> bool:
        """Hands records to the callback; returns whether the watch goes on."""
        for record in records:
            with watch.calling:
                if watch.ended:
                    return False
                watch.position = record.position
                try:
                    watch.callback(record)
                except Exception:
                    logger.exception("a watch of run %s ends: its callback raised", record.run_id)
                    self._end(watch)
                    return False
        return True


def _follow_runs(heads: HeadsWatch, watched: set[str], wanted: set[str]) -> set[str]:
    for run_id in watched - wanted:
        heads.unwatch(run_id)
    for run_id in wanted - watched:
        heads.watch(run_id)
    return wanted
