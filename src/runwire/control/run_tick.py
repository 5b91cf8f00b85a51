"""One tick of a schedule, from its due instant to its runs, so that none is lost and none made twice.

Each step is stored before the next one begins:

1. The tick is made under a key that follows from its due instant: of any number of daemons, one makes it.
2. It is evaluated, and what it asks for is stored on it by a compare-and-set. Of two that have evaluated it at once,
   one stores; the other leaves the tick alone. Nothing has been made before that.
3. For each request a run is made under a key that follows from the tick and the place of the request. Whoever comes
   again finds the run that is there.
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

from runwire import clock
from runwire.control.create_run import create_run
from runwire.control.new_run import NewRun
from runwire.error_info import ErrorInfo
from runwire.errors import (
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    InputInvalidError,
    JobAmbiguousError,
    JobNotFoundError,
    LaunchFailedError,
    RunAlreadyExistsError,
    RunConfigInvalidError,
    RunStateConflictError,
    RunwireError,
    ScheduleNotFoundError,
    StorageUnavailableError,
    TickConflictError,
    TickEvaluationError,
)
from runwire.fault_points import fault_point
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.runs.tags import SCHEDULE_NAME_TAG, SYSTEM_PREFIX, TICK_ID_TAG
from runwire.storage.instance_storage import InstanceStorage
from runwire.ticks.evaluation import TickEvaluation
from runwire.ticks.source import TickSourceOrigin
from runwire.ticks.tick import RunRequest, Tick, TickStatus
from runwire.workspace import JobSelector, Workspace

_REFUSED = (
    InputInvalidError,
    JobAmbiguousError,
    JobNotFoundError,
    RunAlreadyExistsError,
    RunConfigInvalidError,
    ScheduleNotFoundError,
)
"""What trying again soon does not mend."""


@dataclass(frozen=True)
class TickRunner:
    """Makes the ticks of schedules.

    Attributes:
        storage: where ticks and runs are.
        workspace: where schedules and jobs are.
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
        schedules = self.storage.schedule_storage
        key = tick_key(due_at)
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
                evaluation = self._evaluated(origin, tick)
                fault_point("tick.before_requests_stored")
                if not evaluation.requests:
                    return write(self._skipped(tick, evaluation))
                tick = write(replace(tick, requests=evaluation.requests))
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
        return write(replace(tick, status=TickStatus.SUCCESS, ended_at=self.now()))

    def _evaluated(self, origin: TickSourceOrigin, tick: Tick) -> TickEvaluation:
        location = self.workspace.get_location(origin.location_name)
        return location.evaluate_schedule(origin.repository_name, origin.name, tick.due_at)

    def _made_runs(
        self, origin: TickSourceOrigin, tick: Tick
    ) -> tuple[list[RunRecord], InputInvalidError | None]:
        """The runs of the requests, and what is wrong with the first that is refused; the others have theirs."""
        records: list[RunRecord] = []
        refused = None
        for number, request in enumerate(tick.requests or (), 1):
            try:
                records.append(self._made(origin, tick, number, request))
            except _REFUSED as error:
                message = f"run request {number} of schedule {origin.name!r} is refused: {error}"
                refused = refused or InputInvalidError(message, ["requests", str(number - 1)])
            fault_point("tick.after_run_created")
        return records, refused

    def _made(
        self, origin: TickSourceOrigin, tick: Tick, number: int, request: RunRequest
    ) -> RunRecord:
        new_run = NewRun(
            job=JobSelector(request.job_name, origin.repository_name, origin.location_name),
            run_config=request.run_config,
            tags=tuple(request.tags.items()),
        )
        record, _ = create_run(
            self.storage,
            self.workspace,
            new_run,
            system_tags={SCHEDULE_NAME_TAG: origin.name, TICK_ID_TAG: str(tick.tick_id)},
            system_key=f"{SYSTEM_PREFIX}tick/{origin.source_id}/{tick.key}/{number}",
        )
        return record

    def _submit(self, record: RunRecord) -> None:
        """Submits a run that nobody has submitted. One that cannot be launched has failed, and tells why itself."""
        if record.status is not RunStatus.NOT_STARTED:
            return
        with suppress(LaunchFailedError, RunStateConflictError):
            self.submit(record.run_id)

    def _skipped(self, tick: Tick, evaluation: TickEvaluation) -> Tick:
        return replace(
            tick,
            status=TickStatus.SKIPPED,
            ended_at=self.now(),
            requests=(),
            skip_reason=evaluation.skip_reason,
        )

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
