"""Retrying a run that has failed: one retry for each failure, whoever comes how often to make it.

The retry is made under a key that follows from the run that failed, so a run has one at most. What is told of it in
the logs of both is stored under keys too. So this may be cut off between any two instructions, be called again, and be
called by any number of processes at once. Once it is told in the log of the run that failed, all is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, TypeVar

from runwire.control.reexecute_run import Reexecution, ReexecutionStrategy
from runwire.error_info import ErrorInfo
from runwire.errors import (
    InputInvalidError,
    JobAmbiguousError,
    JobNotFoundError,
    LaunchFailedError,
    OutputNotFoundError,
    RunAlreadyExistsError,
    RunConfigInvalidError,
    RunNotFoundError,
    RunStateConflictError,
    StepNotFoundError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.filters import EventFilter
from runwire.events.payloads import RunFailureReason
from runwire.events.types import EventType, LogLevel
from runwire.fault_points import fault_point
from runwire.runs.filters import OLDEST_FIRST, RunsFilter, TagFilter
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.runs.tags import (
    BACKFILL_TAG,
    MAX_RETRIES_TAG,
    PARENT_RUN_TAG,
    RETRY_NUMBER_TAG,
    RETRY_ON_OP_FAILURE_TAG,
    RETRY_STRATEGY_TAG,
    SYSTEM_PREFIX,
)
from runwire.storage.instance_storage import InstanceStorage

MAX_RETRIES = 1000
"""The most retries that a run may ask for."""

TOLD_KEY = "runwire/retry"
"""The key under which it is told once in the log of a run that failed what became of its retry."""

ORIGIN_KEY = "runwire/retry-origin"
"""The key under which it is told once in the log of a retry which run it retries."""

_Value = TypeVar("_Value")

_CANCELING = EventFilter(event_types=frozenset({EventType.RUN_CANCELING}))

_REFUSED = (
    InputInvalidError,
    JobAmbiguousError,
    JobNotFoundError,
    OutputNotFoundError,
    RunConfigInvalidError,
    RunNotFoundError,
    RunStateConflictError,
    StepNotFoundError,
)
"""What trying again soon does not mend."""

Reexecute = Callable[[Reexecution, Callable[[str], RunRecord]], tuple[RunRecord, bool]]
"""Makes a run of steps of another one and submits it by the callable that takes its id (`reexecute_run`)."""


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Which failures of a run are retried, how often, and by which steps.

    Attributes:
        max_retries: how often.
        on_op_failure: whether a run is whose steps failed.
        strategy: which steps run again.
    """

    max_retries: int
    on_op_failure: bool
    strategy: ReexecutionStrategy = ReexecutionStrategy.FROM_FAILURE

    def with_tags(self, tags: Mapping[str, str]) -> Self:
        """These rules with what the tags of a run say otherwise.

        Raises:
            InputInvalidError: the value of a tag is none that it may have.
        """
        strategies = {each.value: each for each in ReexecutionStrategy}
        return type(self)(
            _max_retries(tags, self.max_retries),
            _one_of(
                tags, RETRY_ON_OP_FAILURE_TAG, {"true": True, "false": False}, self.on_op_failure
            ),
            _one_of(tags, RETRY_STRATEGY_TAG, strategies, self.strategy),
        )


def retry_run(
    storage: InstanceStorage,
    run_id: str,
    usual: RetryRules,
    reexecute: Reexecute,
    submit: Callable[[str], RunRecord],
) -> RunRecord | None:
    """Makes the retry of a run that has failed, if there is to be one, and submits it.

    A run of an external system is not retried, nor is one that was asked to stop, or that somebody has re-executed
    already. Why a run that wants retries gets none is told once in its log.

    Args:
        storage: keeps the runs.
        run_id: the run.
        usual: the rules where the tags of the run say nothing.
        reexecute: makes the retry.
        submit: hands the run of an id to the coordinator.

    Returns:
        The retry; None when there is none, or all of this was done before.

    Raises:
        CodeLocationUnavailableError, CodeLocationNotFoundError, StorageUnavailableError: it may be possible later; it
            was not told.
    """
    failed = storage.run_storage.find_run_record(run_id)
    if failed is None or failed.status is not RunStatus.FAILURE or failed.run.managed:
        return None
    if storage.event_log_storage.find_batch(failed, TOLD_KEY) is not None:
        return None
    try:
        rules = usual.with_tags(failed.run.tags)
    except InputInvalidError as error:
        tell_refusal(storage, run_id, str(error))
        return None
    if rules.max_retries == 0 or _was_stopped(storage, failed):
        return None
    if _is_op_failure(failed) and not rules.on_op_failure:
        tell_refusal(storage, run_id, "a step failed, and such failures are not retried")
        return None
    number = int(failed.run.tags.get(RETRY_NUMBER_TAG, "0")) + 1
    if number > rules.max_retries:
        tell_refusal(storage, run_id, f"it was the last retry of {rules.max_retries}")
        return None
    return _retry(storage, failed, number, rules, reexecute, submit)


