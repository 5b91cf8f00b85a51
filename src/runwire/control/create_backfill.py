"""Making a backfill: its job is found, and the partitions are chosen once and for all."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from runwire.control.create_run import find_job, plain_config
from runwire.control.new_run import check_idempotency_key
from runwire.control.run_partition import partition_not_found, partitions_of_job
from runwire.errors import InputInvalidError
from runwire.partitions import (
    MAX_KEYS,
    PartitionRange,
    Partitions,
    PartitionSelection,
)
from runwire.runs.tags import check_tags
from runwire.snapshots import JobSnapshot
from runwire.storage.backfill_storage import Backfill, BackfillScope
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.run_storage import RequestKey
from runwire.workspace import JobSelector, Workspace

DEFAULT_RUNS_AT_ONCE = 25
MAX_RUNS_AT_ONCE = 1000
MAX_PARTITIONS = 100_000
"""The most partitions of one backfill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBackfill:
    """A backfill to make.

    Attributes:
        job: the job.
        keys: its partitions, in the order of their runs; or else:
        first, last: those from one to another, both included; None for the first and the last that there are.
        scope: which of them get a run.
        runs_at_once: how many of its runs there are at most that have not ended.
        run_config: the run config of its runs; that of each partition when left out.
        tags: (key, value) pairs, over those of the job.
        idempotency_key: a text that makes the request safe to repeat.
        requested_by: the name of the principal that asks.
    """

    job: JobSelector
    keys: Sequence[str] | None = None
    first: str | None = None
    last: str | None = None
    scope: BackfillScope = BackfillScope.ALL
    runs_at_once: int = DEFAULT_RUNS_AT_ONCE
    run_config: Mapping[str, Any] | None = None
    tags: Sequence[tuple[str, str]] = ()
    idempotency_key: str | None = None
    requested_by: str | None = None

    def request_key(self) -> RequestKey | None:
        """The idempotency key with the digest of all that was asked for; None without one."""
        if self.idempotency_key is None:
            return None
        asked = [
            self.job.job_name,
            self.job.repository_name,
            self.job.location_name,
            None if self.keys is None else list(self.keys),
            self.first,
            self.last,
            self.scope.value,
            self.runs_at_once,
            None if self.run_config is None else dict(self.run_config),
            sorted(self.tags),
        ]
        body = msgspec.json.encode(asked, order="deterministic")
        return RequestKey(self.idempotency_key, hashlib.sha256(body).hexdigest())


def create_backfill(
    storage: InstanceStorage, workspace: Workspace, wanted: NewBackfill, now: float
) -> tuple[Backfill, bool]:
    """Makes a backfill, which a daemon then works on.

    Args:
        storage: where it is kept.
        workspace: where its job is.
        wanted: what is asked for.
        now: the instant, in epoch seconds: what exists then can be chosen.

    Returns:
        The backfill, and whether this call made it (False when its idempotency key had it already).

    Raises:
        InputInvalidError: a value is refused; its path is relative to the request.
        JobNotFoundError, JobAmbiguousError: the job is not one loaded job.
        CodeLocationUnavailableError: its code location is not loaded.
        JobNotPartitionedError: the job has no partitions.
        PartitionNotFoundError: it does not have one that is named.
        BackfillAlreadyExistsError: the idempotency key belongs to a backfill of another input.
    """
    check_idempotency_key(wanted.idempotency_key)
    if not 1 <= wanted.runs_at_once <= MAX_RUNS_AT_ONCE:
        raise InputInvalidError(
            f"runsAtOnce is {wanted.runs_at_once}; give 1 to {MAX_RUNS_AT_ONCE:,}", ["runsAtOnce"]
        )
    tags = check_tags(wanted.tags, ("tags",))
    config = None if wanted.run_config is None else plain_config(wanted.run_config)
    ref = find_job(workspace, wanted.job)
    backfill = Backfill(
        backfill_id=str(uuid.uuid4()),
        location_name=ref.location_name,
        repository_name=ref.repository_name,
        job_name=ref.job.name,
        selection=_chosen(ref.job, wanted, now),
        scope=wanted.scope,
        runs_at_once=wanted.runs_at_once,
        tags=tags,
        run_config=config,
        requested_by=wanted.requested_by,
        created_at=now,
    )
    return storage.backfill_storage.add_backfill(backfill, wanted.request_key())


def _chosen(job: JobSnapshot, wanted: NewBackfill, now: float) -> PartitionSelection:
    partitions = partitions_of_job(job)
    if wanted.keys is not None:
        return PartitionSelection(keys=_checked_keys(job, partitions, wanted.keys, now))
    count = partitions.count(now)
    if not count:
        problem = (
            f"job {job.name!r} has no partitions yet; the first exists when its window has ended"
        )
        raise InputInvalidError(problem, ["partitions"])
    first = 0 if wanted.first is None else _index(job, partitions, wanted.first, now)
    last = count - 1 if wanted.last is None else _index(job, partitions, wanted.last, now)
    if last < first:
        problem = f"the last partition, {wanted.last!r}, comes before the first; swap them"
        raise InputInvalidError(problem, ["partitions", "range", "last"])
    if last - first >= MAX_PARTITIONS:
        problem = f"these are {last - first + 1:,} partitions; choose {MAX_PARTITIONS:,} at most"
        raise InputInvalidError(problem, ["partitions", "range"])
    if not partitions.have_windows:
        return PartitionSelection(keys=tuple(map(partitions.key_at, range(first, last + 1))))
    assert job.partitions is not None  # noqa: S101 - for the type checker: it has some
    ends = partitions.key_at(first), partitions.key_at(last)
    return PartitionSelection(range=PartitionRange(job.partitions, *ends))


def _checked_keys(
    job: JobSnapshot, partitions: Partitions, keys: Sequence[str], now: float
) -> tuple[str, ...]:
    if not 1 <= len(keys) <= MAX_KEYS:
        problem = f"these are {len(keys):,} keys; give 1 to {MAX_KEYS:,}, or a range"
        raise InputInvalidError(problem, ["partitions", "keys"])
    seen: set[str] = set()
    for place, key in enumerate(keys):
        if key in seen:
            problem = f"partition {key!r} is given twice"
            raise InputInvalidError(problem, ["partitions", "keys", str(place)])
        seen.add(key)
        _index(job, partitions, key, now)
    return tuple(keys)


def _index(job: JobSnapshot, partitions: Partitions, key: str, now: float) -> int:
    index = partitions.find_index(key)
    if index is None or index >= partitions.count(now):
        raise partition_not_found(job, partitions, key, now)
    return index
