"""Attempts at steps: which number they have, how they end, and whether another follows."""

from __future__ import annotations

from dataclasses import dataclass

from runwire.definitions import Failure, RetryMode, RetryPolicy, RetryRequested
from runwire.error_info import ErrorInfo
from runwire.errors import RunInterrupted, RunwireError, UserCodeError
from runwire.events.payloads import StepRetryData
from runwire.events.types import EventType, LogLevel
from runwire.execution.run_log import RunLog
from runwire.interrupts import current_interrupts


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at a step.

    Attributes:
        number: its number; the first is 1. It counts also what the end of a worker has cut.
        retries: how many attempts before it have failed and asked for another.
        policy: when the step is tried again.
        mode: whether it is tried again at all.
    """

    number: int = 1
    retries: int = 0
    policy: RetryPolicy | None = None
    mode: RetryMode = RetryMode.ENABLED

    def next_after(self, error: BaseException | None) -> Verdict:
        """Whether the step is tried again.

        Args:
            error: what the attempt has ended by; None when its process was lost.
        """
        # What fails because the run is stopped is not tried again, whatever user code makes of its interrupt.
        if current_interrupts().requested or isinstance(error, RunInterrupted | KeyboardInterrupt):
            return Verdict()
        raised = error
        if isinstance(error, UserCodeError):
            raised = error.user_exception or error
        if isinstance(raised, RetryRequested):
            return self._verdict(raised.max_retries, raised.seconds_to_wait or 0.0)
        # What runwire itself refuses, such as an output of a wrong type, would be refused again.
        if self.policy is None or isinstance(raised, RunwireError):
            return Verdict()
        if isinstance(raised, Failure) and not raised.allow_retries:
            return Verdict(why_not="; it allows no retries")
        return self._verdict(self.policy.max_retries, self.policy.seconds_before(self.retries + 1))

    def _verdict(self, max_retries: int, seconds_to_wait: float) -> Verdict:
        if self.mode is RetryMode.DISABLED:
            return Verdict(why_not="; the executor of its job has retries disabled")
        if self.retries >= max_retries:
            tried = "once" if max_retries == 1 else f"{max_retries} times"
            return Verdict(why_not=f"; it was tried again {tried}" if max_retries else "")
        return Verdict(seconds_to_wait, f"retry {self.retries + 1} of {max_retries}")


FIRST = Attempt()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a step is tried again.

    Attributes:
        seconds_to_wait: how long it waits before; None when it is not.
        which: of how many retries it is the next one.
        why_not: what the message of its failure adds.
    """

    seconds_to_wait: float | None = None
    which: str = ""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class EndedStep:
    """An attempt at a step that has ended.

    Attributes:
        step_key: the step.
        outputs: the names of the outputs that it gave; None when it did not succeed.
        retry_after: when it is to be tried again, in seconds from now; None when the step has ended.
    """

    step_key: str
    outputs: frozenset[str] | None
    retry_after: float | None = None


def tell_retry(
    log: RunLog, step_key: str, verdict: Verdict, reason: str, error: ErrorInfo
) -> EndedStep:
    """Writes the STEP_UP_FOR_RETRY of a step that is tried again."""
    seconds = verdict.seconds_to_wait or 0.0
    waits = f" in {seconds:g} s" if seconds else ""
    log.tell(
        EventType.STEP_UP_FOR_RETRY,
        f"Step {step_key} is tried again{waits}, {verdict.which}: {reason}",
        step_key=step_key,
        level=LogLevel.WARNING,
        error=error,
        data=StepRetryData(seconds),
    )
    return EndedStep(step_key, None, seconds)