def _retry(
    storage: InstanceStorage,
    failed: RunRecord,
    number: int,
    rules: RetryRules,
    reexecute: Reexecute,
    submit: Callable[[str], RunRecord],
) -> RunRecord | None:
    run_id = failed.run_id
    of_how_many = f"retry {number} of {rules.max_retries}"

    def submit_retry(retry_id: str) -> RunRecord:
        message = f"The run is {of_how_many} of run {run_id}, {_STEPS[rules.strategy]}."
        _tell_once(storage, retry_id, ORIGIN_KEY, message)
        fault_point("retry.before_submit")
        with suppress(
            RunStateConflictError, LaunchFailedError
        ):  # it was before; it tells why itself
            return submit(retry_id)
        return storage.get_run_record(retry_id)

    fault_point("retry.before_reexecute")
    children = _children(storage, run_id)
    own = next((each for each in children if RETRY_NUMBER_TAG in each.run.tags), None)
    if own is None and children:
        tell_refusal(storage, run_id, f"run {children[0].run_id} runs it again already")
        return None
    wanted = Reexecution(
        run_id=run_id,
        strategy=rules.strategy,
        system_key=f"{SYSTEM_PREFIX}retry:{run_id}",
        requested_by=failed.run.requested_by,
        system_tags={
            RETRY_NUMBER_TAG: str(number),
            **{key: value for key, value in failed.run.tags.items() if key == BACKFILL_TAG},
        },
    )
    try:
        if own is None:
            retry, _ = reexecute(wanted, submit_retry)
        else:  # it was made by somebody who did not come to submit it
            retry = submit_retry(own.run_id)
    except RunAlreadyExistsError as error:  # made meanwhile, when its tags asked for something else
        retry = submit_retry(error.run_id)
    except _REFUSED as error:
        tell_refusal(storage, run_id, str(error), error)
        return None
    fault_point("retry.after_submit")
    _tell_once(storage, run_id, TOLD_KEY, f"Run {retry.run_id} is {of_how_many} of this run.")
    return retry


def tell_refusal(
    storage: InstanceStorage, run_id: str, problem: str, error: Exception | None = None
) -> None:
    """Tells once in the log of a run that failed why it is not retried; it never is after that.

    Args:
        storage: keeps the run.
        run_id: the run; nothing is told when it is gone.
        problem: why.
        error: what is to blame.
    """
    _tell_once(storage, run_id, TOLD_KEY, f"The run is not retried: {problem}.", error)


def _tell_once(
    storage: InstanceStorage, run_id: str, key: str, message: str, error: Exception | None = None
) -> None:
    entry = EventLogEntry(
        run_id=run_id,
        event_type=EventType.ENGINE_EVENT,
        level=LogLevel.INFO if error is None else LogLevel.ERROR,
        message=message,
        error=None if error is None else ErrorInfo.from_exception(error),
    )
    with suppress(RunNotFoundError):  # deleted meanwhile
        storage.store_events(run_id, [entry], idempotency_key=key)


_STEPS = {
    ReexecutionStrategy.ALL_STEPS: "with all steps",
    ReexecutionStrategy.FROM_FAILURE: "from failure",
}


def _children(storage: InstanceStorage, run_id: str) -> list[RunRecord]:
    """The runs that re-execute a run, or some of them where there are many."""
    wanted = RunsFilter(tags=(TagFilter(PARENT_RUN_TAG, frozenset({run_id})),))
    return storage.run_storage.get_run_records(wanted, order=OLDEST_FIRST, limit=100).records


def _was_stopped(storage: InstanceStorage, failed: RunRecord) -> bool:
    """Whether somebody asked a run to stop that has failed then."""
    page = storage.event_log_storage.get_records(failed, filter=_CANCELING)
    return any(event.applied for event in page.records)


def _is_op_failure(failed: RunRecord) -> bool:
    failure = failed.failure
    return failure is not None and failure.reason is RunFailureReason.STEP_FAILURE


def _max_retries(tags: Mapping[str, str], usual: int) -> int:
    text = tags.get(MAX_RETRIES_TAG)
    if text is None:
        return usual
    if text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= MAX_RETRIES:
        return int(text)
    raise _malformed(MAX_RETRIES_TAG, text, f"a whole number from 0 to {MAX_RETRIES}")


def _one_of(
    tags: Mapping[str, str], key: str, values: Mapping[str, _Value], usual: _Value
) -> _Value:
    text = tags.get(key)
    if text is None:
        return usual
    if text in values:
        return values[text]
    raise _malformed(key, text, " or ".join(values))


def _malformed(key: str, text: str, expected: str) -> InputInvalidError:
    return InputInvalidError(f"its tag {key} is {text!r}; it must be {expected}", ["tags"])
