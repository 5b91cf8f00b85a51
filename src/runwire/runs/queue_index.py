"""The queue in memory: which run goes next, found without a look at those that cannot."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice

from runwire.runs.queueing import Limit, QueueSettings, priority_of
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, RunStatus

Order = tuple[float, float, int]
RunClass = tuple[tuple[Limit, ...], str | None]
"""What may keep a run waiting: the limits that it falls under by its tags, and its code location."""


MAX_AHEAD = 1000
"""How many runs before another one are looked at, at most."""


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A run that waits.

    Attributes:
        order: its place among the others.
        run_id: its id.
        priority: what its tag asks for.
        enqueued_at: when it was queued last, in epoch seconds.
        run_class: what may keep it waiting.
    """

    order: Order
    run_id: str
    priority: int
    enqueued_at: float
    run_class: RunClass

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits that it falls under by its tags."""
        return self.run_class[0]

    @property
    def location_name(self) -> str | None:
        """Its code location."""
        return self.run_class[1]


class QueueIndex:
    """The runs that wait and those that are in progress, as they were told. Not thread-safe.

    Runs of one class wait for the same things, so only the first of each class can be next. A class that waits
    for a limit is set aside until that has room, so that a look for the next run costs what has changed, however
    many runs and classes wait.

    Args:
        settings: the limits and the order.
    """

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._queued: dict[str, QueuedRun] = {}
        self._order: list[tuple[Order, str]] = []
        self._heads: dict[RunClass, list[tuple[Order, str]]] = {}
        self._ready: list[tuple[Order, str, int, RunClass]] = []
        self._ties = count()
        self._set_aside: dict[Limit, set[RunClass]] = {}
        self._waiting: Counter[Limit] = Counter()
        self._in_progress: dict[str, tuple[Limit, ...]] = {}
        self._since: dict[str, float] = {}
        self._used: Counter[Limit] = Counter()

    # ------------------------------------------------------------------------------ what is told

    def load(self, records: Iterable[RunRecord]) -> None:
        """Takes runs that wait, before it was told of any."""
        for record in records:
            if record.run_id not in self._queued:
                run = self._queued_run(record)
                self._queued[run.run_id] = run
                self._order.append((run.order, run.run_id))
                self._waiting.update(run.limits)
                self._heads.setdefault(run.run_class, []).append((run.order, run.run_id))
        self._order.sort()
        for run_class, heap in self._heads.items():
            heapq.heapify(heap)
            self._push(heap[0], run_class)

    def put(self, record: RunRecord) -> None:
        """Takes a run as it is now."""
        if record.status is RunStatus.QUEUED:
            run = self._queued_run(record)
            if self._queued.get(record.run_id) != run:
                self.remove(record.run_id)
                self._add(run)
        elif record.status in IN_PROGRESS_STATUSES:
            limits = self._settings.tag_limits_of(record.run.tags)
            if self._in_progress.get(record.run_id) != limits:
                self.remove(record.run_id)
                self._in_progress[record.run_id] = limits
                self._used.update(limits)
            self._since[record.run_id] = record.started_at or record.launched_at or 0.0
        else:
            self.remove(record.run_id)

    def remove(self, run_id: str) -> None:
        """Forgets a run; harmless when it is not known."""
        run = self._queued.pop(run_id, None)
        if run is not None:
            del self._order[bisect_left(self._order, (run.order, run_id))]
            self._count_off(self._waiting, run.limits)
        self._since.pop(run_id, None)
        limits = self._in_progress.pop(run_id, None)
        if limits is not None:
            self._count_off(self._used, limits)
            for limit in limits:
                if self._used[limit] < limit.max:
                    for run_class in self._set_aside.pop(limit, ()):
                        self._make_ready(run_class)

    # -------------------------------------------------------------------------------- what waits

    def __len__(self) -> int:
        return len(self._order)

    @property
    def in_progress(self) -> int:
        """How many runs are in progress."""
        return len(self._in_progress)

    @property
    def has_room(self) -> bool:
        """Whether the instance lets another run be in progress."""
        limit = self._settings.instance_limit
        return limit is None or len(self._in_progress) < limit.max

    def find(self, run_id: str) -> QueuedRun | None:
        """A run that waits."""
        return self._queued.get(run_id)

    def position(self, run: QueuedRun) -> int:
        """The place of a run that waits, from 1."""
        return bisect_left(self._order, (run.order, run.run_id)) + 1

    def page(self, after: Order | None, limit: int) -> list[QueuedRun]:
        """Runs that wait, in their order, from a place on (exclusive)."""
        start = 0
        if after is not None:
            start = bisect_left(self._order, (after, "\U0010ffff" * 2))
        return [self._queued[run_id] for _, run_id in self._order[start : start + limit]]

    def limits(self, at_most: int) -> list[Limit]:
        """The limits that count now, that of the instance first; if there are more, those in use go before others."""
        found = dict.fromkeys(islice(chain(self._used, self._waiting), 2 * at_most))
        first = () if self._settings.instance_limit is None else (self._settings.instance_limit,)
        return [*first, *sorted(islice(found, at_most), key=_by_name)]

    def used(self, limit: Limit) -> int:
        """How many runs in progress a limit counts."""
        return len(self._in_progress) if limit.key is None else self._used[limit]

    def is_full(self, limit: Limit) -> bool:
        """Whether a limit lets no other run be in progress."""
        return self.used(limit) >= limit.max

    def blocked_by(self, limit: Limit) -> int:
        """How many runs that wait a limit blocks."""
        if not self.is_full(limit):
            return 0
        return len(self._order) if limit.key is None else self._waiting[limit]

    def holders(self, limit: Limit, at_most: int) -> list[str]:
        """The ids of the runs in progress that a limit counts, those first that are so for longest."""
        found = (
            run_id
            for run_id, limits in self._in_progress.items()
            if limit.key is None or limit in limits
        )
        return heapq.nsmallest(at_most, found, key=lambda run_id: self._since.get(run_id, math.inf))

    def has_runs_ahead(self, run: QueuedRun) -> bool:
        """Whether runs before a run, of which a thousand are looked at, take the places that the instance has."""
        limit = self._settings.instance_limit
        if limit is None:
            return False
        places = max(1, limit.max - len(self._in_progress))
        ahead = islice(self._order, min(self.position(run) - 1, MAX_AHEAD))
        could_go = (
            run_id
            for _, run_id in ahead
            if not any(self.is_full(each) for each in self._queued[run_id].limits)
        )
        return sum(1 for _ in islice(could_go, places)) >= places

    # ---------------------------------------------------------------------------- which one goes

    def take_next(self, is_waited_for: Callable[[str | None], bool]) -> QueuedRun | None:
        """The next run that may go, which is regarded as being in progress from now on; None when none may.

        Args:
            is_waited_for: whether a code location has to be waited for.
        """
        passed: set[RunClass] = set()
        try:
            while self._ready and self.has_room:
                order, run_id, _, run_class = heapq.heappop(self._ready)
                if self._head(run_class) != (order, run_id):
                    self._make_ready(run_class)
                    continue
                full = next((limit for limit in run_class[0] if self.is_full(limit)), None)
                if full is not None:
                    self._set_aside.setdefault(full, set()).add(run_class)
                elif is_waited_for(run_class[1]):
                    passed.add(run_class)
                else:
                    return self._take(self._queued[run_id])
            return None
        finally:
            for run_class in passed:
                self._make_ready(run_class)

    def _take(self, run: QueuedRun) -> QueuedRun:
        self.remove(run.run_id)
        self._in_progress[run.run_id] = run.limits
        self._used.update(run.limits)
        self._make_ready(run.run_class)
        return run

    def _add(self, run: QueuedRun) -> None:
        self._queued[run.run_id] = run
        entry = (run.order, run.run_id)
        insort(self._order, entry)
        self._waiting.update(run.limits)
        heap = self._heads.setdefault(run.run_class, [])
        heapq.heappush(heap, entry)
        # One that is set aside is found to be so again.
        if heap[0] == entry:
            self._push(entry, run.run_class)

    def _make_ready(self, run_class: RunClass) -> None:
        head = self._head(run_class)
        if head is not None:
            self._push(head, run_class)

    def _push(self, head: tuple[Order, str], run_class: RunClass) -> None:
        heapq.heappush(self._ready, (*head, next(self._ties), run_class))

    def _head(self, run_class: RunClass) -> tuple[Order, str] | None:
        """The first run of a class; what has gone meanwhile is dropped on the way."""
        heap = self._heads.get(run_class, [])
        while heap:
            run = self._queued.get(heap[0][1])
            if run is not None and run.order == heap[0][0] and run.run_class == run_class:
                return heap[0]
            heapq.heappop(heap)
        self._heads.pop(run_class, None)
        return None

    @staticmethod
    def _count_off(counter: Counter[Limit], limits: Sequence[Limit]) -> None:
        counter.subtract(limits)
        for limit in limits:
            if not counter[limit]:
                del counter[limit]

    def _queued_run(self, record: RunRecord) -> QueuedRun:
        order = self._settings.order_of(record)
        tags, run = record.run.tags, record.run
        run_class = self._settings.tag_limits_of(tags), run.location_name
        return QueuedRun(order, run.run_id, priority_of(tags), order[1], run_class)


def _by_name(limit: Limit) -> tuple[str, str, str]:
    return limit.key or "", limit.value or "", limit.kind.value
