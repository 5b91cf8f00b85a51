from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from runwire.cli.run.step_progress import RunProgress, StepState
from runwire.client import RunEvent, RunEventsBatch, RunSummary
from runwire.runs.status import RunStatus

BEGIN = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)


def event(kind: str | None, step: str | None, seconds: float = 0, **changes: Any) -> RunEvent:
    instant = BEGIN + timedelta(seconds=seconds)
    return RunEvent(
        position=1,
        cursor="c",
        timestamp=instant,
        level="INFO",
        message="m",
        step_key=step,
        event_type=kind,
        **changes,
    )


def batch(
    *events: RunEvent, status: RunStatus = RunStatus.STARTED, ended: float | None = None
) -> RunEventsBatch:
    ended_at = None if ended is None else BEGIN + timedelta(seconds=ended)
    run = RunSummary(run_id="r", job_name="j", status=status, created_at=BEGIN, ended_at=ended_at)
    return RunEventsBatch(
        records=events,
        from_position=0,
        to_position=len(events),
        end_cursor="c",
        head_cursor="c",
        caught_up=True,
        run=run,
    )


def states(progress: RunProgress) -> dict[str, StepState]:
    return {key: step.state for key, step in progress.steps.items()}


def test_steps_of_the_plan_wait_in_its_order_until_they_begin() -> None:
    progress = RunProgress(["a", "b", "c"])
    progress.advance(batch(event("STEP_START", "b"), event(None, "b"), event("RUN_START", None)))
    assert list(states(progress).items()) == [
        ("a", StepState.WAITING),
        ("b", StepState.RUNNING),
        ("c", StepState.WAITING),
    ]


def test_a_step_takes_from_its_first_attempt_to_its_end() -> None:
    progress = RunProgress()
    progress.advance(batch(event("STEP_START", "a", 1), event("STEP_UP_FOR_RETRY", "a", 2)))
    assert states(progress) == {"a": StepState.RETRYING}
    progress.advance(batch(event("STEP_RESTARTED", "a", 5)))
    assert states(progress) == {"a": StepState.RUNNING}
    now = BEGIN + timedelta(seconds=60)
    assert progress.steps["a"].duration(now) == timedelta(seconds=59)
    progress.advance(batch(event("STEP_SUCCESS", "a", 7)))
    assert states(progress) == {"a": StepState.SUCCEEDED}
    assert progress.steps["a"].duration(now) == timedelta(seconds=6)


def test_a_clock_that_is_behind_makes_no_negative_duration() -> None:
    progress = RunProgress()
    progress.advance(batch(event("STEP_START", "a", 5)))
    assert progress.steps["a"].duration(BEGIN) == timedelta()


def test_the_end_of_the_run_is_the_end_of_steps_that_did_not_end() -> None:
    progress = RunProgress(["good", "bad", "cut", "never", "left_out"])
    progress.advance(
        batch(
            event("STEP_START", "good", 1),
            event("STEP_SUCCESS", "good", 2),
            event("STEP_START", "bad", 1),
            event("STEP_FAILURE", "bad", 3),
            event("STEP_START", "cut", 2),
            event("STEP_SKIPPED", "left_out", 3),
            event("RUN_FAILURE", None, 4),
            status=RunStatus.FAILURE,
            ended=4,
        )
    )
    assert states(progress) == {
        "good": StepState.SUCCEEDED,
        "bad": StepState.FAILED,
        "cut": StepState.CUT_OFF,
        "never": StepState.NOT_RUN,
        "left_out": StepState.SKIPPED,
    }
    assert progress.steps["cut"].duration(BEGIN) == timedelta(seconds=2)
    assert progress.steps["never"].duration(BEGIN) is None
    assert progress.count(StepState.FAILED) == 1


def test_an_event_that_came_too_late_changes_no_step() -> None:
    progress = RunProgress(["a"])
    progress.advance(batch(event("STEP_SUCCESS", "a", applied=False)))
    assert states(progress) == {"a": StepState.WAITING}
