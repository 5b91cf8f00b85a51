"""What a storage must do with the instance-wide log."""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import product
from typing import Any

import pytest

from runwire.errors import CursorExpiredError, InputInvalidError
from runwire.events.cursor import Cursor, CursorScope
from runwire.events.filters import EventRecordsFilter
from runwire.events.payloads import AssetEventData
from runwire.events.types import ASSET_EVENTS, MIRRORED_EVENTS, RUN_EVENTS, EventType
from runwire.storage.event_log_storage import InstanceLogPage, InstanceLogSpan
from runwire.storage.instance_log import MAX_PAGE, InstanceEventKind, InstanceLogRecord
from runwire.storage.instance_storage import InstanceStorage
from runwire.testing.samples import add_run, event, in_threads, launch, read_log, report

_ALL = tuple(InstanceEventKind)

_FILTERS = (
    EventRecordsFilter(event_types=MIRRORED_EVENTS),
    EventRecordsFilter(event_types=frozenset({EventType.RUN_STARTING, EventType.STEP_FAILURE})),
    EventRecordsFilter(event_types=frozenset()),
    EventRecordsFilter(event_types=MIRRORED_EVENTS, job_names=frozenset({"weekly"})),
    EventRecordsFilter(event_types=MIRRORED_EVENTS, asset_keys=frozenset({("sales", "daily")})),
    EventRecordsFilter(
        event_types=MIRRORED_EVENTS, asset_keys=frozenset({("sales", "daily"), ("stock",)})
    ),
    EventRecordsFilter(
        event_types=frozenset({EventType.ASSET_OBSERVATION}), asset_keys=frozenset({("stock",)})
    ),
    EventRecordsFilter(
        event_types=ASSET_EVENTS, asset_keys=frozenset({("stock",)}), partitions=frozenset({"mon"})
    ),
    EventRecordsFilter(event_types=MIRRORED_EVENTS, after_timestamp=5001.0),
    EventRecordsFilter(event_types=MIRRORED_EVENTS, before_timestamp=5003.0),
    EventRecordsFilter(
        event_types=MIRRORED_EVENTS, after_timestamp=5001.0, before_timestamp=5003.0
    ),
)


