"""Refusals that tell of partitions."""

from __future__ import annotations

from typing import Self

import strawberry

from runwire.api.events.metadata import ErrorInfo
from runwire.api.rows import result
from runwire.api.user_errors import MESSAGE, UserError
from runwire.error_info import ErrorInfo as ErrorInfoRow
from runwire.errors import JobNotPartitionedError, PartitionConfigError, PartitionNotFoundError
from runwire.events.entry import storable_text


@result("The job has no such partition, or not yet: one of time exists once its window has ended.")
class PartitionNotFound(UserError):
    """The job has no such partition."""

    message: str = strawberry.field(description=MESSAGE)
    job_name: str = strawberry.field(description="The name of the job.")
    partition_key: str = strawberry.field(description="The key that was asked for.")

    @classmethod
    def of(cls, error: PartitionNotFoundError) -> Self:
        """Tells of an error."""
        return cls(
            message=storable_text(str(error)),
            job_name=storable_text(error.job_name),
            partition_key=storable_text(error.partition_key),
        )


@result("The job has no partitions.")
class JobNotPartitioned(UserError):
    """The job has no partitions."""

    message: str = strawberry.field(description=MESSAGE)
    job_name: str = strawberry.field(description="The name of the job.")

    @classmethod
    def of(cls, error: JobNotPartitionedError) -> Self:
        """Tells of an error."""
        return cls(message=storable_text(str(error)), job_name=storable_text(error.job_name))


@result("The job's function that configures its partitions failed; no run was made.")
class PartitionConfigFailed(UserError):
    """The job's function that configures its partitions failed."""

    message: str = strawberry.field(description=MESSAGE)
    error: ErrorInfoRow | None = strawberry.field(
        description="What it raised; null when that was not told.", graphql_type=ErrorInfo | None
    )

    @classmethod
    def of(cls, error: PartitionConfigError) -> Self:
        """Tells of an error."""
        return cls(message=storable_text(str(error)), error=error.info)
