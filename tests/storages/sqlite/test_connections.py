"""The connection that writes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runwire.deadline import Deadline, using_deadline
from runwire.storages.sqlite.connections import Writer, connect, connect_reader

FULL, NORMAL = 2, 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "with space & 100%?.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    writer = Writer(path, 0.05)
    yield writer
    writer.close()


def test_what_is_durable_is_synced_at_its_commit(writer: Writer) -> None:
    for durable in (True, False, False, True):
        writer.begin(durable)
        (level,) = writer.execute("PRAGMA synchronous").fetchone()
        writer.commit()
        assert level == (FULL if durable else NORMAL)


def test_a_writer_waits_for_another_and_goes_on(path: Path) -> None:
    writer, other = Writer(path, 60.0), Writer(path, 60.0)
    other.begin(durable=True)
    execute, tried_often, statements = writer.execute, threading.Event(), list[str]()

    def count(statement: str) -> sqlite3.Cursor:
        statements.append(statement)
        if statements.count("BEGIN IMMEDIATE") > 3:
            tried_often.set()
        return execute(statement)

    def write() -> None:
        writer.execute = count  # type: ignore[assignment]
        writer.begin(durable=True)
        writer.execute("INSERT INTO numbers VALUES (2)")
        writer.commit()

    waiting = threading.Thread(target=write)
    waiting.start()
    other.execute("INSERT INTO numbers VALUES (1)")
    assert tried_often.wait(60.0)
    other.commit()
    waiting.join(60.0)
    assert other.execute("SELECT number FROM numbers").fetchall() == [(1,), (2,)]
    writer.close()
    other.close()


def test_a_wait_in_vain_ends(path: Path, writer: Writer) -> None:
    with closing(connect(path, 0.0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            writer.begin(durable=True)
        other.execute("ROLLBACK")
    writer.begin(durable=True)
    writer.rollback()
    writer.rollback()


def test_a_reader_cannot_write(path: Path) -> None:
    with (
        closing(connect_reader(path, 1.0)) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.execute("INSERT INTO numbers VALUES (1)")


def test_nobody_makes_a_file_by_opening_it(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connect_reader(tmp_path / "none.db", 1.0)
    with pytest.raises(sqlite3.OperationalError):
        Writer(tmp_path / "none.db", 1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_read_ends_when_nobody_waits_for_it_any_more(path: Path) -> None:
    endless = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT max(n) FROM n"
    with closing(connect_reader(path, 0.05)) as reader:
        with (
            using_deadline(Deadline(0.05)),
            pytest.raises(sqlite3.OperationalError, match="interrupted"),
        ):
            reader.execute(endless).fetchone()
        assert reader.execute("SELECT count(*) FROM numbers").fetchone() == (0,)
