"""Runs of partitions: which a job has, and what configures them."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.control import NewRun, create_run
from runwire.errors import (
    InputInvalidError,
    JobNotPartitionedError,
    PartitionConfigError,
    PartitionNotFoundError,
    RunAlreadyExistsError,
)
from runwire.partitions import PartitionsKind, PartitionsSnapshot
from runwire.storages.memory import MemoryStorage
from runwire.workspace import JobSelector

ETL = JobSelector("etl")
REGIONS = PartitionsSnapshot(PartitionsKind.STATIC, keys=("eu", "us", "asia", "moon"))


@pytest.fixture
def location(workspace: Any) -> Any:
    found = workspace.locations["here"]
    found.partition("etl", REGIONS)
    return found


def test_a_run_has_its_partition_as_a_tag(
    storage: MemoryStorage, workspace: Any, location: Any
) -> None:
    record, _ = create_run(storage, workspace, NewRun(job=ETL, partition_key="us"))
    assert record.run.tags["runwire/partition"] == "us"
    assert (record.run.run_config, location.configured) == ({}, [])


def test_the_function_of_its_job_gives_its_config_unless_one_is_given(
    storage: MemoryStorage, workspace: Any, location: Any
) -> None:
    location.partition("etl", PartitionsSnapshot(REGIONS.kind, keys=("eu",), has_config=True))
    record, _ = create_run(storage, workspace, NewRun(job=ETL, partition_key="eu"))
    assert record.run.run_config == {"of": "eu"}
    given = NewRun(job=ETL, partition_key="eu", run_config={"by": "hand"})
    assert create_run(storage, workspace, given)[0].run.run_config == {"by": "hand"}
    assert create_run(storage, workspace, NewRun(job=ETL))[0].run.run_config == {}
    assert location.configured == ["eu"]


def test_what_the_function_raises_is_told_and_no_run_is_made(
    storage: MemoryStorage, workspace: Any, location: Any
) -> None:
    def broken(key: str) -> dict[str, Any]:
        raise PartitionConfigError("it raised")

    location.partition("etl", PartitionsSnapshot(REGIONS.kind, keys=("eu",), has_config=True))
    location.configure = broken
    with pytest.raises(PartitionConfigError, match="it raised"):
        create_run(storage, workspace, NewRun(job=ETL, partition_key="eu"))
    assert storage.run_storage.get_runs_count() == 0


@pytest.mark.parametrize(
    ("new_run", "error", "message"),
    [
        (
            NewRun(job=ETL, partition_key="mars"),
            PartitionNotFoundError,
            "job 'etl' has no partition 'mars'; there are: eu, …, moon",
        ),
        (
            NewRun(job=JobSelector("both", location_name="here"), partition_key="eu"),
            JobNotPartitionedError,
            "job 'both' has no partitions; give it some by @job",
        ),
        (NewRun(job=ETL, partition_key=""), InputInvalidError, "has 1 to 256 characters"),
        (
            NewRun(job=ETL, partition_key="eu", managed=True),
            InputInvalidError,
            "what an external system runs has no partition here",
        ),
    ],
)
def test_a_partition_that_a_job_does_not_have_is_refused(
    storage: MemoryStorage,
    workspace: Any,
    location: Any,
    new_run: NewRun,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        create_run(storage, workspace, new_run)
    assert storage.run_storage.get_runs_count() == 0


def test_a_partition_of_time_is_refused_before_its_window_has_ended(
    storage: MemoryStorage, workspace: Any, location: Any
) -> None:
    location.partition("etl", PartitionsSnapshot(PartitionsKind.DAILY, "2026-01-01"))
    for key in ("2026-01-01", "2026-01-02"):
        create_run(storage, workspace, NewRun(job=ETL, partition_key=key))
    with pytest.raises(PartitionNotFoundError, match=r"2999-01-01.*there are: 2026-01-01, …, 20"):
        create_run(storage, workspace, NewRun(job=ETL, partition_key="2999-01-01"))


def test_another_partition_is_another_request(
    storage: MemoryStorage, workspace: Any, location: Any
) -> None:
    def make(key: str | None) -> tuple[str, bool]:
        wanted = NewRun(job=ETL, partition_key=key, idempotency_key="k")
        record, created = create_run(storage, workspace, wanted)
        return record.run_id, created

    run_id, created = make("eu")
    assert created
    assert make("eu") == (run_id, False)
    with pytest.raises(RunAlreadyExistsError):
        make("us")
