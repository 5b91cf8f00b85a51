"""What a storage of schedules and sensors must do, apart from listing ticks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runwire.errors import (
    ConflictError,
    CursorConflictError,
    TickConflictError,
    TickNotFoundError,
    TickSourceNotFoundError,
    TickSourceStoppedError,
)
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.schedule_storage import MAX_TICK_KEY, CursorMove, ScheduleStorage
from runwire.testing.samples import (
    ESCAPED_SURROGATE,
    LONE_SURROGATE,
    add_run,
    an_error,
    an_origin,
    ended,
    in_threads,
    make_tick,
    start_source,
)
from runwire.ticks.source import TickSourceState, TickSourceStatus, TickSourceType
from runwire.ticks.tick import RunRequest, Tick, TickStatus, may_follow

_RUNNING, _STOPPED = TickSourceStatus.RUNNING, TickSourceStatus.STOPPED
_LARGE = "ü" * 1_000_000


class ScheduleStorageConformance:
    """Starting and stopping, cursors, making and writing ticks, deletion.

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
    def schedules(self, storage: InstanceStorage) -> ScheduleStorage:
        return storage.schedule_storage

    # ------------------------------------------------------------ schedules and sensors

    @pytest.mark.parametrize("source_type", TickSourceType, ids=lambda each: each.value)
    def test_a_source_is_found_as_it_was_added(
        self, schedules: ScheduleStorage, source_type: TickSourceType
    ) -> None:
        origin = an_origin(source_type=source_type)
        added, is_new = schedules.add_tick_source(origin, _RUNNING, at=12.5, by_default=True)
        assert is_new
        assert added == TickSourceState(
            origin=origin,
            status=_RUNNING,
            by_default=True,
            running_since=12.5,
            updated_at=12.5,
        )
        assert schedules.get_tick_source(origin.source_id) == added
        assert schedules.get_tick_sources() == [added]

    def test_one_that_is_added_stopped_does_not_run(self, schedules: ScheduleStorage) -> None:
        state, _ = schedules.add_tick_source(an_origin(), _STOPPED, at=1.0)
        assert (state.is_running, state.running_since, state.by_default) == (False, None, False)

    def test_adding_one_that_is_there_changes_nothing(self, schedules: ScheduleStorage) -> None:
        first, _ = schedules.add_tick_source(an_origin(), _RUNNING, at=1.0)
        again = schedules.add_tick_source(an_origin(), _STOPPED, at=2.0, by_default=True)
        assert again == (first, False)
        assert schedules.get_tick_sources() == [first]

    def test_of_many_that_add_one_at_once_one_does(self, schedules: ScheduleStorage) -> None:
        outcomes: list[tuple[TickSourceState, bool]] = []

        def add(index: int) -> None:
            outcomes.append(schedules.add_tick_source(an_origin(), _RUNNING, at=float(index)))

        in_threads(8, add)
        assert sorted(is_new for _, is_new in outcomes) == [False] * 7 + [True]
        assert {state.updated_at for state, _ in outcomes} == {
            schedules.get_tick_source(an_origin().source_id).updated_at
        }

    def test_each_part_of_the_origin_tells_sources_apart(self, schedules: ScheduleStorage) -> None:
        origins = [
            an_origin(),
            an_origin(source_type=TickSourceType.SENSOR),
            an_origin(location_name="other.py"),
            an_origin(repository_name="other"),
            an_origin(name="other"),
            an_origin(name=""),
            an_origin(repository_name="nightly", name="shop"),
        ]
        for origin in origins:
            assert schedules.add_tick_source(origin, _RUNNING, at=1.0)[1]
        assert len(schedules.get_tick_sources()) == len(origins)
        found = [schedules.get_tick_source(origin.source_id).origin for origin in origins]
        assert found == origins

    def test_sources_are_told_by_their_names(self, schedules: ScheduleStorage) -> None:
        wanted = [
            an_origin(location_name=location, repository_name=repository, name=name, source_type=of)
            for location in ("B.py", "a.py", "é.py")
            for repository in ("x", "y")
            for name in ("1", "10", "2")
            for of in TickSourceType
        ]
        for origin in reversed(wanted):
            schedules.add_tick_source(origin, _RUNNING, at=1.0)
        assert [state.origin for state in schedules.get_tick_sources()] == wanted

    def test_sources_that_match_all_of_it_are_found(self, schedules: ScheduleStorage) -> None:
        def found(**asked: Any) -> list[str]:
            return [state.origin.name for state in schedules.get_tick_sources(**asked)]

        assert found() == []
        sensor = an_origin(name="b", source_type=TickSourceType.SENSOR)
        start_source(schedules, an_origin(name="a"))
        start_source(schedules, sensor)
        start_source(schedules, an_origin(name="c", location_name="other.py"))
        start_source(schedules, an_origin(name="d", repository_name="other"))
        schedules.set_tick_source_status(
            an_origin(name="d", repository_name="other"), _STOPPED, at=9.0
        )
        assert found() == ["d", "a", "b", "c"]
        assert found(source_type=TickSourceType.SENSOR) == ["b"]
        assert found(location_name="other.py") == ["c"]
        assert found(repository_name="other") == ["d"]
        assert found(status=_RUNNING) == ["a", "b", "c"]
        assert found(status=_STOPPED, repository_name="shop") == []
        ids = [sensor.source_id, an_origin(name="a").source_id, "0" * 32, sensor.source_id]
        assert found(source_ids=ids) == ["a", "b"]
        assert found(source_ids=ids, source_type=TickSourceType.SCHEDULE) == ["a"]
        assert found(source_ids=[]) == []

    def test_an_unknown_source_is_told(self, schedules: ScheduleStorage) -> None:
        assert schedules.find_tick_source("nobody") is None
        for refused in (
            lambda: schedules.get_tick_source("nobody"),
            lambda: schedules.set_tick_source_cursor("nobody", "x", at=1.0),
            lambda: schedules.delete_tick_source("nobody"),
            lambda: schedules.create_tick("nobody", "1", due_at=1.0, started_at=1.0),
        ):
            with pytest.raises(TickSourceNotFoundError, match="nobody"):
                refused()
        assert schedules.get_tick_sources() == []

    def test_one_that_is_stopped_and_started_runs_since_then(
        self, schedules: ScheduleStorage
    ) -> None:
        origin = an_origin()
        first = schedules.set_tick_source_status(origin, _RUNNING, at=1.0)
        assert first == TickSourceState(
            origin=origin, status=_RUNNING, running_since=1.0, updated_at=1.0
        )
        first = schedules.set_tick_source_cursor(origin.source_id, "here", at=2.0)
        stopped = schedules.set_tick_source_status(origin, _STOPPED, at=3.0)
        assert stopped == replace(first, status=_STOPPED, running_since=None, updated_at=3.0)
        started = schedules.set_tick_source_status(origin, _RUNNING, at=4.0)
        assert started == replace(first, running_since=4.0, updated_at=4.0)
        assert schedules.get_tick_source(origin.source_id) == started

    @pytest.mark.parametrize("status", TickSourceStatus, ids=lambda each: each.value)
    def test_one_that_has_the_status_keeps_its_instants(
        self, schedules: ScheduleStorage, status: TickSourceStatus
    ) -> None:
        added, _ = schedules.add_tick_source(an_origin(), status, at=1.0, by_default=True)
        again = schedules.set_tick_source_status(an_origin(), status, at=2.0)
        assert again == replace(added, by_default=False)
        assert schedules.get_tick_sources() == [again]

    def test_starting_by_many_at_once_starts_once(self, schedules: ScheduleStorage) -> None:
        states: list[TickSourceState] = []

        def start(index: int) -> None:
            at = float(index + 1)
            states.append(schedules.set_tick_source_status(an_origin(), _RUNNING, at=at))

        in_threads(8, start)
        assert set(states) == {schedules.get_tick_source(an_origin().source_id)}

    # ------------------------------------------------------------ cursors

    def test_a_cursor_is_set_and_counted(self, schedules: ScheduleStorage) -> None:
        state = start_source(schedules)
        assert (state.cursor, state.cursor_version) == (None, 0)
        for version, cursor in enumerate(("a", "", None, "a"), 1):
            now = schedules.set_tick_source_cursor(state.source_id, cursor, at=5.0)
            wanted = replace(state, cursor=cursor, cursor_version=version, updated_at=5.0)
            assert now == wanted == schedules.get_tick_source(state.source_id)

    def test_a_cursor_of_another_version_is_not_set(self, schedules: ScheduleStorage) -> None:
        source_id = start_source(schedules).source_id
        set_once = schedules.set_tick_source_cursor(source_id, "a", at=5.0, version=0)
        for version in (0, 2):
            with pytest.raises(CursorConflictError) as refused:
                schedules.set_tick_source_cursor(source_id, "b", at=6.0, version=version)
            assert (refused.value.version, refused.value.current) == (version, 1)
        assert schedules.get_tick_source(source_id) == set_once

    def test_of_many_that_move_a_cursor_from_the_same_place_one_does(
        self, schedules: ScheduleStorage
    ) -> None:
        source_id = start_source(schedules).source_id
        refused = _count_refused(
            8,
            lambda index: schedules.set_tick_source_cursor(
                source_id, str(index), at=5.0, version=0
            ),
        )
        assert refused == 7
        assert schedules.get_tick_source(source_id).cursor_version == 1

    # ------------------------------------------------------------ making ticks

    def test_a_tick_is_found_as_it_was_made(self, schedules: ScheduleStorage) -> None:
        source = start_source(schedules)
        tick, is_new = schedules.create_tick(source.source_id, "k", due_at=60.0, started_at=60.25)
        assert is_new
        assert tick == Tick(
            tick_id=tick.tick_id,
            source_id=source.source_id,
            key="k",
            status=TickStatus.STARTED,
            due_at=60.0,
            started_at=60.25,
        )
        assert schedules.get_tick(tick.tick_id) == tick
        assert schedules.get_tick_source(source.source_id) == replace(source, last_due_at=60.0)

    def test_a_key_that_is_repeated_gives_the_tick_that_has_it(
        self, schedules: ScheduleStorage
    ) -> None:
        source_id = start_source(schedules).source_id
        tick = make_tick(schedules, source_id, 60.0, key="k")
        done = schedules.update_tick(ended(tick, TickStatus.SKIPPED))
        again = schedules.create_tick(source_id, "k", due_at=120.0, started_at=120.0)
        assert again == (done, False)
        assert schedules.get_tick_source(source_id).last_due_at == 60.0
        assert schedules.get_ticks(source_id, limit=5).ticks == [done]

    def test_keys_are_of_one_source(self, schedules: ScheduleStorage) -> None:
        first, second = (start_source(schedules, an_origin(name=name)) for name in "ab")
        ticks = [make_tick(schedules, s.source_id, 60.0, key="k") for s in (first, second)]
        assert ticks[0].tick_id < ticks[1].tick_id
        assert [tick.source_id for tick in ticks] == [first.source_id, second.source_id]

    def test_keys_are_compared_exactly(self, schedules: ScheduleStorage) -> None:
        source_id = start_source(schedules).source_id
        keys = ["", "k", "K", "k ", "é", "e\u0301", "1", "1.0", "k\nk", "😀"]
        for key in keys:
            assert schedules.create_tick(source_id, key, due_at=1.0, started_at=1.0)[1]
        ticks = schedules.get_ticks(source_id, limit=100).ticks
        assert [tick.key for tick in reversed(ticks)] == keys

    def test_of_many_that_make_a_tick_at_once_one_does(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        source_id = start_source(storage.schedule_storage).source_id
        outcomes: list[tuple[Tick, bool]] = []

        def make(index: int) -> None:
            schedules = (storage, another)[index % 2].schedule_storage
            outcomes.extend(
                schedules.create_tick(source_id, str(due), due_at=due, started_at=due)
                for due in range(5)
            )

        in_threads(8, make)
        assert sorted(tick.key for tick, is_new in outcomes if is_new) == list("01234")
        stored = storage.schedule_storage.get_ticks(source_id, limit=100).ticks
        assert [tick.key for tick in stored] == list("43210")
        assert {tick.tick_id for tick, _ in outcomes} == {tick.tick_id for tick in stored}

    def test_the_latest_instant_due_is_kept_whatever_comes_after(
        self, schedules: ScheduleStorage
    ) -> None:
        source_id = start_source(schedules).source_id
        for due_at, latest in ((60.0, 60.0), (180.0, 180.0), (120.0, 180.0)):
            make_tick(schedules, source_id, due_at)
            assert schedules.get_tick_source(source_id).last_due_at == latest
        assert schedules.purge_ticks(1000.0, limit=10) == 3
        assert schedules.get_tick_source(source_id).last_due_at == 180.0

    def test_one_that_is_stopped_makes_no_tick_and_ends_those_that_it_has(
        self, schedules: ScheduleStorage
    ) -> None:
        source_id = start_source(schedules).source_id
        tick = make_tick(schedules, source_id, 60.0, key="k")
        stopped = schedules.set_tick_source_status(an_origin(), _STOPPED, at=61.0)
        with pytest.raises(TickSourceStoppedError, match=source_id):
            schedules.create_tick(source_id, "l", due_at=120.0, started_at=120.0)
        assert schedules.get_tick_source(source_id) == stopped
        assert schedules.create_tick(source_id, "k", due_at=60.0, started_at=62.0) == (tick, False)
        schedules.update_tick(ended(tick, TickStatus.SUCCESS), move=CursorMove("c", 0, at=62.0))
        assert schedules.get_tick_source(source_id).cursor == "c"

    def test_a_key_that_is_too_long_is_refused(self, schedules: ScheduleStorage) -> None:
        source_id = start_source(schedules).source_id
        longest = "😀" * MAX_TICK_KEY
        assert make_tick(schedules, source_id, 1.0, key=longest).key == longest
        with pytest.raises(ValueError, match=str(MAX_TICK_KEY)):
            schedules.create_tick(source_id, longest + "x", due_at=1.0, started_at=1.0)

    def test_an_unknown_tick_is_told(self, schedules: ScheduleStorage) -> None:
        source_id = start_source(schedules).source_id
        tick = make_tick(schedules, source_id, 1.0)
        for tick_id in (0, -1, tick.tick_id + 1, 2**63 - 1, 2**63, 2**200):
            assert schedules.find_tick(tick_id) is None
            with pytest.raises(TickNotFoundError):
                schedules.get_tick(tick_id)
            for move in (None, CursorMove("x", 0, at=1.0)):
                with pytest.raises(TickNotFoundError):
                    schedules.update_tick(replace(tick, tick_id=tick_id), move=move)
        assert schedules.get_tick_source(source_id).cursor_version == 0

    # ------------------------------------------------------------ writing ticks

    def test_a_tick_keeps_all_that_is_written(self, schedules: ScheduleStorage) -> None:
        source_id = start_source(schedules).source_id
        tick = make_tick(schedules, source_id, 60.0)
        evaluated = replace(
            tick,
            attempts=3,
            failure_count=2,
            started_at=62.125,
            requests=(
                RunRequest(job_name="daily"),
                RunRequest(
                    job_name="daily",
                    run_key="2026-11-23",
                    run_config={"ops": {"extract": {"config": {"limit": 5, "x": [None, 1.5]}}}},
                    tags={"team": "sales"},
                ),
            ),
            cursor="c",
        )
        stored = schedules.update_tick(evaluated)
        assert stored == replace(evaluated, version=2)
        assert stored.run_keys == ("2026-11-23",)
        assert schedules.get_tick(tick.tick_id) == stored
        done = replace(stored, status=TickStatus.SUCCESS, ended_at=63.5, run_ids=("run-2", "run-1"))
        assert schedules.update_tick(done) == replace(done, version=3)
        assert schedules.get_ticks(source_id, limit=1).ticks == [replace(done, version=3)]

    def test_an_evaluation_without_requests_is_told_from_none(
        self, schedules: ScheduleStorage
    ) -> None:
        tick = make_tick(schedules, start_source(schedules).source_id, 60.0)
        assert schedules.get_tick(tick.tick_id).requests is None
        schedules.update_tick(replace(tick, requests=()))
        assert schedules.get_tick(tick.tick_id).requests == ()

    def test_a_failure_is_kept_and_tried_again(self, schedules: ScheduleStorage) -> None:
        tick = make_tick(schedules, start_source(schedules).source_id, 60.0)
        failed = schedules.update_tick(
            replace(ended(tick, TickStatus.FAILURE), error=an_error(), failure_count=1)
        )
        assert schedules.get_tick(tick.tick_id) == failed
        assert failed.error == an_error()
        anew = replace(
            failed,
            status=TickStatus.STARTED,
            error=None,
            ended_at=None,
            attempts=2,
            started_at=70.0,
        )
        assert schedules.update_tick(anew) == replace(anew, version=3)
        assert schedules.get_tick(tick.tick_id) == replace(anew, version=3)

    def test_a_reason_to_skip_is_kept(self, schedules: ScheduleStorage) -> None:
        tick = make_tick(schedules, start_source(schedules).source_id, 60.0)
        skipped = replace(ended(tick, TickStatus.SKIPPED), skip_reason="no new files")
        assert schedules.update_tick(skipped) == schedules.get_tick(tick.tick_id)
        assert schedules.get_tick(tick.tick_id).skip_reason == "no new files"

    @pytest.mark.parametrize("status", TickStatus, ids=lambda each: each.value)
    def test_a_status_is_followed_by_those_that_may(
        self, schedules: ScheduleStorage, status: TickStatus
    ) -> None:
        source_id = start_source(schedules).source_id
        for number, following in enumerate(TickStatus):
            tick = make_tick(schedules, source_id, float(number))
            if status is not TickStatus.STARTED:
                tick = schedules.update_tick(ended(tick, status))
            if may_follow(status, following):
                stored = schedules.update_tick(ended(tick, following))
                assert (stored.status, stored.version) == (following, tick.version + 1)
            else:
                with pytest.raises(TickConflictError, match=f"is {status.value} and cannot"):
                    schedules.update_tick(ended(tick, following))
                stored = tick
            assert schedules.get_tick(tick.tick_id) == stored

    def test_a_tick_that_was_written_meanwhile_is_not_written_over(
        self, schedules: ScheduleStorage
    ) -> None:
        source_id = start_source(schedules).source_id
        tick = make_tick(schedules, source_id, 60.0)
        taken = schedules.update_tick(replace(tick, attempts=2))
        for stale in (tick, replace(tick, version=3)):
            with pytest.raises(TickConflictError, match=str(tick.tick_id)):
                schedules.update_tick(
                    ended(stale, TickStatus.SUCCESS), move=CursorMove("c", 0, at=1.0)
                )
        assert schedules.get_tick(tick.tick_id) == taken
        assert schedules.get_tick_source(source_id).cursor_version == 0

    def test_what_never_changes_is_not_written(self, schedules: ScheduleStorage) -> None:
        first, second = (start_source(schedules, an_origin(name=name)) for name in "ab")
        tick = make_tick(schedules, first.source_id, 60.0)
        for changed in (
            replace(tick, source_id=second.source_id),
            replace(tick, key="other"),
            replace(tick, due_at=61.0),
        ):
            with pytest.raises(ValueError, match="never change"):
                schedules.update_tick(changed, move=CursorMove("c", 0, at=1.0))
        assert schedules.get_tick(tick.tick_id) == tick
        assert [s.cursor for s in schedules.get_tick_sources()] == [None, None]

    def test_of_many_that_take_a_tick_over_one_does(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        schedules = storage.schedule_storage
        tick = make_tick(schedules, start_source(schedules).source_id, 60.0)

        def take(index: int) -> None:
            taken = replace(tick, attempts=2, started_at=float(index))
            (storage, another)[index % 2].schedule_storage.update_tick(taken)

        assert _count_refused(8, take) == 7
        assert schedules.get_tick(tick.tick_id).version == 2

    # ------------------------------------------------------------ a tick with its cursor

    def test_a_tick_and_its_cursor_are_written_together(self, schedules: ScheduleStorage) -> None:
        source = start_source(schedules)
        tick = make_tick(schedules, source.source_id, 60.0)
        evaluated = replace(tick, requests=(RunRequest(job_name="daily", run_key="a"),))
        stored = schedules.update_tick(evaluated, move=CursorMove("after a", 0, at=61.5))
        assert stored == replace(evaluated, cursor="after a", version=2)
        assert schedules.get_tick(tick.tick_id) == stored
        assert schedules.get_tick_source(source.source_id) == replace(
            source, cursor="after a", cursor_version=1, last_due_at=60.0, updated_at=61.5
        )

    def test_a_cursor_that_somebody_has_set_keeps_the_tick_from_being_written(
        self, schedules: ScheduleStorage
    ) -> None:
        source_id = start_source(schedules).source_id
        tick = make_tick(schedules, source_id, 60.0)
        reset = schedules.set_tick_source_cursor(source_id, None, at=61.0)
        with pytest.raises(CursorConflictError, match=source_id):
            schedules.update_tick(
                ended(tick, TickStatus.SUCCESS), move=CursorMove("late", 0, at=62.0)
            )
        assert schedules.get_tick(tick.tick_id) == tick
        assert schedules.get_tick_source(source_id) == reset

    def test_cursors_moved_with_ticks_follow_one_another(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        """Each mover reads, adds one and writes, again if somebody was before it: no step is lost."""
        source_id = start_source(storage.schedule_storage).source_id
        together = threading.Barrier(4)

        def move(index: int) -> None:
            schedules = (storage, another)[index % 2].schedule_storage
            together.wait(30)
            for turn in range(5):
                tick = make_tick(schedules, source_id, float(turn), key=f"{index}.{turn}")
                _move_by_one(schedules, tick)

        in_threads(4, move)
        state = storage.schedule_storage.get_tick_source(source_id)
        assert (state.cursor, state.cursor_version) == ("20", 20)
        ticks = storage.schedule_storage.get_ticks(source_id, limit=100).ticks
        assert sorted(int(tick.cursor or 0) for tick in ticks) == list(range(1, 21))

    # ------------------------------------------------------------ what is stored

    def test_lone_surrogates_and_nul_are_stored_escaped(self, schedules: ScheduleStorage) -> None:
        text, escaped = LONE_SURROGATE + "\0", ESCAPED_SURROGATE + "\\x00"
        given = an_origin(location_name=text, repository_name=text, name=text)
        source = start_source(schedules, given)
        assert source.origin == an_origin(
            location_name=escaped, repository_name=escaped, name=escaped
        )
        assert source.source_id == given.source_id
        assert schedules.get_tick_sources(location_name=text, repository_name=text) == [source]
        set_cursor = schedules.set_tick_source_cursor(source.source_id, text, at=1.0)
        assert set_cursor.cursor == escaped
        tick = make_tick(schedules, source.source_id, 60.0, key=text)
        assert tick.key == escaped
        assert schedules.create_tick(source.source_id, text, due_at=1.0, started_at=1.0) == (
            tick,
            False,
        )
        request = RunRequest(job_name=text, run_key=text, tags={text: text})
        skipped = replace(
            ended(tick, TickStatus.SKIPPED),
            skip_reason=text,
            requests=(request,),
            run_ids=(text,),
            cursor=text,
        )
        stored = schedules.update_tick(skipped)
        assert stored == replace(
            skipped,
            skip_reason=escaped,
            requests=(RunRequest(job_name=escaped, run_key=escaped, tags={escaped: escaped}),),
            run_ids=(escaped,),
            cursor=escaped,
            version=2,
        )
        assert schedules.get_tick(tick.tick_id) == stored
        assert schedules.find_tick_source(text) is None
        assert schedules.get_ticks(text, limit=1).ticks == []

    def test_an_error_with_a_lone_surrogate_is_kept(self, schedules: ScheduleStorage) -> None:
        tick = make_tick(schedules, start_source(schedules).source_id, 60.0)
        failed = replace(
            ended(tick, TickStatus.FAILURE),
            error=type(an_error())(LONE_SURROGATE, causes=(an_error(),)),
        )
        stored = schedules.update_tick(failed)
        assert stored.error == type(an_error())(ESCAPED_SURROGATE, causes=(an_error(),))
        assert schedules.get_tick(tick.tick_id) == stored

    def test_large_payloads_are_kept(self, schedules: ScheduleStorage) -> None:
        source_id = start_source(schedules).source_id
        tick = make_tick(schedules, source_id, 60.0)
        requests = tuple(
            RunRequest(job_name="daily", run_key=f"{n}", run_config={"n": n}) for n in range(5000)
        )
        done = replace(
            ended(tick, TickStatus.SUCCESS),
            requests=(*requests, RunRequest(job_name="daily", run_config={"large": _LARGE})),
            run_ids=tuple(f"run-{n}" for n in range(5000)),
        )
        stored = schedules.update_tick(done, move=CursorMove(_LARGE, 0, at=1.0))
        assert stored == replace(done, cursor=_LARGE, version=2)
        assert schedules.get_tick(tick.tick_id) == stored
        assert schedules.get_tick_source(source_id).cursor == _LARGE

    def test_instants_are_kept_to_the_microsecond(self, schedules: ScheduleStorage) -> None:
        instants = [1_700_000_000.000001, 1_700_000_000.000002, 4_102_444_799.999999, 0.000001]
        source = start_source(schedules, at=instants[0])
        assert source.running_since == instants[0]
        for instant in instants:
            tick = make_tick(schedules, source.source_id, instant, started_at=instant)
            done = replace(ended(tick, TickStatus.SKIPPED), ended_at=instant)
            schedules.update_tick(done)
            stored = schedules.get_tick(tick.tick_id)
            assert (stored.due_at, stored.started_at, stored.ended_at) == (instant,) * 3
        found = schedules.get_ticks(source.source_id, limit=10).ticks
        assert [tick.due_at for tick in found] == sorted(instants, reverse=True)
        before = schedules.get_ticks(source.source_id, before=instants[1], limit=10).ticks
        assert [tick.due_at for tick in before] == [instants[0], instants[3]]

    # ------------------------------------------------------------ opened twice, and anew

    def test_what_is_written_is_seen_where_it_is_opened_once_more(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        here, there = storage.schedule_storage, another.schedule_storage
        source_id = start_source(here).source_id
        tick = make_tick(there, source_id, 60.0)
        assert here.get_tick(tick.tick_id) == tick
        done = here.update_tick(ended(tick, TickStatus.SUCCESS), move=CursorMove("c", 0, at=1.0))
        assert there.get_ticks(source_id, limit=5).ticks == [done]
        assert there.get_tick_source(source_id) == here.get_tick_source(source_id)

    def test_what_is_written_outlives_whoever_wrote_it(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        source = start_source(storage.schedule_storage)
        tick = make_tick(storage.schedule_storage, source.source_id, 60.0)
        storage.dispose()
        schedules = another.schedule_storage
        assert schedules.get_tick(tick.tick_id) == tick
        assert schedules.get_tick_sources() == [replace(source, last_due_at=60.0)]
        assert make_tick(schedules, source.source_id, 61.0).tick_id > tick.tick_id

    # ------------------------------------------------------------ deleting

    def test_a_source_is_deleted_with_its_ticks_and_no_other(
        self, schedules: ScheduleStorage
    ) -> None:
        gone, kept = (start_source(schedules, an_origin(name=name)) for name in "ab")
        ticks = [make_tick(schedules, gone.source_id, float(n)) for n in range(3)]
        other = make_tick(schedules, kept.source_id, 1.0)
        schedules.delete_tick_source(gone.source_id)
        assert schedules.find_tick_source(gone.source_id) is None
        assert [schedules.find_tick(tick.tick_id) for tick in ticks] == [None] * 3
        assert schedules.get_ticks(gone.source_id, limit=5).ticks == []
        assert schedules.get_ticks(kept.source_id, limit=5).ticks == [other]
        with pytest.raises(TickSourceNotFoundError):
            schedules.delete_tick_source(gone.source_id)
        with pytest.raises(TickNotFoundError):
            schedules.update_tick(
                ended(ticks[0], TickStatus.SUCCESS), move=CursorMove("c", 0, at=1.0)
            )

    def test_one_that_was_deleted_begins_anew(self, schedules: ScheduleStorage) -> None:
        source_id = start_source(schedules).source_id
        before = make_tick(schedules, source_id, 60.0, key="k")
        schedules.set_tick_source_cursor(source_id, "c", at=1.0)
        schedules.delete_tick_source(source_id)
        anew = start_source(schedules, at=70.0)
        assert anew == TickSourceState(
            origin=an_origin(), status=_RUNNING, running_since=70.0, updated_at=70.0
        )
        assert schedules.get_ticks(source_id, limit=5).ticks == []
        assert make_tick(schedules, source_id, 80.0, key="k").tick_id > before.tick_id

    def test_a_tick_that_is_made_while_its_source_is_deleted_is_gone_or_refused(
        self, schedules: ScheduleStorage
    ) -> None:
        source_id = start_source(schedules).source_id

        def work(index: int) -> None:
            if index == 0:
                schedules.delete_tick_source(source_id)
                return
            for turn in range(20):
                try:
                    schedules.create_tick(source_id, f"{index}.{turn}", due_at=1.0, started_at=1.0)
                except TickSourceNotFoundError:
                    return

        in_threads(5, work)
        assert schedules.get_tick_sources() == []
        assert schedules.get_ticks(source_id, limit=1000).ticks == []

    def test_wiping_deletes_schedules_too(self, storage: InstanceStorage) -> None:
        schedules = storage.schedule_storage
        source_id = start_source(schedules).source_id
        tick = make_tick(schedules, source_id, 60.0, key="k")
        storage.wipe()
        assert schedules.get_tick_sources() == []
        assert schedules.find_tick(tick.tick_id) is None
        start_source(schedules)
        assert make_tick(schedules, source_id, 60.0, key="k").status is TickStatus.STARTED

    def test_wiping_runs_or_schedules_alone_leaves_the_others(
        self, storage: InstanceStorage
    ) -> None:
        schedules, run = storage.schedule_storage, add_run(storage)
        source_id = start_source(schedules).source_id
        tick = make_tick(schedules, source_id, 60.0)
        storage.run_storage.wipe()
        assert schedules.get_ticks(source_id, limit=5).ticks == [tick]
        assert schedules.get_tick_source(source_id).last_due_at == 60.0
        run = add_run(storage)
        schedules.wipe()
        assert schedules.get_tick_sources() == []
        assert storage.get_run_record(run.run_id) == run

    def test_disposing_twice_is_harmless(self, storage: InstanceStorage) -> None:
        start_source(storage.schedule_storage)
        storage.schedule_storage.dispose()
        storage.schedule_storage.dispose()


def _move_by_one(schedules: ScheduleStorage, tick: Tick) -> None:
    while True:
        state = schedules.get_tick_source(tick.source_id)
        move = CursorMove(str(int(state.cursor or 0) + 1), state.cursor_version, at=1.0)
        try:
            schedules.update_tick(ended(tick, TickStatus.SUCCESS), move=move)
            return
        except CursorConflictError:
            continue


def _count_refused(number: int, work: Callable[[int], object]) -> int:
    """Works in threads that begin together; returns how many were refused by what another one did."""
    refused: list[ConflictError] = []

    def run(index: int) -> None:
        try:
            work(index)
        except ConflictError as error:
            refused.append(error)

    in_threads(number, run)
    return len(refused)
