"""What backfills are asked for, and filtered by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import strawberry
from strawberry import UNSET

from runwire.api.locations.inputs import JobSelector
from runwire.api.rows import given
from runwire.api.scalars import JSON
from runwire.api.tags import TagInput, pairs
from runwire.api.user_errors import check_text
from runwire.control import DEFAULT_RUNS_AT_ONCE, NewBackfill
from runwire.storage import BackfillScope, BackfillsFilter, BackfillStatus


@strawberry.input(description="Partitions of a job from one to another, both included.")
class PartitionRangeInput:
    """Partitions from one to another."""

    first: str | None = strawberry.field(
        description="The key of the first; the first that there is when left out.", default=UNSET
    )
    last: str | None = strawberry.field(
        description="The key of the last; the last that there is now when left out.", default=UNSET
    )


@strawberry.input(description="Partitions of a job.", one_of=True)
class PartitionSelectionInput:
    """Partitions of a job."""

    keys: list[str] | None = strawberry.field(
        description="Those of these keys, at most 10,000, in this order.", default=UNSET
    )
    range: PartitionRangeInput | None = strawberry.field(
        description="Those of a range, at most 100,000; `{}` is all that there are.", default=UNSET
    )


@strawberry.input(description="A backfill to make.")
class CreateBackfillInput:
    """A backfill to make."""

    job: JobSelector = strawberry.field(description="The job.")
    partitions: PartitionSelectionInput = strawberry.field(
        description="Its partitions, which stay the same whatever becomes of the job."
    )
    scope: BackfillScope = strawberry.field(
        description="Which of them get a run.", default=BackfillScope.ALL
    )
    runs_at_once: int | None = strawberry.field(
        description="How many of its runs there are at most that have not ended, 1 to 1,000.",
        default=DEFAULT_RUNS_AT_ONCE,
    )
    run_config: JSON | None = strawberry.field(
        description="The run config of all its runs; when left out, what the job gives each partition.",
        default=UNSET,
    )
    tags: list[TagInput] | None = strawberry.field(
        description="The tags of its runs, over those of the job.", default=UNSET
    )
    idempotency_key: str | None = strawberry.field(
        description="A text of at most 256 characters that makes the request safe to repeat.",
        default=UNSET,
    )

    def to_new_backfill(self, *, requested_by: str) -> NewBackfill:
        """The request of the layers below, which check it.

        Raises:
            InputInvalidError: a key is not valid Unicode.
        """
        keys, chosen = given(self.partitions.keys), given(self.partitions.range)
        chosen = chosen or PartitionRangeInput()
        return NewBackfill(
            job=self.job.to_selector(),
            keys=None
            if keys is None
            else [
                check_text(key, ("partitions", "keys", str(place)))
                for place, key in enumerate(keys)
            ],
            first=_text(given(chosen.first), "first"),
            last=_text(given(chosen.last), "last"),
            scope=self.scope,
            runs_at_once=DEFAULT_RUNS_AT_ONCE if self.runs_at_once is None else self.runs_at_once,
            run_config=cast(Mapping[str, Any] | None, given(self.run_config)),
            tags=pairs(given(self.tags)),
            idempotency_key=given(self.idempotency_key),
            requested_by=requested_by,
        )


def _text(text: str | None, name: str) -> str | None:
    return None if text is None else check_text(text, ("partitions", "range", name))


@strawberry.input(description="Which backfills. Fields are joined by and, the values of one by or.")
class BackfillFilter:
    """Which backfills."""

    statuses: list[BackfillStatus] | None = strawberry.field(
        description="Those in one of these statuses.", default=UNSET
    )
    job_name: str | None = strawberry.field(description="Those of this job.", default=UNSET)
    repository_name: str | None = strawberry.field(
        description="Those of a job of this repository.", default=UNSET
    )
    location_name: str | None = strawberry.field(
        description="Those of a job of this code location.", default=UNSET
    )

    def to_filter(self) -> BackfillsFilter:
        """The filter of the layers below."""
        statuses = given(self.statuses)
        return BackfillsFilter(
            statuses=None if statuses is None else frozenset(statuses),
            job_name=given(self.job_name),
            repository_name=given(self.repository_name),
            location_name=given(self.location_name),
        )
