"""What a storage must do to list and count runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from runwire.runs.filters import (
    NEWEST_FIRST,
    RunOrder,
    RunOrderField,
    RunPlace,
    RunsFilter,
    TagFilter,
    TimeRange,
)
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage.instance_storage import InstanceStorage
from runwire.testing.samples import WAYS, add_run, event

_ORDERS = [RunOrder(field, descending) for field in RunOrderField for descending in (True, False)]

_FILTERS = {
    "nothing": RunsFilter(),
    "ids": RunsFilter(run_ids=frozenset({"run-3", "run-7", "run-99"})),
    "no ids": RunsFilter(run_ids=frozenset()),
    "prefix": RunsFilter(run_id_prefix="run-1"),
    "prefix of other case": RunsFilter(run_id_prefix="RUN-"),
    "wildcard as prefix": RunsFilter(run_id_prefix="run_"),
    "empty prefix": RunsFilter(run_id_prefix=""),
    "jobs": RunsFilter(job_names=frozenset({"daily", "weekly"})),
    "no jobs": RunsFilter(job_names=frozenset()),
    "location": RunsFilter(location_name="b.py"),
    "statuses": RunsFilter(statuses=frozenset({RunStatus.QUEUED, RunStatus.SUCCESS})),
    "no statuses": RunsFilter(statuses=frozenset()),
    "tag": RunsFilter(tags=(TagFilter("team"),)),
    "tag with a value": RunsFilter(tags=(TagFilter("team", frozenset({"sales"})),)),
    "tag with values": RunsFilter(tags=(TagFilter("team", frozenset({"sales", "ops"})),)),
    "tag with no values": RunsFilter(tags=(TagFilter("team", frozenset()),)),
    "tags": RunsFilter(tags=(TagFilter("team", frozenset({"sales"})), TagFilter("tier"))),
    "created after": RunsFilter(created_at=TimeRange(after=103.0)),
    "created between": RunsFilter(created_at=TimeRange(after=103.0, before=107.0)),
    "updated before": RunsFilter(updated_at=TimeRange(before=2000.0)),
    "updated at any time": RunsFilter(updated_at=TimeRange()),
    "group": RunsFilter(root_run_id="run-6"),
    "group of one": RunsFilter(root_run_id="run-1"),
    "group of a run that is no root": RunsFilter(root_run_id="run-10"),
    "no group": RunsFilter(root_run_id="run-99"),
    "some of a group": RunsFilter(
        root_run_id="run-0", job_names=frozenset({"weekly"}), tags=(TagFilter("team"),)
    ),
    "group and time": RunsFilter(root_run_id="run-12", created_at=TimeRange(before=107.0)),
    "ids and other fields": RunsFilter(
        run_ids=frozenset(f"run-{number}" for number in range(12)),
        job_names=frozenset({"daily"}),
        statuses=frozenset(RunStatus) - {RunStatus.NOT_STARTED},
        tags=(TagFilter("team"),),
        created_at=TimeRange(after=101.0, before=108.0),
        updated_at=TimeRange(before=3000.0),
    ),
    "prefix and other fields": RunsFilter(
        run_id_prefix="run-1",
        job_names=frozenset({"daily", "weekly"}),
        statuses=frozenset(RunStatus) - {RunStatus.NOT_STARTED},
        tags=(TagFilter("team"),),
        created_at=TimeRange(after=101.0),
        updated_at=TimeRange(after=900.0),
    ),
    "ids and group": RunsFilter(run_ids=frozenset({"run-4", "run-6"}), root_run_id="run-6"),
    "prefix and group": RunsFilter(run_id_prefix="run-1", root_run_id="run-12"),
    "several fields": RunsFilter(
        job_names=frozenset({"daily"}),
        statuses=frozenset(RunStatus) - {RunStatus.NOT_STARTED},
        tags=(TagFilter("team"),),
        created_at=TimeRange(after=101.0),
    ),
}

_MATCH_NOTHING = {
    "no ids",
    "prefix of other case",
    "wildcard as prefix",
    "no jobs",
    "no statuses",
    "tag with no values",
    "group of a run that is no root",
    "no group",
}


class RunListConformance:
    """Filters, orders, paging and counts. `RunsFilter.matches` says what is right."""

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    @pytest.fixture
    def records(self, storage: InstanceStorage) -> list[RunRecord]:
        """Eighteen runs, in the order of making, with ties and with instants that are missing."""
        run_ids = [_add(storage, number) for number in range(18)]
        return [storage.get_run_record(run_id) for run_id in run_ids]

    def test_a_filter_gives_the_runs_that_match(
        self, storage: InstanceStorage, records: list[RunRecord]
    ) -> None:
        for name, wanted in _FILTERS.items():
            matching = [each for each in _in_order(records, NEWEST_FIRST) if wanted.matches(each)]
            page = storage.run_storage.get_run_records(wanted, limit=100)
            assert (name, page.records, page.has_more) == (name, matching, False)
            count = storage.run_storage.get_runs_count(wanted)
            assert (name, count) == (name, len(matching))

    def test_the_filters_tell_runs_apart(self, records: list[RunRecord]) -> None:
        """Else the test above would prove little."""
        found = {name: sum(map(each.matches, records)) for name, each in _FILTERS.items()}
        assert {name for name, number in found.items() if number == 0} == _MATCH_NOTHING

    def test_counting_stops_at_the_limit(
        self, storage: InstanceStorage, records: list[RunRecord]
    ) -> None:
        count = storage.run_storage.get_runs_count
        assert [count(limit=n) for n in (1, 17, 18, 19, None)] == [1, 17, 18, 18, 18]
        assert count(RunsFilter(job_names=frozenset({"daily"})), limit=2) == 2

    def test_an_order_is_total(self, storage: InstanceStorage, records: list[RunRecord]) -> None:
        runs = storage.run_storage
        for order in _ORDERS:
            expected = _in_order(records, order)
            forward = runs.get_run_records(order=order, limit=100)
            assert (order, forward.records) == (order, expected)
            backward = runs.get_run_records(order=order, limit=100, backward=True)
            assert (order, backward.records) == (order, expected[::-1])

    def test_paging_meets_every_run_once(
        self, storage: InstanceStorage, records: list[RunRecord]
    ) -> None:
        wanted = (None, RunsFilter(job_names=frozenset({"daily"})), _FILTERS["group"])
        for order, limit, backward in product(_ORDERS, (1, 4, 18), (False, True)):
            expected = _in_order(records, order)[:: -1 if backward else 1]
            for each in wanted:
                matching = [run for run in expected if each is None or each.matches(run)]
                assert list(_walk(storage, each, order, limit, backward)) == matching

    def test_the_place_of_a_deleted_run_still_holds(
        self, storage: InstanceStorage, records: list[RunRecord]
    ) -> None:
        gone = records[9]
        storage.delete_run(gone.run_id)
        for order in _ORDERS:
            everything = _in_order(records, order)
            index = everything.index(gone)
            place = RunPlace.of(gone, order)
            runs = storage.run_storage
            page = runs.get_run_records(order=order, after=place, limit=100)
            assert page.records == everything[index + 1 :]
            page = runs.get_run_records(order=order, after=place, limit=100, backward=True)
            assert page.records == everything[:index][::-1]

    def test_more_runs_are_told_of(
        self, storage: InstanceStorage, records: list[RunRecord]
    ) -> None:
        runs = storage.run_storage
        assert [runs.get_run_records(limit=n).has_more for n in (17, 18, 19)] == [
            True,
            False,
            False,
        ]
        assert runs.get_run_records(limit=0).records == []

    def test_nothing_is_empty(self, storage: InstanceStorage) -> None:
        page = storage.run_storage.get_run_records(limit=5)
        assert (page.records, page.has_more) == ([], False)
        assert storage.run_storage.get_runs_count() == 0


def _add(storage: InstanceStorage, number: int) -> str:
    statuses = list(RunStatus)
    status = statuses[number % len(statuses)]
    root_run_id = f"run-{number // 6 * 6}" if number % 6 > 3 else None
    tags = [{}, {"team": "sales"}, {"team": "ops", "tier": "1"}, {"team": "sales", "tier": "2"}]
    record = add_run(
        storage,
        created_at=100.0 + (number // 2 * 4) % 9,  # repeats, and clocks jump
        run_id=f"run-{number}",
        job_name=("daily", "weekly", "daily", "hourly")[number % 4],
        location_name=("a.py", "b.py", None)[number % 3],
        tags=tags[number % 4],
        managed=status is RunStatus.MANAGED,
        parent_run_id=root_run_id and f"run-{number - 1}",
        root_run_id=root_run_id,
    )
    # Instants that repeat, and do not follow the order of making.
    instant = 1000.0 + (number * 7) % 5 * 500.0
    entries = [event(record.run_id, each, timestamp=instant) for each in WAYS[status]]
    storage.store_events(record.run_id, entries)
    return record.run_id


def _in_order(records: list[RunRecord], order: RunOrder) -> list[RunRecord]:
    name = order.field.value
    timed = [record for record in records if getattr(record, name) is not None]
    timeless = [record for record in records if getattr(record, name) is None]
    timed.sort(key=lambda r: (getattr(r, name), r.storage_id), reverse=order.descending)
    timeless.sort(key=lambda r: r.storage_id, reverse=order.descending)
    return timed + timeless


def _walk(
    storage: InstanceStorage,
    filter: RunsFilter | None,
    order: RunOrder = NEWEST_FIRST,
    limit: int = 1,
    backward: bool = False,
) -> Iterator[RunRecord]:
    place = None
    while True:
        page = storage.run_storage.get_run_records(
            filter, order=order, after=place, limit=limit, backward=backward
        )
        assert len(page.records) <= limit
        yield from page.records
        if not page.has_more:
            return
        place = RunPlace.of(page.records[-1], order)
