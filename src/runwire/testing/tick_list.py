"""What a storage of schedules and sensors must do when their ticks are listed, and purged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.schedule_storage import ScheduleStorage, TicksPage
from runwire.testing.samples import an_origin, ended, in_threads, make_tick, start_source
from runwire.ticks.tick import Tick, TickPlace, TickStatus

_STARTED, _SKIPPED, _SUCCESS, _FAILURE = TickStatus


class TickListConformance:
    """Pages of ticks, the newest ticks of many sources, purging."""

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    @pytest.fixture
    def schedules(self, storage: InstanceStorage) -> ScheduleStorage:
        return storage.schedule_storage

    @pytest.fixture
    def source_id(self, schedules: ScheduleStorage) -> str:
        return start_source(schedules).source_id

    # ------------------------------------------------------------ pages

    def test_nothing_is_empty(self, schedules: ScheduleStorage, source_id: str) -> None:
        assert schedules.get_ticks(source_id, limit=5) == TicksPage([], has_more=False)
        assert schedules.get_ticks("nobody", limit=5) == TicksPage([], has_more=False)

    def test_ticks_are_told_newest_first_by_when_they_were_due(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        for due_at in (30.0, 10.0, 20.0, 0.0, -5.0):
            make_tick(schedules, source_id, due_at)
        page = schedules.get_ticks(source_id, limit=5)
        assert _dues(page) == [30.0, 20.0, 10.0, 0.0, -5.0]
        assert not page.has_more

    def test_of_ticks_that_were_due_at_once_the_last_made_is_first(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        made = [make_tick(schedules, source_id, 10.0, key=str(n)) for n in range(5)]
        assert schedules.get_ticks(source_id, limit=9).ticks == made[::-1]

    def test_there_are_more_only_when_there_are(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        for due_at in range(3):
            make_tick(schedules, source_id, float(due_at))
        for limit, has_more in ((1, True), (2, True), (3, False), (4, False)):
            page = schedules.get_ticks(source_id, limit=limit)
            assert (len(page.ticks), page.has_more) == (min(limit, 3), has_more)

    def test_more_heeds_what_is_asked(self, schedules: ScheduleStorage, source_id: str) -> None:
        for due_at in range(4):
            _make(schedules, source_id, float(due_at), _SUCCESS if due_at < 2 else _SKIPPED)
        asked = schedules.get_ticks(source_id, statuses={_SKIPPED}, limit=2)
        assert (_dues(asked), asked.has_more) == ([3.0, 2.0], False)
        asked = schedules.get_ticks(source_id, after=1.0, limit=2)
        assert (_dues(asked), asked.has_more) == ([3.0, 2.0], False)

    def test_bounds_are_exclusive(self, schedules: ScheduleStorage, source_id: str) -> None:
        for due_at in range(5):
            make_tick(schedules, source_id, float(due_at))

        def dues(before: float | None, after: float | None) -> list[float]:
            return _dues(schedules.get_ticks(source_id, before=before, after=after, limit=9))

        assert dues(3.0, None) == [2.0, 1.0, 0.0]
        assert dues(None, 1.0) == [4.0, 3.0, 2.0]
        assert dues(3.0, 1.0) == [2.0]
        assert dues(3.5, 0.5) == [3.0, 2.0, 1.0]
        assert dues(2.0, 1.0) == []
        assert dues(1.0, 3.0) == []
        assert dues(0.0, None) == dues(None, 4.0) == []

    @pytest.mark.parametrize(
        "asked",
        [None, (), (_SKIPPED,), (_STARTED, _FAILURE), (_SUCCESS, _SUCCESS), tuple(TickStatus)],
        ids=str,
    )
    def test_ticks_in_some_statuses_are_told_in_one_order(
        self, schedules: ScheduleStorage, source_id: str, asked: Collection[TickStatus] | None
    ) -> None:
        made = [
            _make(schedules, source_id, float(n // 3), list(TickStatus)[n % 4], key=str(n))
            for n in range(12)
        ]
        wanted = [tick for tick in reversed(made) if asked is None or tick.status in asked]
        page = schedules.get_ticks(source_id, statuses=asked, limit=20)
        assert page == TicksPage(wanted, has_more=False)
        found = list[Tick]()
        while True:
            beyond = TickPlace.of(found[-1]) if found else None
            page = schedules.get_ticks(source_id, statuses=asked, beyond=beyond, limit=2)
            found += page.ticks
            if not page.has_more:
                break
        assert found == wanted

    def test_pages_tell_every_tick_once_though_some_were_due_at_once(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        made = [make_tick(schedules, source_id, float(n * 7 % 4), key=str(n)) for n in range(23)]
        wanted = sorted(made, key=TickPlace.of, reverse=True)
        for limit in (1, 5, 22, 23):
            assert _read_all(schedules, source_id, limit) == wanted

    def test_pages_are_stable_while_ticks_come_and_go(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        made = [make_tick(schedules, source_id, float(n)) for n in range(6)]
        first = schedules.get_ticks(source_id, limit=3)
        make_tick(schedules, source_id, 10.0)
        make_tick(schedules, source_id, 3.0, key="as one of the first page")
        assert schedules.purge_ticks(1.0, limit=1) == 1
        place = TickPlace.of(first.ticks[-1])
        rest = schedules.get_ticks(source_id, beyond=place, limit=10)
        assert first.ticks + rest.ticks == made[:0:-1]

    def test_a_place_need_not_be_that_of_a_tick(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        made = [make_tick(schedules, source_id, float(n)) for n in range(3)]

        def beyond(due_at: float, tick_id: int) -> list[Tick]:
            place = TickPlace(due_at, tick_id)
            return schedules.get_ticks(source_id, beyond=place, limit=9).ticks

        assert beyond(1.5, 0) == made[1::-1]
        assert beyond(1.0, 2**62) == made[1::-1]
        assert beyond(1.0, 0) == made[:1]
        assert beyond(-1.0, 2**62) == []

    def test_bounds_and_a_place_go_together(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        made = [make_tick(schedules, source_id, float(n)) for n in range(6)]
        page = schedules.get_ticks(
            source_id, before=5.0, after=0.0, beyond=TickPlace.of(made[4]), limit=2
        )
        assert page == TicksPage([made[3], made[2]], has_more=True)

    def test_ticks_of_other_sources_are_not_told(self, schedules: ScheduleStorage) -> None:
        sources = [start_source(schedules, an_origin(name=name)).source_id for name in "abc"]
        made = [make_tick(schedules, source_id, 1.0) for source_id in sources]
        for source_id, tick in zip(sources, made, strict=True):
            page = schedules.get_ticks(source_id, statuses={_STARTED}, limit=5)
            assert page == TicksPage([tick], has_more=False)

    # ------------------------------------------------------------ of many sources

    def test_the_newest_ticks_of_each_source_are_told(self, schedules: ScheduleStorage) -> None:
        sources = [start_source(schedules, an_origin(name=name)).source_id for name in "abc"]
        made = {
            source_id: [
                make_tick(schedules, source_id, float(n // 2), key=str(n)) for n in range(count)
            ]
            for source_id, count in zip(sources, (5, 2, 0), strict=True)
        }
        asked = [*sources, "nobody", sources[0]]
        assert schedules.get_batch_ticks(asked, limit=3) == {
            sources[0]: made[sources[0]][:1:-1],
            sources[1]: made[sources[1]][::-1],
        }
        assert schedules.get_batch_ticks(sources[1:2], limit=1) == {
            sources[1]: made[sources[1]][1:]
        }
        assert schedules.get_batch_ticks([], limit=1) == {}
        assert schedules.get_batch_ticks(sources, statuses=(), limit=1) == {}

    def test_the_newest_ticks_in_some_statuses_are_told(self, schedules: ScheduleStorage) -> None:
        sources = [start_source(schedules, an_origin(name=name)).source_id for name in "ab"]
        made = {
            source_id: [
                _make(schedules, source_id, float(n), list(TickStatus)[n % 4]) for n in range(8)
            ]
            for source_id in sources
        }
        asked = {_FAILURE, _STARTED}
        found = schedules.get_batch_ticks(sources, statuses=asked, limit=3)
        for source_id in sources:
            wanted = [tick for tick in reversed(made[source_id]) if tick.status in asked][:3]
            assert found[source_id] == wanted

    def test_a_thousand_sources_are_asked_at_once(self, schedules: ScheduleStorage) -> None:
        made = {}
        for number in range(120):
            source_id = start_source(schedules, an_origin(name=f"s{number}")).source_id
            made[source_id] = [make_tick(schedules, source_id, float(number))]
        asked = [*made, *(f"nobody {n}" for n in range(880))]
        assert schedules.get_batch_ticks(asked, limit=2) == made
        assert {s.source_id for s in schedules.get_tick_sources(source_ids=asked)} == made.keys()

    # ------------------------------------------------------------ purging

    def test_what_is_older_is_purged(self, schedules: ScheduleStorage, source_id: str) -> None:
        made = [make_tick(schedules, source_id, float(n)) for n in range(5)]
        assert schedules.purge_ticks(2.0, limit=10) == 2
        assert schedules.get_ticks(source_id, limit=10).ticks == made[:1:-1]
        assert schedules.find_tick(made[0].tick_id) is None
        assert schedules.purge_ticks(2.0, limit=10) == 0

    def test_only_the_statuses_that_are_asked_for_are_purged(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        made = [_make(schedules, source_id, 1.0, status, key=status.value) for status in TickStatus]
        assert schedules.purge_ticks(2.0, statuses=(), limit=10) == 0
        assert schedules.purge_ticks(2.0, statuses={_SKIPPED, _FAILURE}, limit=10) == 2
        kept = [tick for tick in reversed(made) if tick.status in {_STARTED, _SUCCESS}]
        assert schedules.get_ticks(source_id, limit=10).ticks == kept

    def test_only_the_source_that_is_asked_for_is_purged(self, schedules: ScheduleStorage) -> None:
        first, second = (start_source(schedules, an_origin(name=name)).source_id for name in "ab")
        make_tick(schedules, first, 1.0)
        kept = make_tick(schedules, second, 1.0)
        assert schedules.purge_ticks(2.0, source_id=first, limit=10) == 1
        assert schedules.purge_ticks(2.0, source_id="nobody", limit=10) == 0
        assert schedules.get_ticks(first, limit=10).ticks == []
        assert schedules.get_ticks(second, limit=10).ticks == [kept]

    def test_a_purge_deletes_no_more_than_its_limit(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        for number in range(7):
            _make(schedules, source_id, float(number), list(TickStatus)[number % 2])
        purged = [schedules.purge_ticks(6.0, limit=4) for _ in range(3)]
        assert purged == [4, 2, 0]
        assert _dues(schedules.get_ticks(source_id, limit=10)) == [6.0]

    def test_the_oldest_of_a_status_are_purged_first(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        for due_at in (3.0, 1.0, 2.0, 0.0):
            _make(schedules, source_id, due_at, _SKIPPED)
        assert schedules.purge_ticks(9.0, statuses=[_SKIPPED], limit=3) == 3
        assert _dues(schedules.get_ticks(source_id, limit=10)) == [3.0]

    def test_many_that_purge_at_once_purge_each_tick_once(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        for number in range(40):
            _make(schedules, source_id, float(number), list(TickStatus)[number % 4])
        counts: list[int] = []

        def purge(_: int) -> None:
            while purged := schedules.purge_ticks(40.0, limit=3):
                counts.append(purged)

        in_threads(4, purge)
        assert sum(counts) == 40
        assert schedules.get_ticks(source_id, limit=1).ticks == []

    def test_a_key_that_was_purged_is_free(
        self, schedules: ScheduleStorage, source_id: str
    ) -> None:
        before = make_tick(schedules, source_id, 1.0, key="k")
        assert schedules.purge_ticks(2.0, limit=1) == 1
        tick, is_new = schedules.create_tick(source_id, "k", due_at=1.0, started_at=5.0)
        assert is_new
        assert tick == replace(before, tick_id=tick.tick_id, started_at=5.0)
        assert tick.tick_id > before.tick_id


def _make(
    schedules: ScheduleStorage,
    source_id: str,
    due_at: float,
    status: TickStatus,
    key: str | None = None,
) -> Tick:
    tick = make_tick(schedules, source_id, due_at, key=key)
    return tick if status is _STARTED else schedules.update_tick(ended(tick, status))


def _dues(page: TicksPage) -> list[float]:
    return [tick.due_at for tick in page.ticks]


def _read_all(schedules: ScheduleStorage, source_id: str, limit: int) -> list[Tick]:
    found = list[Tick]()
    while True:
        beyond = TickPlace.of(found[-1]) if found else None
        page = schedules.get_ticks(source_id, beyond=beyond, limit=limit)
        found += page.ticks
        if not page.has_more:
            return found
