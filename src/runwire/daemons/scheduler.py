"""The scheduler: makes the ticks of schedules when they are due."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import ClassVar

from runwire import clock
from runwire.control import ScheduleRecord, TickRunner, schedules_of
from runwire.daemons.daemon import Daemon
from runwire.errors import ScheduleNotFoundError, TickSourceNotFoundError, TickSourceStoppedError
from runwire.instance import Instance
from runwire.scheduler import TickSettings
from runwire.ticks import (
    Tick,
    TickSourceOrigin,
    TickSourceState,
    TickSourceStatus,
    TickSourceType,
    TickStatus,
)
from runwire.ticks.cron import CronSchedule
from runwire.workspace import CodeLocationState, CodeLocationStatus, Workspace

LOOK_SECONDS = 1.0
"""How often it is looked which schedules run, when none is due earlier."""

IDLE_LOOK_SECONDS = 60.0
"""How often it is looked which schedules were started, while no code location has one."""

TAKE_UP_SECONDS = 10.0
"""How often it is looked for ticks that were left unended or are to be tried again."""

EVALUATIONS_AT_ONCE = 4
"""How many schedules of one code location are evaluated at once; one that hangs delays no other location's."""

MAX_LEFT = 100
"""How many unended ticks of a schedule are taken up at a time."""

REST_SECONDS = 1.0
"""How long a schedule rests whose tick could not be stored."""

CLOSE_SECONDS = 5.0
"""How long ticks that have begun may take to end when the daemon does; others take up what is left of them."""


class SchedulerDaemon(Daemon):
    """Makes a tick for each schedule that is due; of several due times that have passed, for the latest ones.

    It wakes at the next due instant. Evaluations run beside it, in a few threads for each code location, so that one
    that hangs delays its own location only. A tick that another process left unended is taken up again, one that
    failed is tried again: by the user's code `TickSettings.max_tick_retries` times, by a code server that was gone
    until it is there. Of a schedule, the latest `TickSettings.max_catchup_ticks` ticks are tried again.

    A workspace without schedules costs no look at the storage but one a minute.

    Args:
        instance: the instance; it outlives this.
        workspace: its code locations.
        now: tells the time, in epoch seconds.
        monotonic: tells the time that no change of the clock moves, in seconds.
    """

    daemon_type: ClassVar[str] = "SCHEDULER"

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        now: Callable[[], float] = clock.timestamp,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._schedules = instance.storage.schedule_storage
        self._settings = instance.scheduler.ticks or TickSettings()
        self._workspace = workspace
        self._now = now
        self._monotonic = monotonic
        self._runner = TickRunner(
            instance.storage, workspace, lambda run_id: instance.submit_run(run_id, workspace), now
        )
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._busy: dict[str, Future[None]] = {}
        self._read: dict[str, tuple[CodeLocationState, dict[str, ScheduleRecord]]] = {}
        self._next_due: dict[str, tuple[tuple[CronSchedule, float], float]] = {}
        self._rests_until: dict[str, float] = {}
        self._wake_at = 0.0
        self._looked_at = self._took_up_at = float("-inf")

    @property
    def interval_seconds(self) -> float:
        return min(LOOK_SECONDS, max(0.0, self._wake_at - self._now()))

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        self._wake_at = self._now() + LOOK_SECONDS  # however this ends
        self._busy = {key: each for key, each in self._busy.items() if not each.done()}
        running = self._running(report)
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

    def wait_until_idle(self, timeout_seconds: float | None = None) -> None:
        """Waits until what was started has ended."""
        for each in list(self._busy.values()):
            each.result(timeout_seconds)

    def close(self) -> None:
        """Waits for a while until the ticks that have begun have ended."""
        wait(self._busy.values(), timeout=CLOSE_SECONDS)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    # ------------------------------------------------------------------------ which schedules run

    def _running(self, report: Callable[[BaseException], None]) -> Mapping[str, ScheduleRecord]:
        """The schedules that make ticks, by id; brings what is kept in line with the default statuses."""
        defined, loaded = self._defined()
        if not defined and self._monotonic() - self._looked_at < IDLE_LOOK_SECONDS:
            return {}
        kept = {
            state.source_id: state
            for state in self._schedules.get_tick_sources(source_type=TickSourceType.SCHEDULE)
        }
        self._looked_at = self._monotonic()
        for source_id, record in defined.items():
            if source_id not in kept and record.default_status is TickSourceStatus.RUNNING:
                kept[source_id], _ = self._schedules.add_tick_source(
                    record.origin, TickSourceStatus.RUNNING, at=self._now(), by_default=True
                )
        running: dict[str, ScheduleRecord] = {}
        for source_id, state in kept.items():
            found = defined.get(source_id)
            if found is None:
                if state.is_running and state.origin.location_name in loaded:
                    self._miss(state, report)
                continue
            record = replace(found, state=state)
            if state.by_default and record.status is TickSourceStatus.STOPPED:
                self._drop(state)
            elif state.is_running:
                running[source_id] = record
        self._next_due = {key: due for key, due in self._next_due.items() if key in running}
        return running

    def _defined(self) -> tuple[dict[str, ScheduleRecord], Collection[str]]:
        """The schedules of the loaded code locations, by id, and the names of these locations."""
        states = [location.state for location in self._workspace.list_locations()]
        loaded = {each.name: each for each in states if each.status is CodeLocationStatus.LOADED}
        self._read = {name: self._schedules_of(state) for name, state in loaded.items()}
        found: dict[str, ScheduleRecord] = {}
        for _, of_location in self._read.values():
            found.update(of_location)
        return found, loaded

    def _schedules_of(
        self, state: CodeLocationState
    ) -> tuple[CodeLocationState, dict[str, ScheduleRecord]]:
        known = self._read.get(state.name)
        if known is not None and known[0] is state:
            return known
        return state, {record.origin.source_id: record for record in schedules_of(state)}

    def _miss(self, state: TickSourceState, report: Callable[[BaseException], None]) -> None:
        """Drops a schedule that nobody started and whose definition is gone; tells one that somebody did."""
        if state.by_default:
            self._drop(state)
        else:
            report(ScheduleNotFoundError(state.origin.name))

    def _drop(self, state: TickSourceState) -> None:
        try:
            self._schedules.delete_tick_source(state.source_id)
        except TickSourceNotFoundError:  # another process has
            return

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

    def _submit(
        self,
        origin: TickSourceOrigin,
        work: Callable[[], object],
        report: Callable[[BaseException], None],
    ) -> None:
        pool = self._pools.get(origin.location_name)
        if pool is None:
            pool = self._pools[origin.location_name] = ThreadPoolExecutor(
                EVALUATIONS_AT_ONCE, thread_name_prefix=f"runwire-ticks-{origin.location_name}"
            )

        def told() -> None:
            try:
                work()
            except (TickSourceNotFoundError, TickSourceStoppedError):
                return  # it was stopped meanwhile
            except Exception as error:  # noqa: BLE001 - the tick stays as it is, and is taken up again
                self._rests_until[origin.source_id] = self._now() + REST_SECONDS
                report(error)

        self._busy[origin.source_id] = pool.submit(told)


def _cron_of(record: ScheduleRecord) -> CronSchedule:
    """When a schedule that is loaded is due; never, were it not."""
    cron = record.cron
    if cron is None:
        raise ScheduleNotFoundError(record.origin.name)
    return cron
