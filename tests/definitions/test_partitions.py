"""Partitions as users define them: what is refused, and what a job tells of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from runwire import DailyPartitions, HourlyPartitions, StaticPartitions, job, op
from runwire.definitions import JobPartitions, PartitionsDefinition
from runwire.errors import InvalidDefinitionError, PartitionConfigError
from runwire.partitions import PartitionsKind, PartitionsSnapshot


@op
def load() -> None:
    """Does nothing."""


def body() -> None:
    load()


def _of_nothing() -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("made", "snapshot"),
    [
        (
            DailyPartitions("2026-01-31"),
            PartitionsSnapshot(PartitionsKind.DAILY, "2026-01-31"),
        ),
        (
            DailyPartitions(date(2026, 1, 31), date(2026, 2, 2), "Europe/Berlin"),
            PartitionsSnapshot(PartitionsKind.DAILY, "2026-01-31", "2026-02-02", "Europe/Berlin"),
        ),
        (
            HourlyPartitions("2026-01-31"),
            PartitionsSnapshot(PartitionsKind.HOURLY, "2026-01-31T00:00+00:00"),
        ),
        (
            HourlyPartitions(
                datetime(2026, 1, 31, 5, tzinfo=UTC), "2026-01-31T08:00", "Europe/Berlin"
            ),
            PartitionsSnapshot(
                PartitionsKind.HOURLY,
                "2026-01-31T06:00+01:00",
                "2026-01-31T08:00+01:00",
                "Europe/Berlin",
            ),
        ),
        (
            StaticPartitions(["eu", "us"]),
            PartitionsSnapshot(PartitionsKind.STATIC, keys=("eu", "us")),
        ),
    ],
)
def test_they_are_told_compactly(made: PartitionsDefinition, snapshot: PartitionsSnapshot) -> None:
    assert made.snapshot() == snapshot
    assert job(name="j", partitions=made)(body).snapshot().partitions == snapshot


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: DailyPartitions("yesterday"), "DailyPartitions: start is 'yesterday'; give a day"),
        (lambda: DailyPartitions(datetime(2026, 1, 1, tzinfo=UTC)), "give a day"),
        (lambda: DailyPartitions(7), "start is 7"),  # type: ignore[arg-type]
        (lambda: DailyPartitions("1066-01-01"), "in the year 1066; give one from 1970 to 2999"),
        (lambda: DailyPartitions("2026-01-02", "2026-01-02"), "end 2026-01-02 is not after start"),
        (lambda: DailyPartitions("2026-01-02", timezone="Mars"), "there is no time zone 'Mars'"),
        (lambda: DailyPartitions("2026-01-02", timezone=1), "timezone is 1"),  # type: ignore[arg-type]
        (lambda: HourlyPartitions("2026-01-02T00:30"), "is within an hour of UTC"),
        (lambda: HourlyPartitions("2026-01-02T00:00", timezone="Asia/Kolkata"), None),
        (lambda: HourlyPartitions("2026-01-02T00:00Z", timezone="Asia/Kolkata"), "within an hour"),
        (lambda: HourlyPartitions("noon"), "give the beginning of an hour"),
        (lambda: HourlyPartitions(7), "start is 7"),  # type: ignore[arg-type]
        (lambda: HourlyPartitions("2026-01-02", "2026-01-01"), "is not after start"),
        (lambda: StaticPartitions([]), "there are 0 keys; give 1 to 10,000"),
        (lambda: StaticPartitions("eu"), "keys is a str"),  # type: ignore[arg-type]
        (lambda: StaticPartitions(["eu", ""]), "key '' cannot be one"),
        (lambda: StaticPartitions([" eu"]), "key ' eu' cannot be one"),
        (lambda: StaticPartitions(["eu", "us", "eu"]), "key 'eu' is given twice"),
        (lambda: StaticPartitions(["a" * 257]), "256 characters"),
        (lambda: job(partitions="daily")(body), "partitions is a str; give DailyPartitions"),  # type: ignore[call-overload]
        (lambda: job(partition_config=lambda key: {})(body), "partition_config and no partitions"),
        (
            lambda: job(partitions=StaticPartitions(["eu"]), partition_config=_of_nothing)(body),  # type: ignore[arg-type]
            "cannot be called with a key: too many positional arguments; write def",
        ),
        (
            lambda: job(partitions=StaticPartitions(["eu"]), partition_config=dict)(body),  # type: ignore[arg-type]
            "partition_config is <class 'dict'>; give a function",
        ),
        (
            lambda: job(partitions=StaticPartitions(["eu"]), partition_config={"ops": {}})(body),  # type: ignore[call-overload]
            "partition_config is {'ops': {}}; give a function",
        ),
    ],
)
def test_what_cannot_be_partitions_is_refused_with_place_and_mend(
    make: Any, problem: str | None
) -> None:
    if problem is None:
        make()
        return
    with pytest.raises(InvalidDefinitionError) as refused:
        make()
    assert str(refused.value).startswith(f"{__file__}:")
    assert problem in str(refused.value)


def test_an_async_function_gives_no_config() -> None:
    async def later(key: str) -> dict[str, Any]:
        return {}

    with pytest.raises(InvalidDefinitionError, match="is async or yields"):
        job(partitions=StaticPartitions(["eu"]), partition_config=later)(body)


def test_the_function_of_a_job_gives_the_config_of_a_partition() -> None:
    def configured(given: Any) -> dict[str, Any]:
        made = JobPartitions(StaticPartitions(["eu"]), lambda key: given, "here:1: job 'j'")
        assert made.snapshot.has_config
        return made.run_config("eu")

    assert configured({"day": date(2026, 1, 31)}) == {"day": "2026-01-31"}
    assert configured(None) == {}
    with pytest.raises(PartitionConfigError, match="here:1: job 'j': partition_config gave a int"):
        configured(3)
    with pytest.raises(PartitionConfigError, match="for 'eu' is not JSON"):
        configured({"it": object()})
    assert JobPartitions(StaticPartitions(["eu"])).run_config("eu") == {}
