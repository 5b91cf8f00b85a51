"""Reading event logs in a database. Subclasses bring connections, and write."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, bindparam, func, literal, select

from runwire.events.entry import EventLogRecord, storable_text
from runwire.events.filters import EventFilter, EventRecordsFilter
from runwire.events.types import MIRRORED_EVENTS
from runwire.runs.run import RunRecord, StepCounts
from runwire.storage.event_log_storage import (
    MAX_PAGE,
    EventLogPage,
    EventLogStorage,
    InstanceEventKind,
    InstanceLogPage,
    LogHead,
)
from runwire.storage.run_storage import HeldRun
from runwire.storages.sql.event_filters import entry_conditions, event_conditions
from runwire.storages.sql.rows import instance_log_record
from runwire.storages.sql.tables import INSTANCE_LOG_ID, batches, events, instance_log, log, meta
from runwire.storages.step_tally import COUNTED_TYPES, StepTally
from runwire.storages.stored_form import event_record
from runwire.storages.watcher import LogWatcher

_LAST_POSITION = select(func.coalesce(func.max(events.c.position), 0)).scalar_subquery()
_HEAD = select(_LAST_POSITION, log.c.terminal_position)
_MIRRORED_POSITION = select(log.c.mirrored_position)
_MIRRORED = (
    select(events)
    .where(
        events.c.position > bindparam("after"),
        events.c.event_type.in_(sorted(event_type.value for event_type in MIRRORED_EVENTS)),
    )
    .order_by(events.c.position)
)
_BATCH = (
    select(events)
    .join(batches, events.c.position.between(batches.c.first_position, batches.c.last_position))
    .where(batches.c.key == bindparam("key"))
    .order_by(events.c.position)
)
_COUNTED = (
    select(events.c.event_type, events.c.step_key)
    .where(events.c.event_type.in_(sorted(COUNTED_TYPES)))
    .order_by(events.c.position)
)
_STEPS_NAMED = select(func.count(events.c.step_key.distinct()))
_INSTANCE_LOG_ID = select(meta.c.value).where(meta.c.key == INSTANCE_LOG_ID)


class SqlEventLogStorage(EventLogStorage):
    """Everything but connections, writing and heads, for logs that have a database each."""

    def __init__(self) -> None:
        self._watcher = LogWatcher(self)

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
    def holds_text(self, column: ColumnElement[str], text: str) -> ColumnElement[bool]:
        """The condition that a column holds a text, given in lower case, in any case."""

    def find_batch(
        self, record: RunRecord, idempotency_key: str, held: HeldRun | None = None
    ) -> list[EventLogRecord] | None:
        with self.run_connection(record, held) as connection:
            if connection is None:
                return None
            rows = connection.execute(_BATCH, {"key": storable_text(idempotency_key)}).all()
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
        statement = select(events).where(*event_conditions(filter, self.holds_text))
        statement = _span(statement, events.c.position, after, before, descending).limit(limit + 1)
        with self.run_connection(record) as connection:
            rows = [] if connection is None else connection.execute(statement).all()
        run_id = record.run_id
        return EventLogPage([event_record(run_id, row) for row in rows[:limit]], len(rows) > limit)

    def get_records_count(
        self, record: RunRecord, filter: EventFilter | None = None, *, limit: int | None = None
    ) -> int:
        conditions = event_conditions(filter, self.holds_text)
        matching = select(literal(1)).select_from(events).where(*conditions).limit(limit)
        statement = select(func.count()).select_from(matching.subquery())
        with self.run_connection(record) as connection:
            return 0 if connection is None else connection.execute(statement).scalar_one()

    def get_head(self, record: RunRecord) -> LogHead:
        with self.run_connection(record) as connection:
            row = None if connection is None else connection.execute(_HEAD).one()
        return LogHead(0, None) if row is None else LogHead(*row)

    def get_mirrored_records(
        self, record: RunRecord, after: int, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        with self.run_connection(record, held) as connection:
            if connection is None or connection.execute(_MIRRORED_POSITION).scalar_one() <= after:
                return []
            rows = connection.execute(_MIRRORED, {"after": after}).all()
        return [event_record(record.run_id, row) for row in rows]

    def get_step_counts(self, record: RunRecord, held: HeldRun | None = None) -> StepCounts:
        tally, steps_named, has_ended = StepTally(), 0, False
        with self.run_connection(record, held) as connection:
            if connection is not None:
                has_ended = connection.execute(_HEAD).one().terminal_position is not None
                for stored_type, step_key in connection.execute(_COUNTED):
                    tally.count(stored_type, step_key)
                steps_named = connection.execute(_STEPS_NAMED).scalar_one()
        return tally.counts(record, steps_named=steps_named, has_ended=has_ended)

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
        statement = _span(statement, position, after, before, descending).limit(limit + 1)
        with self.index_connection() as connection:
            rows = connection.execute(statement).all()
        return InstanceLogPage(
            [instance_log_record(row) for row in rows[:limit]], len(rows) > limit
        )

    def get_instance_log_id(self) -> str:
        with self.index_connection() as connection:
            log_id: str = connection.execute(_INSTANCE_LOG_ID).scalar_one()
        return log_id

    def watch(
        self, record: RunRecord, after: int, callback: Callable[[EventLogRecord], None]
    ) -> None:
        self._watcher.watch(record, after, callback)

    def end_watch(self, run_id: str, callback: Callable[[EventLogRecord], None]) -> None:
        self._watcher.end_watch(run_id, callback)

    def dispose(self) -> None:
        self._watcher.dispose()


def _span(
    statement: Select[Any],
    position: Column[int],
    after: int,
    before: int | None,
    descending: bool,
) -> Select[Any]:
    statement = statement.where(position > after)
    if before is not None:
        statement = statement.where(position < before)
    return statement.order_by(position.desc() if descending else position)
