"""Repositories: named sets of jobs, schedules and sensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, overload

from runwire.definitions.job import JobDefinition
from runwire.definitions.naming import checked_name
from runwire.definitions.places import caller_place, place_of, refusal
from runwire.definitions.schedule import ScheduleDefinition
from runwire.definitions.sensor import SensorDefinition
from runwire.definitions.signature import checked_function
from runwire.snapshots import RepositorySnapshot

RepositoryMember: TypeAlias = JobDefinition | ScheduleDefinition | SensorDefinition


@dataclass(frozen=True, eq=False)
class RepositoryDefinition:
    """A named set of jobs, of schedules and of sensors, each by name."""

    name: str
    jobs: Mapping[str, JobDefinition] = field(default_factory=dict)
    schedules: Mapping[str, ScheduleDefinition] = field(default_factory=dict)
    sensors: Mapping[str, SensorDefinition] = field(default_factory=dict)

    def snapshot(self) -> RepositorySnapshot:
        """The repository as data."""
        return RepositorySnapshot(
            self.name,
            tuple(self.jobs[name].snapshot() for name in sorted(self.jobs)),
            tuple(self.schedules[name].snapshot() for name in sorted(self.schedules)),
            tuple(self.sensors[name].snapshot() for name in sorted(self.sensors)),
        )


@overload
def repository(fn: Callable[[], Iterable[RepositoryMember]], /) -> RepositoryDefinition: ...


@overload
def repository(
    *, name: str | None = None
) -> Callable[[Callable[[], Iterable[RepositoryMember]]], RepositoryDefinition]: ...


def repository(
    fn: Callable[[], Iterable[RepositoryMember]] | None = None, /, *, name: str | None = None
) -> (
    RepositoryDefinition
    | Callable[[Callable[[], Iterable[RepositoryMember]]], RepositoryDefinition]
):
    """Makes a repository of a function that returns jobs, schedules and sensors; also written bare, as
    ``@repository``.

    Args:
        fn: the function, where the decorator is written bare.
        name: the repository's name; that of the function when left out.

    Raises:
        InvalidDefinitionError: this cannot be a repository, or two jobs, schedules or sensors have one name; the
            message names place, repository and mend.
    """

    def define(fn: Callable[[], Any]) -> RepositoryDefinition:
        function = checked_function(fn, "repository", caller_place())
        source = place_of(function)
        own_name = checked_name(function.__name__ if name is None else name, source, "repository")
        subject = f"repository {own_name!r}"
        if function.__code__.co_argcount + function.__code__.co_kwonlyargcount:
            raise refusal(source, subject, "it takes parameters", "a repository takes none")
        members = function()
        if not isinstance(members, list | tuple):
            raise refusal(
                source, subject, f"it returns a {type(members).__name__}", "return a list of jobs"
            )
        return repository_of(own_name, members, source, subject)

    return define if fn is None else define(fn)


def repository_of(
    name: str, members: Iterable[object], source: str, subject: str
) -> RepositoryDefinition:
    """A repository of jobs, schedules and sensors, and of the jobs that these bring; each given twice counts once.

    Raises:
        InvalidDefinitionError: something is none of them, two have one name, or a schedule or sensor names a job that
            is not there.
    """
    jobs: dict[str, JobDefinition] = {}
    schedules: dict[str, ScheduleDefinition] = {}
    sensors: dict[str, SensorDefinition] = {}
    for member in members:
        match member:
            case JobDefinition():
                _add(jobs, member, "job", source, subject)
            case ScheduleDefinition():
                _add(schedules, member, "schedule", source, subject)
                if member.job is not None:
                    _add(jobs, member.job, "job", source, subject)
            case SensorDefinition():
                _add(sensors, member, "sensor", source, subject)
                for each in member.jobs:
                    _add(jobs, each, "job", source, subject)
            case _:
                shown = getattr(member, "name", None) or repr(member)
                raise refusal(
                    source,
                    subject,
                    f"it has {shown}, a {type(member).__name__}",
                    "give only what @job, @schedule, @sensor and the like make",
                )
    for schedule in schedules.values():
        _check_jobs([schedule.job_name], jobs, schedule, "schedule", subject)
    for sensor in sensors.values():
        named = [*sensor.job_names, *(sensor.watched.monitored_jobs or ())]
        _check_jobs(named, jobs, sensor, "sensor", subject)
    return RepositoryDefinition(name, jobs, schedules, sensors)


def _check_jobs(
    named: Iterable[str],
    jobs: Mapping[str, JobDefinition],
    member: ScheduleDefinition | SensorDefinition,
    kind: str,
    subject: str,
) -> None:
    for name in named:
        if name not in jobs:
            raise refusal(
                member.source,
                f"{kind} {member.name!r}",
                f"{subject} has no job {name!r}",
                f"there are: {', '.join(sorted(jobs)) or 'none'}",
            )


M = TypeVar("M", JobDefinition, ScheduleDefinition, SensorDefinition)


def _add(named: dict[str, M], member: M, kind: str, source: str, subject: str) -> None:
    other = named.setdefault(member.name, member)
    if other is not member:
        raise refusal(
            source,
            subject,
            f"two {kind}s are named {member.name!r}, one at {other.source}, one at {member.source}",
            f"rename one with @{kind}(name=...)",
        )
