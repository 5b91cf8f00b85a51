"""Schedules: jobs that run by the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from runwire.definitions.job import JobDefinition
from runwire.definitions.naming import checked_name, checked_tags
from runwire.definitions.places import caller_place, place_of, refusal
from runwire.definitions.requests import (
    RequestReader,
    RunRequest,
    checked_config,
    checked_target,
    takes_context,
)
from runwire.definitions.signature import checked_function, description_of
from runwire.errors import InvalidDefinitionError
from runwire.snapshots import ScheduleSnapshot
from runwire.ticks.cron import CronLineError, CronSchedule, TimezoneError
from runwire.ticks.evaluation import TickEvaluation


class DefaultScheduleStatus(Enum):
    """Whether a schedule makes ticks before somebody starts or stops it."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


@dataclass(frozen=True)
class ScheduleEvaluationContext:
    """The parameter `context` of a schedule's function.

    Attributes:
        scheduled_execution_time: the instant that is due, in the schedule's time zone.
        schedule_name: the name of the schedule.
    """

    scheduled_execution_time: datetime
    schedule_name: str


ScheduleFunction = Callable[..., Any]


@dataclass(frozen=True, eq=False, init=False)
class ScheduleDefinition:
    """A schedule: runs a job whenever a cron line is due. Also made by `@schedule`.

    Attributes:
        name: its name.
        job_name: the job of its runs.
        job: the job, where it was given as such.
        cron: when it is due.
        run_config: the run config of its runs, where no function gives it.
        tags: the tags of its runs.
        description: what it is for, in its author's words.
        default_status: whether it makes ticks before somebody starts or stops it.
        source: where it is defined, as ``file:line``.
    """

    name: str
    job_name: str
    job: JobDefinition | None
    cron: CronSchedule
    run_config: Mapping[str, Any]
    tags: Mapping[str, str]
    description: str | None
    default_status: DefaultScheduleStatus
    source: str
    _fn: ScheduleFunction | None
    _takes_context: bool

    def __init__(
        self,
        name: str | None = None,
        *,
        cron_schedule: str,
        job: JobDefinition | None = None,
        job_name: str | None = None,
        execution_timezone: str = "UTC",
        run_config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
        default_status: DefaultScheduleStatus = DefaultScheduleStatus.STOPPED,
        execution_fn: ScheduleFunction | None = None,
    ) -> None:
        """Defines a schedule.

        Args:
            name: its name; that of the job with ``_schedule`` when left out.
            cron_schedule: five fields, such as ``0 6 * * 1-5``, or ``@daily`` and the like.
            job: the job of its runs, or else:
            job_name: the name of one in the same repository.
            execution_timezone: the IANA time zone of the cron line.
            run_config: the run config of its runs; for one without a function.
            tags: the tags of its runs.
            description: what it is for.
            default_status: whether it makes ticks before somebody starts or stops it.
            execution_fn: tells what to run when it is due; see `schedule`. One run when left out.

        Raises:
            InvalidDefinitionError: this cannot be a schedule; the message names place, schedule and mend.
        """
        place = caller_place() if execution_fn is None else place_of(execution_fn)
        target = checked_target(job, job_name, place, "schedule")
        own_name = checked_name(f"{target}_schedule" if name is None else name, place, "schedule")
        subject = f"schedule {own_name!r}"
        values = {
            "name": own_name,
            "job_name": target,
            "job": job,
            "cron": _checked_cron(cron_schedule, execution_timezone, place, subject),
            "run_config": checked_config(run_config, f"{place}: {subject}"),
            "tags": checked_tags(tags, f"{place}: {subject}"),
            "description": description,
            "default_status": _checked_status(default_status, place, subject),
            "source": place,
            "_fn": execution_fn,
            "_takes_context": False,
        }
        if execution_fn is not None:
            values["_takes_context"] = takes_context(
                execution_fn, ScheduleEvaluationContext, place, subject, "schedule"
            )
            if run_config is not None:
                raise refusal(
                    place,
                    subject,
                    "it has a function and a run_config",
                    "return RunRequest(run_config=...) from the function",
                )
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    def snapshot(self) -> ScheduleSnapshot:
        """The schedule as data."""
        return ScheduleSnapshot(
            name=self.name,
            job_name=self.job_name,
            cron_schedule=self.cron.line,
            timezone=self.cron.timezone,
            starts_running=self.default_status is DefaultScheduleStatus.RUNNING,
            description=self.description,
        )

    def evaluate(self, context: ScheduleEvaluationContext) -> TickEvaluation:
        """Calls its function, and reads what that gives. Raises what the function raises.

        Raises:
            InvalidDefinitionError: the function gave something else than it may.
        """
        reader = RequestReader(self.source, f"schedule {self.name!r}", (self.job_name,), self.tags)
        if self._fn is None:
            return TickEvaluation(requests=(reader.asked(RunRequest(run_config=self.run_config)),))
        asked = reader.read(self._fn(context) if self._takes_context else self._fn())
        return TickEvaluation(requests=asked.requests, skip_reason=asked.skip_reason)


