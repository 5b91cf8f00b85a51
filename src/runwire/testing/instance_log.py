"""What a storage must do with the instance-wide log."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from runwire.events.filters import EventRecordsFilter
from runwire.events.payloads import AssetEventData
from runwire.events.types import ASSET_EVENTS, MIRRORED_EVENTS, EventType
from runwire.storage.event_log_storage import (
    InstanceEventKind,
    InstanceLogPage,
    InstanceLogRecord,
)
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
    """Entries, positions, filters and paging."""

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

    def test_the_id_of_the_log_stays(self, storage: InstanceStorage) -> None:
        log_id = storage.event_log_storage.get_instance_log_id()
        launch(storage)
        assert storage.event_log_storage.get_instance_log_id() == log_id
        assert log_id


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
