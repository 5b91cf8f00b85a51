"""What is asked about ticks walks along an index, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event

from runwire.storage import ScheduleStorage
from runwire.storages.sql import schedule_storage
from runwire.storages.sql.schedule_storage import SqlScheduleStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import ended, make_tick, start_source
from runwire.ticks import TickPlace, TickStatus

SUCCESS = TickStatus.SUCCESS
SOME = {SUCCESS, TickStatus.FAILURE}

Asking = Callable[[ScheduleStorage, str], object]


def ask(**asked: Any) -> Asking:
    return lambda schedules, source_id: schedules.get_ticks(source_id, limit=5, **asked)


ASKED: dict[str, tuple[Asking, str]] = {
    "page": (ask(), "ticks_due_at"),
    "page beyond a place": (ask(beyond=TickPlace(5.0, 3)), "ticks_due_at"),
    "page between instants": (ask(before=9.0, after=1.0), "ticks_due_at"),
    "page of statuses": (
        ask(statuses=SOME, beyond=TickPlace(5.0, 3), after=1.0),
        "ticks_status",
    ),
    "batch": (lambda s, i: s.get_batch_ticks([i, "other"], limit=2), "ticks_due_at"),
    "batch of statuses": (
        lambda s, i: s.get_batch_ticks([i, "other"], statuses=SOME, limit=2),
        "ticks_status",
    ),
    "purge": (lambda s, i: s.purge_ticks(3.0, limit=2), "ticks_age"),
    "purge of statuses": (lambda s, i: s.purge_ticks(3.0, statuses=SOME, limit=2), "ticks_age"),
    "purge of a source": (
        lambda s, i: s.purge_ticks(3.0, source_id=i, limit=2),
        "ticks_status",
    ),
    "making": (lambda s, i: s.create_tick(i, "new", due_at=9.0, started_at=9.0), "ticks_key"),
    "writing": (lambda s, i: s.update_tick(ended(s.get_tick(1), SUCCESS)), "INTEGER PRIMARY KEY"),
}
"""What is asked, and the index that serves it."""


@contextmanager
def statements(storage: SqliteStorage) -> Iterator[list[tuple[str, Any]]]:
    """Collects what is executed on ticks meanwhile, reading or writing."""
    seen: list[tuple[str, Any]] = []

    def note(
        _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> None:
        if "ticks" in statement and not statement.startswith("INSERT"):
            seen.append((statement, parameters))

    runs = storage.run_storage
    with runs.writing() as connection:
        engines = (connection.engine, runs._readers)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(("asking", "index"), ASKED.values(), ids=ASKED)
def test_no_statement_scans_or_sorts_the_ticks(
    sqlite_storage: SqliteStorage, asking: Asking, index: str
) -> None:
    schedules = sqlite_storage.schedule_storage
    source_id = start_source(schedules).source_id
    for number in range(8):
        make_tick(schedules, source_id, float(number))
    with statements(sqlite_storage) as seen:
        asking(schedules, source_id)
    assert seen
    used = []
    with sqlite_storage.run_storage.reading() as connection:
        for statement, parameters in seen:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plan = [row[3] for row in rows]
            used += [line for line in plan if line.startswith("SEARCH ticks")]
            assert not [line for line in plan if line.startswith("SCAN ticks")], plan
            assert not [line for line in plan if "TEMP B-TREE" in line], plan
    assert any(f"{index} " in line for line in used), used


def test_a_tick_that_is_made_before_its_source_is_gone_goes_with_it(
    sqlite_storage: SqliteStorage,
) -> None:
    class Late(SqlScheduleStorage):
        def purge_ticks(self, before: float, **asked: Any) -> int:
            purged = super().purge_ticks(before, **asked)
            if not purged:
                make_tick(self, source_id, 5.0)
            return purged

    source_id = start_source(sqlite_storage.schedule_storage).source_id
    Late(sqlite_storage.run_storage).delete_tick_source(source_id)
    assert sqlite_storage.schedule_storage.get_ticks(source_id, limit=1).ticks == []
    assert sqlite_storage.schedule_storage.get_tick_sources() == []


def test_a_source_with_more_ticks_than_one_transaction_deletes_is_deleted(
    sqlite_storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_storage, "DELETE_BATCH", 2)
    schedules = sqlite_storage.schedule_storage
    source_id = start_source(schedules).source_id
    for number in range(5):
        make_tick(schedules, source_id, float(number))
    with statements(sqlite_storage) as seen:
        schedules.delete_tick_source(source_id)
    assert schedules.get_ticks(source_id, limit=1).ticks == []
    deletions = [statement for statement, _ in seen if statement.startswith("DELETE")]
    assert len(deletions) == 4
