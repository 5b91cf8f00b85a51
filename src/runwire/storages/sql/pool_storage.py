"""Pools in the database of the runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, exists, insert, select, update

from runwire.errors import RunNotFoundError, StaleWorkerError
from runwire.events.entry import storable_text
from runwire.runs.status import TERMINAL_STATUSES, RunStatus
from runwire.storage.pool_storage import Pool, PoolStorage, SlotAnswer, SlotClaim
from runwire.storages.sql.dialect import serialize
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import pool_limits, pool_slots, runs
from runwire.storages.stored_pools import Decision, StoredSlot, check_worker, decide, pools_of

_ENDED = sorted(status.value for status in TERMINAL_STATUSES)

_SLOTS = (
    select(pool_slots, runs.c.run_id, runs.c.worker_epoch)
    .join(runs, runs.c.storage_id == pool_slots.c.storage_id)
    .where(runs.c.status.not_in(_ENDED))
)
_SLOTS_OF_POOL = _SLOTS.where(pool_slots.c.pool == bindparam("pool"))
_LIMIT = select(pool_limits.c.max_slots).where(pool_limits.c.pool == bindparam("pool"))
_RUN = select(runs.c.storage_id, runs.c.status, runs.c.worker_epoch).where(
    runs.c.run_id == bindparam("run_id")
)
_FORGET_ENDED = delete(pool_slots).where(
    pool_slots.c.pool == bindparam("of_pool"),
    ~exists().where(runs.c.storage_id == pool_slots.c.storage_id, runs.c.status.not_in(_ENDED)),
)
_DROP = delete(pool_slots).where(
    pool_slots.c.storage_id == bindparam("of_run"), pool_slots.c.step_key == bindparam("of_step")
)


class SqlPoolStorage(PoolStorage):
    """Keeps pools beside the runs.

    Who writes slots of a pool keeps others from that until the transaction ends, and the run from being handed over.

    Args:
        runs: the runs, which bring connections and transactions, and are disposed of by others.
    """

    def __init__(self, runs: SqlRunStorage) -> None:
        self._runs = runs

    def set_pool_limit(self, pool: str, limit: int) -> None:
        with self._runs.writing() as connection:
            serialize(connection, _lock_of(pool))
            connection.execute(delete(pool_limits).where(pool_limits.c.pool == pool))
            connection.execute(insert(pool_limits), {"pool": pool, "max_slots": limit})

    def delete_pool_limit(self, pool: str) -> bool:
        with self._runs.writing() as connection:
            serialize(connection, _lock_of(pool))
            found = connection.execute(delete(pool_limits).where(pool_limits.c.pool == pool))
            return found.rowcount > 0

    def claim_slot(self, claim: SlotClaim, *, default_limit: int | None, now: float) -> SlotAnswer:
        with self._runs.reading() as connection:
            decision = _decide(connection, _RUN, claim, default_limit, now)
        if decision.row is None:  # as for most who ask again
            return decision.answer
        with self._runs.writing() as connection:
            serialize(connection, _lock_of(claim.pool))
            decision = _decide(
                connection, _RUN.with_for_update(read=True), claim, default_limit, now
            )
            if decision.row is not None:
                connection.execute(_FORGET_ENDED, {"of_pool": claim.pool})
                _put(connection, decision.row)
            return decision.answer

    def release_slot(self, claim: SlotClaim) -> None:
        own = select(runs.c.storage_id).where(runs.c.run_id == storable_text(claim.run_id))
        with self._runs.writing() as connection:
            connection.execute(
                delete(pool_slots).where(
                    pool_slots.c.storage_id == own.scalar_subquery(),
                    pool_slots.c.step_key == claim.step_key,
                    pool_slots.c.epoch <= claim.epoch,
                )
            )

    def adopt_slots(self, run_id: str, epoch: int, step_keys: Collection[str]) -> None:
        with self._runs.writing() as connection:
            run = _find_run(connection, _RUN.with_for_update(read=True), run_id)
            if run.worker_epoch != epoch:
                raise StaleWorkerError(run_id, epoch, run.worker_epoch)
            of_run = pool_slots.c.storage_id == run.storage_id
            for step_key, is_held in connection.execute(
                select(pool_slots.c.step_key, pool_slots.c.is_held).where(of_run)
            ).all():
                if not (is_held and step_key in step_keys):
                    connection.execute(_DROP, {"of_run": run.storage_id, "of_step": step_key})
            connection.execute(update(pool_slots).where(of_run).values(epoch=epoch))

    def get_pools(self, names: Collection[str] | None = None) -> list[Pool]:
        slots, limits = _SLOTS, select(pool_limits.c.pool, pool_limits.c.max_slots)
        if names is not None:
            wanted = sorted(map(storable_text, names))
            slots = slots.where(pool_slots.c.pool.in_(wanted))
            limits = limits.where(pool_limits.c.pool.in_(wanted))
        with self._runs.reading() as connection:
            found = [_slot(row) for row in connection.execute(slots)]
            known = {row.pool: row.max_slots for row in connection.execute(limits)}
        return pools_of(found, known)


def _lock_of(pool: str) -> str:
    return f"pool {pool}"


def _decide(
    connection: Connection,
    run_by_id: Select[Any],
    claim: SlotClaim,
    default_limit: int | None,
    now: float,
) -> Decision:
    run = _find_run(connection, run_by_id, claim.run_id)
    check_worker(claim, RunStatus(run.status), run.worker_epoch)
    limit: int | None = connection.execute(_LIMIT, {"pool": claim.pool}).scalar()
    slots = map(_slot, connection.execute(_SLOTS_OF_POOL, {"pool": claim.pool}).all())
    return decide(claim, run.storage_id, slots, default_limit if limit is None else limit, now)


def _find_run(connection: Connection, run_by_id: Select[Any], run_id: str) -> Row[Any]:
    run = connection.execute(run_by_id, {"run_id": storable_text(run_id)}).first()
    if run is None:
        raise RunNotFoundError(run_id)
    return run


def _put(connection: Connection, slot: StoredSlot) -> None:
    key = {"of_run": slot.storage_id, "of_step": slot.step_key}
    connection.execute(_DROP, key)
    connection.execute(
        insert(pool_slots),
        {
            "storage_id": slot.storage_id,
            "step_key": slot.step_key,
            "pool": slot.pool,
            "epoch": slot.epoch,
            "is_held": slot.is_held,
            "since": slot.since,
            "seen_at": slot.seen_at,
        },
    )


def _slot(row: Row[Any]) -> StoredSlot:
    return StoredSlot(
        pool=row.pool,
        storage_id=row.storage_id,
        run_id=row.run_id,
        step_key=row.step_key,
        epoch=row.epoch,
        worker_epoch=row.worker_epoch,
        is_held=row.is_held,
        since=row.since,
        seen_at=row.seen_at,
    )
