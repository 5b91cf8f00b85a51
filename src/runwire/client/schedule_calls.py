"""What the client asks of schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from runwire.client.following import decode
from runwire.client.inputs import given
from runwire.client.schedule_records import (
    DryTick,
    Schedule,
    ScheduleDetail,
    SchedulePage,
)
from runwire.ticks.source import TickSourceStatus
from runwire.ticks.tick import TickStatus


class TickSourceCalls(ABC):
    """What the methods for schedules and for sensors are made of."""

    @abstractmethod
    def execute(
        self, operation_name: str, variables: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Runs a query or mutation of the folder graphql/ and returns its ``data`` as it came."""

    @abstractmethod
    def _mutate(self, operation: str, field: str, input: Mapping[str, Any]) -> dict[str, Any]: ...


class ScheduleCalls(TickSourceCalls):
    """The methods of the client for schedules.

    A schedule is named by its name; repository and code location are needed only where it is ambiguous.
    """

    def list_schedules(
        self,
        *,
        name: str | None = None,
        location: str | None = None,
        job: str | None = None,
        status: TickSourceStatus | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> SchedulePage:
        """A page of the schedules that match all that is given, by name.

        Args:
            name: those whose name holds this text.
            location: those of this code location.
            job: those that may request runs of this job.
            status: those in this status.
            limit: how many at most; a page has at most 100.
            after: the `end_cursor` of the page before.
        """
        wanted = source_filter(name, location, job, status)
        variables = {"filter": wanted, "first": limit, "after": after, "ticks": 1}
        found = self.execute("Schedules", variables)["schedules"]
        page = found["pageInfo"]
        return SchedulePage(
            schedules=decode(found["nodes"], tuple[Schedule, ...]),
            total_count=found["totalCount"],
            end_cursor=page["endCursor"],
            has_next_page=page["hasNextPage"],
        )

    def get_schedule(
        self,
        name: str,
        *,
        repository: str | None = None,
        location: str | None = None,
        next_ticks: int = 5,
        next_after: datetime | None = None,
        ticks: int = 25,
        statuses: Iterable[TickStatus] | None = None,
        after: str | None = None,
    ) -> ScheduleDetail | None:
        """A schedule with some of its ticks; None when there is none.

        Args:
            name: its name.
            repository: the name of its repository.
            location: the name of its code location.
            next_ticks: how many instants to tell at which it is due, from 1 to 100.
            next_after: the instant after which to count; now when left out.
            ticks: how many ticks, from the newest on, from 1 to 100.
            statuses: only ticks in one of these statuses.
            after: the `end_cursor` of the page of ticks before.
        """
        variables = {
            "selector": _selector(name, repository, location),
            "next": next_ticks,
            "nextAfter": None if next_after is None else next_after.isoformat(),
            "ticks": ticks,
            "statuses": None if statuses is None else [status.value for status in statuses],
            "after": after,
        }
        found = self.execute("ScheduleDetail", variables)["schedule"]
        if found is None:
            return None
        listed = found.pop("ticks")
        return decode({**found, "ticks": tick_page(listed)}, ScheduleDetail)

    def start_schedule(
        self, name: str, *, repository: str | None = None, location: str | None = None
    ) -> Schedule:
        """Starts a schedule; nothing changes when it runs already."""
        wanted = {"schedule": _selector(name, repository, location)}
        return decode(self._mutate("StartSchedule", "startSchedule", wanted)["schedule"], Schedule)

    def stop_schedule(
        self, name: str, *, repository: str | None = None, location: str | None = None
    ) -> Schedule:
        """Stops a schedule; nothing changes when it is stopped already."""
        wanted = {"schedule": _selector(name, repository, location)}
        return decode(self._mutate("StopSchedule", "stopSchedule", wanted)["schedule"], Schedule)

    def evaluate_schedule(
        self,
        name: str,
        *,
        repository: str | None = None,
        location: str | None = None,
        due_at: datetime | None = None,
    ) -> DryTick:
        """Evaluates a schedule as if it were due, now when nothing else is said; stores nothing and runs nothing."""
        wanted = {
            "source": {"schedule": _selector(name, repository, location)},
            "dueAt": None if due_at is None else due_at.isoformat(),
        }
        return decode(self._mutate("EvaluateTick", "evaluateTick", given(wanted)), DryTick)


def _selector(name: str, repository: str | None, location: str | None) -> dict[str, str]:
    return given({"scheduleName": name, "repositoryName": repository, "locationName": location})


def source_filter(
    name: str | None, location: str | None, job: str | None, status: TickSourceStatus | None
) -> dict[str, Any]:
    """The filter of a list of schedules or sensors."""
    return given(
        {
            "name": name,
            "locationName": location,
            "jobName": job,
            "status": None if status is None else status.value,
        }
    )


def tick_page(listed: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A page of ticks, as `TickPage` is decoded."""
    if listed is None:
        return None
    page = listed["pageInfo"]
    return {
        "ticks": listed["nodes"],
        "endCursor": page["endCursor"],
        "hasNextPage": page["hasNextPage"],
    }
