"""What the log is told of the processes of steps."""

from __future__ import annotations

from runwire.error_info import ErrorInfo
from runwire.events.metadata import normalize_metadata
from runwire.events.payloads import EngineEventData, StepErrorSource, StepFailureData
from runwire.events.types import EventType, LogLevel
from runwire.execution.attempts import EndedStep, Verdict, tell_retry
from runwire.execution.run_log import RunLog
from runwire.execution.told_error import reason_of, told_error


class StepProcessEvents:
    """Tells the log of a run of its step processes. Its methods raise what writing to the log raises."""

    def __init__(self, log: RunLog) -> None:
        self._log = log

    def tell_starting(self, step_key: str) -> None:
        """A process is about to be started."""
        self._log.tell(
            EventType.STEP_WORKER_STARTING,
            f"Starting a process for step {step_key}",
            step_key=step_key,
            data=EngineEventData(marker_start=_marker(step_key)),
        )

    def tell_started(self, step_key: str, pid: int) -> None:
        """It is there."""
        metadata = normalize_metadata({"pid": pid}, "a step process")
        self._log.tell(
            EventType.STEP_WORKER_STARTED,
            f"Step {step_key} runs in process {pid}",
            step_key=step_key,
            data=EngineEventData(marker_end=_marker(step_key), metadata=metadata),
        )

    def tell_not_started(self, step_key: str, error: OSError) -> None:
        """It could not be started, so the step has failed."""
        message = f"Step {step_key} failed: no process could be started for it: {error}"
        self._tell_failure(step_key, message, told_error(error))

    def tell_events_lost(self, step_key: str, problem: Exception) -> None:
        """What it told could not be taken, so the step has failed."""
        message = f"Step {step_key} failed: its events were lost: {reason_of(problem)}"
        self._tell_failure(step_key, message, told_error(problem))

    def tell_lost(self, step_key: str, pid: int, ending: str, verdict: Verdict) -> EndedStep:
        """It has ended in the middle of its step, so that has failed, or is tried again."""
        reason = f"its process {ending} before the step had ended"
        if verdict.seconds_to_wait is not None:
            return tell_retry(self._log, step_key, verdict, reason, _error(pid, ending))
        message = f"Step {step_key} failed: {reason}{verdict.why_not}"
        self._tell_failure(step_key, message, _error(pid, ending))
        return EndedStep(step_key, None)

    def tell_stopped(self, step_key: str, pid: int, ending: str) -> None:
        """It has ended in the middle of its step because it was asked to."""
        message = f"Step {step_key} was interrupted: its process {ending}"
        self._tell_failure(step_key, message, _error(pid, ending), StepErrorSource.INTERRUPT)

    def tell_died_late(self, step_key: str, ending: str) -> None:
        """It has died after its step had ended, which stays as it was."""
        self._log.tell(
            EventType.ENGINE_EVENT,
            f"The process of step {step_key} {ending}, after its step had ended",
            step_key=step_key,
            level=LogLevel.WARNING,
        )

    def _tell_failure(
        self,
        step_key: str,
        message: str,
        error: ErrorInfo,
        source: StepErrorSource = StepErrorSource.UNEXPECTED_ERROR,
    ) -> None:
        self._log.tell(
            EventType.STEP_FAILURE,
            message,
            step_key=step_key,
            error=error,
            data=StepFailureData(source),
        )


def _marker(step_key: str) -> str:
    return f"process of {step_key}"


def _error(pid: int, ending: str) -> ErrorInfo:
    return ErrorInfo(f"step process {pid} {ending}")
