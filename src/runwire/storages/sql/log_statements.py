"""What is asked of event logs, as SQL: the same, whether a log has a database of its own or shares one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Table,
    bindparam,
    func,
    literal,
    select,
)

from runwire.events.entry import storable_text
from runwire.events.filters import EventFilter
from runwire.events.types import MIRRORED_EVENTS
from runwire.runs.steps import STEP_STATS_EVENTS
from runwire.storages.sql.event_filters import HoldsText, event_conditions
from runwire.storages.sql.tables import (
    batches,
    events,
    log,
    run_batches,
    run_events,
    run_heads,
)

LOG_KEY = "log"
"""The parameter that tells the log, by the storage id of its run, where several share the tables."""


class LogStatements:
    """The statements about one log.

    Args:
        events: the table of events.
        heads: the table with what is kept of a log as a whole.
        batches: the table of idempotency keys.
        last_position: the last position of the log.
        shared: whether the tables have the rows of many logs; `LOG_KEY` must be given then.
    """

    def __init__(
        self,
        events: Table,
        heads: Table,
        batches: Table,
        *,
        last_position: ColumnElement[int],
        shared: bool,
    ) -> None:
        self._shared = shared
        self._events = events
        columns = events.c
        self._columns = [column for column in columns if column.name != "storage_id"]
        self.head = self._of(heads, select(last_position, heads.c.terminal_position))
        self.mirrored_position = self._of(heads, select(heads.c.mirrored_position))
        mirrored = sorted(event_type.value for event_type in MIRRORED_EVENTS)
        self.mirrored = (
            self._select_events()
            .where(columns.position > bindparam("after"), columns.event_type.in_(mirrored))
            .order_by(columns.position)
        )
        """Takes `after`."""
        in_batch = columns.position.between(batches.c.first_position, batches.c.last_position)
        self.batch = (
            self._of(batches, self._select_events().join(batches, in_batch))
            .where(batches.c.key == bindparam("key"))
            .order_by(columns.position)
        )
        """Takes `key`."""
        self.following = (
            self._select_events()
            .where(columns.position > bindparam("after"))
            .order_by(columns.position)
            .limit(bindparam("limit"))
        )
        """Events after a position, in order; takes `after` and `limit`. What `records` says of it, made once."""
        self._tells_of_steps = columns.event_type.in_(sorted(t.value for t in STEP_STATS_EVENTS))
        self.counted = (
            self._of(events, select(columns.event_type, columns.step_key))
            .where(self._tells_of_steps)
            .order_by(columns.position)
        )

    def records(
        self,
        filter: EventFilter | None,
        holds_text: HoldsText,
        *,
        after: int,
        before: int | None,
        descending: bool,
        limit: int,
    ) -> Select[Any]:
        """Events with after < position < before that match, in order."""
        columns = self._events.c
        matching = self._select_events().where(*event_conditions(self._events, filter, holds_text))
        return span(matching, columns.position, after, before, descending).limit(limit)

    def count(
        self, filter: EventFilter | None, holds_text: HoldsText, limit: int | None
    ) -> Select[Any]:
        """How many events match, counted no further than a limit."""
        conditions = event_conditions(self._events, filter, holds_text)
        matching = self._of(
            self._events, select(literal(1)).select_from(self._events).where(*conditions)
        )
        return select(func.count()).select_from(matching.limit(limit).subquery())

    def of_steps(self, step_keys: Collection[str] | None) -> Select[Any]:
        """The events that tell of steps, or of some steps, in order."""
        columns = self._events.c
        statement = self._select_events().where(self._tells_of_steps).order_by(columns.position)
        if step_keys is None:
            return statement.where(columns.step_key.is_not(None))
        return statement.where(columns.step_key.in_(sorted(map(storable_text, step_keys))))

    def _select_events(self) -> Select[Any]:
        return self._of(self._events, select(*self._columns))

    def _of(self, table: Table, statement: Select[Any]) -> Select[Any]:
        if not self._shared:
            return statement
        return statement.where(table.c.storage_id == bindparam(LOG_KEY))


def span(
    statement: Select[Any],
    position: Column[int],
    after: int,
    before: int | None,
    descending: bool,
) -> Select[Any]:
    """A statement, for after < position < before, in order."""
    statement = statement.where(position > after)
    if before is not None:
        statement = statement.where(position < before)
    return statement.order_by(position.desc() if descending else position)


ONE_LOG = LogStatements(
    events,
    log,
    batches,
    last_position=select(func.coalesce(func.max(events.c.position), 0)).scalar_subquery(),
    shared=False,
)
"""About a log that has a database of its own."""

SHARED_LOG = LogStatements(
    run_events, run_heads, run_batches, last_position=run_heads.c.head, shared=True
)
"""About a log among others."""
