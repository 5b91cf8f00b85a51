"""The regular writer of a run's event log: the run's worker."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from runwire import clock
from runwire.errors import RunFinishedError, StorageUnavailableError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.types import TERMINAL_RUN_EVENTS, EventType, LogLevel
from runwire.fault_points import fault_point
from runwire.runs.run import RunRecord
from runwire.storage.instance_storage import InstanceStorage

GROUP_SECONDS = 0.02
GROUP_ENTRIES = 100
MAX_BUFFERED = 1000
RETRY_SECONDS = 1.0


class EventWriter:
    """Stores the events of one run in the order in which they are written. Thread-safe.

    A durable entry is stored, with all that was written before it, when `write` returns. Others are stored in
    groups: after 20 ms, or when there are 100; a writer that is too fast waits.

    When the storage is not available, the write of an event raises StorageUnavailableError. The lines that
    user code logs never fail their step: those that cannot be stored go to standard error, and once the
    storage is there again, one ENGINE_EVENT tells how many those were.

    When the storage refuses the worker (StaleWorkerError, RunFinishedError, RunNotFoundError), what is
    buffered is dropped and every later write raises the same. After an event that ends the run, an event
    raises RunFinishedError and a line goes to standard error.
    """

    def __init__(self, storage: InstanceStorage, record: RunRecord, epoch: int) -> None:
        self._storage = storage
        self._pid = os.getpid()
        self._record = record
        self._epoch = epoch
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._drained = threading.Condition(self._lock)
        self._storing = threading.Lock()
        self._buffer: list[EventLogEntry] = []
        self._due_at = 0.0
        self._idle = False
        self._lost_lines = 0
        self._unavailable = False
        self._refusal: Exception | None = None
        self._ended = False
        self._closed = False
        self._thread = threading.Thread(
            target=self._store_groups, name=f"runwire-events-{record.run_id}", daemon=True
        )
        self._thread.start()

    def write(self, entry: EventLogEntry, *, with_next: bool = False) -> EventLogRecord | None:
        """Writes an entry of the run.

        Args:
            entry: the entry.
            with_next: store it, though it is durable, in one with the next durable entry, or when `flush` is
                called, or after 20 ms.

        Returns:
            The stored record of a durable entry; None for others, which need not be stored yet.

        Raises:
            StorageUnavailableError: the event could not be stored, and will not be.
            StaleWorkerError, RunFinishedError, RunNotFoundError: the worker must end.
        """
        if os.getpid() != self._pid:
            write_in_fork(entry)
            return None
        at_once = entry.is_durable and not with_next
        if at_once or (self._unavailable and entry.event_type is not None):
            return self._store(entry)[-1]
        with self._lock:
            while len(self._buffer) >= MAX_BUFFERED and self._is_open:
                self._drained.wait()
            if not self._admits(entry):
                print_lines([entry], "the run has ended")
                return None
            if not self._buffer:
                delay = RETRY_SECONDS if self._unavailable else GROUP_SECONDS
                self._due_at = time.monotonic() + delay
            self._buffer.append(entry)
            if self._idle or len(self._buffer) == GROUP_ENTRIES:
                self._filled.notify()
        return None

    def flush(self) -> None:
        """Stores all that was written before.

        Raises:
            StorageUnavailableError, StaleWorkerError, RunFinishedError, RunNotFoundError: as `write`.
        """
        self._store(None)

    def close(self) -> None:
        """Stores what it can of what was written, and ends. Raises nothing; harmless when called twice."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            self._filled.notify()
            self._drained.notify_all()
        self._thread.join()
        with suppress(Exception):
            self.flush()
        with self._lock:
            left, self._buffer = self._buffer, []
        print_lines(left, "it could not be stored")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _is_open(self) -> bool:
        return not (self._ended or self._closed or self._refusal)

    def _admits(self, entry: EventLogEntry) -> bool:
        """Whether an entry may still be written; False only for a line."""
        if self._refusal is not None:
            raise self._refusal
        if self._is_open:
            return True
        if entry.event_type is not None:
            raise RunFinishedError(self._record.run_id)
        return False

    def _store(self, last: EventLogEntry | None) -> list[EventLogRecord]:
        """Stores the buffer and an entry after it, in one call of the storage."""
        with self._storing:
            batch, lost_lines = self._take(last)
            if not batch:
                return []
            try:
                records = self._storage.store_events(
                    self._record.run_id, batch, epoch=self._epoch, known=self._record
                )
            except StorageUnavailableError:
                self._keep_events(batch[1:] if lost_lines else batch, last)
                raise
            except Exception as error:
                self._refuse(error)
                raise
            with self._lock:
                self._unavailable = False
                self._lost_lines -= lost_lines
            if any(entry.event_type is EventType.STEP_SUCCESS for entry in batch):
                fault_point("worker.after_step_success")
            return records

    def _take(self, last: EventLogEntry | None) -> tuple[list[EventLogEntry], int]:
        """What is to be stored now, and how many lost lines its first entry tells of."""
        with self._lock:
            if self._refusal is not None:
                raise self._refusal
            if last is not None:
                self._admits(last)
                self._ended = last.event_type in TERMINAL_RUN_EVENTS
            batch, self._buffer = self._buffer, []
            if last is not None:
                batch.append(last)
            self._drained.notify_all()
            lost_lines = self._lost_lines if batch else 0
            return ([self._notice(lost_lines), *batch] if lost_lines else batch), lost_lines

    def _notice(self, lost_lines: int) -> EventLogEntry:
        lines = "1 log line" if lost_lines == 1 else f"{lost_lines} log lines"
        return EventLogEntry(
            run_id=self._record.run_id,
            event_type=EventType.ENGINE_EVENT,
            level=LogLevel.WARNING,
            message=f"{lines} could not be stored; the worker's standard error has what they said.",
        )

    def _keep_events(self, batch: list[EventLogEntry], last: EventLogEntry | None) -> None:
        """After a failure: lines are lost, events wait for the next attempt, the last is the caller's."""
        lines = [entry for entry in batch if entry.event_type is None]
        with self._lock:
            events = [e for e in batch if e.event_type is not None and e is not last]
            self._buffer = events + self._buffer
            self._due_at = time.monotonic() + RETRY_SECONDS
            self._lost_lines += len(lines)
            self._unavailable = True
            self._ended = False
        print_lines(lines, "it could not be stored")

    def _refuse(self, error: Exception) -> None:
        with self._lock:
            self._refusal = error
            self._buffer.clear()
            self._filled.notify()
            self._drained.notify_all()

    def _store_groups(self) -> None:
        while self._wait_for_group():
            with suppress(Exception):  # `_store` keeps it, for those who write
                self._store(None)

    def _wait_for_group(self) -> bool:
        """Waits until a group is due; returns whether one is."""
        with self._lock:
            while not (self._closed or self._refusal):
                if not self._buffer:
                    self._idle = True
                    self._filled.wait()
                    self._idle = False
                    continue
                remaining = self._due_at - time.monotonic()
                is_full = len(self._buffer) >= GROUP_ENTRIES and not self._unavailable
                if remaining <= 0 or is_full:
                    return True
                self._filled.wait(remaining)
            return False


def write_in_fork(entry: EventLogEntry) -> None:
    """Writes an entry in a fork of the process whose it is to write: its locks, threads and connections are of
    no use here.

    Raises:
        RuntimeError: the entry is an event.
    """
    if entry.event_type is not None:
        raise RuntimeError(
            "a process that was forked inside of an op cannot write events of the run;"
            " hand them back to the op, or start the process by spawn"
        )
    print_lines([entry], "it was logged in a fork of the worker")


def print_lines(entries: Iterable[EventLogEntry], why: str) -> None:
    """Writes lines that are not in the log to standard error."""
    for entry in entries:
        at = clock.from_timestamp(entry.timestamp).isoformat()
        step = f" {entry.step_key}:" if entry.step_key else ""
        with suppress(Exception):  # standard error may be gone
            sys.stderr.write(
                f"{at} {entry.severity.name}{step} {entry.message} (not in the log: {why})\n"
            )
