"""What SQLite's errors become."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from runwire.errors import StorageDamagedError, StorageUnavailableError
from runwire.storages.sqlite.errors import translated, translated_files

PATH = Path("logs") / "a.db"


def fill(path: Path) -> None:
    """Writes until the disk is full, as far as SQLite can tell."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE texts (text TEXT)")
        connection.execute("PRAGMA max_page_count = 5")
        connection.execute("INSERT INTO texts VALUES (zeroblob(100000))")


def read_undecodable(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT CAST(x'ff' AS TEXT)").fetchone()


def read_what_is_no_database(path: Path) -> None:
    path.write_bytes(b"x" * 4096)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT * FROM sqlite_master")


def write_to_read_only(path: Path) -> None:
    sqlite3.connect(path).close()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("CREATE TABLE texts (text TEXT)")


def open_what_is_missing(path: Path) -> None:
    sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)


@pytest.mark.parametrize(
    ("work", "mend"),
    [
        (fill, "free some space"),
        (write_to_read_only, "permissions"),
        (open_what_is_missing, "cannot be opened"),
    ],
)
def test_what_may_pass_is_told_with_file_and_mend(tmp_path: Path, work: object, mend: str) -> None:
    path = tmp_path / "a.db"
    assert callable(work)
    with pytest.raises(StorageUnavailableError, match=mend) as refused, translated(path):
        work(path)
    assert str(path) in str(refused.value)
    assert not isinstance(refused.value, StorageDamagedError)
    assert isinstance(refused.value.__cause__, sqlite3.Error)


@pytest.mark.parametrize("work", [read_undecodable, read_what_is_no_database])
def test_what_does_not_pass_is_damage(tmp_path: Path, work: object) -> None:
    path = tmp_path / "a.db"
    assert callable(work)
    with pytest.raises(StorageDamagedError) as refused, translated(path):
        work(path)
    assert str(path) in str(refused.value)


def test_what_sqlalchemy_wrapped_is_unwrapped() -> None:
    orig = sqlite3.DatabaseError("file is not a database")
    orig.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    with pytest.raises(StorageDamagedError), translated(PATH):
        raise DBAPIError("SELECT 1", None, orig)


def test_other_errors_pass() -> None:
    with pytest.raises(FileNotFoundError), translated(PATH):
        raise FileNotFoundError
    with pytest.raises(ZeroDivisionError), translated_files(PATH):
        raise ZeroDivisionError


def test_what_the_file_system_refuses_is_told() -> None:
    with pytest.raises(StorageUnavailableError, match="No space left"), translated_files(PATH):
        raise OSError(28, "No space left on device")
