"""The contract of the storage of concurrency pools: how many steps of all runs may run at once, and which do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass

FRESH_SECONDS = 5.0
"""For how long a step that waits keeps its place, unless it asks again."""

REFRESH_SECONDS = 1.0
"""After how long it is noted that a step that waits has asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotClaim:
    """A step that wants a slot of a pool. A step has one at most.

    Attributes:
        pool: the pool.
        run_id: the run of the step.
        step_key: the step.
        epoch: the epoch of the worker that executes the run.
    """

    pool: str
    run_id: str
    step_key: str
    epoch: int


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """What became of a claim.

    Attributes:
        is_held: whether the step has a slot.
        limit: how many slots the pool has; None when it has no limit.
        in_use: how many are taken, that of the step included.
        ahead: how many steps that wait come before it.
    """

    is_held: bool
    limit: int | None
    in_use: int
    ahead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSlot:
    """A step that has a slot of a pool, or waits for one.

    Attributes:
        run_id: the run of the step.
        step_key: the step.
        epoch: the epoch of the worker that asked.
        since: since when it has it, or waits, in epoch seconds.
    """

    run_id: str
    step_key: str
    epoch: int
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool.

    Attributes:
        name: its name.
        limit: the limit that was set; None when none was.
        slots: the steps that have a slot, those that have it longest first.
        waiting: the steps that wait for one, in their order.
    """

    name: str
    limit: int | None
    slots: tuple[PoolSlot, ...] = ()
    waiting: tuple[PoolSlot, ...] = ()


class PoolStorage(ABC):
    """Keeps the limits of pools, and which steps of runs have their slots.

    It is kept with the runs: a slot counts as long as its run has not ended, so it is free in the transaction that
    ends or deletes the run, whoever does that. All methods are thread-safe and may be called from any process that
    opens the same storage. Readers never write.

    Every method raises StorageUnavailableError when the storage cannot be read or written.
    """

    @abstractmethod
    def set_pool_limit(self, pool: str, limit: int) -> None:
        """Sets the limit of a pool, which need not be in use; 0 lets no further step begin.

        Steps that have a slot keep it, also where they are more than the limit then.
        """

    @abstractmethod
    def delete_pool_limit(self, pool: str) -> bool:
        """Takes away the limit of a pool; returns whether it had one."""

    @abstractmethod
    def claim_slot(self, claim: SlotClaim, *, default_limit: int | None, now: float) -> SlotAnswer:
        """Takes a slot of a pool for a step, if there is one for it.

        In one transaction it is made sure that the worker is the run's, that the run has not ended, and that fewer
        slots than the limit are taken: of any number of claims at once, in all processes, no more than that many
        get one. Who gets none waits: those who wait get slots in the order in which they came, as long as they
        ask again within `FRESH_SECONDS`. A step that has a slot keeps it, also one that had it by an earlier worker.

        Args:
            claim: the step, and what it wants.
            default_limit: the limit where none was set; None for no limit.
            now: the instant, in epoch seconds, by `RunStorage.now`.

        Raises:
            RunNotFoundError: the run does not exist.
            RunFinishedError: the run has ended.
            StaleWorkerError: the run has another worker.
        """

    @abstractmethod
    def release_slot(self, claim: SlotClaim) -> None:
        """Frees the slot of a step, or ends its wait; harmless when it has none, or a later worker has it."""

    @abstractmethod
    def adopt_slots(self, run_id: str, epoch: int, step_keys: Collection[str]) -> None:
        """Hands slots of a run over to its worker, and frees those of all its other steps.

        Args:
            run_id: the run.
            epoch: the epoch of the worker.
            step_keys: the steps that it will run.

        Raises:
            RunNotFoundError: the run does not exist.
            StaleWorkerError: the run has another worker.
        """

    @abstractmethod
    def get_pools(self, names: Collection[str] | None = None) -> list[Pool]:
        """The pools that have a limit, or steps that have slots or wait for them, by name.

        Args:
            names: only these; one that is not in use and has no limit is not there.
        """
