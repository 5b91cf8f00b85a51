"""The umbrella over the storages, and the one protocol by which events are stored.

Event and status are one fact. Each run's row keeps `applied_position`, the last position of its log that it
reflects. Whoever stores a mirrored event holds the run, replays what the row does not reflect yet, decides
what applies, appends, and makes the row reflect it. Where runs and logs share a database, the hold's
transaction takes in all of that; where they do not, a crash between the two leaves a log that is ahead of
its row, never the other way round, and the next holder replays it. Log lines hold nothing.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from runwire.config.configurable import ConfigurableClass
from runwire.errors import (
    RunFinishedError,
    RunNotFoundError,
    RunStateConflictError,
    StaleWorkerError,
    StorageDamagedError,
    StorageUnavailableError,
)
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.types import TERMINAL_RUN_EVENTS
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus, status_after
from runwire.storage.backfill_storage import BackfillStorage
from runwire.storage.event_log_storage import Append, EventLogStorage
from runwire.storage.migration import Migration, MigrationProgress
from runwire.storage.pool_storage import PoolStorage
from runwire.storage.run_storage import HeldRun, RunStorage
from runwire.storage.schedule_storage import ScheduleStorage
from runwire.storage.webhook_storage import WebhookStorage

logger = logging.getLogger(__name__)


class InstanceStorage(ConfigurableClass):
    """Runs, event logs and schedules behind one door. Subclasses say where they are kept."""

    @property
    @abstractmethod
    def run_storage(self) -> RunStorage:
        """Keeps the runs."""

    @property
    @abstractmethod
    def event_log_storage(self) -> EventLogStorage:
        """Keeps the event logs."""

    @property
    @abstractmethod
    def schedule_storage(self) -> ScheduleStorage:
        """Keeps schedules, sensors and their ticks."""

    @property
    @abstractmethod
    def webhook_storage(self) -> WebhookStorage:
        """Keeps how far webhooks were delivered to. It goes with the instance-wide log."""

    @property
    @abstractmethod
    def pool_storage(self) -> PoolStorage:
        """Keeps concurrency pools, with the runs."""

    @property
    @abstractmethod
    def backfill_storage(self) -> BackfillStorage:
        """Keeps backfills, with the runs."""

    @classmethod
    def migrate(cls, config_value: Any, progress: MigrationProgress) -> Migration:
        """Brings what is stored to the newest revision; harmless when it has it, or nothing is stored.

        No process may use the storage meanwhile. What is cut short goes on when it is done again. A storage
        without revisions has nothing to migrate.

        Args:
            config_value: the validated config: an instance of `config_type()`.
            progress: is told how far it is.

        Raises:
            SchemaRevisionError: a newer version of runwire wrote it.
            StorageUnavailableError: it cannot be read or written.
        """
        return Migration()

    @classmethod
    def is_made(cls, config_value: Any) -> bool:
        """Whether its database is there, for those who must not make one. Nothing is opened, nor made.

        A storage that would have to be opened to find out says that it is there.

        Args:
            config_value: the validated config: an instance of `config_type()`.
        """
        return True

    @property
    def suits_several_servers(self) -> bool:
        """Whether several processes that serve it do more than one; no, where they would wait for one another."""
        return False

    @property
    def runs_part(self) -> InstanceStorage:
        """The storage whose runs these are; itself, unless it joins several."""
        return self

    @property
    def event_logs_part(self) -> InstanceStorage:
        """The storage whose event logs these are; itself, unless it joins several."""
        return self

    @property
    def schedules_part(self) -> InstanceStorage:
        """The storage whose schedules, sensors and ticks these are; itself, unless it joins several."""
        return self

    def schema_revision(self) -> str | None:
        """The revision of the stored schema; None for a storage without revisions."""
        return None

    def head_revision(self) -> str | None:
        """The revision of the schema that this version writes; None for a storage without revisions."""
        return None

    def get_run_record(self, run_id: str) -> RunRecord:
        """A run.

        Raises:
            RunNotFoundError: there is none.
        """
        record = self.run_storage.find_run_record(run_id)
        if record is None:
            raise RunNotFoundError(run_id)
        return record

    def store_events(
        self,
        run_id: str,
        entries: Sequence[EventLogEntry],
        *,
        epoch: int | None = None,
        require: Collection[RunStatus] | None = None,
        handover: bool = False,
        idempotency_key: str | None = None,
        known: RunRecord | None = None,
        admit: Callable[[HeldRun], None] | None = None,
    ) -> list[EventLogRecord]:
        """Stores events of one run, all or none, and makes its status follow them.

        A run event that does not apply in the run's status is stored with ``applied = False`` and changes
        nothing else. After the run has ended, a worker's run events are kept so, and its other entries in
        the same call are dropped.

        Args:
            run_id: the run.
            entries: events of this run, in order; nothing happens when empty.
            epoch: the worker epoch that writes; None for an outsider.
            require: the statuses in which this may happen; checked in the transaction that stores.
            handover: whether this hands the run to a worker: raises the worker epoch, which the stored
                records carry, if one of the entries is a run event that applies.
            idempotency_key: with this key the events are stored once; a repeat gives the stored records.
            known: the run as the caller knows it, which spares log lines a look-up. Its `log_id` counts.
            admit: is asked, when all else allows it, whether this may happen, while all others that would be
                asked the same wait. What it raises is raised, and nothing is stored.

        Returns:
            The stored records, in order.

        Raises:
            RunNotFoundError: there is no such run.
            RunStateConflictError: the run is in none of the required statuses; nothing was stored.
            StaleWorkerError: `epoch` is not the run's any more; nothing was stored.
            RunFinishedError: a worker wrote only entries that are refused after the end.
            StorageUnavailableError: nothing was stored; OutcomeUnknownError where that is not known.
        """
        if not entries:
            return []
        guarded = (
            require is not None or handover or idempotency_key is not None or admit is not None
        )
        if not guarded and not any(entry.is_mirrored for entry in entries):
            record = known or self.get_run_record(run_id)
            applied = [True] * len(entries)
            return self.event_log_storage.append(record, Append(entries, applied, epoch))
        logs, appended = self.event_log_storage, None
        try:
            with self.run_storage.hold_run(run_id, claiming=admit is not None) as held:
                self._replay(held)
                record = held.record
                if idempotency_key is not None:
                    stored = logs.find_batch(record, idempotency_key, held)
                    if stored is not None:
                        return stored
                append = _decide(record, entries, epoch, require, handover, idempotency_key)
                if admit is not None:
                    admit(held)
                appended = logs.append(record, append, held)
                held.apply(appended, logs.get_run_stats(record, held) if append.ends_run else None)
        except StorageUnavailableError as error:
            if appended is None or not self._is_in_log(appended):
                raise
            logger.warning("the row of run %s will follow its log later: %s", run_id, error)
        return appended

    def repair(self) -> int:
        """Makes the row of every unfinished run reflect its log; returns how many were behind.

        Run at start-up. Harmless at any time, in any number of processes. A log that cannot be read is
        told in the log of this process and keeps no other run from being repaired.
        """
        return sum(self.repair_run(run_id) for run_id in self.run_storage.get_unfinished_run_ids())

    def repair_run(self, run_id: str) -> bool:
        """Makes the row of a run reflect its log; returns whether it was behind. Harmless as `repair`."""
        record = self.run_storage.find_run_record(run_id)
        if record is None:  # deleted meanwhile
            return False
        logs = self.event_log_storage
        try:
            if not logs.get_mirrored_records(record, record.applied_position):
                return False
            with self.run_storage.hold_run(run_id) as held:
                return self._replay(held)
        except RunNotFoundError:  # deleted meanwhile
            return False
        except (StorageUnavailableError, ValueError) as error:
            # One log that cannot be read, or makes no sense, must not keep the others from repair.
            logger.warning("run %s could not be compared with its log: %s", run_id, error)
            return False

    def delete_run(self, run_id: str, *, require: Collection[RunStatus] | None = None) -> None:
        """Deletes a run with its event log and leaves a tombstone.

        A damaged log does not stand in the way; the status in the run's row counts then.

        Raises:
            RunNotFoundError: there is no such run.
            RunStateConflictError: the run is in none of the required statuses; nothing was deleted.
        """
        with self.run_storage.hold_run(run_id) as held:
            with suppress(StorageDamagedError):
                self._replay(held)
            _check_status(held.record, require)
            held.delete()
        self.event_log_storage.delete_log(held.record)

    def wipe(self) -> None:
        """Deletes all runs and logs, all schedules and sensors with their ticks, all backfills, and what is kept about
        webhooks.
        """
        self.run_storage.wipe()
        self.event_log_storage.wipe()
        self.schedule_storage.wipe()
        self.webhook_storage.wipe()
        self.backfill_storage.wipe()

    def dispose(self) -> None:
        """Frees files, connections and threads. Harmless when called twice."""
        self.schedule_storage.dispose()
        self.event_log_storage.dispose()
        self.run_storage.dispose()

    def _replay(self, held: HeldRun) -> bool:
        """Makes the row reflect what a crash left in the log alone; returns whether there was any."""
        logs = self.event_log_storage
        missing = logs.get_mirrored_records(held.record, held.record.applied_position, held)
        if missing:
            ended = any(
                event.applied and event.event_type in TERMINAL_RUN_EVENTS for event in missing
            )
            held.apply(missing, logs.get_run_stats(held.record, held) if ended else None)
        return bool(missing)

    def _is_in_log(self, appended: Sequence[EventLogRecord]) -> bool:
        """Whether events are in the log though storing them was not brought to its end.

        Where logs are apart from the rows of runs, they are once they were appended. They must not be told to be
        lost then, for whoever tries again would store them twice.
        """
        with suppress(StorageUnavailableError, RunNotFoundError):
            record = self.get_run_record(appended[0].run_id)
            page = self.event_log_storage.get_records(
                record, after=appended[0].position - 1, limit=len(appended)
            )
            return list(appended) == page.records
        return False


def _decide(
    record: RunRecord,
    entries: Sequence[EventLogEntry],
    epoch: int | None,
    require: Collection[RunStatus] | None,
    handover: bool,
    idempotency_key: str | None,
) -> Append:
    """What is to be appended to the log of a run that is held, and what of it applies."""
    if epoch is not None and epoch != record.worker_epoch:
        raise StaleWorkerError(record.run_id, epoch, record.worker_epoch)
    _check_status(record, require)
    if epoch is not None and record.is_finished:
        entries = [entry for entry in entries if entry.is_run_event]
        if not entries:
            raise RunFinishedError(record.run_id)
    applied, ends_run = _applied(record.status, entries)
    if handover:  # a run that no event moves is not handed over
        handover = any(a and e.is_run_event for a, e in zip(applied, entries, strict=True))
    return Append(
        entries,
        applied,
        epoch,
        handover_epoch=record.worker_epoch + 1 if handover else None,
        ends_run=ends_run,
        idempotency_key=idempotency_key,
    )


def _applied(status: RunStatus, entries: Sequence[EventLogEntry]) -> tuple[list[bool], bool]:
    """For each entry whether it applies, and whether the run ends by one of them."""
    applied, ends_run = [], False
    for entry in entries:
        after = status_after(status, entry.event_type) if entry.is_run_event else status
        applied.append(after is not None)
        if after is not None:
            ends_run = ends_run or (entry.event_type in TERMINAL_RUN_EVENTS)
            status = after
    return applied, ends_run


def _check_status(record: RunRecord, require: Collection[RunStatus] | None) -> None:
    if require is not None and record.status not in require:
        expected = [status.value for status in RunStatus if status in require]
        raise RunStateConflictError(record.run_id, record.status.value, expected)
