"""What the storages share about pools: who gets a slot, without I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runwire.errors import RunFinishedError, StaleWorkerError
from runwire.runs.status import RunStatus
from runwire.storage.pool_storage import (
    FRESH_SECONDS,
    REFRESH_SECONDS,
    Pool,
    PoolSlot,
    SlotAnswer,
    SlotClaim,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSlot:
    """A row of a run that has not ended.

    Attributes:
        pool, run_id, step_key, epoch, since: as `PoolSlot`.
        storage_id: that of the run.
        worker_epoch: the epoch that the run has now.
        is_held: whether the step has the slot; else it waits.
        seen_at: when it was noted last that it asked, in epoch seconds.
    """

    pool: str
    storage_id: int
    run_id: str
    step_key: str
    epoch: int
    worker_epoch: int
    is_held: bool
    since: float
    seen_at: float

    @property
    def place(self) -> tuple[float, int, str]:
        """Its place among those that wait."""
        return self.since, self.storage_id, self.step_key

    @property
    def is_current(self) -> bool:
        """Whether it is asked for by the worker that the run has now; a slot that is held is kept for that one."""
        return self.is_held or self.epoch == self.worker_epoch


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a claim: the answer, and the row to write; None when what is stored is right."""

    answer: SlotAnswer
    row: StoredSlot | None


def check_worker(claim: SlotClaim, status: RunStatus, worker_epoch: int) -> None:
    """Checks that a claim is of the worker of a run that goes on.

    Raises:
        RunFinishedError: the run has ended.
        StaleWorkerError: it has another worker.
    """
    if status.is_terminal:
        raise RunFinishedError(claim.run_id)
    if worker_epoch != claim.epoch:
        raise StaleWorkerError(claim.run_id, claim.epoch, worker_epoch)


def decide(
    claim: SlotClaim, storage_id: int, slots: Iterable[StoredSlot], limit: int | None, now: float
) -> Decision:
    """Who gets a slot.

    Args:
        claim: the claim, which is of the run's worker.
        storage_id: that of the run.
        slots: all rows of the pool of runs that have not ended.
        limit: the limit of the pool; None for none.
        now: the instant.
    """
    slots = list(slots)
    own = next(
        (s for s in slots if (s.storage_id, s.step_key) == (storage_id, claim.step_key)), None
    )
    in_use = sum(slot.is_held for slot in slots)
    if own is not None and own.is_held:
        row = (
            None if own.epoch == claim.epoch else _row(claim, storage_id, own.since, now, held=True)
        )
        return Decision(SlotAnswer(True, limit, in_use), row)
    since = own.since if own is not None and own.epoch == claim.epoch else now
    place = (since, storage_id, claim.step_key)
    ahead = sum(
        not slot.is_held
        and slot.epoch == slot.worker_epoch
        and slot.seen_at > now - FRESH_SECONDS
        and slot.place < place
        for slot in slots
    )
    if limit is None or in_use + ahead < limit:
        row = _row(claim, storage_id, now, now, held=True)
        return Decision(SlotAnswer(True, limit, in_use + 1), row)
    answer = SlotAnswer(False, limit, in_use, ahead)
    is_noted = own is not None and own.since == since and own.seen_at > now - REFRESH_SECONDS
    return Decision(answer, None if is_noted else _row(claim, storage_id, since, now, held=False))


def pools_of(slots: Iterable[StoredSlot], limits: Mapping[str, int]) -> list[Pool]:
    """The pools, by name."""
    by_name: dict[str, list[StoredSlot]] = defaultdict(list)
    for slot in slots:
        if slot.is_current:
            by_name[slot.pool].append(slot)
    return [
        Pool(
            name=name,
            limit=limits.get(name),
            slots=_told(by_name.get(name, []), held=True),
            waiting=_told(by_name.get(name, []), held=False),
        )
        for name in sorted(by_name.keys() | limits.keys())
    ]


def _told(slots: list[StoredSlot], *, held: bool) -> tuple[PoolSlot, ...]:
    wanted = sorted((slot for slot in slots if slot.is_held is held), key=lambda slot: slot.place)
    return tuple(
        PoolSlot(run_id=s.run_id, step_key=s.step_key, epoch=s.epoch, since=s.since) for s in wanted
    )


def _row(claim: SlotClaim, storage_id: int, since: float, now: float, *, held: bool) -> StoredSlot:
    return StoredSlot(
        pool=claim.pool,
        storage_id=storage_id,
        run_id=claim.run_id,
        step_key=claim.step_key,
        epoch=claim.epoch,
        worker_epoch=claim.epoch,
        is_held=held,
        since=since,
        seen_at=now,
    )
