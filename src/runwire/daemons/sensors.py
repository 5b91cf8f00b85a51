"""The sensors daemon: calls sensors in their intervals, and those that watch events for each of these."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import ClassVar

from runwire import clock
from runwire.control import (
    SensorRecord,
    end_of_log,
    next_watched,
    sensors_of,
    with_first_cursor,
)
from runwire.daemons.ticks import REST_SECONDS, TicksDaemon
from runwire.errors import CursorConflictError, NotFoundError, SensorNotFoundError
from runwire.instance import Instance
from runwire.ticks import Tick, TickSourceState, TickSourceType, TickStatus
from runwire.workspace import CodeLocationState, Workspace

LOOK_SECONDS = 0.25
"""How often it is looked which sensors are due, and whether anything has happened that one may watch."""

LIST_SECONDS = 1.0
"""How often it is looked which sensors run."""

MAX_EVENTS = 100
"""How many events one sensor is called for before it is looked again which sensors run."""

SAVE_AFTER = 1000
"""After how many entries that do not concern a sensor its cursor is stored, so that they are not looked at again."""


class SensorsDaemon(TicksDaemon[SensorRecord]):
    """Makes a tick of each sensor when its interval has passed, or when something has happened that it watches.

    Evaluations run beside it, in a few threads for each code location. Of each sensor one tick is made after the other:
    one that another process left unended is ended first, and one that failed because its code server was gone is tried
    again. The interval is counted by a clock that nobody sets.
    """

    daemon_type: ClassVar[str] = "SENSORS"
    source_type = TickSourceType.SENSOR

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        now: Callable[[], float] = clock.timestamp,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(instance, workspace, now, monotonic)
        self._logs = instance.storage.event_log_storage
        self._listed: Mapping[str, SensorRecord] = {}
        self._listed_at = float("-inf")
        self._due: dict[str, float] = {}
        """When each is due, by the monotonic clock; those that are not in it are due now."""
        self._waited_for: dict[str, int] = {}
        """The tick of each since which its interval is counted."""
        self._seen: dict[str, tuple[int, int]] = {}
        """Up to which position of the instance-wide log nothing concerns a sensor, from which version of its cursor."""

    @property
    def interval_seconds(self) -> float:
        return LOOK_SECONDS

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        self._busy = {key: each for key, each in self._busy.items() if not each.done()}
        if self._monotonic() - self._listed_at >= LIST_SECONDS:
            self._listed = self._running(report)
            self._listed_at = self._monotonic()
            self._due = {key: due for key, due in self._due.items() if key in self._listed}
            self._seen = {key: seen for key, seen in self._seen.items() if key in self._listed}
        watching = any(record.watches_log for record in self._listed.values())
        head = self._logs.get_instance_log_span().head if watching else 0
        for source_id, record in self._listed.items():
            if should_stop():
                return
            if source_id in self._busy or self._due.get(source_id, 0.0) > self._monotonic():
                continue
            if not record.watches_log:
                self._submit(record.origin, partial(self._evaluate, record), report)
            elif self._seen.get(source_id) != (head, record.cursor_version):
                work = partial(self._follow, record, should_stop)
                self._submit(record.origin, work, report)

    def _records_of(self, state: CodeLocationState) -> Mapping[str, SensorRecord]:
        return {record.origin.source_id: record for record in sensors_of(state)}

    def _missing(self, name: str) -> NotFoundError:
        return SensorNotFoundError(name)

    def _add(self, record: SensorRecord) -> TickSourceState:
        begin = end_of_log(self._logs)
        return with_first_cursor(self._storage, record, super()._add(record), begin, at=self._now())

    def _drop(self, state: TickSourceState) -> None:
        """Keeps it, for the sake of its cursor: its definition may come back."""

    def _evaluate(self, record: SensorRecord) -> None:
        """Makes the next tick of a sensor, or goes on with its last one."""
        source_id, sensor = record.origin.source_id, record.snapshot
        interval = float(sensor.minimum_interval_seconds) if sensor else REST_SECONDS
        self._due[source_id] = self._monotonic() + REST_SECONDS  # however this ends
        latest, began = self._latest(source_id), self._monotonic()
        if latest is not None and self._is_left(latest):
            latest = self._go_on(record, latest)
        elif latest is not None and self._waited_for.get(source_id) != latest.tick_id:
            # Another one has made it, by a clock that may have been set since: one interval is enough.
            began += min(0.0, latest.due_at - self._now())
        else:
            latest = self._runner.run_next(record.origin, latest)
        if not self._is_left(latest):
            self._waited_for[source_id] = latest.tick_id
            self._due[source_id] = began + interval

    def _follow(self, record: SensorRecord, should_stop: Callable[[], bool]) -> None:
        """Calls a sensor for each event that has happened, one tick after the other."""
        source_id = record.origin.source_id
        for _ in range(MAX_EVENTS):
            if should_stop():
                return
            latest = self._latest(source_id)
            if latest is not None and self._is_left(latest):
                latest = self._go_on(record, latest)
            elif not self._has_event(record):
                return
            else:
                latest = self._runner.run_next(record.origin, latest)
            if self._is_left(latest):
                self._due[source_id] = self._monotonic() + REST_SECONDS
                return

    def _has_event(self, record: SensorRecord) -> bool:
        """Whether something has happened that a sensor watches; notes how far that is not so."""
        source_id, sensor, repository = record.origin.source_id, record.snapshot, record.repository
        state = self._schedules.get_tick_source(source_id)
        if sensor is None or repository is None or not state.is_running:
            return False
        if state.cursor is None:  # somebody has it begin anew
            begin = end_of_log(self._logs)
            state = with_first_cursor(self._storage, record, state, begin, at=self._now())
        cursor = state.cursor
        if cursor is None:
            return False
        looked = next_watched(self._storage, record.origin, repository, sensor, cursor)
        if looked.found is not None:
            return True
        if looked.passed > SAVE_AFTER:
            with suppress(CursorConflictError):  # somebody has set it
                state = self._schedules.set_tick_source_cursor(
                    source_id, looked.cursor, at=self._now(), version=state.cursor_version
                )
        self._seen[source_id] = looked.position, state.cursor_version
        return False

    def _latest(self, source_id: str) -> Tick | None:
        ticks = self._schedules.get_ticks(source_id, limit=1).ticks
        return ticks[0] if ticks else None

    def _is_left(self, tick: Tick) -> bool:
        """Whether a tick is to be gone on with: it is unended, or failed by no fault of the user's code."""
        return tick.status is TickStatus.STARTED or (
            tick.status is TickStatus.FAILURE and tick.failure_count == 0
        )

    def _go_on(self, record: SensorRecord, tick: Tick) -> Tick:
        if tick.status is TickStatus.FAILURE:
            return self._runner.retry(record.origin, tick)
        return self._runner.go_on(record.origin, tick)
