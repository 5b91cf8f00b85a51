"""Which runs somebody wants, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A span of time in epoch seconds, both ends exclusive and optional."""

    after: float | None = None
    before: float | None = None

    def holds(self, instant: float | None) -> bool:
        """Whether the instant lies in the span; an instant that is None lies in none."""
        if instant is None:
            return False
        return (self.after is None or instant > self.after) and (
            self.before is None or instant < self.before
        )


@dataclass(frozen=True, slots=True)
class TagFilter:
    """A tag that a run must have: any value, or one of `values`."""

    key: str
    values: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsFilter:
    """Which runs. Fields are joined by and, the values of one field by or; an empty set matches nothing.

    Attributes:
        run_ids: runs with one of these ids.
        run_id_prefix: runs whose id begins with this text.
        job_names: runs of one of these jobs.
        location_name: runs of a job of this code location.
        statuses: runs in one of these statuses.
        tags: runs that match each of these tag filters.
        created_at, updated_at: runs made, or last changed, in this span of time.
        root_run_id: runs of the group with this root, the root itself included; none if the run of the id is no
            root.
    """

    run_ids: frozenset[str] | None = None
    run_id_prefix: str | None = None
    job_names: frozenset[str] | None = None
    location_name: str | None = None
    statuses: frozenset[RunStatus] | None = None
    tags: tuple[TagFilter, ...] = ()
    created_at: TimeRange | None = None
    updated_at: TimeRange | None = None
    root_run_id: str | None = None

    def matches(self, record: RunRecord) -> bool:
        """Whether the run is wanted."""
        run = record.run
        return (
            (self.run_ids is None or run.run_id in self.run_ids)
            and (self.run_id_prefix is None or run.run_id.startswith(self.run_id_prefix))
            and (self.job_names is None or run.job_name in self.job_names)
            and (self.location_name is None or run.location_name == self.location_name)
            and (self.statuses is None or record.status in self.statuses)
            and (self.created_at is None or self.created_at.holds(record.created_at))
            and (self.updated_at is None or self.updated_at.holds(record.updated_at))
            and (self.root_run_id is None or record.root_run_id == self.root_run_id)
            and all(_has_tag(run.tags, tag) for tag in self.tags)
        )


def _has_tag(tags: dict[str, str], wanted: TagFilter) -> bool:
    value = tags.get(wanted.key)
    return value is not None and (wanted.values is None or value in wanted.values)


class RunOrderField(Enum):
    """What runs can be ordered by; the value is the field of RunRecord."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    STARTED_AT = "started_at"
    ENDED_AT = "ended_at"


@dataclass(frozen=True, slots=True)
class RunOrder:
    """An order of runs.

    Runs that are equal in it follow the order of their making, in the same direction; runs without the
    instant come last in both directions.
    """

    field: RunOrderField = RunOrderField.CREATED_AT
    descending: bool = True


@dataclass(frozen=True, slots=True)
class RunPlace:
    """The place of a run in an order.

    It is the value of the order's field (None for runs that have none) and the storage id, which is the order
    of making.
    """

    value: float | None
    storage_id: int

    @classmethod
    def of(cls, record: RunRecord, order: RunOrder) -> RunPlace:
        """The place of a record."""
        return cls(getattr(record, order.field.value), record.storage_id)


NEWEST_FIRST = RunOrder()
"""The usual order: newest made first."""

OLDEST_FIRST = RunOrder(descending=False)
"""The other way round."""
