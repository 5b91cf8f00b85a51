"""The partition of a run: whether its job has it, and the run config that goes with it."""

from __future__ import annotations

from typing import Any

from runwire.errors import JobNotPartitionedError, PartitionNotFoundError
from runwire.partitions import Partitions, partitions_of
from runwire.snapshots import JobSnapshot
from runwire.workspace import CodeLocation, JobRef

_NEAREST = 3


def partitions_of_job(job: JobSnapshot) -> Partitions:
    """The partitions of a job.

    Raises:
        JobNotPartitionedError: it has none.
    """
    if job.partitions is None:
        raise JobNotPartitionedError(job.name)
    return partitions_of(job.partitions)


def check_partition(job: JobSnapshot, key: str, now: float) -> None:
    """Checks that a job has a partition at an instant in epoch seconds.

    Raises:
        JobNotPartitionedError: the job has none at all.
        PartitionNotFoundError: there is no such one, or not yet.
    """
    partitions = partitions_of_job(job)
    if not partitions.has(key, now):
        raise partition_not_found(job, partitions, key, now)


def partition_not_found(
    job: JobSnapshot, partitions: Partitions, key: str, now: float
) -> PartitionNotFoundError:
    """The error of a key that a job does not have; it names some that it has."""
    count = partitions.count(now)
    if count <= _NEAREST:
        return PartitionNotFoundError(job.name, key, [*map(partitions.key_at, range(count))])
    some = [partitions.key_at(0), "…", partitions.key_at(count - 1)]
    return PartitionNotFoundError(job.name, key, some)


def config_of_partition(location: CodeLocation, ref: JobRef, key: str) -> dict[str, Any]:
    """The run config that a job gives a partition; empty when it has no function for that.

    Raises:
        PartitionConfigError: the function raised, took too long, or gave no run config.
        CodeLocationUnavailableError: the code location does not answer.
        JobNotFoundError: it does not have the job any more.
    """
    if ref.job.partitions is None or not ref.job.partitions.has_config:
        return {}
    return location.configure_partition(ref.repository_name, ref.job.name, key)
