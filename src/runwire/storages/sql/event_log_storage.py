"""Reading event logs in a database. Subclasses bring connections, and write."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from runwire.errors import StorageDamagedError
from runwire.events.entry import EventLogRecord, storable_text
from runwire.events.filters import EventFilter, EventRecordsFilter
from runwire.runs.run import RunRecord, StepCounts
from runwire.runs.steps import StepHistory, StepTally, fold_steps
from runwire.storage.asset_index import AssetIndex
from runwire.storage.event_log_storage import (
    EventLogPage,
    EventLogStorage,
    InstanceLogPage,
    InstanceLogSpan,
    LogHead,
)
from runwire.storage.instance_log import MAX_PAGE, InstanceEventKind
from runwire.storage.run_storage import HeldRun
from runwire.storages.sql.asset_index import SqlAssetIndex
from runwire.storages.sql.event_filters import entry_conditions
from runwire.storages.sql.instance_log import drop_entries, find_superseded, purge_entries
from runwire.storages.sql.log_statements import LOG_KEY, LogStatements, span
from runwire.storages.sql.rows import instance_log_record
from runwire.storages.sql.tables import INSTANCE_LOG_ID, instance_head, instance_log, meta
from runwire.storages.stored_form import check_not_purged, event_record
from runwire.storages.watcher import LogWatcher

PURGE_CHUNK = 1000
"""How many entries of the instance-wide log one transaction deletes."""

_SPAN = select(instance_head.c.purged_position, instance_head.c.head)
_PURGED_POSITION = select(instance_head.c.purged_position)
_INSTANCE_LOG_ID = select(meta.c.value).where(meta.c.key == INSTANCE_LOG_ID)


class SqlEventLogStorage(EventLogStorage):
    """Everything but connections, writing and heads.

    Args:
        statements: about logs, as the tables are.
    """

    def __init__(self, statements: LogStatements) -> None:
        self._statements = statements
        self._watcher = LogWatcher(self)
        self._asset_index = SqlAssetIndex(self.index_connection, self.index_writing)

    @property
    def asset_index(self) -> AssetIndex:
        return self._asset_index

    @abstractmethod
    def run_connection(
        self, record: RunRecord, held: HeldRun | None = None
    ) -> AbstractContextManager[Connection | None]:
        """A connection to read a run's log on; None when the log does not exist.

        Driver errors come out as StorageUnavailableError.
        """

    @abstractmethod
    def index_connection(self) -> AbstractContextManager[Connection]:
        """A connection to read the instance-wide log on. Driver errors come out as StorageUnavailableError."""

    @abstractmethod
    def index_writing(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction that writes the instance-wide log, and what is made from it."""

    @abstractmethod
    def holds_text(self, column: ColumnElement[str], text: str) -> ColumnElement[bool]:
        """The condition that a column holds a text, given in lower case, in any case."""

    def find_batch(
        self, record: RunRecord, idempotency_key: str, held: HeldRun | None = None
    ) -> list[EventLogRecord] | None:
        with self.run_connection(record, held) as connection:
            if connection is None:
                return None
            wanted = {LOG_KEY: record.storage_id, "key": storable_text(idempotency_key)}
            rows = connection.execute(self._statements.batch, wanted).all()
        return [event_record(record.run_id, row) for row in rows] or None

    def get_records(
        self,
        record: RunRecord,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = MAX_PAGE,
        descending: bool = False,
        filter: EventFilter | None = None,
    ) -> EventLogPage:
        limit = min(limit, MAX_PAGE)
        wanted = _key(record)
        if before is None and filter is None and not descending:
            statement = self._statements.following
            wanted |= {"after": after, "limit": limit + 1}
        else:
            statement = self._statements.records(
                filter,
                self.holds_text,
                after=after,
                before=before,
                descending=descending,
                limit=limit + 1,
            )
        with self.run_connection(record) as connection:
            rows = [] if connection is None else connection.execute(statement, wanted).all()
        run_id = record.run_id
        if filter is None:
            _check_contiguous(run_id, rows, None if descending else after)
        return EventLogPage([event_record(run_id, row) for row in rows[:limit]], len(rows) > limit)

    def get_records_count(
        self, record: RunRecord, filter: EventFilter | None = None, *, limit: int | None = None
    ) -> int:
        statement = self._statements.count(filter, self.holds_text, limit)
        with self.run_connection(record) as connection:
            if connection is None:
                return 0
            count: int = connection.execute(statement, _key(record)).scalar_one()
        return count

    def get_head(self, record: RunRecord) -> LogHead:
        with self.run_connection(record) as connection:
            return LogHead(0, None) if connection is None else self._head(connection, record)

    def get_mirrored_records(
        self, record: RunRecord, after: int, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        with self.run_connection(record, held) as connection:
            if connection is None:
                return []
            last = connection.execute(self._statements.mirrored_position, _key(record)).scalar()
            if last is None or last <= after:
                return []
            wanted = _key(record) | {"after": after}
            rows = connection.execute(self._statements.mirrored, wanted).all()
        return [event_record(record.run_id, row) for row in rows]

    def get_run_stats(self, record: RunRecord, held: HeldRun | None = None) -> StepCounts:
        tally, has_ended = StepTally(), held is not None
        with self.run_connection(record, held) as connection:
            if connection is not None:
                if not has_ended:
                    has_ended = self._head(connection, record).terminal_position is not None
                counted = connection.execute(self._statements.counted, _key(record))
                for stored_type, step_key in counted:
                    tally.count(stored_type, step_key)
        return tally.counts(record, has_ended=has_ended)

    def get_step_stats(
        self, record: RunRecord, step_keys: Collection[str] | None = None
    ) -> dict[str, StepHistory]:
        statement = self._statements.of_steps(step_keys)
        with self.run_connection(record) as connection:
            if connection is None:
                return {}
            rows = connection.execute(statement, _key(record)).all()
        return fold_steps({}, (event_record(record.run_id, row) for row in rows))

    def get_event_records(
        self,
        filter: EventRecordsFilter | None = None,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = MAX_PAGE,
        descending: bool = False,
        kinds: Collection[InstanceEventKind] = (InstanceEventKind.EVENT,),
    ) -> InstanceLogPage:
        limit = min(limit, MAX_PAGE)
        statement = select(instance_log).where(*entry_conditions(filter, kinds))
        position = instance_log.c.position
        statement = span(statement, position, after, before, descending).limit(limit + 1)
        with self.index_connection() as connection:
            rows = connection.execute(statement).all()
            # Asked after the rows, so that it tells of whatever was purged before they were read.
            purged_position = connection.execute(_PURGED_POSITION).scalar_one()
            if after < purged_position:
                log_id = connection.execute(_INSTANCE_LOG_ID).scalar_one()
                check_not_purged(after, purged_position, log_id)
        return InstanceLogPage(
            [instance_log_record(row) for row in rows[:limit]], len(rows) > limit
        )

    def get_instance_log_id(self) -> str:
        with self.index_connection() as connection:
            log_id: str = connection.execute(_INSTANCE_LOG_ID).scalar_one()
        return log_id

    def get_instance_log_span(self) -> InstanceLogSpan:
        with self.index_connection() as connection:
            return InstanceLogSpan(*connection.execute(_SPAN).one())

    def purge_instance_log(self, up_to: int) -> int:
        span = self.get_instance_log_span()
        purged = 0
        for position in range(span.purged_position, min(up_to, span.head), PURGE_CHUNK):
            with self.index_writing() as connection:
                purged += purge_entries(connection, min(position + PURGE_CHUNK, up_to, span.head))
        self._drop_superseded(span.purged_position)
        return purged

    def watch(
        self, record: RunRecord, after: int, callback: Callable[[EventLogRecord], None]
    ) -> None:
        self._watcher.watch(record, after, callback)

    def end_watch(self, run_id: str, callback: Callable[[EventLogRecord], None]) -> None:
        self._watcher.end_watch(run_id, callback)

    def dispose(self) -> None:
        self._watcher.dispose()

    def _drop_superseded(self, up_to: int) -> None:
        """Deletes what earlier purges kept for the asset index, as far as it tells of something newer."""
        while True:
            with self.index_connection() as connection:
                positions = find_superseded(connection, up_to, PURGE_CHUNK)
            if not positions:
                return
            with self.index_writing() as connection:
                drop_entries(connection, positions)

    def _head(self, connection: Connection, record: RunRecord) -> LogHead:
        row = connection.execute(self._statements.head, _key(record)).first()
        return LogHead(0, None) if row is None else LogHead(*row)


def _check_contiguous(run_id: str, rows: Sequence[Any], after: int | None) -> None:
    """Looks for holes in a page; it looks closer only when there is one.

    Args:
        run_id: the run of the log.
        rows: those of the page, in either order.
        after: where the page follows; None when that is not known.

    Raises:
        StorageDamagedError: positions are missing.
    """
    if not rows:
        return
    first, last = sorted((rows[0].position, rows[-1].position))
    wanted = range(first if after is None else after + 1, last + 1)
    if len(rows) != len(wanted):
        missing = min(set(wanted).difference(row.position for row in rows))
        raise StorageDamagedError(
            f"the log of run {run_id!r} has no event at position {missing}, and some after it; its storage is"
            " damaged, or was put back to an earlier state: restore it from a backup, or delete the run"
        )


def _key(record: RunRecord) -> dict[str, Any]:
    return {LOG_KEY: record.storage_id}
