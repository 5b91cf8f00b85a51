"""SQLite's errors, translated once: which file, what is wrong, what mends it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from runwire.errors import StorageDamagedError, StorageUnavailableError

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_PROBLEMS = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "it cannot be written; mend the permissions of the file and its folder",
    sqlite3.SQLITE_PERM: "it may not be opened; mend the permissions of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened; check that its folder is there and can be written,"
        " and the limit of open files (ulimit -n)"
    ),
    sqlite3.SQLITE_IOERR: "the disk does not answer as it should; check the disk and its free space",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises what SQLite raises as StorageUnavailableError.

    Raises:
        StorageDamagedError: the file is not what SQLite wrote.
        StorageUnavailableError: anything else.
    """
    try:
        yield
    except (sqlite3.Error, DBAPIError) as error:
        raise translation(error, path) from error


@contextmanager
def translated_files(path: Path) -> Iterator[None]:
    """As `translated`, and also what the file system refuses."""
    try:
        with translated(path):
            yield
    except OSError as error:
        raise StorageUnavailableError(
            f"{path}: {error.strerror or error}; check that its folder can be written"
        ) from error


def translation(error: sqlite3.Error | DBAPIError, path: Path) -> StorageUnavailableError:
    """What an error of SQLite means, whether or not SQLAlchemy has wrapped it."""
    if isinstance(error, DBAPIError):
        if isinstance(error.orig, sqlite3.Error):
            return translation(error.orig, path)
        return StorageUnavailableError(f"{path}: {error}")
    code = primary_code(error)
    if code in _DAMAGED or _is_undecodable(error):
        return StorageDamagedError(
            f"{path} is damaged ({error}); restore it from a backup, or move it away"
        )
    if code in _BUSY:
        problem = "another process holds its lock for too long; find out which, then try again"
    else:
        problem = _PROBLEMS.get(code, "SQLite refused")
    return StorageUnavailableError(f"{path}: {problem} ({error})")


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds a lock, so that trying again may help."""
    return primary_code(error) in _BUSY


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; -1 for an error of the driver itself."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1


def _is_undecodable(error: sqlite3.Error) -> bool:
    return str(error).startswith("Could not decode to UTF-8")
