"""Refusals that tell of jobs and code locations."""

from __future__ import annotations

from typing import Self

import strawberry

from runwire.api.context import ApiContext
from runwire.api.loaders import JobKey, JobRow, LoadedJobs
from runwire.api.locations.types import CodeLocation, Job
from runwire.api.rows import field, result, view
from runwire.api.user_errors import MESSAGE, UserError
from runwire.errors import (
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    ConfigProblem,
    JobAmbiguousError,
    JobNotFoundError,
    RunConfigInvalidError,
)
from runwire.events.entry import storable_text
from runwire.workspace import CodeLocationState


@result("There is no such job in a loaded code location.")
class JobNotFound(UserError):
    """There is no such job in a loaded code location."""

    message: str = strawberry.field(description=MESSAGE)
    job_name: str = strawberry.field(description="The name that was asked for.")

    @classmethod
    def of(cls, error: JobNotFoundError) -> Self:
        """Tells of an error."""
        return cls(message=storable_text(str(error)), job_name=storable_text(error.job_name))


@result("More than one job has that name.")
class JobAmbiguous(UserError):
    """More than one job has that name."""

    message: str = strawberry.field(description=MESSAGE)
    candidates: list[JobRow] = strawberry.field(
        description="The jobs that have it.", graphql_type=list[Job]
    )

    @classmethod
    async def of(cls, error: JobAmbiguousError, context: ApiContext) -> Self:
        """Tells of an error."""
        jobs = context.loader(LoadedJobs)
        keys = [JobKey(*place, error.job_name) for place in error.candidates]
        found = [await jobs.find_job(key) for key in keys]
        return cls(message=str(error), candidates=[row for row in found if row is not None])


@result("The code location is not loaded or cannot be reached.")
class CodeLocationUnavailable(UserError):
    """The code location is not loaded or cannot be reached."""

    message: str = strawberry.field(description=MESSAGE)
    code_location: CodeLocationState = strawberry.field(
        description="The code location, with its load error.", graphql_type=CodeLocation
    )

    @classmethod
    async def of(cls, error: CodeLocationUnavailableError, context: ApiContext) -> Self | None:
        """Tells of an error; None when the workspace does not have the code location any more."""
        location = await context.loader(LoadedJobs).find_location(error.name)
        return None if location is None else cls(message=str(error), code_location=location)


@result("The workspace has no such code location.")
class CodeLocationNotFound(UserError):
    """The workspace has no such code location."""

    message: str = strawberry.field(description=MESSAGE)
    name: str = strawberry.field(description="The name that was asked for.")

    @classmethod
    def of(cls, error: CodeLocationNotFoundError) -> Self:
        """Tells of an error."""
        return cls(message=storable_text(str(error)), name=storable_text(error.name))


@view(ConfigProblem, "One thing in a run config that does not fit.")
class RunConfigError:
    """One thing in a run config that does not fit."""

    path: list[str] = field(
        'The keys on the way to it, such as `["ops", "load", "config", "path"]`.'
    )
    message: str = field("What does not fit, for people.")
    code: str = field("The kind of misfit, such as `missing`, `extra_forbidden` or `int_type`.")


@result("The run config does not fit the job.")
class RunConfigInvalid(UserError):
    """The run config does not fit the job."""

    message: str = strawberry.field(description=MESSAGE)
    errors: list[ConfigProblem] = strawberry.field(
        description="Everything that does not fit.", graphql_type=list[RunConfigError]
    )

    @classmethod
    def of(cls, error: RunConfigInvalidError) -> Self:
        """Tells of an error."""
        return cls(message=str(error), errors=list(error.problems))
