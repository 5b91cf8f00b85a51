"""Making databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runwire.storages.sql.tables import LOG
from runwire.storages.sqlite.schema import create_database
from runwire.testing.samples import in_threads


def row(log_id: str) -> tuple[object, ...]:
    return (log_id, "run-1", "0001", 0, None, 0)


def create(path: Path, log_id: str) -> None:
    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", row(log_id))

    create_database(path, LOG, prepare)


def test_a_database_is_made_in_wal_mode_with_its_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "log.db"
    create(path, "first")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT * FROM log").fetchall() == [row("first")]
    assert [p.name for p in path.parent.iterdir()] == ["log.db"]


def test_of_many_who_make_it_at_once_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    in_threads(8, lambda index: create(path, str(index)))
    create(path, "late")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT log_id FROM log").fetchall()
    assert len(rows) == 1
    assert rows[0][0] in set("01234567")
    assert [p.name for p in tmp_path.iterdir()] == ["log.db"]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", row("x"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        create_database(tmp_path / "log.db", LOG, fail)
    assert list(tmp_path.iterdir()) == []
