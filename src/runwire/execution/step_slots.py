"""Slots of concurrency pools, as the worker of a run takes and frees them for its steps."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from runwire.interrupts import current_interrupts
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.pool_storage import SlotAnswer, SlotClaim

POLL_SECONDS = 0.1
"""How often a worker asks again for slots that its steps wait for: a query for each pool that they wait for."""


@dataclass(frozen=True)
class StepSlots:
    """Takes and frees slots for steps of one run. No interrupt is raised while it does.

    Attributes:
        storage: keeps the pools.
        run_id: the run.
        epoch: the epoch of its worker.
        default_limit: the limit of pools that have none of their own; None for no limit.
    """

    storage: InstanceStorage
    run_id: str
    epoch: int
    default_limit: int | None

    def claim(self, pool: str, step_key: str) -> SlotAnswer:
        """Takes a slot for a step, if there is one for it; raises as `PoolStorage.claim_slot`."""
        with current_interrupts().held():
            return self.storage.pool_storage.claim_slot(
                self._claim(pool, step_key),
                default_limit=self.default_limit,
                now=self.storage.run_storage.now(),
            )

    def release(self, pool: str, step_key: str) -> None:
        """Frees the slot of a step."""
        with current_interrupts().held():
            self.storage.pool_storage.release_slot(self._claim(pool, step_key))

    def adopt(self, step_keys: Collection[str]) -> None:
        """Takes over from former workers of the run the slots of steps that will run again; frees the others."""
        with current_interrupts().held():
            self.storage.pool_storage.adopt_slots(self.run_id, self.epoch, step_keys)

    def _claim(self, pool: str, step_key: str) -> SlotClaim:
        return SlotClaim(pool=pool, run_id=self.run_id, step_key=step_key, epoch=self.epoch)
