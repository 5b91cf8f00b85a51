"""Pools in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from runwire.errors import RunNotFoundError, StaleWorkerError
from runwire.runs.run import RunRecord
from runwire.storage.pool_storage import Pool, PoolStorage, SlotAnswer, SlotClaim
from runwire.storages.memory.state import State
from runwire.storages.stored_pools import StoredSlot, check_worker, decide, pools_of


class MemoryPoolStorage(PoolStorage):
    """Keeps pools in the state of the runs."""

    def __init__(self, state: State) -> None:
        self._state = state

    def set_pool_limit(self, pool: str, limit: int) -> None:
        with self._state.lock:
            self._state.pool_limits[pool] = limit

    def delete_pool_limit(self, pool: str) -> bool:
        with self._state.lock:
            return self._state.pool_limits.pop(pool, None) is not None

    def claim_slot(self, claim: SlotClaim, *, default_limit: int | None, now: float) -> SlotAnswer:
        state = self._state
        with state.lock:
            record = self._find(claim.run_id)
            check_worker(claim, record.status, record.worker_epoch)
            limit = state.pool_limits.get(claim.pool, default_limit)
            slots = (slot for slot in self._slots() if slot.pool == claim.pool)
            decision = decide(claim, record.storage_id, slots, limit, now)
            if decision.row is not None:
                state.pool_slots[record.storage_id, claim.step_key] = decision.row
            return decision.answer

    def release_slot(self, claim: SlotClaim) -> None:
        state = self._state
        with state.lock:
            for key, slot in list(state.pool_slots.items()):
                is_own = (slot.run_id, slot.step_key) == (claim.run_id, claim.step_key)
                if is_own and slot.epoch <= claim.epoch:
                    del state.pool_slots[key]

    def adopt_slots(self, run_id: str, epoch: int, step_keys: Collection[str]) -> None:
        state = self._state
        with state.lock:
            record = self._find(run_id)
            if record.worker_epoch != epoch:
                raise StaleWorkerError(run_id, epoch, record.worker_epoch)
            for key, slot in list(state.pool_slots.items()):
                if key[0] != record.storage_id:
                    continue
                if slot.is_held and slot.step_key in step_keys:
                    state.pool_slots[key] = replace(slot, epoch=epoch)
                else:
                    del state.pool_slots[key]

    def get_pools(self, names: Collection[str] | None = None) -> list[Pool]:
        with self._state.lock:
            pools = pools_of(self._slots(), self._state.pool_limits)
        return [pool for pool in pools if names is None or pool.name in names]

    def _slots(self) -> Iterator[StoredSlot]:
        """The rows of runs that have not ended; those of others are forgotten."""
        state = self._state
        for key, slot in list(state.pool_slots.items()):
            record = state.runs.get(slot.run_id)
            if record is None or record.storage_id != key[0] or record.is_finished:
                del state.pool_slots[key]
            else:
                yield replace(slot, worker_epoch=record.worker_epoch)

    def _find(self, run_id: str) -> RunRecord:
        record = self._state.runs.get(run_id)
        if record is None:
            raise RunNotFoundError(run_id)
        return record