def schedule(
    cron_schedule: str,
    *,
    job: JobDefinition | None = None,
    job_name: str | None = None,
    name: str | None = None,
    execution_timezone: str = "UTC",
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    default_status: DefaultScheduleStatus = DefaultScheduleStatus.STOPPED,
) -> Callable[[ScheduleFunction], ScheduleDefinition]:
    """Makes a schedule of a function that tells what to run when a cron line is due.

    The function may take a `context` (`ScheduleEvaluationContext`). It returns a `RunRequest`, a `SkipReason`, a
    list of `RunRequest` or None, or yields them. It is called again if the process is killed before what it gave
    is stored, so it should have no effect of its own.

    Args:
        cron_schedule: five fields, such as ``0 6 * * 1-5``, or ``@daily`` and the like.
        job: the job of its runs, or else:
        job_name: the name of one in the same repository.
        name: its name; that of the function when left out.
        execution_timezone: the IANA time zone of the cron line.
        tags: the tags of its runs.
        description: what it is for; the function's docstring when left out.
        default_status: whether it makes ticks before somebody starts or stops it.

    Raises:
        InvalidDefinitionError: this cannot be a schedule; the message names place, schedule and mend.
    """
    if not isinstance(cron_schedule, str):
        raise refusal(
            caller_place(),
            "@schedule",
            "it has no cron line",
            "write @schedule('0 6 * * *', job=...)",
        )

    def define(fn: ScheduleFunction) -> ScheduleDefinition:
        function = checked_function(fn, "schedule", caller_place())
        return ScheduleDefinition(
            function.__name__ if name is None else name,
            cron_schedule=cron_schedule,
            job=job,
            job_name=job_name,
            execution_timezone=execution_timezone,
            tags=tags,
            description=description_of(function, description),
            default_status=default_status,
            execution_fn=function,
        )

    return define


def _checked_cron(line: object, timezone: object, place: str, subject: str) -> CronSchedule:
    if not isinstance(line, str) or not isinstance(timezone, str):
        raise refusal(
            place,
            subject,
            f"cron_schedule is {line!r} and execution_timezone {timezone!r}",
            "give texts, such as '0 6 * * *' and 'Europe/Berlin'",
        )
    cron = CronSchedule(line, timezone)
    try:
        cron.check()
    except (CronLineError, TimezoneError) as error:
        raise InvalidDefinitionError(f"{place}: {subject}: {error}") from None
    return cron


def _checked_status(status: object, place: str, subject: str) -> DefaultScheduleStatus:
    if isinstance(status, DefaultScheduleStatus):
        return status
    raise refusal(
        place,
        subject,
        f"default_status is {status!r}",
        "give DefaultScheduleStatus.RUNNING or DefaultScheduleStatus.STOPPED",
    )
