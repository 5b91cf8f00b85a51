"""What ops are told of the partition of their run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runwire import DailyPartitions, OpContext, StaticPartitions, job, op
from runwire.definitions import JobDefinition, PartitionsDefinition
from runwire.errors import PartitionMissingError
from runwire.runs.status import RunStatus
from runwire.runs.tags import PARTITION_TAG
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import events, execute


def _failure(job: JobDefinition, folder: Path) -> str:
    """How the one step of a job without a partition failed."""
    storage = MemoryStorage()
    assert execute(storage, job, folder) is RunStatus.FAILURE
    (message,) = (r.message for r in events(storage) if r.stored_type == "STEP_FAILURE")
    return message


@op
def asks_for_partition(context: OpContext) -> None:
    context.partition_key  # noqa: B018 - the access is what is refused


def test_a_run_without_a_partition_fails_at_the_access_with_the_mend(tmp_path: Path) -> None:
    def failed_by(**options: Any) -> str:
        @job(**options)
        def etl() -> None:
            asks_for_partition()

        return _failure(etl, tmp_path)

    assert failed_by() == (
        "Step asks_for_partition failed: run 'r' of job 'etl' has no partition;"
        " give its job some by @job(partitions=...)"
    )
    assert failed_by(partitions=StaticPartitions(["eu"])).endswith(
        "has no partition; submit it with a partition key, or launch a backfill"
    )


@pytest.mark.parametrize(
    ("partitions", "key", "seen"),
    [
        (
            DailyPartitions("2026-10-01", timezone="Europe/Berlin"),
            "2026-10-25",
            "2026-10-25: 2026-10-25T00:00:00+02:00 to 2026-10-26T00:00:00+01:00",
        ),
        (StaticPartitions(["eu"]), "eu", "eu"),
        (None, "eu", "eu"),
        (DailyPartitions("2026-10-01"), "2026-01-01", "partition '2026-01-01' is none of job"),
    ],
)
def test_an_op_knows_its_partition(
    tmp_path: Path, partitions: PartitionsDefinition | None, key: str, seen: str
) -> None:
    told: list[str] = []

    @op
    def look(context: OpContext) -> None:
        try:
            window = context.partition_window
        except PartitionMissingError as error:
            told.append(str(error))
            return
        span = "" if window is None else f": {window.start.isoformat()} to {window.end.isoformat()}"
        told.append(context.partition_key + span)

    @job(partitions=partitions)
    def etl() -> None:
        look()

    assert execute(MemoryStorage(), etl, tmp_path, tags={PARTITION_TAG: key}) is RunStatus.SUCCESS
    assert [each[: len(seen)] for each in told] == [seen]
