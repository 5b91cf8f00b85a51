"""What is asked of runs, and what runs are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import strawberry
from strawberry import ID, UNSET

from runwire.api.locations.inputs import JobSelector
from runwire.api.rows import given
from runwire.api.runs.enums import OrderDirection, RunOrderField, RunStatus
from runwire.api.scalars import JSON
from runwire.api.tags import TagInput, pairs
from runwire.api.time_range import DateTimeRange
from runwire.api.user_errors import check_text, check_texts
from runwire.control import NewRun
from runwire.runs import filters as rows
from runwire.runs.tags import BACKFILL_TAG, PARTITION_TAG, SCHEDULE_NAME_TAG, SENSOR_NAME_TAG


@strawberry.input(
    description="An order of runs; runs that are equal in it follow the order of their making."
)
class RunOrder:
    """An order of runs."""

    field: RunOrderField = strawberry.field(
        description="What to order by.", default=RunOrderField.CREATED_AT
    )
    direction: OrderDirection = strawberry.field(
        description="Which direction.", default=OrderDirection.DESC
    )

    def to_order(self) -> rows.RunOrder:
        """The order of the layers below."""
        return rows.RunOrder(self.field, self.direction is OrderDirection.DESC)


@strawberry.input(description="Which tags a run must have.")
class TagFilter:
    """Which tags a run must have."""

    key: str = strawberry.field(description="The key of the tag.")
    values: list[str] | None = strawberry.field(
        description="The values of which it must have one; any value when left out.", default=UNSET
    )

    def to_filter(self, path: tuple[str, ...]) -> rows.TagFilter:
        """The filter of the layers below; raises as `RunsFilter.to_filter`."""
        values = given(self.values)
        return rows.TagFilter(
            check_text(self.key, (*path, "key")),
            None if values is None else check_texts(values, (*path, "values")),
        )


@strawberry.input(
    description="Which runs. Fields are joined by and, the values of one field by or; an empty list matches"
    " nothing."
)
class RunsFilter:
    """Which runs."""

    run_ids: list[ID] | None = strawberry.field(
        description="Runs with one of these ids.", default=UNSET
    )
    run_id_prefix: str | None = strawberry.field(
        description="Runs whose id begins with this text.", default=UNSET
    )
    job_names: list[str] | None = strawberry.field(
        description="Runs of one of these jobs.", default=UNSET
    )
    location_name: str | None = strawberry.field(
        description="Runs of a job of this code location.", default=UNSET
    )
    statuses: list[RunStatus] | None = strawberry.field(
        description="Runs in one of these statuses.", default=UNSET
    )
    tags: list[TagFilter] | None = strawberry.field(
        description="Runs that match each of these tag filters.", default=UNSET
    )
    created_at: DateTimeRange | None = strawberry.field(
        description="Runs made in this span of time.", default=UNSET
    )
    updated_at: DateTimeRange | None = strawberry.field(
        description="Runs that last changed in this span of time.", default=UNSET
    )
    root_run_id: ID | None = strawberry.field(
        description="Runs of the group with this root.", default=UNSET
    )
    schedule_name: str | None = strawberry.field(
        description="Runs that this schedule requested.", default=UNSET
    )
    sensor_name: str | None = strawberry.field(
        description="Runs that this sensor requested.", default=UNSET
    )

    backfill_id: ID | None = strawberry.field(
        description="Runs that this backfill asked for, and their retries.", default=UNSET
    )
    partition_key: str | None = strawberry.field(
        description="Runs of the partition of this key, of whichever job.", default=UNSET
    )

    def to_filter(self) -> rows.RunsFilter:
        """The filter of the layers below.

        Raises:
            InputInvalidError: a text is not valid Unicode.
        """
        statuses = given(self.statuses)
        created_at, updated_at = given(self.created_at), given(self.updated_at)
        return rows.RunsFilter(
            run_ids=_texts(given(self.run_ids), "runIds"),
            run_id_prefix=_text(given(self.run_id_prefix), "runIdPrefix"),
            job_names=_texts(given(self.job_names), "jobNames"),
            location_name=_text(given(self.location_name), "locationName"),
            statuses=None if statuses is None else frozenset(statuses),
            tags=(
                *(
                    tag.to_filter(("filter", "tags", str(i)))
                    for i, tag in enumerate(given(self.tags) or ())
                ),
                *_tag(SCHEDULE_NAME_TAG, _text(given(self.schedule_name), "scheduleName")),
                *_tag(SENSOR_NAME_TAG, _text(given(self.sensor_name), "sensorName")),
                *_tag(BACKFILL_TAG, _text(given(self.backfill_id), "backfillId")),
                *_tag(PARTITION_TAG, _text(given(self.partition_key), "partitionKey")),
            ),
            created_at=None if created_at is None else created_at.to_range(),
            updated_at=None if updated_at is None else updated_at.to_range(),
            root_run_id=_text(given(self.root_run_id), "rootRunId"),
        )


def _text(text: str | None, name: str) -> str | None:
    return None if text is None else check_text(text, ("filter", name))


def _tag(key: str, value: str | None) -> list[rows.TagFilter]:
    return [] if value is None else [rows.TagFilter(key, frozenset({value}))]


def _texts(texts: list[str] | list[ID] | None, name: str) -> frozenset[str] | None:
    return None if texts is None else check_texts(list(texts), ("filter", name))


@strawberry.input(description="A run to make.")
class NewRunInput:
    """A run to make."""

    job: JobSelector = strawberry.field(description="The job to run.")
    run_id: ID | None = strawberry.field(
        description="The id of the run; a new UUID when left out.", default=UNSET
    )
    run_config: JSON | None = strawberry.field(
        description="The run config; when left out, what the job gives the partition, or empty.",
        default=UNSET,
    )
    tags: list[TagInput] | None = strawberry.field(
        description="The tags of the run, over those of its job.", default=UNSET
    )
    partition_key: str | None = strawberry.field(
        description="The key of the partition that the run is of; none when left out.",
        default=UNSET,
    )
    step_keys: list[str] | None = strawberry.field(
        description="The steps to run; all when left out.", default=UNSET
    )
    idempotency_key: str | None = strawberry.field(
        description="A text that makes the request safe to repeat: with the same key and input the same run"
        " is returned.",
        default=UNSET,
    )

    def to_new_run(self, *, requested_by: str, managed: bool = False) -> NewRun:
        """The request of the layers below, which check it.

        Raises:
            InputInvalidError: a step key is not valid Unicode.
        """
        step_keys = given(self.step_keys)
        return NewRun(
            job=self.job.to_selector(),
            run_id=given(self.run_id),
            run_config=cast(Mapping[str, Any] | None, given(self.run_config)),
            tags=pairs(given(self.tags)),
            step_keys=None
            if step_keys is None
            else [check_text(key, ("stepKeys", str(i))) for i, key in enumerate(step_keys)],
            partition_key=given(self.partition_key),
            idempotency_key=given(self.idempotency_key),
            managed=managed,
            requested_by=requested_by,
        )


@strawberry.input(description="A run that exists, or one to make.", one_of=True)
class RunTarget:
    """A run that exists, or one to make."""

    run_id: ID | None = strawberry.field(description="The id of a run that exists.", default=UNSET)
    new_run: NewRunInput | None = strawberry.field(description="A run to make.", default=UNSET)
