"""What the queue holds now, and what each run there waits for."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from runwire.control.queue_mirror import QueueMirror
from runwire.runs.filters import RunsFilter
from runwire.runs.queue_index import Order, QueueIndex
from runwire.runs.queueing import Limit, LimitKind, QueueSettings
from runwire.runs.run import RunRecord
from runwire.storage.instance_storage import InstanceStorage

MAX_LIMITS = 1000
"""How many limits are told at most: a limit for each value of a tag is one for each value."""


@dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit, how many runs in progress it counts, and how many that wait it blocks."""

    limit: Limit
    used: int
    waiting: int

    @property
    def is_full(self) -> bool:
        """Whether it lets no other run be in progress."""
        return self.used >= self.limit.max


@dataclass(frozen=True, slots=True)
class QueueSummary:
    """The queue as a whole."""

    queued: int
    in_progress: int
    limits: tuple[LimitUse, ...]


@dataclass(frozen=True, slots=True)
class QueuedState:
    """The place of a run that waits, and what keeps it there as far as the queue knows.

    Attributes:
        position: its place, from 1.
        priority: what its tag asks for.
        enqueued_at: when it was queued last, in epoch seconds.
        location_name: its code location.
        put_back_at: when that did not answer last, in epoch seconds; None when that is not known.
        full: the limits that it falls under and that are reached.
        has_runs_ahead: whether runs before it take the places that the instance has.
    """

    position: int
    priority: int
    enqueued_at: float
    location_name: str | None
    put_back_at: float | None
    full: tuple[LimitUse, ...]
    has_runs_ahead: bool


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Runs in the order in which they will be tried, with their places, and how far the log was read for that."""

    records: list[RunRecord]
    orders: list[Order]
    has_more: bool
    log_id: str
    log_position: int


class QueueView:
    """Reads the queue; each call tells of it as it is. Thread-safe.

    The first call reads all runs that wait, and those after it what has changed.

    Args:
        storage: keeps the runs.
        settings: the limits and the order.
    """

    def __init__(self, storage: InstanceStorage, settings: QueueSettings) -> None:
        self.settings = settings
        self._storage = storage
        self._mirror = QueueMirror(storage, settings)
        self._lock = threading.Lock()

    def summary(self) -> QueueSummary:
        """The queue as a whole; raises StorageUnavailableError, as the others do."""
        with self._index() as index:
            limits = tuple(_use(index, limit) for limit in index.limits(MAX_LIMITS))
            return QueueSummary(len(index), index.in_progress, limits)

    def page(self, after: Order | None, limit: int) -> QueuePage:
        """Runs that wait, from a place on (exclusive)."""
        with self._index() as index:
            runs = index.page(after, limit + 1)
            log_id, position = self._mirror.place
        wanted = [run.run_id for run in runs[:limit]]
        found = self._storage.run_storage.get_run_records(
            RunsFilter(run_ids=frozenset(wanted)), limit=max(1, len(wanted))
        )
        records = {record.run_id: record for record in found.records}
        there = [run for run in runs[:limit] if run.run_id in records]
        return QueuePage(
            [records[run.run_id] for run in there],
            [run.order for run in there],
            len(runs) > limit,
            log_id,
            position,
        )

    def states(self, run_ids: Collection[str]) -> Mapping[str, QueuedState]:
        """The places of runs, without those that do not wait."""
        with self._index() as index:
            found = {run_id: self._state(index, run_id) for run_id in run_ids}
        return {run_id: state for run_id, state in found.items() if state is not None}

    def holders(self, wanted: Sequence[tuple[Limit, int]]) -> list[list[str]]:
        """For each limit the ids of so many runs in progress that it counts, those first that are so for longest."""
        with self._index() as index:
            return [index.holders(limit, at_most) for limit, at_most in wanted]

    def find_limit(self, kind: LimitKind, key: str | None, value: str | None) -> LimitUse | None:
        """The use of a limit; None when it is not configured."""
        if key is None:
            found = self.settings.instance_limit
        else:
            limits = self.settings.tag_limits_of({key: "" if value is None else value})
            found = next((each for each in limits if each.kind is kind), None)
        if found is None or (found.kind, found.value) != (kind, value):
            return None
        with self._index() as index:
            return _use(index, found)

    @contextmanager
    def _index(self) -> Iterator[QueueIndex]:
        with self._lock:
            self._mirror.sync()
            yield self._mirror.index

    def _state(self, index: QueueIndex, run_id: str) -> QueuedState | None:
        run = index.find(run_id)
        if run is None:
            return None
        whole = self.settings.instance_limit
        limits = run.limits if whole is None else (whole, *run.limits)
        return QueuedState(
            position=index.position(run),
            priority=run.priority,
            enqueued_at=run.enqueued_at,
            location_name=run.location_name,
            put_back_at=self._mirror.put_back_at.get(run.location_name),
            full=tuple(_use(index, limit) for limit in limits if index.is_full(limit)),
            has_runs_ahead=index.has_runs_ahead(run),
        )


def _use(index: QueueIndex, limit: Limit) -> LimitUse:
    return LimitUse(limit, index.used(limit), index.blocked_by(limit))
