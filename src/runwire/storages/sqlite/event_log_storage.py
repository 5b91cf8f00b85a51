"""Event logs in SQLite, one file a run; the instance-wide log is in the file of the runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, func

from runwire.errors import RunNotFoundError, StorageDamagedError
from runwire.events.entry import EventLogRecord
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import Append, HeadsWatch
from runwire.storage.run_storage import HeldRun
from runwire.storages.sql.event_log_storage import SqlEventLogStorage
from runwire.storages.sql.log_statements import ONE_LOG
from runwire.storages.sqlite.append import append_to_shard
from runwire.storages.sqlite.heads import SqliteHeadsWatch
from runwire.storages.sqlite.orphans import sweep_orphans
from runwire.storages.sqlite.run_storage import SqliteRunStorage
from runwire.storages.sqlite.shards import Shards


class SqliteEventLogStorage(SqlEventLogStorage):
    """Keeps each log in ``<base_dir>/history/events/<xx>/<run_id>.<log_id>.db``, xx being how log_id begins.

    Args:
        base_dir: the folder.
        runs: the runs, whose file has the instance-wide log too.
        busy_timeout_seconds: how long to wait for another process that writes the same log.
        max_open_logs: how many logs stay open when they are not in use.
    """

    def __init__(
        self,
        base_dir: str | Path,
        runs: SqliteRunStorage,
        busy_timeout_seconds: float = 30.0,
        max_open_logs: int = 64,
    ) -> None:
        super().__init__(ONE_LOG)
        self._runs = runs
        self._patience_seconds = busy_timeout_seconds
        self._shards = Shards(Path(base_dir), busy_timeout_seconds, max_open_logs)

    def append(
        self, record: RunRecord, append: Append, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        records = self._append_if_there(record, append)
        if records is None:
            self._create(record, held)
            records = self._append_if_there(record, append)
        if records is None:  # deleted as soon as it was made
            raise RunNotFoundError(record.run_id)
        return records

    @contextmanager
    def run_connection(
        self,
        record: RunRecord,
        held: HeldRun | None = None,
    ) -> Iterator[Connection | None]:
        with self._shards.lease(record.run_id, record.log_id) as shard:
            if shard is None:
                self._check_never_was(record, held)
                yield None
            else:
                with shard.readers.connect() as connection:
                    yield connection

    def index_connection(self) -> AbstractContextManager[Connection]:
        return self._runs.reading()

    def index_writing(self) -> AbstractContextManager[Connection]:
        return self._runs.writing()

    def holds_text(self, column: ColumnElement[str], text: str) -> ColumnElement[bool]:
        return func.runwire_holds(column, text)

    def open_heads(self) -> HeadsWatch:
        return SqliteHeadsWatch(self._runs.path, self._shards, self._patience_seconds)

    def delete_log(self, record: RunRecord) -> None:
        self._shards.delete(record.run_id, record.log_id)

    def sweep_orphans(self, before: float) -> Iterator[int]:
        return sweep_orphans(self._shards.folder, self._runs, self._shards.delete, before)

    def wipe(self) -> None:
        self._shards.wipe()

    def dispose(self) -> None:
        super().dispose()
        self._shards.close()

    def _append_if_there(self, record: RunRecord, append: Append) -> list[EventLogRecord] | None:
        with self._shards.lease(record.run_id, record.log_id) as shard:
            if shard is None:
                return None
            with shard.writing:
                return append_to_shard(shard.writer, record, append)

    def _create(self, record: RunRecord, held: HeldRun | None) -> None:
        """Makes the shard, unless the run is gone or its row says that there was one already."""
        run = self._runs.find_run_record(record.run_id) if held is None else held.record
        if run is None or run.log_id != record.log_id:
            raise RunNotFoundError(record.run_id)
        # Whoever else appends may have made it, and the run may reflect that, since its want was seen.
        if not self._shards.path_of(run.run_id, run.log_id).exists():
            self._check_is_new(record, run)
            self._shards.create(run)

    def _check_never_was(self, record: RunRecord, held: HeldRun | None) -> None:
        """A log that was never made is empty; one that is gone is not, unless its run is gone as well.

        Raises:
            StorageDamagedError: the file of the log is gone.
        """
        if not record.applied_position:
            return
        run = self._runs.find_run_record(record.run_id) if held is None else held.record
        if run is not None and run.log_id == record.log_id:
            self._check_is_new(record, run)

    def _check_is_new(self, record: RunRecord, run: RunRecord) -> None:
        """Refuses the want of a log that was there, as the run tells whom it is of, or the one who asks.

        The row here may know nothing of what was applied: a run that is kept elsewhere has the events applied there.

        Raises:
            StorageDamagedError: the file of the log is gone.
        """
        applied = max(record.applied_position, run.applied_position)
        if applied:
            raise StorageDamagedError(
                f"{self._shards.path_of(run.run_id, run.log_id)} is missing, though its run reflects events"
                f" up to position {applied}; restore it from a backup, or delete the run"
            )
