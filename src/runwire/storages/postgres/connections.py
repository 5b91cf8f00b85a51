"""Connections to a PostgreSQL database. Nothing is kept in a session: a transaction pooler may stand between."""

from __future__ import annotations

import random
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

from runwire.deadline import current_deadline
from runwire.errors import StorageUnavailableError
from runwire.interrupts import current_interrupts
from runwire.storages.postgres.errors import (
    is_unreachable,
    outcome_told,
    repeatable_told,
    translated,
)

CONNECT_SECONDS = 10
PREPARE_AFTER = 5
_WALKING = dict.fromkeys(
    (
        "enable_bitmapscan",
        "enable_hashjoin",
        "enable_mergejoin",
        "enable_seqscan",
        "enable_sort",
    ),
    "off",
)
_SETTINGS = "runwire_settings"
"""The attribute of a connection that has what is set for each statement."""
_STEP_SECONDS = 0.05
_MAX_STEP_SECONDS = 0.5
_GRACE_SECONDS = 0.25
IDLE_SECONDS = 1.0
"""After so long a connection is asked whether it still works before it is used."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What connections and transactions are allowed.

    Attributes:
        pool_size: how many connections stay open when idle.
        max_overflow: how many more may be open at once.
        statement_timeout_seconds: how long a statement may take.
        lock_timeout_seconds: how long it may wait for another transaction.
        reconnect_seconds: how long to try again when the database cannot be reached, as while it starts.
        prepared_statements: whether sessions keep statements prepared; not behind a transaction pooler.
    """

    pool_size: int = 5
    max_overflow: int = 15
    statement_timeout_seconds: float = 60.0
    lock_timeout_seconds: float = 30.0
    reconnect_seconds: float = 5.0
    prepared_statements: bool = False


class _Cursor(psycopg.Cursor[Any]):
    """Sends the settings of a statement that is a transaction of its own along with it, in one round trip.

    A session would keep them for whoever a transaction pooler gives it to next.
    """

    def execute(self, query: Any, *arguments: Any, **how: Any) -> Self:
        connection: Any = self.connection
        settings = getattr(connection, _SETTINGS, None)
        if settings is None or connection.info.transaction_status != TransactionStatus.IDLE:
            return super().execute(query, *arguments, **how)
        with connection.pipeline():
            psycopg.Cursor(connection).execute(settings)
            # Bytes and numbers come as they are, not as texts that are read here.
            return super().execute(query, *arguments, **{"binary": True} | how)


