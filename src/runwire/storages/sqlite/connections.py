"""Connections to one SQLite file: one that writes, and some that read."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Dialect, Engine, QueuePool, create_engine, make_url, select
from sqlalchemy.util import LRUCache

from runwire.deadline import current_deadline
from runwire.storages.sqlite.errors import is_busy

_IDLE_READERS = 2
_STEP_SECONDS = 0.002
_MAX_STEP_SECONDS = 0.005

_STEPS = 20_000
"""After so many instructions, some tenths of a millisecond, it is asked whether anybody waits."""

_COMPILED: LRUCache[Any, Any] = LRUCache(500)
"""Compiled statements, shared by the engines of all event logs, which speak one dialect."""


def connect(path: Path, patience_seconds: float, *, create: bool = False) -> sqlite3.Connection:
    """Opens a file in autocommit mode; only with `create` one that is not there."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}",
        uri=True,
        timeout=patience_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )


def connect_reader(path: Path, patience_seconds: float) -> sqlite3.Connection:
    """Opens a file that is there, to read only."""
    connection = connect(path, patience_seconds)
    try:
        connection.create_function("runwire_holds", 2, _holds, deterministic=True)
        connection.execute("PRAGMA query_only = ON")
        connection.set_progress_handler(_is_overdue, _STEPS)
    except BaseException:
        connection.close()
        raise
    return connection


def _holds(text: str, lowered: str) -> bool:
    return lowered in text.lower()


def _is_overdue() -> bool:
    """Whether nobody waits any more for the statement that runs in this thread, so that SQLite stops it."""
    deadline = current_deadline()
    return deadline is not None and deadline.is_over


class Writer:
    """The connection of a file that writes, one transaction at a time; whoever uses it has its lock."""

    def __init__(self, path: Path, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._durable: bool | None = None
        # SQLite's own way of waiting sleeps up to 0.1 s at a time, so others pass again and again.
        self.connection = connect(path, _STEP_SECONDS)
        self.execute = self.connection.execute
        self.executemany = self.connection.executemany

    def begin(self, durable: bool) -> None:
        """Begins a transaction; waits for writers in other processes.

        Args:
            durable: whether its commit is synced to disk.

        Raises:
            sqlite3.OperationalError: busy, when the wait was in vain.
        """
        if durable is not self._durable:
            self.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        try:
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            self._wait_to_begin()

    def commit(self) -> None:
        """Commits."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Rolls back, if a transaction is open."""
        if self.connection.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()

    def _wait_to_begin(self) -> None:
        deadline = time.monotonic() + self._patience_seconds
        step = _STEP_SECONDS
        while True:
            time.sleep(step * random.random())  # noqa: S311 - jitter
            step = min(step * 1.5, _MAX_STEP_SECONDS)
            try:
                self.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise


def reading_engine(path: Path, patience_seconds: float) -> Engine:
    """An engine over connections that read a file, of which few stay open when idle."""
    return _engine(lambda: connect_reader(path, patience_seconds), _IDLE_READERS)


def writing_engine(connection: sqlite3.Connection) -> Engine:
    """An engine over one connection that writes."""
    return _engine(lambda: connection, 1)


def _engine(opener: Callable[[], sqlite3.Connection], idle: int) -> Engine:
    creator: Any = (
        opener  # its type does not fit SQLAlchemy's protocol of connections to the letter
    )
    pool = QueuePool(creator, pool_size=idle, max_overflow=-1, reset_on_return=None)
    engine = Engine(pool, _dialect(), make_url("sqlite://"))
    return engine.execution_options(compiled_cache=_COMPILED)


@cache
def _dialect() -> Dialect:
    """The dialect, initialised once, which takes a connection to any database."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(select(1))
    engine.dispose()
    return engine.dialect
