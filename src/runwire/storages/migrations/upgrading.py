"""Bringing databases to the newest revision."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.config import Config
from sqlalchemy import StaticPool, create_engine

from runwire.errors import SchemaRevisionError
from runwire.storages.migrations import HEAD_REVISION, LOG_REVISION

Scope = Literal["runs", "log"]

NEWEST: dict[Scope, str] = {"runs": HEAD_REVISION, "log": LOG_REVISION}
"""The newest revision of each kind of database."""


def migrations_config() -> Config:
    """Alembic's configuration of the chain."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade_base_dir(base_dir: Path) -> list[Path]:
    """Brings all databases below a base folder to the newest revision; returns those that were behind.

    Each one is migrated in one transaction, the file of the runs last, so that what was cut short can be
    run again. No other process may use them meanwhile.

    Raises:
        FileNotFoundError: there is no storage below the folder.
        SchemaRevisionError: a newer version of runwire wrote one of them.
    """
    history = base_dir / "history"
    runs = history / "runs.db"
    if not runs.is_file():
        raise FileNotFoundError(runs)
    return [path for path, scope in _databases(history, runs) if upgrade_file(path, scope)]


def upgrade_file(path: Path, scope: Scope, revision: str | None = None) -> bool:
    """Brings one SQLite file to a revision, by default the newest; returns whether it was behind.

    Raises:
        SchemaRevisionError: a newer version of runwire wrote it.
    """
    revision = revision or NEWEST[scope]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ATTACH ':memory:' AS versions")  # used for a log only
        connection.execute("BEGIN IMMEDIATE")
        found = _find_revision(connection, scope)
        if found == revision:
            return False
        if found is not None and found > revision:
            mend = "a newer version of runwire wrote it; migrate with that version or a newer one"
            raise SchemaRevisionError(str(path), found, revision, mend)
        _upgrade_and_commit(connection, scope, revision)
        return True


def _databases(history: Path, runs: Path) -> Iterator[tuple[Path, Scope]]:
    for path in sorted((history / "events").glob("*/*.db")):
        if not path.name.startswith("."):
            yield path, "log"
    yield runs, "runs"


def _find_revision(connection: sqlite3.Connection, scope: Scope) -> str | None:
    table, column = ("alembic_version", "version_num") if scope == "runs" else ("log", "revision")
    tables = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if connection.execute(tables, (table,)).fetchone() is None:
        return None
    row = connection.execute(f"SELECT {column} FROM {table}").fetchone()  # noqa: S608 - constants
    return None if row is None else str(row[0])


def _upgrade_and_commit(connection: sqlite3.Connection, scope: Scope, revision: str) -> None:
    creator: Any = lambda: connection  # noqa: E731 - its type does not fit SQLAlchemy's to the letter
    engine = create_engine("sqlite://", creator=creator, poolclass=StaticPool)
    config = migrations_config()
    with engine.connect() as wrapped:
        config.attributes["connection"] = wrapped
        config.attributes["scope"] = scope
        command.upgrade(config, revision)
        wrapped.commit()
