"""Logs in the database of the runs that a crash left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import bindparam, select

from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import run_heads, runs

CHUNK = 1000
"""How many logs are compared with their runs at a time."""

_HEADS = (
    select(run_heads.c.storage_id)
    .where(run_heads.c.storage_id > bindparam("after"))
    .order_by(run_heads.c.storage_id)
    .limit(CHUNK)
)
# A run's row is there before its log is, and never comes back: what has none now will have none.
_OWNED = select(runs.c.storage_id).where(
    runs.c.storage_id.in_(bindparam("storage_ids", expanding=True))
)


def sweep_orphans(storage: SqlRunStorage, delete_log: Callable[[int], None]) -> Iterator[int]:
    """Deletes the logs that no run owns.

    Args:
        storage: the runs.
        delete_log: deletes the log of a storage id.

    Yields:
        After each little bit of work, how many logs it deleted.
    """
    after = 0
    while True:
        with storage.reading() as connection:
            heads = connection.execute(_HEADS, {"after": after}).scalars().all()
            owned = (
                set(connection.execute(_OWNED, {"storage_ids": heads}).scalars())
                if heads
                else set()
            )
        orphans = [storage_id for storage_id in heads if storage_id not in owned]
        for storage_id in orphans:
            delete_log(storage_id)
        yield len(orphans)
        if len(heads) < CHUNK:
            return
        after = heads[-1]
