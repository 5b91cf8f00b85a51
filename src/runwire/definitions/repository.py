"""Repositories: named sets of jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

from runwire.definitions.job import JobDefinition
from runwire.definitions.naming import checked_name
from runwire.definitions.places import caller_place, place_of, refusal
from runwire.definitions.signature import checked_function
from runwire.snapshots import RepositorySnapshot


@dataclass(frozen=True, eq=False)
class RepositoryDefinition:
    """A named set of jobs, by name."""

    name: str
    jobs: Mapping[str, JobDefinition] = field(default_factory=dict)

    def snapshot(self) -> RepositorySnapshot:
        """The repository as data."""
        return RepositorySnapshot(
            self.name, tuple(self.jobs[name].snapshot() for name in sorted(self.jobs))
        )


@overload
def repository(fn: Callable[[], Iterable[JobDefinition]], /) -> RepositoryDefinition: ...


@overload
def repository(
    *, name: str | None = None
) -> Callable[[Callable[[], Iterable[JobDefinition]]], RepositoryDefinition]: ...


def repository(
    fn: Callable[[], Iterable[JobDefinition]] | None = None, /, *, name: str | None = None
) -> RepositoryDefinition | Callable[[Callable[[], Iterable[JobDefinition]]], RepositoryDefinition]:
    """Makes a repository of a function that returns jobs; also written bare, as ``@repository``.

    Args:
        fn: the function, where the decorator is written bare.
        name: the repository's name; that of the function when left out.

    Raises:
        InvalidDefinitionError: this cannot be a repository, or two jobs have one name; the message names
            place, repository and mend.
    """

    def define(fn: Callable[[], Any]) -> RepositoryDefinition:
        function = checked_function(fn, "repository", caller_place())
        source = place_of(function)
        own_name = checked_name(function.__name__ if name is None else name, source, "repository")
        subject = f"repository {own_name!r}"
        if function.__code__.co_argcount + function.__code__.co_kwonlyargcount:
            raise refusal(source, subject, "it takes parameters", "a repository takes none")
        jobs = function()
        if not isinstance(jobs, list | tuple):
            raise refusal(
                source, subject, f"it returns a {type(jobs).__name__}", "return a list of jobs"
            )
        return RepositoryDefinition(own_name, jobs_by_name(jobs, source, subject))

    return define if fn is None else define(fn)


def jobs_by_name(jobs: Iterable[object], source: str, subject: str) -> dict[str, JobDefinition]:
    """Jobs by their names; one that is given twice counts once.

    Raises:
        InvalidDefinitionError: something is no job, or two jobs have one name.
    """
    named: dict[str, JobDefinition] = {}
    for job in jobs:
        if not isinstance(job, JobDefinition):
            shown = getattr(job, "name", None) or repr(job)
            raise refusal(
                source,
                subject,
                f"it has {shown}, a {type(job).__name__}",
                "give only what @job makes",
            )
        other = named.setdefault(job.name, job)
        if other is not job:
            raise refusal(
                source,
                subject,
                f"two jobs are named {job.name!r}, one at {other.source}, one at {job.source}",
                "rename one with @job(name=...)",
            )
    return named
