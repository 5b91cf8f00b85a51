"""Polls of many watched logs cost what moved costs, and leave none out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from runwire.errors import StorageUnavailableError
from runwire.events.entry import EventLogRecord
from runwire.runs.run import RunRecord
from runwire.storage import InstanceStorage
from runwire.storage.event_log_storage import HeadsWatch
from runwire.storages.postgres import PostgresStorage
from runwire.storages.sql import heads
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run, lines

RUNS = 10
AT_ONCE = 3
POLLS = 4
"""In how many polls all runs are looked at."""


@pytest.fixture(params=["consolidated", "postgres"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InstanceStorage]:
    monkeypatch.setattr(heads, "AT_ONCE", AT_ONCE)
    monkeypatch.setattr(heads, "LATELY_SECONDS", -1.0)
    made: InstanceStorage
    if request.param == "postgres":
        made = PostgresStorage(request.getfixturevalue("postgres_url"))
    else:
        made = SqliteStorage(tmp_path, layout="consolidated")
    yield made
    made.dispose()


@pytest.fixture
def runs(storage: InstanceStorage) -> list[RunRecord]:
    """Runs of which all but the last have a log."""
    made = [add_run(storage) for _ in range(RUNS)]
    for run in made[:-1]:
        write(storage, run)
    return made


@pytest.fixture
def watch(storage: InstanceStorage, runs: list[RunRecord]) -> Iterator[HeadsWatch]:
    """A watch of all runs that has told where they are."""
    made = storage.event_log_storage.open_heads()
    for run in runs:
        made.watch(run.run_id)
    assert set(made.poll()) == {run.run_id for run in runs[:-1]}
    told = [made.poll() for _ in range(POLLS)]
    assert told == [{}] * POLLS
    yield made
    made.close()


def write(storage: InstanceStorage, run: RunRecord) -> list[EventLogRecord]:
    return storage.store_events(run.run_id, lines(run.run_id, 1), known=run)


def told_by(watch: HeadsWatch, polls: int = POLLS) -> list[tuple[str, int]]:
    return [(run_id, head.position) for _ in range(polls) for run_id, head in watch.poll().items()]


def test_each_of_many_that_moved_is_told_once(
    storage: InstanceStorage, runs: list[RunRecord], watch: HeadsWatch
) -> None:
    for run in runs:
        write(storage, run)
    expected = [(run.run_id, 2) for run in runs[:-1]] + [(runs[-1].run_id, 1)]
    assert sorted(told_by(watch)) == sorted(expected)
    assert told_by(watch) == []


def test_one_of_many_that_moved_is_told_whichever_it_is(
    storage: InstanceStorage, runs: list[RunRecord], watch: HeadsWatch
) -> None:
    for run in runs:
        write(storage, run)
        assert [run_id for run_id, _ in told_by(watch)] == [run.run_id]


def test_those_that_move_while_others_are_looked_at_are_told(
    storage: InstanceStorage, runs: list[RunRecord], watch: HeadsWatch
) -> None:
    told: list[tuple[str, int]] = []
    for run in runs[:-1]:
        write(storage, run)
        told += told_by(watch, polls=1)
    told += told_by(watch)
    assert sorted(told) == sorted((run.run_id, 2) for run in runs[:-1])


def test_a_run_that_is_deleted_among_those_that_grow_is_told(
    storage: InstanceStorage, runs: list[RunRecord], watch: HeadsWatch
) -> None:
    storage.event_log_storage.delete_log(runs[0])
    write(storage, runs[1])  # the sum of all heads is what it was
    assert sorted(told_by(watch)) == sorted([(runs[0].run_id, 0), (runs[1].run_id, 2)])


def test_what_is_not_watched_any_more_takes_no_turn(
    storage: InstanceStorage, runs: list[RunRecord], watch: HeadsWatch
) -> None:
    write(storage, runs[-2])
    for run in runs[: -AT_ONCE - 1]:
        watch.unwatch(run.run_id)
    assert told_by(watch) == [(runs[-2].run_id, 2)]


def test_a_poll_that_fails_takes_nothing_from_the_next(
    storage: InstanceStorage,
    runs: list[RunRecord],
    watch: HeadsWatch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(storage, runs[0])

    def fail(*_: object) -> None:
        raise StorageUnavailableError("the connection was lost")

    with monkeypatch.context() as patch:
        patch.setattr(heads.SharedHeadsWatch, "_find_heads", fail)
        for _ in range(POLLS):
            with pytest.raises(StorageUnavailableError):
                told_by(watch)
    assert told_by(watch) == [(runs[0].run_id, 2)]


@pytest.mark.parametrize("storage", ["postgres"], indirect=True)
def test_nothing_is_asked_of_idle_runs(storage: PostgresStorage, watch: HeadsWatch) -> None:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    def asks_once() -> bool:
        statements.clear()
        assert watch.poll() == {}
        assert "pg_current_snapshot" in statements[0]
        return len(statements) == 1

    with storage.run_storage.reading() as connection:
        engine = connection.engine
    event.listen(engine, "before_cursor_execute", note)
    # PostgreSQL has transactions of its own now and then, after which runs are looked at.
    assert any(asks_once() for _ in range(1000))
    event.remove(engine, "before_cursor_execute", note)
