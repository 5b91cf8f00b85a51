"""The files of event logs, one a run, and the connections of this process to them."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import cast

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from runwire.interrupts import current_interrupts
from runwire.runs.run import RunRecord
from runwire.storages.migrations import LOG_REVISION, OLDEST_READABLE_LOG
from runwire.storages.sql.tables import LOG
from runwire.storages.sqlite.connections import Writer, reading_engine
from runwire.storages.sqlite.errors import translated_files, translation
from runwire.storages.sqlite.schema import check_revision, create_database, find_revision

logger = logging.getLogger(__name__)

MAX_CLOSING = 32
"""How many shards wait to be closed at most."""


class Shard:
    """The file of one log. Connections are opened when they are needed."""

    def __init__(self, path: Path, patience_seconds: float) -> None:
        self.path = path
        self.writing = threading.Lock()
        """Whoever uses the writer has it."""
        self.leases = 0
        self.retired = False
        self._name = str(path)
        self._patience_seconds = patience_seconds
        self._writer: Writer | None = None
        self._readers: Engine | None = None
        self._opening = threading.Lock()
        self._revision = LOG_REVISION

    @property
    def writer(self) -> Writer:
        """The connection that writes. A log of an older version is migrated when it is asked for first."""
        if self._writer is None:
            if self._revision != LOG_REVISION:
                self._migrate()
            self._writer = Writer(self.path, self._patience_seconds)
        return self._writer

    @property
    def readers(self) -> Engine:
        """Connections that read."""
        with self._opening:
            if self._readers is None:
                self._readers = reading_engine(self.path, self._patience_seconds)
            return self._readers

    def exists(self) -> bool:
        """Whether the file is there still. Its connections go on without it, as if nothing had happened."""
        return os.path.exists(self._name)  # noqa: PTH110 - a third of what pathlib takes, for every use

    def check(self) -> None:
        """Checks that the file is a log that this version reads.

        Raises:
            SchemaRevisionError: it is not.
        """
        # By a connection that stays: the last one that closes a file writes its log back, and syncs it.
        with closing(self.readers.raw_connection()) as connection:
            found = find_revision(
                cast(sqlite3.Connection, connection.driver_connection), of_log=True
            )
        if found is None or not OLDEST_READABLE_LOG <= found < LOG_REVISION:
            check_revision(self.path, found, LOG_REVISION)
        else:
            self._revision = found

    def close(self) -> None:
        """Closes all connections."""
        if self._writer is not None:
            self._writer.close()
        if self._readers is not None:
            self._readers.pool.dispose()  # that of the engine would make another pool

    def _migrate(self) -> None:
        from runwire.storages.sqlite.migrate import upgrade_file  # noqa: PLC0415 -- Alembic is rarely needed

        upgrade_file(self.path, "log", self._patience_seconds)
        self._revision = LOG_REVISION


class Shards:
    """The shards below a folder. Those used last stay open, up to a number."""

    def __init__(self, base_dir: Path, patience_seconds: float, max_open: int) -> None:
        self.folder = base_dir / "history" / "events"
        self._patience_seconds = patience_seconds
        self._max_open = max_open
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Shard] = OrderedDict()
        self._closer = _Closer()

    def path_of(self, run_id: str, log_id: str) -> Path:
        """Where a log is. A name never comes back: a run made anew under its id has another log id."""
        return self.folder / log_id[:2] / f"{run_id}.{log_id}.db"

    def create(self, record: RunRecord) -> None:
        """Makes the shard of a run's log; harmless when it is there.

        Raises:
            StorageUnavailableError: it cannot be made.
        """
        values = (record.log_id, record.run_id, LOG_REVISION, record.worker_epoch, None, 0)

        def prepare(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", values)

        path = self.path_of(record.run_id, record.log_id)
        with current_interrupts().held(), translated_files(path):
            create_database(path, LOG, prepare)

    @contextmanager
    def lease(self, run_id: str, log_id: str) -> Iterator[Shard | None]:
        """The shard of a log, which stays open meanwhile; None when the file does not exist.

        Driver errors come out as StorageUnavailableError.

        Raises:
            SchemaRevisionError: the file is of another version.
        """
        with current_interrupts().held():
            try:
                shard = self._take(run_id, log_id)
                try:
                    yield shard
                finally:
                    if shard is not None:
                        self._give_back(shard)
            except (sqlite3.Error, DBAPIError) as error:
                raise translation(error, self.path_of(run_id, log_id)) from error

    def delete(self, run_id: str, log_id: str) -> None:
        """Deletes a shard; harmless when there is none."""
        with current_interrupts().held():
            self._close_all([log_id])
        path = self.path_of(run_id, log_id)
        # What a crash leaves is garbage that nobody opens, in whatever order it goes.
        with translated_files(path):
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    def wipe(self) -> None:
        """Deletes all shards."""
        self.close()
        with translated_files(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Closes all shards, those in use when they are given back. Harmless when called twice."""
        self._close_all(list(self._open))
        self._closer.wait()

    def _close_all(self, log_ids: Iterable[str]) -> None:
        with self._lock:
            idle = [self._retire(log_id) for log_id in log_ids]
        for shard in idle:
            if shard is not None:
                shard.close()

    def _take(self, run_id: str, log_id: str) -> Shard | None:
        with self._lock:
            shard = self._open.get(log_id)
            if shard is None:
                shard = self._find(run_id, log_id)
            gone = None if shard is None or shard.exists() else self._retire(log_id)
            if shard is not None and not shard.retired:
                self._open.move_to_end(log_id)
                shard.leases += 1
                return shard
        if gone is not None:
            gone.close()
        return None

    def _find(self, run_id: str, log_id: str) -> Shard | None:
        """Opens a shard."""
        path = self.path_of(run_id, log_id)
        if not path.exists():
            return None
        shard = Shard(path, self._patience_seconds)
        try:
            shard.check()
        except BaseException as error:
            shard.close()
            if (
                isinstance(error, (sqlite3.OperationalError, OperationalError))
                and not path.exists()
            ):
                return None  # deleted meanwhile
            raise
        self._open[log_id] = shard
        return shard

    def _give_back(self, shard: Shard) -> None:
        with self._lock:
            shard.leases -= 1
            idle = [shard] if shard.retired and not shard.leases else []
            if len(self._open) > self._max_open:
                idle += self._retire_oldest()
        for each in idle:
            self._closer.close(each)

    def _retire_oldest(self) -> list[Shard]:
        """Takes those out that are too many and in nobody's use; returns them, to be closed without the lock."""
        too_many = len(self._open) - self._max_open
        unused = (log_id for log_id, shard in self._open.items() if not shard.leases)
        retired = map(self._retire, list(islice(unused, too_many)))
        return [shard for shard in retired if shard is not None]

    def _retire(self, log_id: str) -> Shard | None:
        """Takes a shard out; returns it when nobody uses it, so that it is to be closed."""
        shard = self._open.pop(log_id, None)
        if shard is None:
            return None
        shard.retired = True
        return None if shard.leases else shard


class _Closer:
    """Closes shards beside whoever is done with them: the last connection writes the log back, and syncs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._room = threading.Semaphore(MAX_CLOSING)

    def close(self, shard: Shard) -> None:
        """Closes a shard soon; now, where too many wait for that."""
        if not self._room.acquire(blocking=False):
            shard.close()
            return
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, "runwire-shards")
            self._pool.submit(self._close, shard)

    def wait(self) -> None:
        """Waits until all are closed that were to be."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)

    def _close(self, shard: Shard) -> None:
        try:
            shard.close()
        except (sqlite3.Error, DBAPIError) as error:
            logger.warning("%s could not be closed: %s", shard.path, error)
        finally:
            self._room.release()
