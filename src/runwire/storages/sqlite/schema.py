"""Making database files, and checking that they are of this version."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from uuid import uuid4

from sqlalchemy import MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from runwire.errors import SchemaRevisionError
from runwire.storages.migrations import mend_of

Prepare = Callable[[sqlite3.Connection], None]


@cache
def ddl(metadata: MetaData) -> tuple[str, ...]:
    """The statements that make the tables of a metadata and their indexes."""
    dialect = sqlite.dialect()
    statements = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in indexes]
    return tuple(statements)


def create_database(path: Path, metadata: MetaData, prepare: Prepare) -> None:
    """Makes a database in WAL mode, whole or not at all, however many processes try at once.

    It is built under another name and linked to its own when it is complete and synced, so nobody ever
    sees a part of it. When the file is there already, nothing changes.

    Args:
        path: the file.
        metadata: its tables.
        prepare: writes its first rows, in the transaction that makes the tables.
    """
    _make_folder(path.parent)
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        _write_draft(draft, metadata, prepare)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


def _write_draft(draft: Path, metadata: MetaData, prepare: Prepare) -> None:
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # synced below, as a whole
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("BEGIN")
        for statement in ddl(metadata):
            connection.execute(statement)
        prepare(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    _sync(draft)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(path: Path) -> None:
    """Syncs a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_revision(path: Path, found: str | None, newest: str) -> None:
    """Checks the revision of a database.

    Args:
        path: its file.
        found: the revision that it has; None for none.
        newest: the one that this version reads and writes.

    Raises:
        SchemaRevisionError: the two differ.
    """
    if found != newest:
        raise SchemaRevisionError(str(path), found, newest, mend_of(found, newest))


def find_revision(connection: sqlite3.Connection, *, of_log: bool) -> str | None:
    """The revision of a database, one of runs or one of an event log; None when it has none."""
    table, column = ("log", "revision") if of_log else ("alembic_version", "version_num")
    tables = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if connection.execute(tables, (table,)).fetchone() is None:
        return None
    row = connection.execute(f"SELECT {column} FROM {table}").fetchone()  # noqa: S608 - constants
    return None if row is None else str(row[0])
