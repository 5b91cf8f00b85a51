"""The scheduler: makes the ticks of schedules when they are due."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from runwire import clock
from runwire.control import ScheduleRecord, schedules_of
from runwire.daemons.ticks import TicksDaemon
from runwire.errors import NotFoundError, ScheduleNotFoundError
from runwire.instance import Instance
from runwire.scheduler import TickSettings
from runwire.ticks import (
    Tick,
    TickSourceOrigin,
    TickSourceType,
    TickStatus,
)
from runwire.ticks.cron import CronSchedule
from runwire.workspace import CodeLocationState, Workspace

LOOK_SECONDS = 1.0
"""How often it is looked which schedules run, when none is due earlier."""

TAKE_UP_SECONDS = 10.0
"""How often it is looked for ticks that were left unended or are to be tried again."""

MAX_LEFT = 100
"""How many unended ticks of a schedule are taken up at a time."""


class SchedulerDaemon(TicksDaemon[ScheduleRecord]):
    """Makes a tick for each schedule that is due; of several due times that have passed, for the latest ones.

    It wakes at the next due instant. Evaluations run beside it, in a few threads for each code location, so that one
    that hangs delays its own location only. A tick that another process left unended is taken up again, one that
    failed is tried again: by the user's code `TickSettings.max_tick_retries` times, by a code server that was gone
    until it is there. Of a schedule, the latest `TickSettings.max_catchup_ticks` ticks are tried again.
    """

    daemon_type: ClassVar[str] = "SCHEDULER"
    source_type = TickSourceType.SCHEDULE

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        now: Callable[[], float] = clock.timestamp,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(instance, workspace, now, monotonic)
        self._settings = instance.scheduler.ticks or TickSettings()
        self._next_due: dict[str, tuple[tuple[CronSchedule, float], float]] = {}
        self._wake_at = 0.0
        self._took_up_at = float("-inf")

    @property
    def interval_seconds(self) -> float:
        return min(LOOK_SECONDS, max(0.0, self._wake_at - self._now()))

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        self._wake_at = self._now() + LOOK_SECONDS  # however this ends
        self._busy = {key: each for key, each in self._busy.items() if not each.done()}
        running = self._running(report)
        self._next_due = {key: due for key, due in self._next_due.items() if key in running}
        if self._monotonic() - self._took_up_at >= TAKE_UP_SECONDS:
            self._take_up(running, report)
            self._took_up_at = self._monotonic()
        now = self._now()
        for source_id, record in running.items():
            if should_stop():
                break
            if source_id not in self._busy and self._next(record, now) <= now:
                self._start(record, now, report)
        waiting = (self._next(each, now) for key, each in running.items() if key not in self._busy)
        self._wake_at = min(waiting, default=now + LOOK_SECONDS)

    def _records_of(self, state: CodeLocationState) -> Mapping[str, ScheduleRecord]:
        return {record.origin.source_id: record for record in schedules_of(state)}

    def _missing(self, name: str) -> NotFoundError:
        return ScheduleNotFoundError(name)

    # ------------------------------------------------------------------------- when they are due

    def _next(self, record: ScheduleRecord, now: float) -> float:
        """When it is due next, since its last tick; later while it rests."""
        source_id, cron = record.origin.source_id, _cron_of(record)
        asked = (cron, self._since(record, now))
        known = self._next_due.get(source_id)
        if known is None or known[0] != asked:
            due = next(cron.after(asked[1]), float("inf"))
            known = self._next_due[source_id] = (asked, due)
        return max(known[1], self._rests_until.get(source_id, 0.0))

    def _since(self, record: ScheduleRecord, now: float) -> float:
        """The instant after which it is due: never before it was started, never again."""
        state = record.state
        if state is None:
            return now
        last = state.last_due_at or 0.0
        if last > now:  # the clock is set back; ticks before that instant count all the same
            found = self._schedules.get_ticks(state.source_id, before=now, limit=1).ticks
            last = found[0].due_at if found else now
        return max(state.running_since or 0.0, last)

    # ------------------------------------------------------------------------------- their ticks

    def _take_up(
        self, running: Mapping[str, ScheduleRecord], report: Callable[[BaseException], None]
    ) -> None:
        """Goes on with all ticks that were left unended, and tries again the latest ones where they failed."""
        ids = [source_id for source_id in running if source_id not in self._busy]
        left = self._schedules.get_batch_ticks(ids, statuses={TickStatus.STARTED}, limit=MAX_LEFT)
        latest = self._schedules.get_batch_ticks(ids, limit=self._settings.max_catchup_ticks)
        for source_id, newest in latest.items():
            failed = [tick for tick in newest if self._is_to_be_retried(tick)]
            ticks = [*left.get(source_id, ()), *failed]
            if ticks:
                ticks.sort(key=lambda tick: tick.due_at)
                origin = running[source_id].origin
                self._submit(origin, partial(self._go_on, origin, ticks), report)

    def _is_to_be_retried(self, tick: Tick) -> bool:
        is_left = tick.failure_count <= self._settings.max_tick_retries
        return tick.status is TickStatus.FAILURE and is_left

    def _go_on(self, origin: TickSourceOrigin, ticks: list[Tick]) -> None:
        for tick in ticks:
            if tick.status is TickStatus.FAILURE:
                self._runner.retry(origin, tick)
            else:
                self._runner.go_on(origin, tick)

    def _start(
        self, record: ScheduleRecord, now: float, report: Callable[[BaseException], None]
    ) -> None:
        since = self._since(record, now)
        due = _cron_of(record).last_until(since, now, self._settings.max_catchup_ticks)
        self._submit(record.origin, partial(self._run, record.origin, due), report)

    def _run(self, origin: TickSourceOrigin, due: Sequence[float]) -> None:
        for instant in due:
            self._runner.run(origin, instant)


def _cron_of(record: ScheduleRecord) -> CronSchedule:
    """When a schedule that is loaded is due; never, were it not."""
    cron = record.cron
    if cron is None:
        raise ScheduleNotFoundError(record.origin.name)
    return cron
