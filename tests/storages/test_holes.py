"""An event that is gone from the middle of a log is noticed, wherever the log is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runwire.errors import StorageDamagedError
from runwire.events.filters import EventFilter
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.storage import InstanceStorage
from runwire.storages.postgres import PostgresStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run, lines
from tests.postgres import PostgresServer

LENGTH = 10


@dataclass
class Holed:
    """A run's log, of which events can be removed."""

    storage: InstanceStorage
    run: RunRecord
    execute: Callable[[str], Any]
    table: str

    def remove(self, position: int) -> None:
        self.execute(f"DELETE FROM {self.table} WHERE position = {position}")

    def page(self, **options: Any) -> list[int]:
        page = self.storage.event_log_storage.get_records(self.run, **options)
        return [record.position for record in page.records]


def in_file(file: Path) -> Callable[[str], None]:
    def execute(statement: str) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute(statement)
        connection.close()

    return execute


@pytest.fixture(params=["sharded", "consolidated", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Holed]:
    storage: InstanceStorage
    match request.param:
        case "sharded":
            storage = SqliteStorage(tmp_path)
        case "consolidated":
            storage = SqliteStorage(tmp_path, layout="consolidated")
        case _:
            storage = PostgresStorage(request.getfixturevalue("postgres_url"))
    run = add_run(storage)
    storage.store_events(run.run_id, lines(run.run_id, LENGTH))
    table, execute = "run_events", in_file(tmp_path / "history" / "runwire.db")
    if request.param == "sharded":
        (file,) = (tmp_path / "history").rglob(f"{run.run_id}*.db")
        table, execute = "events", in_file(file)
    elif request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = request.getfixturevalue("postgres_url").rpartition("/")[2]
        execute = lambda statement: server.execute(statement, name)  # noqa: E731
    yield Holed(storage, run, execute, table)
    storage.dispose()


def test_pages_of_a_whole_log_are_given(log: Holed) -> None:
    assert log.page() == list(range(1, 11))
    assert log.page(after=4, limit=3) == [5, 6, 7]
    assert log.page(after=10) == []
    assert log.page(descending=True, limit=3) == [10, 9, 8]
    assert log.page(before=4, descending=True) == [3, 2, 1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"after": 3},
        {"after": 4},
        {"limit": 5, "after": 2},
        {"descending": True},
        {"before": 7, "descending": True},
    ],
)
def test_a_page_with_a_hole_is_refused(log: Holed, options: dict[str, Any]) -> None:
    log.remove(5)
    with pytest.raises(StorageDamagedError, match="has no event at position 5, and some after it"):
        log.page(**options)


def test_a_page_beside_the_hole_is_given(log: Holed) -> None:
    log.remove(5)
    assert log.page(limit=3) == [1, 2, 3]
    assert log.page(after=5) == [6, 7, 8, 9, 10]
    assert log.page(descending=True, limit=4) == [10, 9, 8, 7]


def test_filtered_pages_have_no_order_without_holes(log: Holed) -> None:
    log.remove(5)
    assert log.page(filter=EventFilter(event_types=frozenset({EventType.STEP_START}))) == []