class Database:
    """A pool of connections in autocommit mode, and transactions on them. Thread-safe.

    Args:
        url: the database, with the driver psycopg.
        limits: what is allowed.
    """

    def __init__(self, url: URL, limits: Limits) -> None:
        self.place = _place(url)
        self._reconnect_seconds = limits.reconnect_seconds
        timeouts = {
            "statement_timeout": str(round(1000 * limits.statement_timeout_seconds)),
            "lock_timeout": str(round(1000 * limits.lock_timeout_seconds)),
        }
        self._statement_seconds = limits.statement_timeout_seconds
        self._timeouts = timeouts
        self._settings = _set_all(timeouts)
        self._walking_settings = _set_all(timeouts | _WALKING)
        self._begin = "BEGIN ISOLATION LEVEL READ COMMITTED" + "".join(
            f"; SET LOCAL {name} = {value}" for name, value in timeouts.items()
        )
        self._engine = create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            pool_size=limits.pool_size,
            max_overflow=limits.max_overflow,
            pool_timeout=30,
            pool_use_lifo=True,
            connect_args={
                # Behind a transaction pooler the next statement may meet another session.
                "prepare_threshold": PREPARE_AFTER if limits.prepared_statements else None,
                "connect_timeout": CONNECT_SECONDS,
                "cursor_factory": _Cursor,
            },
            hide_parameters=True,
        )
        event.listen(self._engine, "checkout", _check_idle)
        event.listen(self._engine, "checkin", _note_use)

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection on which each statement is a transaction of its own, that writes nothing."""
        return self._one_by_one(self._in_time(self._settings), repeatable_told)

    def walking(self) -> AbstractContextManager[Connection]:
        """As `reading`, for statements that go along indexes.

        The planner guesses how many rows a condition leaves; where it guesses few, it reads and sorts them
        all, which costs more the more there are.
        """
        return self._one_by_one(self._in_time(self._walking_settings, _WALKING), repeatable_told)

    def writing_at_once(self) -> AbstractContextManager[Connection]:
        """A connection on which each statement is a transaction of its own, durable when it returns."""
        return self._one_by_one(self._settings, outcome_told)

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """A connection in a transaction that commits at the end, or rolls back on an exception.

        Args:
            durable: whether its commit is synced to disk before the end.

        Raises:
            RepeatableError: nothing was stored, and it may go well when all of it is done again.
            StorageUnavailableError: the database cannot be used, or was lost while it committed.
        """
        begin = self._begin if durable else f"{self._begin}; SET LOCAL synchronous_commit = off"
        with (
            current_interrupts().held(),
            translated(self.place),
            self._connect(begin=begin) as connection,
        ):
            try:
                with repeatable_told(self.place):
                    yield connection
                with outcome_told(self.place):
                    self._commit(connection)
            except BaseException:
                _roll_back(connection)
                raise

    def _in_time(self, settings: bytes, more: Mapping[str, str] = {}) -> bytes:
        """Settings with which no statement outlives the deadline of who waits for it, if there is one.

        Whoever waits tells of the deadline, which is why the database comes a little later.
        """
        deadline = current_deadline()
        if deadline is None:
            return settings
        seconds = min(self._statement_seconds, deadline.seconds_left + _GRACE_SECONDS)
        timeout = {"statement_timeout": str(round(1000 * seconds))}
        return _set_all({**self._timeouts, **more, **timeout})

    @contextmanager
    def _one_by_one(
        self, settings: bytes, told: Callable[[str], AbstractContextManager[None]]
    ) -> Iterator[Connection]:
        with (
            current_interrupts().held(),
            translated(self.place),
            self._connect(settings=settings) as connection,
            told(self.place),
        ):
            try:
                yield connection
            except psycopg.Error:  # of a statement that SQLAlchemy does not know of
                connection.invalidate()
                raise

    def _commit(self, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if driver.info.transaction_status == TransactionStatus.INERROR:
            # PostgreSQL would roll back, and answer as if it had committed.
            raise StorageUnavailableError(
                f"{self.place}: a statement of a transaction failed, so nothing of it was stored; try again"
            )
        connection.exec_driver_sql("COMMIT")

    def _connect(self, *, begin: str | None = None, settings: bytes | None = None) -> Connection:
        """A connection, in a transaction or with settings; tries again for a while, for nothing was done yet."""
        deadline = time.monotonic() + self._reconnect_seconds
        step = _STEP_SECONDS
        while True:
            try:
                return self._connect_once(begin, settings)
            except DBAPIError as error:
                if not is_unreachable(error) or time.monotonic() > deadline:
                    raise
            time.sleep(step * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            step = min(2 * step, _MAX_STEP_SECONDS)

    def _connect_once(self, begin: str | None, settings: bytes | None) -> Connection:
        connection = self._engine.connect()
        try:
            setattr(connection.connection.driver_connection, _SETTINGS, settings)
            if begin is not None:
                connection.exec_driver_sql(begin)
        except BaseException:
            connection.close()
            raise
        return connection

    def dispose(self) -> None:
        """Closes all connections."""
        self._engine.dispose()


def _set_all(settings: Mapping[str, str]) -> bytes:
    """A statement that sets what is given until the transaction ends."""
    parts = (f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    return f"SELECT {', '.join(parts)}".encode()


def _roll_back(connection: Connection) -> None:
    if connection.invalidated:
        return
    try:
        connection.exec_driver_sql("ROLLBACK")
    except DBAPIError:
        connection.invalidate()


def _check_idle(dbapi_connection: Any, record: Any, _proxy: Any) -> None:
    used_at = record.info.get("used_at")
    if used_at is None:
        return
    is_fresh = time.monotonic() - used_at < IDLE_SECONDS
    if is_fresh and not _has_been_told(dbapi_connection):
        return
    try:
        dbapi_connection.execute("SELECT 1")
    except Exception as error:
        # All that are as old have most probably lost the same server.
        raise InvalidatePoolError from error


def _has_been_told(dbapi_connection: Any) -> bool:
    """Whether the server said something unasked, as it does when it ends; asks nobody."""
    if dbapi_connection.closed:
        return True
    poll = select.poll()
    poll.register(dbapi_connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _note_use(_dbapi_connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _place(url: URL) -> str:
    where = url.host or url.query.get("host") or "localhost"
    port = url.port or url.query.get("port") or 5432
    return f"PostgreSQL database {url.database!r} at {where}:{port}"