class InstanceLogConformance:
    """Entries, positions, filters, paging and purging."""

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    def test_events_that_matter_across_runs_are_mirrored_as_they_are(
        self, storage: InstanceStorage
    ) -> None:
        run = launch(storage, created_at=10.0)
        report(storage, run.run_id, None, EventType.RUN_START, EventType.STEP_START)
        report(storage, run.run_id, EventType.ASSET_MATERIALIZATION, None)
        log = read_log(storage, run)
        assert _read(storage) == [
            InstanceLogRecord(
                position=position,
                kind=InstanceEventKind.EVENT,
                run_id=run.run_id,
                job_name="daily",
                timestamp=mirrored.timestamp,
                event=mirrored,
            )
            for position, mirrored in enumerate((log[0], log[2], log[4]), 2)
        ]

    def test_changes_of_runs_are_noted(self, storage: InstanceStorage) -> None:
        run = add_run(storage, created_at=10.0)
        with storage.run_storage.hold_run(run.run_id) as held:
            held.add_tags({"a": "b"})
        tagged = storage.get_run_record(run.run_id)
        storage.delete_run(run.run_id)
        entries = _read(storage, kinds=_ALL)
        assert [(entry.position, entry.kind, entry.event) for entry in entries] == [
            (1, InstanceEventKind.RUN_CREATED, None),
            (2, InstanceEventKind.RUN_TAGGED, None),
            (3, InstanceEventKind.RUN_DELETED, None),
        ]
        assert {(entry.run_id, entry.job_name) for entry in entries} == {(run.run_id, "daily")}
        assert [entry.timestamp for entry in entries[:2]] == [10.0, tagged.updated_at]

    def test_a_deleted_run_leaves_its_entries(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        report(storage, run.run_id, EventType.RUN_CANCELED)
        before = _read(storage)
        storage.delete_run(run.run_id)
        assert _read(storage) == before

    def test_an_event_that_is_not_applied_is_mirrored_too(self, storage: InstanceStorage) -> None:
        run = launch(storage)
        report(storage, run.run_id, EventType.RUN_CANCELED)
        (late,) = report(storage, run.run_id, EventType.RUN_SUCCESS)
        assert not late.applied
        assert _read(storage)[-1].event == late

    def test_positions_are_dense_under_eight_threads(self, storage: InstanceStorage) -> None:
        def work(_: int) -> None:
            for _turn in range(3):
                run = launch(storage)
                report(storage, run.run_id, EventType.RUN_START, EventType.RUN_SUCCESS)

        in_threads(8, work)
        entries = _read(storage, kinds=_ALL)
        assert [entry.position for entry in entries] == list(range(1, 8 * 3 * 4 + 1))

    def test_a_filter_gives_the_entries_that_match(self, storage: InstanceStorage) -> None:
        _fill(storage)
        everything = _read(storage, kinds=_ALL)
        for wanted, kinds in product(_FILTERS, (_ALL[:1], _ALL[1:], _ALL, ())):
            matching = [e for e in everything if e.kind in kinds and _matches(wanted, e)]
            assert _read(storage, wanted, kinds=kinds) == matching
            assert _read(storage, wanted, kinds=kinds, descending=True) == matching[::-1]

    def test_paging_reads_every_entry_once(self, storage: InstanceStorage) -> None:
        _fill(storage)
        everything = _read(storage, kinds=_ALL)
        for limit, descending in product((1, 3, len(everything)), (False, True)):
            read: list[InstanceLogRecord] = []
            has_more, span = True, dict[str, Any]()
            while has_more:
                page = storage.event_log_storage.get_event_records(
                    kinds=_ALL, limit=limit, descending=descending, **span
                )
                read, has_more = read + page.records, page.has_more
                span = {"before" if descending else "after": read[-1].position}
            assert read == (everything[::-1] if descending else everything)

    def test_a_span_excludes_its_ends(self, storage: InstanceStorage) -> None:
        for _ in range(5):
            add_run(storage)
        get = storage.event_log_storage.get_event_records
        page = get(kinds=_ALL, after=1, before=4)
        assert [entry.position for entry in page.records] == [2, 3]
        assert get(kinds=_ALL, after=5) == InstanceLogPage([], False)
        assert get(kinds=_ALL, before=0) == InstanceLogPage([], False)

    def test_types_of_events_that_the_log_does_not_have_are_refused_by_name(
        self, storage: InstanceStorage
    ) -> None:
        launch(storage)
        for event_type in set(EventType) - MIRRORED_EVENTS:
            with pytest.raises(InputInvalidError, match=f"^{event_type.value} is not in the"):
                _read(storage, EventRecordsFilter(event_types=RUN_EVENTS | {event_type}))

    def test_without_a_filter_positions_are_contiguous_whatever_the_page(
        self, storage: InstanceStorage
    ) -> None:
        run = add_run(storage)
        storage.store_events(run.run_id, [event(run.run_id, EventType.STEP_FAILURE)] * 1500)
        storage.event_log_storage.purge_instance_log(10)
        for after, limit in ((10, 1000), (17, 1), (501, 333), (1000, 2000)):
            page = storage.event_log_storage.get_event_records(kinds=_ALL, after=after, limit=limit)
            last = min(after + min(limit, MAX_PAGE), 1501)
            assert [e.position for e in page.records] == list(range(after + 1, last + 1))
            assert page.has_more == (last < 1501)

    def test_the_id_of_the_log_stays(self, storage: InstanceStorage) -> None:
        log_id = storage.event_log_storage.get_instance_log_id()
        launch(storage)
        assert storage.event_log_storage.get_instance_log_id() == log_id
        assert log_id

    # ------------------------------------------------------------ purging

    def test_the_span_tells_what_is_there(self, storage: InstanceStorage) -> None:
        logs = storage.event_log_storage
        assert logs.get_instance_log_span() == InstanceLogSpan(0, 0)
        launch(storage)
        assert logs.get_instance_log_span() == InstanceLogSpan(0, 2)
        logs.purge_instance_log(1)
        assert logs.get_instance_log_span() == InstanceLogSpan(1, 2)

    def test_a_purge_deletes_what_comes_first(self, storage: InstanceStorage) -> None:
        logs = storage.event_log_storage
        _fill(storage)
        everything = _read(storage, kinds=_ALL)
        for up_to, purged in ((0, 0), (-3, 0), (4, 4), (4, 0), (2, 0), (5, 1)):
            assert logs.purge_instance_log(up_to) == purged
        for after in range(5, len(everything) + 1):
            assert _read(storage, kinds=_ALL, after=after) == everything[after:]
        assert (
            _read(storage, kinds=_ALL, after=5, before=8, descending=True) == everything[5:7][::-1]
        )
        wanted = EventRecordsFilter(event_types=ASSET_EVENTS)
        matching = [e for e in everything[5:] if e.event and _matches(wanted, e)]
        assert _read(storage, wanted, after=5) == matching

    def test_a_purge_goes_no_further_than_the_head(self, storage: InstanceStorage) -> None:
        logs = storage.event_log_storage
        launch(storage)
        assert logs.purge_instance_log(99) == 2
        assert logs.purge_instance_log(99) == 0
        assert logs.get_instance_log_span() == InstanceLogSpan(2, 2)
        assert _read(storage, kinds=_ALL, after=2) == []
        add_run(storage)
        assert [entry.position for entry in _read(storage, kinds=_ALL, after=2)] == [3]

    def test_a_place_before_what_was_purged_has_expired(self, storage: InstanceStorage) -> None:
        logs = storage.event_log_storage
        _fill(storage)
        head = logs.get_instance_log_span().head
        logs.purge_instance_log(5)
        earliest = str(Cursor(CursorScope.INSTANCE, logs.get_instance_log_id(), 5))
        for after, descending, wanted in product((0, 4), (False, True), (None, *_FILTERS[:1])):
            with pytest.raises(CursorExpiredError) as expired:
                logs.get_event_records(wanted, after=after, descending=descending)
            assert expired.value.earliest == earliest
        assert len(_read(storage, kinds=_ALL, after=5)) == head - 5

    def test_many_entries_are_purged(self, storage: InstanceStorage) -> None:
        run = add_run(storage)
        entries = [event(run.run_id, EventType.STEP_FAILURE) for _ in range(2500)]
        storage.store_events(run.run_id, entries)
        assert storage.event_log_storage.purge_instance_log(2400) == 2400
        assert [e.position for e in _read(storage, kinds=_ALL, after=2400)] == [*range(2401, 2502)]
        assert len(storage.event_log_storage.get_mirrored_records(run, 0)) == 2500

    def test_purging_together_and_while_others_write_purges_once(
        self, storage: InstanceStorage
    ) -> None:
        logs = storage.event_log_storage
        for _ in range(20):
            launch(storage)
        purged: list[int] = []

        def work(index: int) -> None:
            for turn in range(1, 5):
                if index % 2:
                    purged.append(logs.purge_instance_log(turn * 10))
                else:
                    launch(storage)

        in_threads(6, work)
        assert sum(purged) == 40
        span = logs.get_instance_log_span()
        assert span == InstanceLogSpan(40, 40 + 3 * 4 * 2)
        read = [entry.position for entry in _read(storage, kinds=_ALL, after=40)]
        assert read == list(range(41, span.head + 1))

    def test_a_reader_sees_all_that_follows_or_is_told_that_it_is_gone(
        self, storage: InstanceStorage
    ) -> None:
        logs = storage.event_log_storage
        for _ in range(100):
            add_run(storage)
        ended = threading.Event()

        def work(index: int) -> None:
            if index == 0:
                for position in range(1, 101):
                    logs.purge_instance_log(position)
                ended.set()
            while not ended.is_set():
                after = logs.get_instance_log_span().purged_position
                try:
                    page = logs.get_event_records(kinds=_ALL, after=after)
                except CursorExpiredError:
                    continue
                assert [e.position for e in page.records] == list(range(after + 1, 101))

        in_threads(3, work)

    def test_a_reader_never_sees_a_part_of_what_a_purge_in_small_transactions_deletes(
        self, storage: InstanceStorage
    ) -> None:
        logs = storage.event_log_storage
        run = add_run(storage)
        for _ in range(3):
            storage.store_events(run.run_id, [event(run.run_id, EventType.STEP_FAILURE)] * 1000)
        ended = threading.Event()

        def work(index: int) -> None:
            if index == 0:
                try:
                    assert logs.purge_instance_log(2900) == 2900
                finally:
                    ended.set()
            while not ended.is_set():
                span = logs.get_instance_log_span()
                assert span.head == 3001
                with suppress(CursorExpiredError):
                    page = logs.get_event_records(kinds=_ALL, after=span.purged_position, limit=50)
                    first = span.purged_position + 1
                    assert [e.position for e in page.records] == list(range(first, first + 50))

        in_threads(3, work)
        assert logs.get_instance_log_span() == InstanceLogSpan(2900, 3001)

    def test_positions_that_were_purged_never_come_back(self, storage: InstanceStorage) -> None:
        logs = storage.event_log_storage
        run = launch(storage)
        for head in (2, 3, 4):
            assert logs.purge_instance_log(head) in (1, 2)
            assert logs.get_instance_log_span() == InstanceLogSpan(head, head)
            with pytest.raises(CursorExpiredError):
                logs.get_event_records(kinds=_ALL, after=head - 1)
            assert _read(storage, kinds=_ALL, after=head) == []
            report(storage, run.run_id, EventType.STEP_FAILURE)
            assert [e.position for e in _read(storage, kinds=_ALL, after=head)] == [head + 1]

    def test_wiping_begins_the_log_anew(self, storage: InstanceStorage) -> None:
        logs = storage.event_log_storage
        launch(storage)
        logs.purge_instance_log(2)
        storage.wipe()
        assert logs.get_instance_log_span() == InstanceLogSpan(0, 0)
        assert _read(storage, kinds=_ALL) == []
        add_run(storage)
        assert [entry.position for entry in _read(storage, kinds=_ALL)] == [1]


def _read(
    storage: InstanceStorage, filter: EventRecordsFilter | None = None, **span: Any
) -> list[InstanceLogRecord]:
    page = storage.event_log_storage.get_event_records(filter, **span)
    assert not page.has_more
    return page.records


def _fill(storage: InstanceStorage) -> None:
    for number, job_name in enumerate(("daily", "weekly", "daily"), 1):
        run = add_run(storage, created_at=5000.0 + number, job_name=job_name)
        for event_type, key, partition in (
            (EventType.RUN_STARTING, None, None),
            (EventType.ASSET_MATERIALIZATION, ("sales", "daily"), None),
            (EventType.ASSET_OBSERVATION, ("stock",), "mon"),
            (EventType.ASSET_MATERIALIZATION, ("stock",), "tue"),
            (EventType.STEP_FAILURE, None, None),
        ):
            data = None if key is None else AssetEventData(key, partition)
            entry = event(run.run_id, event_type, data=data, timestamp=5000.0 + number)
            storage.store_events(run.run_id, [entry])


def _matches(filter: EventRecordsFilter, entry: InstanceLogRecord) -> bool:
    is_in_time = (filter.after_timestamp is None or entry.timestamp > filter.after_timestamp) and (
        filter.before_timestamp is None or entry.timestamp < filter.before_timestamp
    )
    is_of_job = filter.job_names is None or entry.job_name in filter.job_names
    if entry.event is None:
        return is_in_time and is_of_job and filter.asset_keys is None
    return is_in_time and is_of_job and _is_event_wanted(filter, entry)


def _is_event_wanted(filter: EventRecordsFilter, entry: InstanceLogRecord) -> bool:
    assert entry.event is not None
    data = entry.event.data
    if entry.event.event_type not in filter.event_types:
        return False
    if filter.asset_keys is None:
        return True
    return (
        isinstance(data, AssetEventData)
        and data.asset_key in filter.asset_keys
        and (filter.partitions is None or data.partition in filter.partitions)
    )
