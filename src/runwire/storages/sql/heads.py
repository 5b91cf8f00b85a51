"""Which of the logs that share a database moved: one query for all that are watched."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from runwire.storage.event_log_storage import HeadsWatch, LogHead
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import instance_head, run_heads, runs

_FIND = select(runs.c.run_id, runs.c.storage_id).where(
    runs.c.run_id.in_(bindparam("wanted", expanding=True))
)
_HEADS = select(run_heads.c.storage_id, run_heads.c.head, run_heads.c.terminal_position).where(
    run_heads.c.storage_id.in_(bindparam("wanted", expanding=True))
)
_INSTANCE_HEAD = select(instance_head.c.head)
_NOTHING = LogHead(0, None)


class SharedHeadsWatch(HeadsWatch):
    """Asks for the heads of all watched logs at once.

    Args:
        runs: the runs, which bring connections.
    """

    def __init__(self, runs: SqlRunStorage) -> None:
        self._runs = runs
        self._watched: dict[str, int | None] = {}
        """The storage ids of the watched runs; None until the run is known."""
        self._told: dict[str, LogHead] = {}
        self._must_look = False
        self._version: object = None
        self._instance_version: object = None
        self._told_instance_head: int | None = None

    def watch(self, run_id: str) -> None:
        self._watched.setdefault(run_id, None)
        self._must_look = True

    def unwatch(self, run_id: str) -> None:
        self._watched.pop(run_id, None)
        self._told.pop(run_id, None)

    def poll(self) -> dict[str, LogHead]:
        if not self._watched:
            return {}
        version = self.version()
        if version is not None and version == self._version and not self._must_look:
            return {}
        self._version, self._must_look = version, False
        with self._runs.reading() as connection:
            # A run that has no log yet may have been made anew, under another storage id.
            silent = [run_id for run_id in self._watched if run_id not in self._told]
            if silent:
                found = connection.execute(_FIND, {"wanted": silent})
                self._watched.update({row.run_id: row.storage_id for row in found})
            known = [found for found in self._watched.values() if found is not None]
            rows = connection.execute(_HEADS, {"wanted": known}).all() if known else []
        return self._moved({row.storage_id: LogHead(row.head, row[2]) for row in rows})

    def poll_instance_log(self) -> int | None:
        version = self.version()
        if version is not None and version == self._instance_version:
            return None
        with self._runs.reading() as connection:
            head: int = connection.execute(_INSTANCE_HEAD).scalar_one()
        self._instance_version = version
        if head == self._told_instance_head:
            return None
        self._told_instance_head = head
        return head

    def close(self) -> None:
        self._watched.clear()
        self._told.clear()

    def version(self) -> object:
        """What is another whenever something was committed since, where the database has a cheap look; else None."""
        return None

    def _moved(self, heads: dict[int, LogHead]) -> dict[str, LogHead]:
        moved = {}
        for run_id, storage_id in self._watched.items():
            head = _NOTHING if storage_id is None else heads.get(storage_id, _NOTHING)
            told = self._told.get(run_id, _NOTHING)
            if head == told:
                continue
            moved[run_id] = self._told[run_id] = head
            if head == _NOTHING:  # deleted; another run may have its id already
                self._watched[run_id] = None
                del self._told[run_id]
                self._must_look = True
        return moved
