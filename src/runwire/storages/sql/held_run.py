"""A held run in a database: one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from runwire import clock
from runwire.events.entry import EventLogRecord, storable_text
from runwire.events.types import MIRRORED_EVENTS
from runwire.runs.filters import TagFilter
from runwire.runs.projection import project
from runwire.runs.run import RunRecord, StepCounts
from runwire.runs.status import IN_PROGRESS_STATUSES
from runwire.runs.tags import merged
from runwire.storage.instance_log import InstanceEventKind
from runwire.storage.run_storage import HeldRun
from runwire.storages.sql.dialect import dont_scan
from runwire.storages.sql.instance_log import add_entries, change_entry, event_entry
from runwire.storages.sql.rows import as_json, progress_values
from runwire.storages.sql.tables import run_tags, runs
from runwire.storages.stored_form import stored_tags

_IN_PROGRESS = runs.c.status.in_(sorted(status.value for status in IN_PROGRESS_STATUSES))
_UPDATE = update(runs).where(runs.c.storage_id == bindparam("held_id"))
_DROP_TAGS = delete(run_tags).where(run_tags.c.storage_id == bindparam("held_id"))


class SqlHeldRun(HeldRun):
    """Writes on the connection of the hold's transaction, which whoever made it begins and ends."""

    def __init__(self, connection: Connection, record: RunRecord) -> None:
        self.connection = connection
        self._record = record

    @property
    def record(self) -> RunRecord:
        return self._record

    def apply(self, events: Sequence[EventLogRecord], counts: StepCounts | None = None) -> None:
        record, mirrored = self._record, []
        for event in events:
            if event.position > record.applied_position:
                record = project(record, event)
                if event.event_type in MIRRORED_EVENTS:
                    mirrored.append(event_entry(record, event))
        if counts is not None:
            record = replace(record, counts=counts)
        if record is not self._record:
            self._record = record
            add_entries(self.connection, mirrored)
            self._execute_update(**progress_values(record))

    def add_tags(self, tags: Mapping[str, str]) -> None:
        now = clock.timestamp()
        added = stored_tags(tags)
        record = replace(
            self._record,
            run=replace(self._record.run, tags=merged(self._record.run.tags, added)),
            updated_at=max(self._record.updated_at, now),
        )
        self._record = record
        self._execute_update(tags=as_json(record.run.tags), updated_at=record.updated_at)
        replaced = _DROP_TAGS.where(run_tags.c.key.in_(sorted(added)))
        self.connection.execute(replaced, {"held_id": record.storage_id})
        add_tag_rows(self.connection, record, added)
        self._note(InstanceEventKind.RUN_TAGGED, now)

    def delete(self) -> None:
        held_id = {"held_id": self._record.storage_id}
        self.connection.execute(_DROP_TAGS, held_id)
        self.connection.execute(
            delete(runs).where(runs.c.storage_id == bindparam("held_id")), held_id
        )
        self._note(InstanceEventKind.RUN_DELETED, clock.timestamp())

    def count_in_progress(self, tags: Sequence[TagFilter] = ()) -> list[int]:
        dont_scan(self.connection)
        counts = [func.count(), *(func.count(_tag_that_counts(tag)) for tag in tags)]
        row = self.connection.execute(select(*counts).select_from(runs).where(_IN_PROGRESS)).one()
        return list(row)

    def _execute_update(self, **values: object) -> None:
        self.connection.execute(_UPDATE, {"held_id": self._record.storage_id, **values})

    def _note(self, kind: InstanceEventKind, timestamp: float) -> None:
        add_entries(self.connection, [change_entry(self._record, kind, timestamp)])


def _tag_that_counts(tag: TagFilter) -> ColumnElement[str]:
    """The value of a tag of a run, null when it does not count: each run in progress is asked for its own."""
    found = select(run_tags.c.value).where(
        run_tags.c.storage_id == runs.c.storage_id, run_tags.c.key == storable_text(tag.key)
    )
    if tag.values is not None:
        found = found.where(run_tags.c.value.in_(sorted(map(storable_text, tag.values))))
    return found.scalar_subquery()


def add_tag_rows(connection: Connection, record: RunRecord, tags: Mapping[str, str]) -> None:
    """Adds rows of tags that the run does not have."""
    run = {"storage_id": record.storage_id, "created_at": record.created_at}
    rows = [run | {"key": key, "value": value} for key, value in tags.items()]
    if rows:
        connection.execute(insert(run_tags), rows)
