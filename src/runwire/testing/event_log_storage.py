"""What a storage of event logs must do with one run's log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runwire.errors import RunFinishedError, RunNotFoundError, StaleWorkerError
from runwire.events.entry import EventLogEntry, EventLogRecord, storable_text
from runwire.events.filters import EventFilter
from runwire.events.payloads import (
    AssetEventData,
    EngineEventData,
    StepRetryData,
    StepSuccessData,
)
from runwire.events.types import MIRRORED_EVENTS, EventType, LogLevel
from runwire.runs.run import RunRecord, StepCounts
from runwire.runs.steps import StepAttempt, StepHistory, StepMarker, StepStatus
from runwire.storage.event_log_storage import Append, EventLogPage, LogHead
from runwire.storage.instance_log import MAX_PAGE
from runwire.storage.instance_storage import InstanceStorage
from runwire.testing.samples import (
    ESCAPED_SURROGATE,
    LONE_SURROGATE,
    add_run,
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

_FILTERS = {
    "nothing": EventFilter(),
    "types": EventFilter(event_types=frozenset({EventType.STEP_START, EventType.ENGINE_EVENT})),
    "no types": EventFilter(event_types=frozenset()),
    "typed": EventFilter(typed=True),
    "untyped": EventFilter(typed=False),
    "levels": EventFilter(levels=frozenset({LogLevel.WARNING, LogLevel.ERROR})),
    "no levels": EventFilter(levels=frozenset()),
    "steps": EventFilter(step_keys=frozenset({"extract", "load[1]"})),
    "no steps": EventFilter(step_keys=frozenset()),
    "text": EventFilter(text="Rows"),
    "text of other case": EventFilter(text="ÄPFEL"),
    "wildcards in text": EventFilter(text="100%_"),
    "empty text": EventFilter(text=""),
    "several fields": EventFilter(
        typed=False, levels=frozenset({LogLevel.INFO}), step_keys=frozenset({"extract"}), text="row"
    ),
}
_MATCH_NOTHING = {"no types", "no levels", "no steps"}

_EVERYTHING: tuple[dict[str, Any], ...] = (
    {"message": "plain"},
    {"message": "", "level": LogLevel.DEBUG},
    {"message": "10 rows read", "step_key": "extract"},
    {"message": "nul \0 and 🙂", "step_key": "load[1]", "level": LogLevel.CRITICAL},
    {"message": "Äpfel äpfel", "level": LogLevel.WARNING, "timestamp": 12.25},
    {"message": "100%_ done", "step_key": "extract", "level": LogLevel.ERROR},
    {"message": "started", "event_type": EventType.STEP_START, "step_key": "extract"},
    {
        "message": "rows rows",
        "event_type": EventType.STEP_SUCCESS,
        "step_key": "extract",
        "data": StepSuccessData(12.5),
    },
    {
        "message": "again",
        "event_type": EventType.STEP_UP_FOR_RETRY,
        "step_key": "load[1]",
        "data": StepRetryData(3.0),
        "error": an_error(),
    },
    {"message": "engine", "event_type": EventType.ENGINE_EVENT, "error": an_error()},
)


class EventLogStorageConformance:
    """Appending, positions, guards, reading and counting."""

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    @pytest.fixture
    def run(self, storage: InstanceStorage) -> RunRecord:
        return add_run(storage)

    # ------------------------------------------------------------ appending

    def test_records_are_read_as_they_were_returned(
        self, storage: InstanceStorage, run: RunRecord
    ) -> None:
        entries = [EventLogEntry(run_id=run.run_id, **fields) for fields in _EVERYTHING]
        stored = _append(storage, run, *entries)
        assert stored == read_log(storage, run)
        assert stored == [
            EventLogRecord(
                run_id=run.run_id,
                position=position,
                timestamp=entry.timestamp,
                level=entry.severity,
                stored_type=entry.event_type and entry.event_type.value,
                message=storable_text(entry.message),
                step_key=entry.step_key,
                body=entry.encode_body(),
            )
            for position, entry in enumerate(entries, 1)
        ]
        assert [(record.data, record.error) for record in stored] == [
            (entry.data, entry.error) for entry in entries
        ]

    def test_lone_surrogates_are_stored_escaped(
        self, storage: InstanceStorage, run: RunRecord
    ) -> None:
        text, escaped = LONE_SURROGATE, ESCAPED_SURROGATE
        entry = event(
            run.run_id,
            EventType.ASSET_OBSERVATION,
            message=text,
            step_key=text,
            error=replace_message(text),
            data=AssetEventData((text,), partition=text, tags={text: text}),
        )
        storage.store_events(run.run_id, [entry])
        (record,) = read_log(storage, run)
        assert (record.message, record.step_key) == (escaped, escaped)
        assert record.error == replace_message(escaped)
        assert record.data == AssetEventData((escaped,), partition=escaped, tags={escaped: escaped})

    def test_positions_are_dense_under_eight_threads(
        self, storage: InstanceStorage, run: RunRecord
    ) -> None:
        stored: list[list[EventLogRecord]] = []

        def write(index: int) -> None:
            for turn in range(10):
                if turn % 5 == 4:
                    entries = [event(run.run_id, EventType.ASSET_OBSERVATION, message=f"{index}")]
                else:
                    entries = lines(run.run_id, 1 + turn % 3, step_key=f"{index}")
                stored.append(storage.store_events(run.run_id, entries))

        in_threads(8, write)
        log = read_log(storage, run)
        assert positions(log) == list(range(1, len(log) + 1))
        assert sorted((r for batch in stored for r in batch), key=lambda r: r.position) == log
        for batch in stored:  # a list is stored in one piece
            assert positions(batch) == list(range(batch[0].position, batch[-1].position + 1))

    def test_what_is_refused_leaves_nothing(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        before = read_log(storage, run)
        with pytest.raises(StaleWorkerError):
            _append(storage, run, *lines(run.run_id, 3), epoch=7)
        assert read_log(storage, run) == before

    def test_a_log_of_a_deleted_run_is_not_begun(self, storage: InstanceStorage) -> None:
        run = add_run(storage)
        storage.delete_run(run.run_id)
        with pytest.raises(RunNotFoundError):
            _append(storage, run, *lines(run.run_id, 1))
        assert read_log(storage, run) == []

    def test_a_late_writer_of_a_deleted_run_does_not_touch_the_run_made_anew(
        self, storage: InstanceStorage
    ) -> None:
        old = add_run(storage, run_id="run-1")
        _append(storage, old, *lines("run-1", 2))
        storage.delete_run("run-1")
        new = add_run(storage, run_id="run-1")
        _append(storage, new, event("run-1", message="mine"))

        with pytest.raises(RunNotFoundError):
            _append(storage, old, event("run-1", message="late"))
        assert read_log(storage, old) == []
        storage.event_log_storage.delete_log(old)
        assert messages(read_log(storage, new)) == ["mine"]

    # ------------------------------------------------------------ guards

    def test_a_stale_epoch_is_refused(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        with pytest.raises(StaleWorkerError) as refused:
            _append(storage, run, *lines(run.run_id, 1), epoch=0)
        assert (refused.value.epoch, refused.value.current) == (0, 1)
        assert _append(storage, run, *lines(run.run_id, 1), epoch=1)[0].epoch == 1
        assert _append(storage, run, *lines(run.run_id, 1))[0].epoch is None

    def test_after_the_end_a_worker_may_tell_run_events_only(
        self, storage: InstanceStorage
    ) -> None:
        run = launch(storage)
        report(storage, run.run_id, EventType.RUN_CANCELED)
        before = read_log(storage, run)
        with pytest.raises(RunFinishedError):
            _append(storage, run, *lines(run.run_id, 1), epoch=1)
        assert read_log(storage, run) == before
        assert len(_append(storage, run, *lines(run.run_id, 1))) == 1  # an outsider may

    # ------------------------------------------------------------ reading

    def test_a_filter_gives_the_records_that_match(
        self, storage: InstanceStorage, run: RunRecord
    ) -> None:
        logs = storage.event_log_storage
        entries = [EventLogEntry(run_id=run.run_id, **fields) for fields in _EVERYTHING]
        stored = _append(storage, run, *entries)
        for name, wanted in _FILTERS.items():
            matching = [record for record in stored if wanted.matches(record)]
            assert (name, not matching) == (name, name in _MATCH_NOTHING)
            page = logs.get_records(run, filter=wanted)
            assert (name, page) == (name, EventLogPage(matching, False))
            assert (name, logs.get_records_count(run, wanted)) == (name, len(matching))
            page = logs.get_records(run, filter=wanted, descending=True)
            assert (name, page) == (name, EventLogPage(matching[::-1], False))

    def test_paging_reads_every_record_once(self, storage: InstanceStorage, run: RunRecord) -> None:
        stored = _append(storage, run, *lines(run.run_id, 20))
        for limit in (1, 7, 20, 21):
            for descending in (False, True):
                read = _walk(storage, run, limit, descending)
                assert read == (stored[::-1] if descending else stored)

    def test_a_span_excludes_its_ends(self, storage: InstanceStorage, run: RunRecord) -> None:
        logs = storage.event_log_storage
        _append(storage, run, *lines(run.run_id, 10))

        def read(**span: Any) -> tuple[list[int], bool]:
            page = logs.get_records(run, **span)
            return positions(page.records), page.has_more

        assert read(after=3, before=6) == ([4, 5], False)
        assert read(after=3, before=6, descending=True) == ([5, 4], False)
        assert read(after=3, limit=2) == ([4, 5], True)
        assert read(after=8, limit=2) == ([9, 10], False)
        assert read(before=4, limit=2, descending=True) == ([3, 2], True)
        assert read(after=10) == ([], False)
        assert read(after=99) == ([], False)
        assert read(before=1) == ([], False)
        assert read(before=0) == ([], False)
        assert read(after=5, before=5) == ([], False)
        assert read(limit=0) == ([], True)

    def test_a_page_is_bounded(self, storage: InstanceStorage, run: RunRecord) -> None:
        _append(storage, run, *lines(run.run_id, MAX_PAGE + 1))
        page = storage.event_log_storage.get_records(run, limit=MAX_PAGE + 100)
        assert (len(page.records), page.has_more) == (MAX_PAGE, True)

    def test_counting_stops_at_the_limit(self, storage: InstanceStorage, run: RunRecord) -> None:
        _append(storage, run, *lines(run.run_id, 5))
        count = storage.event_log_storage.get_records_count
        assert [count(run, limit=n) for n in (1, 5, 6, None)] == [1, 5, 5, 5]

    def test_a_log_that_was_not_begun_is_empty(
        self, storage: InstanceStorage, run: RunRecord
    ) -> None:
        logs = storage.event_log_storage
        unknown = replace(run, run=replace(run.run, run_id="nobody"), log_id="0" * 32)
        for record in (run, unknown):
            assert logs.get_records(record) == EventLogPage([], False)
            assert logs.get_records_count(record) == 0
            assert logs.get_head(record) == LogHead(0, None)
            assert logs.get_mirrored_records(record, 0) == []
            assert logs.find_batch(record, "key") is None
            assert logs.get_run_stats(record) == StepCounts()
            assert logs.get_step_stats(record) == {}

    def test_the_head_tells_where_the_run_ended(self, storage: InstanceStorage) -> None:
        run, logs = launch(storage), storage.event_log_storage
        assert logs.get_head(run) == LogHead(1, None)
        report(storage, run.run_id, EventType.RUN_START, None, EventType.RUN_SUCCESS)
        assert logs.get_head(run) == LogHead(4, 4)
        report(storage, run.run_id, EventType.RUN_FAILURE, None)
        assert logs.get_head(run) == LogHead(6, 4)

    def test_mirrored_records_are_those_that_matter_across_runs(
        self, storage: InstanceStorage
    ) -> None:
        run, logs = launch(storage), storage.event_log_storage
        for event_type in (None, EventType.RUN_START, EventType.STEP_START, EventType.STEP_FAILURE):
            report(storage, run.run_id, event_type)
        report(storage, run.run_id, None, EventType.ASSET_MATERIALIZATION, None)
        mirrored = [r for r in read_log(storage, run) if r.event_type in MIRRORED_EVENTS]
        assert positions(mirrored) == [1, 3, 5, 7]
        for after in range(9):
            expected = [record for record in mirrored if record.position > after]
            assert logs.get_mirrored_records(run, after) == expected

    def test_a_batch_is_found_by_its_key(self, storage: InstanceStorage, run: RunRecord) -> None:
        logs = storage.event_log_storage
        report(storage, run.run_id, None)
        batch = storage.store_events(run.run_id, lines(run.run_id, 3), idempotency_key="a key")
        report(storage, run.run_id, None)
        assert positions(batch) == [2, 3, 4]
        assert logs.find_batch(run, "a key") == batch
        assert logs.find_batch(run, "A KEY") is None

    # ------------------------------------------------------------ counts

    def test_steps_are_counted_by_how_they_ended_last(self, storage: InstanceStorage) -> None:
        run = launch(storage, steps_planned=3)
        report(storage, run.run_id, EventType.RUN_START)
        for step_key, event_type in (
            ("a", EventType.STEP_START),
            ("a", EventType.STEP_FAILURE),
            ("a", EventType.STEP_RESTARTED),
            ("a", EventType.STEP_START),
            ("a", EventType.STEP_SUCCESS),
            ("b", EventType.STEP_START),
            ("b", EventType.STEP_UP_FOR_RETRY),
            ("c", EventType.STEP_SKIPPED),
            ("d", EventType.STEP_START),
            ("d", EventType.STEP_EXPECTATION_RESULT),
            ("d", EventType.ASSET_MATERIALIZATION),
            ("d", EventType.ASSET_MATERIALIZATION),
            ("d", EventType.STEP_FAILURE),
            ("e", EventType.STEP_WORKER_STARTING),
            ("f", None),
            ("g", EventType.LOGS_CAPTURED),
        ):
            report(storage, run.run_id, event_type, step_key=step_key)
        counts = StepCounts(
            planned=5,
            in_progress=1,
            succeeded=1,
            failed=1,
            skipped=1,
            materializations=2,
            expectations=1,
        )
        assert storage.event_log_storage.get_run_stats(run) == counts

        report(storage, run.run_id, EventType.RUN_FAILURE)
        ended = replace(counts, in_progress=0)
        assert storage.event_log_storage.get_run_stats(run) == ended
        assert storage.get_run_record(run.run_id).counts == ended

    def test_a_step_that_another_worker_begins_anew_counts_once(
        self, storage: InstanceStorage
    ) -> None:
        run, get_counts = (
            launch(storage, steps_planned=2),
            storage.event_log_storage.get_run_stats,
        )
        _work(
            storage,
            run,
            (None, EventType.RUN_START),
            ("a", EventType.STEP_START),
            ("a", EventType.STEP_SUCCESS),
            ("b", EventType.STEP_START),
        )
        counts = StepCounts(planned=2, in_progress=1, succeeded=1)
        assert get_counts(run) == counts
        run = _resume(storage, run)
        assert get_counts(run) == counts
        _work(storage, run, ("b", EventType.STEP_RESTARTED))
        assert get_counts(run) == counts
        _work(storage, run, ("b", EventType.STEP_SUCCESS), (None, EventType.RUN_SUCCESS))
        assert get_counts(run) == StepCounts(planned=2, succeeded=2)
        assert storage.get_run_record(run.run_id).counts == StepCounts(planned=2, succeeded=2)

    def test_a_step_that_was_interrupted_and_begins_anew_has_not_failed(
        self, storage: InstanceStorage
    ) -> None:
        run = launch(storage, steps_planned=1)
        _work(
            storage,
            run,
            (None, EventType.RUN_START),
            ("a", EventType.STEP_START),
            ("a", EventType.STEP_FAILURE),
        )
        run = _resume(storage, run)
        _work(storage, run, ("a", EventType.STEP_RESTARTED))
        counts = StepCounts(planned=1, in_progress=1)
        assert storage.event_log_storage.get_run_stats(run) == counts

    def test_planned_steps_count_though_no_event_names_them(self, storage: InstanceStorage) -> None:
        run = launch(storage, steps_planned=4)
        assert storage.event_log_storage.get_run_stats(run) == StepCounts(planned=4)

    # ------------------------------------------------------------ steps

    def test_steps_are_told_with_their_attempts_and_markers(self, storage: InstanceStorage) -> None:
        run, mark = launch(storage), EngineEventData
        at = iter(range(1, 100))

        def tell(event_type: EventType | None, step_key: str | None, **fields: Any) -> None:
            fields["timestamp"] = float(next(at))
            entry = event(run.run_id, event_type, step_key=step_key, **fields)
            storage.store_events(run.run_id, [entry], epoch=1)

        tell(EventType.STEP_WORKER_STARTING, "b", data=mark(marker_start="process"))
        tell(None, "lines only")
        tell(EventType.STEP_START, "a")
        tell(EventType.STEP_WORKER_STARTED, "b", data=mark(marker_end="process"))
        tell(EventType.STEP_START, "b")
        tell(EventType.STEP_UP_FOR_RETRY, "b", error=an_error())
        tell(EventType.STEP_EXPECTATION_RESULT, "a")
        tell(EventType.STEP_RESTARTED, "b")
        tell(EventType.ASSET_MATERIALIZATION, "b")
        tell(EventType.ASSET_MATERIALIZATION, None)
        tell(EventType.STEP_SUCCESS, "b", data=StepSuccessData(12.5))
        tell(EventType.STEP_SKIPPED, LONE_SURROGATE)
        steps = {
            "b": StepHistory(
                status=StepStatus.SUCCESS,
                attempts=(
                    _attempt(1, StepStatus.UP_FOR_RETRY, 5.0, 6.0),
                    _attempt(2, StepStatus.SUCCESS, 8.0, 11.0),
                ),
                markers=(StepMarker(name="process", started_at=1.0, ended_at=4.0),),
                materializations=1,
                error=an_error(),
            ),
            "a": StepHistory(
                status=StepStatus.IN_PROGRESS,
                attempts=(_attempt(1, StepStatus.IN_PROGRESS, 3.0, None),),
                expectations=1,
            ),
            ESCAPED_SURROGATE: StepHistory(status=StepStatus.SKIPPED),
        }
        get = storage.event_log_storage.get_step_stats
        told = get(run)
        assert (told, list(told)) == (steps, list(steps))
        for keys in (("a",), ("b", "a"), ("a", "gone"), ("lines only",), ()):
            assert get(run, keys) == {key: steps[key] for key in steps if key in keys}
        assert list(get(run, {LONE_SURROGATE})) == [ESCAPED_SURROGATE]

    def test_steps_of_a_long_log_are_told_in_full(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        for first in range(0, 2 * MAX_PAGE, 500):
            _append(
                storage,
                run,
                *(
                    event(run.run_id, event_type, step_key=f"step {first + n}")
                    for n in range(500)
                    for event_type in (None, EventType.STEP_START, EventType.STEP_SUCCESS)
                ),
            )
        told = storage.event_log_storage.get_step_stats(run)
        assert list(told) == [f"step {n}" for n in range(2 * MAX_PAGE)]
        assert {step.status for step in told.values()} == {StepStatus.SUCCESS}
        counts = StepCounts(planned=2 * MAX_PAGE, succeeded=2 * MAX_PAGE)
        assert storage.event_log_storage.get_run_stats(run) == counts

    # ------------------------------------------------------------ deleting

    def test_a_deleted_log_is_gone(self, storage: InstanceStorage, run: RunRecord) -> None:
        _append(storage, run, *lines(run.run_id, 2))
        storage.event_log_storage.delete_log(run)
        storage.event_log_storage.delete_log(run)
        assert read_log(storage, run) == []
        assert storage.event_log_storage.get_head(run) == LogHead(0, None)


def replace_message(message: str) -> Any:
    """The sample error with another message."""
    error = an_error()
    return type(error)(message, error.class_name, error.stack, error.causes)


def _attempt(number: int, status: StepStatus, start: float, end: float | None) -> StepAttempt:
    return StepAttempt(number=number, status=status, started_at=start, ended_at=end, epoch=1)


def _append(
    storage: InstanceStorage, run: RunRecord, *entries: EventLogEntry, epoch: int | None = None
) -> list[EventLogRecord]:
    """Appends entries none of which is mirrored, as the writer of log lines does."""
    assert not any(entry.is_mirrored for entry in entries)
    append = Append(entries, [True] * len(entries), epoch)
    return storage.event_log_storage.append(run, append)


def _work(storage: InstanceStorage, run: RunRecord, *told: tuple[str | None, EventType]) -> None:
    """Stores events, of a step or of none, as the run's worker."""
    for step_key, event_type in told:
        entry = event(run.run_id, event_type, step_key=step_key)
        storage.store_events(run.run_id, [entry], epoch=run.worker_epoch)


def _resume(storage: InstanceStorage, run: RunRecord) -> RunRecord:
    """Hands a run to its next worker."""
    lost = event(run.run_id, EventType.RUN_WORKER_LOST)
    storage.store_events(run.run_id, [lost], handover=True)
    return storage.get_run_record(run.run_id)


def _walk(
    storage: InstanceStorage, run: RunRecord, limit: int, descending: bool
) -> list[EventLogRecord]:
    read: list[EventLogRecord] = []
    span: dict[str, Any] = {}
    while True:
        page = storage.event_log_storage.get_records(
            run, limit=limit, descending=descending, **span
        )
        assert len(page.records) <= limit
        read += page.records
        if not page.has_more:
            return read
        span = {"before" if descending else "after": read[-1].position}
