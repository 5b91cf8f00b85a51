"""Runs of one storage that keep their event logs in another, where each has a stand-in.

A storage keeps the event logs of its own runs. So a run of elsewhere is given a run there: the stand-in, of the
same run id, which knows by a tag whose log it keeps. It is MANAGED, so that nobody starts it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

from runwire.errors import (
    RunAlreadyExistsError,
    RunNotFoundError,
    StorageDamagedError,
    StorageUnavailableError,
)
from runwire.runs.filters import NEWEST_FIRST, RunPlace, RunsFilter, TagFilter
from runwire.runs.run import Run, RunRecord
from runwire.storage import InstanceStorage, RunStorage

LOG_TAG = "runwire/stands_in_for_log"
"""The tag of a stand-in: the `log_id` of the run that it stands in for."""

MAX_KNOWN = 10_000
_PAGE = 100
_ALL = RunsFilter(tags=(TagFilter(LOG_TAG),))


class StandIns:
    """Finds and makes stand-ins. Thread-safe.

    Args:
        runs: the runs.
        logs: the storage that keeps their logs, by their stand-ins.
    """

    def __init__(self, runs: RunStorage, logs: InstanceStorage) -> None:
        self._runs = runs
        self._logs = logs
        self._known: OrderedDict[str, tuple[int, str]] = OrderedDict()
        """The storage id and the log id of stand-ins, by the log id of their runs, which never comes back."""
        self._lock = threading.Lock()

    def find(self, record: RunRecord) -> RunRecord | None:
        """A run as the storage of its log knows it; None when nothing of it is there.

        Raises:
            StorageDamagedError: the log was there, and is not any more, though the run is.
        """
        place = self._place(record)
        if place is not None:
            return _placed(record, place)
        if record.applied_position:
            run = self._runs.find_run_record(record.run_id)
            if run is not None and run.log_id == record.log_id:
                raise StorageDamagedError(
                    f"the event log of run {run.run_id} is missing, though the run reflects events up to"
                    f" position {run.applied_position}; restore it from a backup, or delete the run"
                )
        return None

    def find_or_make(self, record: RunRecord) -> RunRecord:
        """A run as the storage of its log knows it, with a stand-in, if need be a new one.

        Raises:
            RunNotFoundError: there is none, and the run does not exist, or has another log.
            StorageDamagedError: the log was there, and is not any more.
        """
        found = self.find(record)
        while found is None:
            self._make(record)
            found = self.find(record)
        return found

    def delete(self, record: RunRecord) -> None:
        """Deletes the stand-in of a run with the log; harmless when there is none."""
        with self._lock:
            self._known.pop(record.log_id, None)
        self._delete(record.run_id, record.log_id)

    def sweep(self) -> Iterator[int]:
        """Deletes the stand-ins, with their logs, of runs that are gone; yields how many, a page at a time.

        A stand-in is made after its run, so that what has no run now will have none.
        """
        for page in self._pages():
            wanted = RunsFilter(run_ids=frozenset(stand_in.run_id for stand_in in page))
            runs = self._runs.get_run_records(wanted, limit=_PAGE).records
            owned = {run.log_id for run in runs}
            orphans = [each for each in page if each.run.tags[LOG_TAG] not in owned]
            for stand_in in orphans:
                self._delete(stand_in.run_id, stand_in.run.tags[LOG_TAG])
            yield len(orphans)

    def wipe(self) -> None:
        """Deletes all stand-ins with their logs."""
        with self._lock:
            self._known.clear()
        for page in self._pages():
            for stand_in in page:
                self._delete(stand_in.run_id, stand_in.run.tags[LOG_TAG])

    def _place(self, record: RunRecord) -> tuple[int, str] | None:
        with self._lock:
            place = self._known.get(record.log_id)
        if place is None:
            stand_in = self._logs.run_storage.find_run_record(record.run_id)
            if stand_in is None or _check(stand_in) != record.log_id:
                return None
            place = stand_in.storage_id, stand_in.log_id
            with self._lock:
                self._known[record.log_id] = place
                if len(self._known) > MAX_KNOWN:
                    self._known.popitem(last=False)
        return place

    def _make(self, record: RunRecord) -> None:
        """Makes a stand-in; one that a deleted run of the same id has left goes first."""
        run = self._runs.find_run_record(record.run_id)
        if run is None or run.log_id != record.log_id:
            raise RunNotFoundError(record.run_id)
        left = self._logs.run_storage.find_run_record(record.run_id)
        if left is not None and _check(left) != record.log_id:
            self._delete(left.run_id, left.run.tags[LOG_TAG])
        stand_in = Run(
            run_id=record.run_id,
            job_name=record.run.job_name,
            managed=True,
            tags={LOG_TAG: record.log_id},
        )
        try:
            self._logs.run_storage.add_run(stand_in, created_at=record.created_at)
        except RunAlreadyExistsError:  # another process was first
            return

    def _delete(self, run_id: str, log_id: str) -> None:
        """Deletes the stand-in of a log, if it is there, and then the log."""
        try:
            with self._logs.run_storage.hold_run(run_id) as held:
                stand_in = held.record
                if stand_in.run.tags.get(LOG_TAG) != log_id:
                    return
                held.delete()
        except RunNotFoundError:
            return
        self._logs.event_log_storage.delete_log(stand_in)

    def _pages(self) -> Iterator[list[RunRecord]]:
        """All stand-ins, newest first."""
        place = None
        while True:
            page = self._logs.run_storage.get_run_records(_ALL, after=place, limit=_PAGE)
            yield page.records
            if not page.has_more:
                return
            place = RunPlace.of(page.records[-1], NEWEST_FIRST)


def _placed(record: RunRecord, place: tuple[int, str]) -> RunRecord:
    storage_id, log_id = place
    return replace(record, storage_id=storage_id, log_id=log_id)


def _check(stand_in: RunRecord) -> str:
    """The log id that a stand-in stands in for.

    Raises:
        StorageUnavailableError: it is none, but a run.
    """
    log_id = stand_in.run.tags.get(LOG_TAG)
    if log_id is None:
        raise StorageUnavailableError(
            f"the storage of event logs has a run {stand_in.run_id} of its own; name another one as"
            " event_log_storage"
        )
    return log_id
