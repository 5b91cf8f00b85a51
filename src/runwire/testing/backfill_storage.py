"""What a storage of backfills must do, and what one of runs must tell of partitions and backfills."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runwire.error_info import ErrorInfo
from runwire.errors import (
    BackfillAlreadyExistsError,
    BackfillConflictError,
    BackfillNotFoundError,
)
from runwire.events.types import EventType
from runwire.partitions import (
    PartitionRange,
    PartitionSelection,
    PartitionsKind,
    PartitionsSnapshot,
)
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.runs.tags import BACKFILL_TAG, PARTITION_TAG
from runwire.storage.backfill_storage import (
    Backfill,
    BackfillFailure,
    BackfillScope,
    BackfillsFilter,
    BackfillStatus,
    BackfillStorage,
)
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.run_storage import JobPlace, RequestKey
from runwire.testing.samples import (
    ESCAPED_SURROGATE,
    LONE_SURROGATE,
    add_run,
    add_run_in,
    in_threads,
    report,
)

JOB = JobPlace("here", "main", "daily")


def a_backfill(backfill_id: str = "b1", **fields: Any) -> Backfill:
    """A backfill as it is added."""
    plain = Backfill(
        backfill_id=backfill_id,
        location_name=JOB.location_name,
        repository_name=JOB.repository_name,
        job_name=JOB.job_name,
        selection=PartitionSelection(keys=("eu", "us")),
        created_at=1.5,
    )
    return replace(plain, **fields)


def a_failure(position: int, message: str = "it raised") -> BackfillFailure:
    """A partition of which no run could be made."""
    return BackfillFailure(
        position=position,
        partition_key=f"key {position}",
        error=ErrorInfo(message, "KeyError", ("a line",)),
        failed_at=2.5,
    )


class BackfillStorageConformance:
    """Backfills by compare-and-set, their failures beside them, and their runs.

    A backend that keeps things beyond its process also overrides the fixture `another`.
    """

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    @pytest.fixture
    def another(self, storage: InstanceStorage) -> InstanceStorage:
        """The same data, opened once more, as in another process; by default the same storage."""
        return storage

    @pytest.fixture
    def backfills(self, storage: InstanceStorage) -> BackfillStorage:
        return storage.backfill_storage

    def test_one_is_found_as_it_was_added(
        self, backfills: BackfillStorage, another: InstanceStorage
    ) -> None:
        days = PartitionsSnapshot(
            PartitionsKind.DAILY, "2026-01-01", "2027-01-01", "Europe/Berlin", has_config=True
        )
        full = a_backfill(
            selection=PartitionSelection(range=PartitionRange(days, "2026-01-05", "2026-02-01")),
            scope=BackfillScope.MISSING,
            runs_at_once=7,
            tags={"team": "a"},
            run_config={"big": 2**80, "text": LONE_SURROGATE},
            requested_by="somebody",
        )
        added, is_new = backfills.add_backfill(full)
        assert is_new
        config = {"big": 2**80, "text": ESCAPED_SURROGATE}
        assert replace(added, number=0) == replace(full, run_config=config)
        assert another.backfill_storage.get_backfill("b1") == added
        assert (added.selection.count, added.selection.key_at(27)) == (28, "2026-02-01")
        plain, _ = backfills.add_backfill(a_backfill("b2"))
        assert (
            backfills.get_backfill("b2") == plain == replace(a_backfill("b2"), number=plain.number)
        )
        assert plain.number > added.number

    def test_one_that_is_not_there_is_none(self, backfills: BackfillStorage) -> None:
        assert backfills.find_backfill("gone") is None
        with pytest.raises(BackfillNotFoundError, match="there is no backfill 'gone'"):
            backfills.get_backfill("gone")
        with pytest.raises(BackfillNotFoundError):
            backfills.update_backfill(a_backfill("gone"))
        assert backfills.get_backfill_failures("gone", limit=1).failures == []

    def test_a_request_that_is_repeated_adds_one(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        added: list[tuple[str, bool]] = []

        def add(index: int) -> None:
            stores = (storage, another)[index % 2].backfill_storage
            found, is_new = stores.add_backfill(a_backfill(f"b{index}"), RequestKey("k", "d"))
            added.append((found.backfill_id, is_new))

        in_threads(6, add)
        (winner,) = (backfill_id for backfill_id, is_new in added if is_new)
        assert {backfill_id for backfill_id, _ in added} == {winner}
        with pytest.raises(BackfillAlreadyExistsError, match=f"'k' belongs to backfill '{winner}'"):
            storage.backfill_storage.add_backfill(a_backfill("x"), RequestKey("k", "other"))
        assert storage.backfill_storage.get_backfills_count(limit=9) == 1

    def test_what_becomes_of_it_is_written_and_what_was_asked_for_stays(
        self, backfills: BackfillStorage
    ) -> None:
        added, _ = backfills.add_backfill(a_backfill())
        changes: dict[str, Any] = {
            "status": BackfillStatus.FAILED,
            "attempt": 2,
            "position": 1,
            "skipped": 3,
            "unmade": 4,
            "terminates_runs": True,
            "waiting": "a code location is gone",
            "error": ErrorInfo("no such job", "JobNotFoundError", causes=(ErrorInfo("why"),)),
            "ended_at": 9.25,
        }
        given = replace(added, job_name="other", tags={"a": "b"}, **changes)
        expected = replace(added, version=1, **changes)
        assert backfills.update_backfill(given) == expected
        assert backfills.get_backfill("b1") == expected

    def test_what_has_changed_since_is_not_written_over(self, backfills: BackfillStorage) -> None:
        added, _ = backfills.add_backfill(a_backfill())
        kept = backfills.update_backfill(added, failed=[a_failure(0)])
        with pytest.raises(BackfillConflictError, match="read at version 0, and is at 1"):
            backfills.update_backfill(
                replace(added, position=2), failed=[a_failure(1)], forget_failures=True
            )
        assert backfills.get_backfill("b1") == kept
        assert backfills.get_backfill_failures("b1", limit=9).failures == [a_failure(0)]

    def test_of_many_that_write_at_once_one_does(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        added, _ = storage.backfill_storage.add_backfill(a_backfill())
        written: list[int] = []

        def write(index: int) -> None:
            stores = (storage, another)[index % 2].backfill_storage
            try:
                stores.update_backfill(replace(added, position=index), failed=[a_failure(index)])
            except BackfillConflictError:
                return
            written.append(index)

        in_threads(6, write)
        (winner,) = written
        assert storage.backfill_storage.get_backfill("b1").position == winner
        failures = storage.backfill_storage.get_backfill_failures("b1", limit=9).failures
        assert failures == [a_failure(winner)]

    def test_failures_come_by_position_and_are_replaced_and_forgotten(
        self, backfills: BackfillStorage
    ) -> None:
        read, _ = backfills.add_backfill(a_backfill())
        other, _ = backfills.add_backfill(a_backfill("b2"))
        backfills.update_backfill(other, failed=[a_failure(1)])
        read = backfills.update_backfill(read, failed=[a_failure(9), a_failure(2), a_failure(10)])
        read = backfills.update_backfill(read, failed=[a_failure(9, LONE_SURROGATE)])
        page = backfills.get_backfill_failures("b1", limit=2)
        assert page.failures == [a_failure(2), a_failure(9, ESCAPED_SURROGATE)]
        assert page.has_more
        rest = backfills.get_backfill_failures("b1", after=9, limit=2)
        assert (rest.failures, rest.has_more) == ([a_failure(10)], False)
        backfills.update_backfill(read, failed=[a_failure(5)], forget_failures=True)
        assert backfills.get_backfill_failures("b1", limit=9).failures == [a_failure(5)]
        assert backfills.get_backfill_failures("b2", limit=9).failures == [a_failure(1)]

    def test_they_are_listed_newest_first(self, backfills: BackfillStorage) -> None:
        for number, job_name in enumerate(["daily", "daily", "hourly", "daily"]):
            added, _ = backfills.add_backfill(a_backfill(f"b{number}", job_name=job_name))
            if number % 2:
                backfills.update_backfill(replace(added, status=BackfillStatus.CANCELED))

        def listed(**wanted: Any) -> list[str]:
            found = BackfillsFilter(**wanted)
            page = backfills.get_backfills(found, limit=9)
            assert backfills.get_backfills_count(found, limit=9) == len(page.backfills)
            return [each.backfill_id for each in page.backfills]

        first = backfills.get_backfills(limit=3)
        assert ([each.backfill_id for each in first.backfills], first.has_more) == (
            ["b3", "b2", "b1"],
            True,
        )
        rest = backfills.get_backfills(before=first.backfills[-1].number, limit=3)
        assert ([each.backfill_id for each in rest.backfills], rest.has_more) == (["b0"], False)
        assert listed(job_name="daily") == ["b3", "b1", "b0"]
        assert listed(statuses=frozenset({BackfillStatus.CANCELED})) == ["b3", "b1"]
        assert listed(statuses=frozenset()) == []
        assert listed(job_name="daily", statuses=frozenset({BackfillStatus.REQUESTED})) == ["b0"]
        assert listed(location_name="here", repository_name="main") == ["b3", "b2", "b1", "b0"]
        assert listed(location_name="there") == listed(repository_name="other") == []
        assert backfills.get_backfills_count(limit=2) == 2
        assert dict(backfills.get_backfill_counts()) == {BackfillStatus.REQUESTED: 2}

    def test_a_wipe_of_all_deletes_them_and_one_of_the_runs_does_not(
        self, storage: InstanceStorage
    ) -> None:
        added, _ = storage.backfill_storage.add_backfill(a_backfill(), RequestKey("k", "d"))
        kept = storage.backfill_storage.update_backfill(added, failed=[a_failure(0)])
        storage.run_storage.wipe()
        assert storage.backfill_storage.get_backfill("b1") == kept
        storage.wipe()
        assert storage.backfill_storage.get_backfills(limit=9).backfills == []
        assert storage.backfill_storage.get_backfill_failures("b1", limit=9).failures == []

    # ------------------------------------------------------------------------------ their runs

    def test_the_newest_run_of_each_partition_is_told(self, storage: InstanceStorage) -> None:
        runs = storage.run_storage
        _of_partition(storage, "r1", "eu", "b1")
        _of_partition(storage, "r2", "us", "b1")
        _of_partition(storage, "r3", "eu", "b2")
        _of_partition(storage, "r4", "eu", "b1", job_name="hourly")
        add_run(storage, run_id="r5", tags={BACKFILL_TAG: "b1"})

        def newest(*keys: str, **wanted: Any) -> dict[str, str]:
            found = runs.get_partition_runs(keys, **wanted)
            assert all(storage.get_run_record(each.run_id) == each for each in found.values())
            return {key: each.run_id for key, each in found.items()}

        assert newest("eu", "us", "asia") == {"eu": "r4", "us": "r2"}
        assert newest("eu", "us", job=JOB) == {"eu": "r3", "us": "r2"}
        assert newest("eu", job=JOB, backfill_id="b1") == {"eu": "r1"}
        assert newest("eu", "us", backfill_id="b2") == {"eu": "r3"}
        assert newest("eu", job=JobPlace("there", "main", "daily")) == {}
        assert newest() == {}

    def test_partitions_of_a_backfill_are_counted_by_the_status_of_their_newest_run(
        self, storage: InstanceStorage
    ) -> None:
        runs = storage.run_storage
        _of_partition(storage, "r1", "eu", "b1", RunStatus.FAILURE)
        _of_partition(storage, "r2", "us", "b1", RunStatus.FAILURE)
        _of_partition(storage, "r3", "eu", "b1", RunStatus.SUCCESS)
        _of_partition(storage, "r4", "asia", "b1", RunStatus.QUEUED)
        _of_partition(storage, "r5", "asia", "b2", RunStatus.STARTED)
        assert runs.get_backfill_run_counts("b1") == {
            RunStatus.SUCCESS: 1,
            RunStatus.FAILURE: 1,
            RunStatus.QUEUED: 1,
        }
        report(storage, "r4", EventType.RUN_CANCELED)
        assert runs.get_backfill_run_counts("b1")[RunStatus.CANCELED] == 1
        assert runs.get_backfill_run_counts("none") == {}


def _of_partition(
    storage: InstanceStorage,
    run_id: str,
    key: str,
    backfill_id: str,
    status: RunStatus = RunStatus.NOT_STARTED,
    job_name: str = JOB.job_name,
) -> RunRecord:
    return add_run_in(
        storage,
        status,
        run_id=run_id,
        job_name=job_name,
        repository_name=JOB.repository_name,
        location_name=JOB.location_name,
        tags={PARTITION_TAG: key, BACKFILL_TAG: backfill_id},
    )
