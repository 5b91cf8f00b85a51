"""One tick of a schedule or sensor, from its key to its runs, so that none is lost and none made twice.

Each step is stored before the next one begins:

1. The tick is made under a key that follows from its due instant, for a sensor from the tick before it: of any number
   of daemons, one makes it.
2. It is evaluated, and what it asks for is stored on it by a compare-and-set, together with the cursor that it moves.
   Of two that have evaluated it at once, one stores; the other leaves the tick alone. When somebody has set the cursor
   meanwhile, it is evaluated anew. Nothing has been made before that.
3. For each request a run is made under a key that follows from the tick and the place of the request, or from its run
   key. Whoever comes again finds the run that is there; one that another tick has made is left to that.
   A request that is refused, by its run config as a rule, leaves the others be; the tick fails and tells it.
4. A run that is NOT_STARTED is submitted; a launch is a compare-and-set of its own.
5. The tick ends, by a compare-and-set, with the ids of its runs.

So a process may be killed between any two instructions, and any number may do this at once: who takes up a STARTED
tick with requests goes on at 3, without requests at 2.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from runwire import clock
from runwire.control.code_location import loaded_location
from runwire.control.create_run import create_run
from runwire.control.new_run import NewRun
from runwire.control.run_keys import request_key_of
from runwire.control.sensor_input import NothingWatchedError, sensor_input
from runwire.control.tick_sources import SensorRecord, sensors_of
from runwire.error_info import ErrorInfo
from runwire.errors import (
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    CursorConflictError,
    InputInvalidError,
    JobAmbiguousError,
    JobNotFoundError,
    JobNotPartitionedError,
    LaunchFailedError,
    PartitionConfigError,
    PartitionNotFoundError,
    RunAlreadyExistsError,
    RunConfigInvalidError,
    RunStateConflictError,
    RunwireError,
    ScheduleNotFoundError,
    SensorNotFoundError,
    StorageUnavailableError,
    TickConflictError,
    TickEvaluationError,
)
from runwire.fault_points import fault_point
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.runs.tags import (
    RUN_KEY_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
    SYSTEM_PREFIX,
    TICK_ID_TAG,
)
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.schedule_storage import CursorMove
from runwire.ticks.evaluation import TickEvaluation
from runwire.ticks.source import TickSourceOrigin, TickSourceType
from runwire.ticks.tick import RunRequest, Tick, TickStatus
from runwire.workspace import CodeLocation, JobSelector, Workspace

_REFUSED = (
    InputInvalidError,
    JobAmbiguousError,
    JobNotFoundError,
    JobNotPartitionedError,
    PartitionConfigError,
    PartitionNotFoundError,
    RunAlreadyExistsError,
    RunConfigInvalidError,
    ScheduleNotFoundError,
    SensorNotFoundError,
)
"""What trying again soon does not mend."""


_NAME_TAGS = {
    TickSourceType.SCHEDULE: SCHEDULE_NAME_TAG,
    TickSourceType.SENSOR: SENSOR_NAME_TAG,
}

_EVALUATIONS = 5
"""How often a tick is evaluated while somebody sets the cursor each time, before it fails."""


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """What an evaluation gave or raised, and where the cursor goes, whichever it was."""

    evaluation: TickEvaluation
    move: CursorMove | None = None
    error: TickEvaluationError | None = None


@dataclass(frozen=True)
class TickRunner:
    """Makes the ticks of schedules and sensors.

    Attributes:
        storage: where ticks and runs are.
        workspace: where schedules, sensors and jobs are.
        submit: hands a run, by its id, to the coordinator.
        now: tells the time, in epoch seconds.
    """

    storage: InstanceStorage
    workspace: Workspace
    submit: Callable[[str], RunRecord]
    now: Callable[[], float] = clock.timestamp

    def run(self, origin: TickSourceOrigin, due_at: float) -> Tick:
        """Makes the tick of a due instant, or goes on with it where it was left; returns it as it is then.

        A FAILURE is told on the tick, which this leaves as it is when called again (`retry` tries it again).

        Raises:
            TickSourceStoppedError, TickSourceNotFoundError: the schedule makes no ticks; no tick was made.
            StorageUnavailableError: the tick is to be taken up again.
        """
        return self._begin(origin, tick_key(due_at), due_at)

    def run_next(self, origin: TickSourceOrigin, latest: Tick | None) -> Tick:
        """Makes the tick of a sensor that follows the latest one, None for the first; else as `run`."""
        now = self.now()
        if latest is None:
            return self._begin(origin, "after/0", now)
        # A clock that is set back does not bring the new tick before those that there are.
        return self._begin(origin, f"after/{latest.tick_id}", max(now, latest.due_at))

    def _begin(self, origin: TickSourceOrigin, key: str, due_at: float) -> Tick:
        schedules = self.storage.schedule_storage
        tick, _ = schedules.create_tick(origin.source_id, key, due_at=due_at, started_at=self.now())
        fault_point("tick.after_tick_created")
        return self.go_on(origin, tick)

    def retry(self, origin: TickSourceOrigin, tick: Tick) -> Tick:
        """Tries a tick in FAILURE again; what it had asked for already is not asked again.

        Raises:
            StorageUnavailableError: the tick is to be taken up again.
        """
        started = replace(
            tick,
            status=TickStatus.STARTED,
            started_at=self.now(),
            ended_at=None,
            error=None,
            attempts=tick.attempts + 1,
        )
        try:
            return self.go_on(origin, self.storage.schedule_storage.update_tick(started))
        except TickConflictError:
            return self.storage.schedule_storage.get_tick(tick.tick_id)

    def go_on(self, origin: TickSourceOrigin, tick: Tick) -> Tick:
        """Does what is left to do for a tick; nothing for one that has ended. Raises as `run`."""
        if tick.status is not TickStatus.STARTED:
            return tick
        try:
            return self._completed(origin, tick)
        except TickConflictError:  # another process is at it, and what it writes counts
            return self.storage.schedule_storage.get_tick(tick.tick_id)

    def _completed(self, origin: TickSourceOrigin, tick: Tick) -> Tick:
        write = self.storage.schedule_storage.update_tick
        try:
            if tick.requests is None:
                tick = self._asked(origin, tick)
                if tick.status is not TickStatus.STARTED:
                    return tick
                fault_point("tick.after_requests_stored")
            records, refused = self._made_runs(origin, tick)
            for record in records:
                self._submit(record)
                fault_point("tick.after_run_submitted")
        except StorageUnavailableError:
            raise  # what is stored on the tick tells where to go on
        except (TickEvaluationError, *_REFUSED) as error:
            return write(self._failed(tick, error, counts=True))
        except (CodeLocationNotFoundError, CodeLocationUnavailableError) as error:
            return write(self._failed(tick, error, counts=False))
        fault_point("tick.before_tick_success")
        tick = replace(tick, run_ids=tuple(record.run_id for record in records))
        if refused is not None:
            return write(self._failed(tick, refused, counts=True))
        if not records:
            reason = "the run keys that it asked with have their runs"
            return write(self._ended(tick, TickStatus.SKIPPED, skip_reason=reason))
        return write(self._ended(tick, TickStatus.SUCCESS))

    def _asked(self, origin: TickSourceOrigin, tick: Tick) -> Tick:
        """The tick with what it asks for, stored; or as it has ended when that is nothing."""
        for _ in range(_EVALUATIONS):
            evaluated = self._evaluated(origin, tick)
            fault_point("tick.before_requests_stored")
            found = evaluated.evaluation
            if evaluated.error is not None:
                asked = self._failed(tick, evaluated.error, counts=True)
            elif not found.requests:
                asked = self._ended(
                    tick, TickStatus.SKIPPED, requests=(), skip_reason=found.skip_reason
                )
            else:
                asked = replace(tick, requests=found.requests)
            with suppress(CursorConflictError):
                return self.storage.schedule_storage.update_tick(asked, move=evaluated.move)
        problem = f"its cursor was set {_EVALUATIONS} times while it was evaluated"
        raise CodeLocationUnavailableError(origin.location_name, problem)

    def _evaluated(self, origin: TickSourceOrigin, tick: Tick) -> _Evaluated:
        """Raises TickEvaluationError where the tick fails and the cursor stays."""
        location = self.workspace.get_location(origin.location_name)
        if origin.source_type is TickSourceType.SCHEDULE:
            found = location.evaluate_schedule(origin.repository_name, origin.name, tick.due_at)
            return _Evaluated(found)
        state = self.storage.schedule_storage.get_tick_source(origin.source_id)
        record = self._loaded_sensor(origin, location)

        def move(cursor: str | None) -> CursorMove | None:
            if cursor == state.cursor:
                return None
            return CursorMove(cursor, state.cursor_version, self.now())

        try:
            given = sensor_input(self.storage, record, cursor=state.cursor, tick=tick)
        except NothingWatchedError as error:
            return _Evaluated(TickEvaluation(skip_reason=str(error)), move(error.cursor))
        try:
            found = location.evaluate_sensor(origin.repository_name, origin.name, given.shown)
        except TickEvaluationError as error:
            if given.cursor_after is None:
                raise
            # What the function did by itself is done; the next event has its turn.
            return _Evaluated(TickEvaluation(), move(given.cursor_after), error)
        return _Evaluated(found, move(given.cursor_after or found.cursor))

    def _loaded_sensor(self, origin: TickSourceOrigin, location: CodeLocation) -> SensorRecord:
        location = loaded_location(self.workspace, location.state.name)
        for record in sensors_of(location.state):
            if record.origin == origin:
                return record
        raise SensorNotFoundError(
            origin.name, (each.origin.name for each in sensors_of(location.state))
        )

    def _made_runs(
        self, origin: TickSourceOrigin, tick: Tick
    ) -> tuple[list[RunRecord], InputInvalidError | None]:
        """The tick's own runs, and what is wrong with the first request that is refused; the others have theirs."""
        records: list[RunRecord] = []
        refused = None
        keyed = {request_key_of(origin, key): key for key in tick.run_keys}
        known = self.storage.run_storage.get_requested_runs(keyed) if keyed else {}
        seen: set[str] = set()
        for number, request in enumerate(tick.requests or (), 1):
            key = f"{SYSTEM_PREFIX}tick/{origin.source_id}/{tick.key}/{number}"
            if request.run_key is not None:
                key = request_key_of(origin, request.run_key)
            if key in seen:
                continue
            seen.add(key)
            try:
                record = known.get(key) or self._made(origin, tick, key, request)
            except _REFUSED as error:
                message = f"run request {number} of {_named(origin)} is refused: {error}"
                refused = refused or InputInvalidError(message, ["requests", str(number - 1)])
            else:
                if record.run.tags.get(TICK_ID_TAG) == str(tick.tick_id):
                    records.append(record)
            fault_point("tick.after_run_created")
        return records, refused

    def _made(
        self, origin: TickSourceOrigin, tick: Tick, key: str, request: RunRequest
    ) -> RunRecord:
        new_run = NewRun(
            job=JobSelector(request.job_name, origin.repository_name, origin.location_name),
            # That of the partition, where the request has none.
            run_config=request.run_config or None,
            tags=tuple(request.tags.items()),
            partition_key=request.partition_key,
        )
        system_tags = {_NAME_TAGS[origin.source_type]: origin.name, TICK_ID_TAG: str(tick.tick_id)}
        if request.run_key is not None:
            system_tags[RUN_KEY_TAG] = request.run_key
        record, _ = create_run(
            self.storage, self.workspace, new_run, system_tags=system_tags, system_key=key
        )
        return record

    def _submit(self, record: RunRecord) -> None:
        """Submits a run that nobody has submitted. One that cannot be launched has failed, and tells why itself."""
        if record.status is not RunStatus.NOT_STARTED:
            return
        with suppress(LaunchFailedError, RunStateConflictError):
            self.submit(record.run_id)

    def _ended(self, tick: Tick, status: TickStatus, **changes: Any) -> Tick:
        return replace(tick, status=status, ended_at=self.now(), **changes)

    def _failed(self, tick: Tick, error: RunwireError, *, counts: bool) -> Tick:
        info = error.info if isinstance(error, TickEvaluationError) else None
        return replace(
            tick,
            status=TickStatus.FAILURE,
            ended_at=self.now(),
            failure_count=tick.failure_count + counts,
            error=info or ErrorInfo.from_exception(error),
        )


def tick_key(due_at: float) -> str:
    """The key of the tick of a due instant in epoch seconds."""
    return f"{due_at:.6f}"


def _named(origin: TickSourceOrigin) -> str:
    return f"{origin.source_type.value.lower()} {origin.name!r}"
