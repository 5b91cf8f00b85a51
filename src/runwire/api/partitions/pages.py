"""Pages of the partitions of a job."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import strawberry
from strawberry import UNSET

from runwire import clock
from runwire.api.loaders import JobRow
from runwire.api.opaque import pack, shown, unpack
from runwire.api.paging import Window
from runwire.api.rows import given
from runwire.errors import CursorInvalidError
from runwire.partitions import Partitions, PartitionsSnapshot, PartitionWindow, partitions_of
from runwire.storage import JobPlace

DEFAULT_PARTITIONS = 25
MAX_PARTITIONS = 100

_VERSION = 1


class PartitionRow(NamedTuple):
    """A partition of a job."""

    place: JobPlace
    key: str
    window: PartitionWindow | None


class PartitionPage(NamedTuple):
    """A page of the partitions of a job, and how many there are."""

    definition: PartitionsSnapshot
    rows: list[PartitionRow]
    has_next: bool
    has_previous: bool
    total: int


def place_of(row: JobRow) -> JobPlace:
    """Where a job is."""
    return JobPlace(row.location.name, row.repository.name, row.job.name)


def cursor_of(row: PartitionRow) -> str:
    """The cursor of a partition among those of its job."""
    place = row.place
    return pack(
        _VERSION,
        "partitions",
        place.location_name,
        place.repository_name,
        place.job_name,
        row.key,
    )


def find_row(row: JobRow, key: str) -> PartitionRow | None:
    """A partition of a job; None when there is none."""
    if row.job.partitions is None:
        return None
    partitions = partitions_of(row.job.partitions)
    if not partitions.has(key, clock.timestamp()):
        return None
    return PartitionRow(place_of(row), key, partitions.find_window(key))


def read_partitions(
    root: strawberry.Parent[JobRow],
    first: Annotated[
        int | None, strawberry.argument(description="How many partitions from the first on.")
    ] = UNSET,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the partition before the first one wanted."),
    ] = UNSET,
    last: Annotated[
        int | None, strawberry.argument(description="How many partitions from the last back.")
    ] = UNSET,
    before: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the partition after the last one wanted."),
    ] = UNSET,
) -> PartitionPage | None:
    """Partitions of a job that exist now; None when it has none at all."""
    window = Window.of(
        given(first),
        given(after),
        given(last),
        given(before),
        default=DEFAULT_PARTITIONS,
        maximum=MAX_PARTITIONS,
    )
    definition = root.job.partitions
    if definition is None:
        return None
    partitions, place = partitions_of(definition), place_of(root)
    total = partitions.count(clock.timestamp())
    start = 0 if window.after is None else _index(window.after, place, partitions) + 1
    end = total if window.before is None else min(total, _index(window.before, place, partitions))
    begin = max(start, end - window.limit) if window.backward else start
    stop = end if window.backward else min(end, start + window.limit)
    rows = [
        PartitionRow(place, partitions.key_at(index), partitions.window_at(index))
        for index in range(begin, stop)
    ]
    return PartitionPage(definition, rows, stop < total, begin > 0, total)


def _index(cursor: str, place: JobPlace, partitions: Partitions) -> int:
    """The index of the partition of a cursor.

    Raises:
        CursorInvalidError: it is malformed, of another job, or of a partition that the job lost.
    """
    match unpack(cursor):
        case [1, "partitions", str(location), str(repository), str(job), str(key)]:
            index = partitions.find_index(key)
            if JobPlace(location, repository, job) != place:
                raise CursorInvalidError("the cursor belongs to the partitions of another job")
            if index is None:
                raise CursorInvalidError(
                    f"the cursor names partition {key!r}, which the job does not have any more"
                )
            return index
        case _:
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of a list of partitions")
