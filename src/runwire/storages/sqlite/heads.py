"""Which shards moved: asks SQLite's data version, which costs microseconds while nothing happens."""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from runwire.storage.event_log_storage import HeadsWatch, LogHead
from runwire.storages.sqlite.connections import connect_reader
from runwire.storages.sqlite.errors import translated, translation
from runwire.storages.sqlite.shards import Shards

logger = logging.getLogger(__name__)

_NOTHING = LogHead(0, None)
_HEAD = "SELECT (SELECT max(position) FROM events), terminal_position FROM log"
_INSTANCE_HEAD = "SELECT head FROM instance_head"
_LOG_IDS = "SELECT run_id, log_id FROM runs WHERE run_id IN (SELECT value FROM json_each(?))"


@dataclass(slots=True)
class _Watched:
    """A watched run. `path` is known once the run has a row, `connection` is open once its log has a file."""

    path: Path | None = None
    connection: sqlite3.Connection | None = None
    version: int = -1
    told: LogHead = _NOTHING

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.path, self.connection, self.version, self.told = None, None, -1, _NOTHING


class SqliteHeadsWatch(HeadsWatch):
    """Has one connection to each watched log, which never writes, and one to the runs' file.

    Args:
        runs_path: the file of the runs, which knows their logs.
        shards: knows where logs are.
        patience_seconds: how long to wait for a lock.
    """

    def __init__(self, runs_path: Path, shards: Shards, patience_seconds: float) -> None:
        self._runs_path = runs_path
        self._shards = shards
        self._patience_seconds = patience_seconds
        self._watched: dict[str, _Watched] = {}
        self._runs: sqlite3.Connection | None = None
        self._runs_version = -1
        self._instance_version = -1
        self._told_instance_head: int | None = None

    def watch(self, run_id: str) -> None:
        if run_id not in self._watched:
            self._watched[run_id] = _Watched()
            self._runs_version = -1  # its log is to be looked up

    def unwatch(self, run_id: str) -> None:
        watched = self._watched.pop(run_id, None)
        if watched is not None:
            watched.close()

    def poll(self) -> dict[str, LogHead]:
        with translated(self._runs_path):
            self._find_paths()
        moved = {}
        for run_id, watched in self._watched.items():
            head = self._look(watched)
            if head is not None:
                moved[run_id] = head
        return moved

    def poll_instance_log(self) -> int | None:
        with translated(self._runs_path):
            runs = self._open_runs()
            version = _data_version(runs)
            if version == self._instance_version:
                return None
            head: int = runs.execute(_INSTANCE_HEAD).fetchone()[0]
        self._instance_version = version
        if head == self._told_instance_head:
            return None
        self._told_instance_head = head
        return head

    def close(self) -> None:
        for watched in self._watched.values():
            watched.close()
        self._watched.clear()
        if self._runs is not None:
            self._runs.close()
            self._runs = None

    def _find_paths(self) -> None:
        """Looks up where the logs are that have no file yet, when the runs' file has changed."""
        wanted = [run_id for run_id, watched in self._watched.items() if not watched.connection]
        if not wanted:
            return
        runs = self._open_runs()
        version = _data_version(runs)
        if version == self._runs_version:
            return
        log_ids = dict(runs.execute(_LOG_IDS, (json.dumps(wanted),)).fetchall())
        for run_id in wanted:
            log_id = log_ids.get(run_id)
            path = None if log_id is None else self._shards.path_of(run_id, log_id)
            self._watched[run_id].path = path
        self._runs_version = version

    def _open_runs(self) -> sqlite3.Connection:
        if self._runs is None:
            self._runs = connect_reader(self._runs_path, self._patience_seconds)
        return self._runs

    def _look(self, watched: _Watched) -> LogHead | None:
        """The head of a log that moved since it was told last."""
        path = watched.path
        if path is None:
            return None
        if not path.exists():
            return self._miss(watched)
        try:
            return self._read_if_moved(watched, path)
        except sqlite3.Error as error:
            if not path.exists():
                return self._miss(watched)
            # One log that cannot be read keeps the others from nothing; whoever reads it is told why.
            logger.debug("the head of a log is not known: %s", translation(error, path))
            return None

    def _miss(self, watched: _Watched) -> LogHead | None:
        """The file is not there: not yet, or not any more. Another log of the run is looked up anew."""
        was_told = watched.told != _NOTHING
        if watched.connection is not None:
            watched.close()
            self._runs_version = -1
        return _NOTHING if was_told else None

    def _read_if_moved(self, watched: _Watched, path: Path) -> LogHead | None:
        if watched.connection is None:
            watched.connection = connect_reader(path, self._patience_seconds)
        # The version is asked first: what is committed between the two is told by the next poll.
        version = _data_version(watched.connection)
        if version == watched.version:
            return None
        position, terminal_position = watched.connection.execute(_HEAD).fetchone()
        watched.version = version
        head = LogHead(position or 0, terminal_position)
        if head == watched.told:
            return None
        watched.told = head
        return head


def _data_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version
