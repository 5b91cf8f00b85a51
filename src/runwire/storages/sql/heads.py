"""Which of the logs that share a database moved: a few queries for all that are watched."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, select

from runwire.storage.event_log_storage import HeadsWatch, LogHead
from runwire.storages.sql.dialect import is_among
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import instance_head, run_heads, runs

AT_ONCE = 1000
"""How many runs of which nothing was heard lately one poll looks at."""

LATELY_SECONDS = 5.0
"""For how long after it moved every poll looks at a run."""

_FIND = select(runs.c.run_id, runs.c.storage_id).where(
    runs.c.run_id.in_(bindparam("wanted", expanding=True))
)
_HEADS = select(run_heads.c.storage_id, run_heads.c.head, run_heads.c.terminal_position)
_SUM = select(func.count(), cast(func.sum(run_heads.c.head), BigInteger))
_INSTANCE_HEAD = select(instance_head.c.head)
_NOTHING = LogHead(0, None)


class SharedHeadsWatch(HeadsWatch):
    """Asks for the heads of many logs at once.

    Each poll looks at the runs that are new or moved lately, and, if something was committed since all others were
    looked at, at the next of those. So what a poll costs does not grow with the runs that are watched and idle.

    Args:
        runs: the runs, which bring connections.
    """

    def __init__(self, runs: SqlRunStorage) -> None:
        self._runs = runs
        self._watched: OrderedDict[str, int | None] = OrderedDict()
        """The storage ids of the watched runs, None until the run is known; who waits longest comes first."""
        self._told: dict[str, LogHead] = {}
        self._due: set[str] = set()
        """The runs that the next poll looks at, whatever was committed."""
        self._moved_at: dict[str, float] = {}
        self._waiting = 0
        """How many of the watched were not looked at since the last commit that is known."""
        self._version: object = None
        self._instance_version: object = None
        self._told_instance_head: int | None = None

    def watch(self, run_id: str) -> None:
        self._watched.setdefault(run_id, None)
        self._due.add(run_id)

    def unwatch(self, run_id: str) -> None:
        self._watched.pop(run_id, None)
        self._told.pop(run_id, None)
        self._moved_at.pop(run_id, None)
        self._due.discard(run_id)

    def poll(self) -> dict[str, LogHead]:
        if not self._watched:
            return {}
        version = self.version()
        is_same = version is not None and version == self._version
        waiting = self._waiting if is_same else len(self._watched)
        if not waiting and not self._due:
            return {}
        first = list(self._due | self._lately_moved())
        next_ones = list(islice(self._watched, min(waiting, AT_ONCE)))
        with self._runs.walking() as connection:
            heads = self._find_all_heads(connection, first)
            others = [run_id for run_id in next_ones if run_id not in heads]
            heads |= self._find_moved_heads(connection, others)
        for run_id in next_ones:
            self._watched.move_to_end(run_id)
        self._version, self._waiting = version, waiting - len(next_ones)
        self._due.clear()
        return self._moved(heads)

    def poll_instance_log(self) -> int | None:
        version = self.instance_version()
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
        self._moved_at.clear()
        self._due.clear()

    def version(self) -> object:
        """What is another whenever something was committed since, where the database has a cheap look; else None."""
        return None

    def instance_version(self) -> object:
        """As `version`, where that is cheaper than a look at the head of the instance-wide log."""
        return None

    def _lately_moved(self) -> set[str]:
        long_ago = time.monotonic() - LATELY_SECONDS
        for run_id in [each for each, at in self._moved_at.items() if at < long_ago]:
            del self._moved_at[run_id]
        return set(self._moved_at)

    def _find_all_heads(self, connection: Connection, run_ids: list[str]) -> dict[str, LogHead]:
        """The heads of any number of runs."""
        found: dict[str, LogHead] = {}
        for first in range(0, len(run_ids), AT_ONCE):
            found |= self._find_heads(connection, run_ids[first : first + AT_ONCE])
        return found

    def _find_moved_heads(
        self, connection: Connection, run_ids: Sequence[str]
    ) -> dict[str, LogHead]:
        """The heads of runs, of which few have moved: they only grow, so their sum tells whether any has."""
        silent = [run_id for run_id in run_ids if run_id not in self._told]
        told = [run_id for run_id in run_ids if run_id in self._told]
        heads = self._find_heads(connection, silent)
        if told:
            known = [self._watched[run_id] for run_id in told]
            of_these = is_among(connection, run_heads.c.storage_id, known)
            expected = (len(told), sum(self._told[run_id].position for run_id in told))
            if tuple(connection.execute(_SUM.where(of_these)).one()) != expected:
                heads |= self._find_heads(connection, told)
        return heads

    def _find_heads(self, connection: Connection, run_ids: Sequence[str]) -> dict[str, LogHead]:
        """The heads of runs as they are, those without a log included."""
        # A run that has no log yet may have been made anew, under another storage id.
        silent = [run_id for run_id in run_ids if run_id not in self._told]
        if silent:
            rows = connection.execute(_FIND, {"wanted": silent})
            self._watched.update({row.run_id: row.storage_id for row in rows})
        found = dict.fromkeys(run_ids, _NOTHING)
        known = {self._watched[run_id]: run_id for run_id in run_ids}
        known.pop(None, None)
        if known:
            of_these = is_among(connection, run_heads.c.storage_id, list(known))
            for row in connection.execute(_HEADS.where(of_these)):
                found[known[row.storage_id]] = LogHead(row.head, row.terminal_position)
        return found

    def _moved(self, heads: dict[str, LogHead]) -> dict[str, LogHead]:
        moved = {}
        now = time.monotonic()
        for run_id, head in heads.items():
            if head == self._told.get(run_id, _NOTHING):
                continue
            moved[run_id] = self._told[run_id] = head
            self._moved_at[run_id] = now
            if head == _NOTHING:  # deleted; another run may have its id already
                self._watched[run_id] = None
                del self._told[run_id]
                self._due.add(run_id)
        return moved
