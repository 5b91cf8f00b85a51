"""Schedules as users define them: what is refused, and what their functions may give."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from runwire import (
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    job,
    op,
    repository,
    schedule,
)
from runwire.errors import InvalidDefinitionError
from runwire.ticks.evaluation import TickEvaluation
from runwire.ticks.tick import RunRequest as AskedRun

DUE = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


@op
def load() -> None:
    """Does nothing."""


@job
def nightly() -> None:
    load()


def evaluated(fn: Any) -> TickEvaluation:
    made = schedule("@daily", job=nightly, name="s", tags={"by": "clock"})(fn)
    return made.evaluate(ScheduleEvaluationContext(DUE, "s"))


def test_a_schedule_without_a_function_asks_for_one_run() -> None:
    config: dict[str, Any] = {"ops": {"load": {}}}
    made = ScheduleDefinition(job=nightly, cron_schedule="0 6 * * *", run_config=config)
    assert made.name == "nightly_schedule"
    asked = made.evaluate(ScheduleEvaluationContext(DUE, made.name))
    assert asked.requests == (AskedRun(job_name="nightly", run_config=config),)


def test_a_function_gives_what_to_run() -> None:
    def one(context: ScheduleEvaluationContext) -> RunRequest:
        return RunRequest(tags={"due": context.scheduled_execution_time.isoformat()})

    def many() -> Iterator[RunRequest]:
        yield RunRequest(tags={"n": "1"})
        yield RunRequest(tags={"n": "2", "by": "hand"})

    assert [r.tags for r in evaluated(one).requests] == [{"by": "clock", "due": DUE.isoformat()}]
    assert [r.tags for r in evaluated(many).requests] == [
        {"by": "clock", "n": "1"},
        {"by": "hand", "n": "2"},
    ]
    assert evaluated(lambda: SkipReason("a holiday")) == TickEvaluation(skip_reason="a holiday")
    assert evaluated(lambda: None) == evaluated(lambda: ()) == TickEvaluation()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("nightly", "gave 'nightly', a str; return RunRequest"),
        ([3], "gave 3, a int"),
        (RunRequest(tags={"runwire/root_run_id": "x"}), "is the system's"),
        (RunRequest(tags={"n": 1}), "which is not text"),  # type: ignore[dict-item]
        (RunRequest(run_config={"ops": object()}), "run_config is not JSON"),
        ([RunRequest()] * 1001, "more than 1000 runs"),
    ],
)
def test_what_a_function_may_not_give_is_told_with_its_place(given: object, problem: str) -> None:
    with pytest.raises(InvalidDefinitionError, match=problem) as refused:
        evaluated(lambda: given)
    assert "test_schedule.py:" in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"cron_schedule": "0 25 * * *"}, "bad hour"),
        ({"execution_timezone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"job": None}, "one of job and job_name"),
        ({"job_name": "nightly"}, "one of job and job_name"),
        ({"job": load}, "job is a OpDefinition"),
        ({"name": "a b"}, "cannot be a name"),
        ({"default_status": "RUNNING"}, "DefaultScheduleStatus.RUNNING"),
        ({"tags": {"n": 1}}, "which is not text"),
        ({"run_config": []}, "run_config is a list"),
    ],
)
def test_a_wrong_schedule_is_refused_with_its_place(arguments: Any, problem: str) -> None:
    with pytest.raises(InvalidDefinitionError, match=problem) as refused:
        ScheduleDefinition(**{"cron_schedule": "@daily", "job": nightly, **arguments})
    assert "test_schedule.py:" in str(refused.value)


def test_a_function_that_cannot_be_called_is_refused() -> None:
    async def late() -> None: ...

    with pytest.raises(InvalidDefinitionError, match="its function is async"):
        schedule("@daily", job=nightly)(late)
    with pytest.raises(InvalidDefinitionError, match="takes only context"):
        schedule("@daily", job=nightly, name="s")(lambda when: when)


def test_a_repository_has_its_schedules_and_the_jobs_that_they_bring() -> None:
    made = ScheduleDefinition(
        job=nightly, cron_schedule="@daily", default_status=DefaultScheduleStatus.RUNNING
    )

    @repository
    def shop() -> list[Any]:
        return [made]

    snapshot = shop.snapshot()
    assert [each.name for each in snapshot.jobs] == ["nightly"]
    assert [(s.name, s.job_name, s.starts_running) for s in snapshot.schedules] == [
        ("nightly_schedule", "nightly", True)
    ]


def test_two_schedules_of_one_name_and_a_job_that_is_not_there_are_refused() -> None:
    def refused_message(*members: object) -> str:
        with pytest.raises(InvalidDefinitionError) as refused:
            repository(name="shop")(lambda: list(members))  # type: ignore[arg-type]
        return str(refused.value)

    one, two = (ScheduleDefinition("s", job=nightly, cron_schedule="@daily") for _ in range(2))
    assert "two schedules are named 's'" in refused_message(one, two)
    other = ScheduleDefinition("s", job_name="gone", cron_schedule="@daily")
    assert "has no job 'gone'; there are: nightly" in refused_message(nightly, other)
