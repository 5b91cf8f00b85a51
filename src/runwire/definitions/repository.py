"""Repositories: named sets of jobs and schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, overload

from runwire.definitions.job import JobDefinition
from runwire.definitions.naming import checked_name
from runwire.definitions.places import caller_place, place_of, refusal
from runwire.definitions.schedule import ScheduleDefinition
from runwire.definitions.signature import checked_function
from runwire.snapshots import RepositorySnapshot

RepositoryMember: TypeAlias = JobDefinition | ScheduleDefinition


@dataclass(frozen=True, eq=False)
class RepositoryDefinition:
    """A named set of jobs and of schedules, each by name."""

    name: str
    jobs: Mapping[str, JobDefinition] = field(default_factory=dict)
    schedules: Mapping[str, ScheduleDefinition] = field(default_factory=dict)

    def snapshot(self) -> RepositorySnapshot:
        """The repository as data."""
        return RepositorySnapshot(
            self.name,
            tuple(self.jobs[name].snapshot() for name in sorted(self.jobs)),
            tuple(self.schedules[name].snapshot() for name in sorted(self.schedules)),
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
    """Makes a repository of a function that returns jobs and schedules; also written bare, as ``@repository``.

    Args:
        fn: the function, where the decorator is written bare.
        name: the repository's name; that of the function when left out.

    Raises:
        InvalidDefinitionError: this cannot be a repository, or two jobs or schedules have one name; the message names
            place, repository and mend.
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
    """A repository of jobs and schedules, and of the jobs that the schedules bring; each given twice counts once.

    Raises:
        InvalidDefinitionError: something is neither, two have one name, or a schedule names a job that is not
            there.
    """
    jobs: dict[str, JobDefinition] = {}
    schedules: dict[str, ScheduleDefinition] = {}
    for member in members:
        match member:
            case JobDefinition():
                _add(jobs, member, "job", source, subject)
            case ScheduleDefinition():
                _add(schedules, member, "schedule", source, subject)
                if member.job is not None:
                    _add(jobs, member.job, "job", source, subject)
            case _:
                shown = getattr(member, "name", None) or repr(member)
                raise refusal(
                    source,
                    subject,
                    f"it has {shown}, a {type(member).__name__}",
                    "give only what @job and @schedule make",
                )
    for schedule in schedules.values():
        if schedule.job_name not in jobs:
            raise refusal(
                schedule.source,
                f"schedule {schedule.name!r}",
                f"{subject} has no job {schedule.job_name!r}",
                f"there are: {', '.join(sorted(jobs)) or 'none'}",
            )
    return RepositoryDefinition(name, jobs, schedules)


M = TypeVar("M", JobDefinition, ScheduleDefinition)


def _add(named: dict[str, M], member: M, kind: str, source: str, subject: str) -> None:
    other = named.setdefault(member.name, member)
    if other is not member:
        raise refusal(
            source,
            subject,
            f"two {kind}s are named {member.name!r}, one at {other.source}, one at {member.source}",
            f"rename one with @{kind}(name=...)",
        )
