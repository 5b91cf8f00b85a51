"""What a storage must do as a whole: event and status are one fact."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runwire.errors import (
    RunFinishedError,
    RunNotFoundError,
    RunStateConflictError,
    StaleWorkerError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.payloads import AssetEventData, RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.runs.projection import project
from runwire.runs.run import RunFailure, RunRecord, StepCounts
from runwire.runs.status import TRANSITIONS, RunStatus
from runwire.storage.event_log_storage import Append, LogHead
from runwire.storage.instance_log import InstanceEventKind
from runwire.storage.instance_storage import InstanceStorage
from runwire.testing.samples import (
    RUN_EVENT_TYPES,
    add_run,
    add_run_in,
    an_error,
    event,
    in_threads,
    launch,
    lines,
    messages,
    positions,
    read_log,
    report,
)


class InstanceStorageConformance:
    """Statuses, fencing, conditions, batches, repair, deletion."""

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    # ------------------------------------------------------------ statuses

    @pytest.mark.parametrize("status", RunStatus, ids=lambda status: status.value)
    def test_every_run_event_is_applied_as_the_table_says_or_kept_without_effect(
        self, storage: InstanceStorage, status: RunStatus
    ) -> None:
        for event_type in RUN_EVENT_TYPES:
            before = add_run_in(storage, status)
            (record,) = report(storage, before.run_id, event_type, timestamp=5000.5)
            after = storage.get_run_record(before.run_id)
            to = TRANSITIONS.get((status, event_type))
            assert record.applied == (to is not None)
            assert record == read_log(storage, before)[-1]
            if to is None:
                assert after == replace(before, applied_position=record.position)
            else:
                # An end counts the log; what counts is another test's matter.
                assert after == replace(project(before, record), counts=after.counts)
                assert after.status is to

    def test_instants_are_those_of_the_events(self, storage: InstanceStorage) -> None:
        run = add_run(storage, created_at=10.0)
        for event_type, timestamp in (
            (EventType.RUN_ENQUEUED, 20.0),
            (EventType.RUN_STARTING, 30.0),
            (EventType.RUN_START, 40.0),
            (EventType.RUN_SUCCESS, 50.0),
        ):
            report(storage, run.run_id, event_type, timestamp=timestamp)
        record = storage.get_run_record(run.run_id)
        assert record == replace(
            run,
            status=RunStatus.SUCCESS,
            updated_at=50.0,
            enqueued_at=20.0,
            launched_at=30.0,
            started_at=40.0,
            ended_at=50.0,
            applied_position=4,
        )

    def test_a_failure_is_told_by_the_run(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        data = RunFailureData(RunFailureReason.STEP_FAILURE, ("extract", "load"))
        failed = event(
            run.run_id, EventType.RUN_FAILURE, message="2 steps failed", data=data, error=an_error()
        )
        storage.store_events(run.run_id, [failed])
        assert storage.get_run_record(run.run_id).failure == RunFailure(
            reason=RunFailureReason.STEP_FAILURE,
            message="2 steps failed",
            error=an_error(),
            failed_step_keys=("extract", "load"),
        )

    def test_a_success_after_a_cancellation_changes_nothing(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        storage.store_events(run.run_id, [event(run.run_id, EventType.RUN_START)], epoch=1)
        report(storage, run.run_id, EventType.RUN_CANCELED)
        canceled = storage.get_run_record(run.run_id)

        success = event(run.run_id, EventType.RUN_SUCCESS)
        (late,) = storage.store_events(run.run_id, [success], epoch=1)

        assert (late.position, late.applied) == (4, False)
        assert read_log(storage, run)[-1] == late
        assert storage.get_run_record(run.run_id) == replace(canceled, applied_position=4)
        assert storage.event_log_storage.get_head(run) == LogHead(4, 3)

    def test_of_many_ends_at_the_same_time_one_is_applied(self, storage: InstanceStorage) -> None:
        run = add_run_in(storage, RunStatus.STARTED)
        ends = (EventType.RUN_SUCCESS, EventType.RUN_FAILURE, EventType.RUN_CANCELED)

        def end_it(index: int) -> None:
            report(storage, run.run_id, ends[index % 3])

        in_threads(6, end_it)
        log = read_log(storage, run)
        assert positions(log) == list(range(1, 9))
        applied = [record for record in log[2:] if record.applied]
        assert len(applied) == 1
        assert storage.get_run_record(run.run_id).status.value == (
            applied[0].stored_type or ""
        ).removeprefix("RUN_")

    def test_the_run_of_each_event_of_a_list_counts_for_the_next(
        self, storage: InstanceStorage
    ) -> None:
        run = add_run(storage)
        stored = report(
            storage,
            run.run_id,
            EventType.RUN_STARTING,
            EventType.RUN_START,
            None,
            EventType.RUN_SUCCESS,
            EventType.RUN_CANCELED,
        )
        assert [record.applied for record in stored] == [True, True, True, True, False]
        record = storage.get_run_record(run.run_id)
        assert (record.status, record.applied_position) == (RunStatus.SUCCESS, 5)
        assert storage.event_log_storage.get_head(run) == LogHead(5, 4)

    # ------------------------------------------------------------ fencing

    def test_a_hand_over_raises_the_epoch_and_its_events_carry_it(
        self, storage: InstanceStorage
    ) -> None:
        run = launch(storage)
        assert [record.epoch for record in read_log(storage, run)] == [1]
        assert run.status is RunStatus.STARTING
        assert run.resume_attempts == 0

        lost = event(run.run_id, EventType.RUN_WORKER_LOST)
        stored = storage.store_events(run.run_id, [lost, *lines(run.run_id, 1)], handover=True)
        assert [record.epoch for record in stored] == [2, 2]
        resumed = storage.get_run_record(run.run_id)
        assert (resumed.worker_epoch, resumed.resume_attempts) == (2, 1)
        with pytest.raises(StaleWorkerError):
            storage.store_events(run.run_id, lines(run.run_id, 1), epoch=1)
        assert len(storage.store_events(run.run_id, lines(run.run_id, 1), epoch=2)) == 1

    def test_a_run_that_no_event_moves_is_not_handed_over(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        again = event(run.run_id, EventType.RUN_STARTING)
        (stored,) = storage.store_events(run.run_id, [again], handover=True)
        assert (stored.applied, stored.epoch) == (False, None)
        assert storage.get_run_record(run.run_id) == replace(run, applied_position=2)
        assert len(storage.store_events(run.run_id, lines(run.run_id, 1), epoch=1)) == 1

    @pytest.mark.parametrize("event_type", [None, EventType.STEP_START, EventType.RUN_START])
    def test_a_stale_worker_stores_nothing(
        self, storage: InstanceStorage, event_type: EventType | None
    ) -> None:
        run = launch(storage)
        for epoch in (0, 2):
            with pytest.raises(StaleWorkerError):
                storage.store_events(run.run_id, [event(run.run_id, event_type)], epoch=epoch)
        assert len(read_log(storage, run)) == 1
        assert storage.get_run_record(run.run_id) == run

    def test_after_the_end_a_worker_stores_run_events_only(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        report(storage, run.run_id, EventType.RUN_CANCELED)
        ended = storage.get_run_record(run.run_id)
        for refused in ([None], [EventType.STEP_FAILURE], [None, EventType.ASSET_OBSERVATION]):
            entries = [event(run.run_id, each) for each in refused]
            with pytest.raises(RunFinishedError):
                storage.store_events(run.run_id, entries, epoch=1)
        assert storage.get_run_record(run.run_id) == ended
        assert len(read_log(storage, run)) == 2

        mixed = [event(run.run_id, each) for each in (None, EventType.RUN_FAILURE, None)]
        stored = storage.store_events(run.run_id, mixed, epoch=1)
        assert [(r.position, r.event_type, r.applied) for r in stored] == [
            (3, EventType.RUN_FAILURE, False)
        ]
        assert storage.get_run_record(run.run_id) == replace(ended, applied_position=3)

    # ------------------------------------------------------------ conditions

    def test_in_another_status_nothing_is_stored(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        for entries in ([event(run.run_id, EventType.RUN_ENQUEUED)], lines(run.run_id, 2)):
            with pytest.raises(RunStateConflictError) as refused:
                storage.store_events(
                    run.run_id, entries, require={RunStatus.QUEUED, RunStatus.NOT_STARTED}
                )
            assert refused.value.status == "STARTING"
            assert refused.value.expected == ("NOT_STARTED", "QUEUED")
        assert storage.get_run_record(run.run_id) == run
        assert len(read_log(storage, run)) == 1

    def test_of_two_who_require_the_same_status_one_wins(self, storage: InstanceStorage) -> None:
        run = add_run(storage)
        conflicts: list[RunStateConflictError] = []

        def launch_it(_: int) -> None:
            starting = event(run.run_id, EventType.RUN_STARTING)
            try:
                storage.store_events(
                    run.run_id, [starting], require={RunStatus.NOT_STARTED}, handover=True
                )
            except RunStateConflictError as conflict:
                conflicts.append(conflict)

        in_threads(6, launch_it)
        assert len(conflicts) == 5
        assert len(read_log(storage, run)) == 1
        assert storage.get_run_record(run.run_id).worker_epoch == 1

    def test_an_unknown_run_is_refused(self, storage: InstanceStorage) -> None:
        for event_type in (None, EventType.RUN_START):
            with pytest.raises(RunNotFoundError):
                storage.store_events("nobody", [event("nobody", event_type)])
        with pytest.raises(RunNotFoundError):
            storage.delete_run("nobody")

    def test_no_entries_change_nothing(self, storage: InstanceStorage) -> None:
        run = add_run(storage)
        assert storage.store_events(run.run_id, []) == []
        assert storage.get_run_record(run.run_id) == run

    def test_a_known_run_spares_log_lines_the_look_up(self, storage: InstanceStorage) -> None:
        run = add_run(storage)
        (record,) = storage.store_events(run.run_id, lines(run.run_id, 1), known=run)
        assert read_log(storage, run) == [record]

    # ------------------------------------------------------------ batches

    def test_a_batch_with_a_key_is_stored_once(self, storage: InstanceStorage) -> None:
        run = add_run(storage, managed=True)
        entries = [event(run.run_id, each) for each in (EventType.RUN_START, None)]
        first = storage.store_events(run.run_id, entries, idempotency_key="one")
        report(storage, run.run_id, None)
        assert storage.store_events(run.run_id, entries, idempotency_key="one") == first
        assert storage.store_events(run.run_id, entries[1:], idempotency_key="one") == first
        other = storage.store_events(run.run_id, entries[1:], idempotency_key="two")
        assert positions([*first, *other]) == [1, 2, 4]
        assert len(read_log(storage, run)) == 4

    def test_of_the_same_batch_at_the_same_time_one_is_stored(
        self, storage: InstanceStorage
    ) -> None:
        run = add_run(storage, managed=True)
        outcomes: list[list[int]] = []

        def send(_: int) -> None:
            entries = lines(run.run_id, 3)
            stored = storage.store_events(run.run_id, entries, idempotency_key="key")
            outcomes.append(positions(stored))

        in_threads(6, send)
        assert outcomes == [[1, 2, 3]] * 6
        assert len(read_log(storage, run)) == 3

    def test_a_batch_that_was_refused_may_be_sent_again(self, storage: InstanceStorage) -> None:
        run = add_run(storage, managed=True)
        batch = lines(run.run_id, 2)
        with pytest.raises(RunStateConflictError):
            storage.store_events(
                run.run_id, batch, require={RunStatus.QUEUED}, idempotency_key="key"
            )
        assert read_log(storage, run) == []
        stored = storage.store_events(run.run_id, batch, idempotency_key="key")
        assert positions(stored) == [1, 2]

    # ------------------------------------------------------------ crashes

    def test_repair_makes_rows_reflect_their_logs(self, storage: InstanceStorage) -> None:
        behind = launch(storage, steps_planned=1)
        ended = launch(storage, steps_planned=1)
        up_to_date = launch(storage)
        asset = event(
            behind.run_id, EventType.ASSET_MATERIALIZATION, data=AssetEventData(("sales",))
        )
        _crash(storage, behind, [event(behind.run_id, EventType.RUN_START), asset])
        _crash(storage, ended, [event(ended.run_id, EventType.RUN_START)])
        storage.store_events(ended.run_id, lines(ended.run_id, 1))
        for record in (behind, ended, up_to_date):
            assert storage.get_run_record(record.run_id) == record  # readers do not repair

        in_log = [_as_its_log_says(storage, each) for each in (behind, ended, up_to_date)]
        expected = sum(a != b for a, b in zip(in_log, (behind, ended, up_to_date), strict=True))
        assert storage.repair() == expected
        repaired = [storage.get_run_record(r.run_id) for r in (behind, ended, up_to_date)]
        assert repaired == in_log
        assert _mirrored_is_complete(storage)
        assert storage.repair() == 0
        assert _mirrored_is_complete(storage)

    def test_a_crash_at_the_end_is_repaired_by_the_next_who_writes(
        self, storage: InstanceStorage
    ) -> None:
        run = launch(storage, steps_planned=2)
        storage.store_events(
            run.run_id,
            [
                event(run.run_id, EventType.RUN_START),
                event(run.run_id, EventType.STEP_SUCCESS, step_key="a"),
            ],
        )
        started = storage.get_run_record(run.run_id)
        _crash(storage, started, [event(run.run_id, EventType.RUN_SUCCESS)], ends_run=True)
        in_log = _as_its_log_says(storage, started)
        had_ended = in_log.is_finished

        (late,) = report(storage, run.run_id, EventType.RUN_FAILURE)

        assert late.applied is not had_ended
        assert read_log(storage, run)[-1] == late
        record = storage.get_run_record(run.run_id)
        assert record.status is (RunStatus.SUCCESS if had_ended else RunStatus.FAILURE)
        assert record.applied_position == late.position
        assert record.counts == StepCounts(planned=2, succeeded=1)
        assert _mirrored_is_complete(storage)

    def test_a_hand_over_that_crashed_counts(self, storage: InstanceStorage) -> None:
        run = add_run(storage)
        starting = event(run.run_id, EventType.RUN_STARTING)
        _crash(storage, run, [starting], handover_epoch=1)
        in_log = _as_its_log_says(storage, run)
        storage.repair()
        record = storage.get_run_record(run.run_id)
        assert record == in_log
        assert record.worker_epoch in {0, 1}
        lines_stored = storage.store_events(
            run.run_id, lines(run.run_id, 1), epoch=record.worker_epoch
        )
        assert len(lines_stored) == 1

    # ------------------------------------------------------------ deletion

    def test_a_deleted_run_is_gone_and_leaves_a_tombstone(self, storage: InstanceStorage) -> None:
        run = launch(storage, tags={"a": "b"})
        storage.delete_run(run.run_id)
        assert storage.run_storage.find_run_record(run.run_id) is None
        assert read_log(storage, run) == []
        (tombstone,) = storage.event_log_storage.get_event_records(
            kinds=[InstanceEventKind.RUN_DELETED]
        ).records
        assert (tombstone.run_id, tombstone.job_name) == (run.run_id, "daily")
        for event_type in (None, EventType.RUN_START):
            with pytest.raises(RunNotFoundError):
                report(storage, run.run_id, event_type)
        with pytest.raises(RunNotFoundError):
            storage.store_events(run.run_id, lines(run.run_id, 1), known=run)

    def test_in_another_status_nothing_is_deleted(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        with pytest.raises(RunStateConflictError):
            storage.delete_run(run.run_id, require={RunStatus.SUCCESS})
        assert storage.get_run_record(run.run_id) == run
        assert len(read_log(storage, run)) == 1

    def test_a_run_made_anew_under_the_same_id_begins_with_an_empty_log(
        self, storage: InstanceStorage
    ) -> None:
        old = launch(storage, run_id="run-1")
        storage.store_events("run-1", lines("run-1", 3))
        storage.delete_run("run-1")
        new = add_run(storage, run_id="run-1")
        assert new.log_id != old.log_id
        assert new.storage_id > old.storage_id
        assert (new.worker_epoch, new.applied_position) == (0, 0)
        assert read_log(storage, new) == []
        stored = report(storage, "run-1", EventType.RUN_ENQUEUED)
        assert positions(stored) == [1]
        assert messages(read_log(storage, new)) == ["RUN_ENQUEUED"]


class _CrashError(Exception):
    """Stands for the end of the process."""


def _crash(
    storage: InstanceStorage,
    run: RunRecord,
    entries: Sequence[EventLogEntry],
    *,
    handover_epoch: int | None = None,
    ends_run: bool = False,
) -> None:
    """Stores events as far as a writer does that dies before it makes the row reflect them.

    Where log and row are in one database, that leaves nothing.
    """
    append = Append(
        entries, [True] * len(entries), handover_epoch=handover_epoch, ends_run=ends_run
    )

    def append_and_crash() -> None:
        with storage.run_storage.hold_run(run.run_id) as held:
            storage.event_log_storage.append(held.record, append, held)
            raise _CrashError

    with pytest.raises(_CrashError):
        append_and_crash()


def _as_its_log_says(storage: InstanceStorage, run: RunRecord) -> RunRecord:
    mirrored = storage.event_log_storage.get_mirrored_records(run, run.applied_position)
    record = functools.reduce(project, mirrored, run)
    if record.is_finished:
        return replace(record, counts=storage.event_log_storage.get_run_stats(run))
    return record


def _mirrored_is_complete(storage: InstanceStorage) -> bool:
    """Whether the instance-wide log has each mirrored event of each run's log once."""
    mirrored = [
        (entry.run_id, entry.event.position)
        for entry in storage.event_log_storage.get_event_records().records
        if entry.event is not None
    ]
    expected = [
        (record.run_id, event.position)
        for record in storage.run_storage.get_run_records(limit=100).records
        for event in storage.event_log_storage.get_mirrored_records(record, 0)
    ]
    return sorted(mirrored) == sorted(expected)
