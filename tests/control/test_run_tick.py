"""Ticks of schedules: each gives its runs once, wherever the process that makes it is cut off."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from runwire.control import TickRunner, launch_run, run_tick
from runwire.errors import (
    CodeLocationUnavailableError,
    LaunchFailedError,
    TickEvaluationError,
    TickSourceStoppedError,
)
from runwire.fault_points import TICK_FAULT_POINTS
from runwire.runs import RunStatus
from runwire.runs.run import RunRecord
from runwire.storage import InstanceStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.ticks import (
    RunRequest,
    TickEvaluation,
    TickSourceOrigin,
    TickSourceStatus,
    TickSourceType,
    TickStatus,
)
from tests.control.fakes import FakeLauncher, FakeLocation, FakeWorkspace

ORIGIN = TickSourceOrigin(
    source_type=TickSourceType.SCHEDULE,
    location_name="here",
    repository_name="main",
    name="nightly",
)
DUE = 1_800_000_000.0
TWO = TickEvaluation(
    requests=(RunRequest(job_name="etl"), RunRequest(job_name="both", tags={"n": "2"}))
)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def here(workspace: FakeWorkspace) -> FakeLocation:
    return workspace.get_location("here")


@pytest.fixture
def make_runner(
    sqlite_storage: SqliteStorage, workspace: FakeWorkspace, launcher: FakeLauncher
) -> Callable[[], TickRunner]:
    sqlite_storage.schedule_storage.set_tick_source_status(ORIGIN, TickSourceStatus.RUNNING, at=1.0)

    def submit(run_id: str) -> RunRecord:
        return launch_run(sqlite_storage, launcher, workspace, {}, run_id)

    return partial(TickRunner, sqlite_storage, workspace, submit)


def runs(storage: InstanceStorage) -> list[tuple[str, RunStatus]]:
    page = storage.run_storage.get_run_records(limit=100)
    return sorted((record.run.job_name, record.status) for record in page.records)


def test_a_tick_makes_and_submits_its_runs(
    make_runner: Callable[[], TickRunner], here: FakeLocation, sqlite_storage: SqliteStorage
) -> None:
    here.evaluate = lambda _: TWO
    tick = make_runner().run(ORIGIN, DUE)
    assert (tick.status, tick.due_at, len(tick.run_ids)) == (TickStatus.SUCCESS, DUE, 2)
    records = [sqlite_storage.get_run_record(run_id) for run_id in tick.run_ids]
    assert [record.run.job_name for record in records] == ["etl", "both"]
    assert records[1].run.tags == {
        "team": "a", "kind": "etl", "n": "2", "runwire/schedule_name": "nightly",
        "runwire/tick_id": str(tick.tick_id),
    }  # fmt: skip
    assert {record.status for record in records} == {RunStatus.STARTING}
    assert make_runner().run(ORIGIN, DUE) == tick
    assert here.evaluated == [("nightly", DUE)]


@pytest.mark.parametrize("point", TICK_FAULT_POINTS)
@pytest.mark.parametrize("reached", [1, 2])
def test_a_tick_that_was_cut_off_anywhere_gives_each_run_once(
    make_runner: Callable[[], TickRunner],
    here: FakeLocation,
    sqlite_storage: SqliteStorage,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    reached: int,
) -> None:
    here.evaluate = lambda _: TWO
    left = [reached]

    def die(name: str) -> None:
        left[0] -= name == point
        if name == point and left[0] == 0:
            raise Killed

    monkeypatch.setattr(run_tick, "fault_point", die)
    if reached == 1 or point in ("tick.after_run_created", "tick.after_run_submitted"):
        with pytest.raises(Killed):
            make_runner().run(ORIGIN, DUE)
    else:
        make_runner().run(ORIGIN, DUE)
    left = [0]
    tick = make_runner().run(ORIGIN, DUE)
    assert (tick.status, len(tick.run_ids)) == (TickStatus.SUCCESS, 2)
    assert runs(sqlite_storage) == [("both", RunStatus.STARTING), ("etl", RunStatus.STARTING)]
    was_stored = point not in ("tick.after_tick_created", "tick.before_requests_stored")
    if was_stored or point == "tick.after_tick_created":
        assert len(here.evaluated) == 1


def test_many_daemons_at_once_give_each_run_once(
    make_runner: Callable[[], TickRunner],
    here: FakeLocation,
    launcher: FakeLauncher,
    sqlite_storage: SqliteStorage,
) -> None:
    here.evaluate = lambda _: TWO
    with ThreadPoolExecutor(8) as pool:
        futures = [
            pool.submit(make_runner().run, ORIGIN, DUE + n) for n in range(3) for _ in range(8)
        ]
        for future in futures:
            future.result()
    for n in range(3):
        assert make_runner().run(ORIGIN, DUE + n).status is TickStatus.SUCCESS
    assert len(runs(sqlite_storage)) == len(launcher.launched) == 6


def test_a_skipped_tick_tells_why(
    make_runner: Callable[[], TickRunner], here: FakeLocation
) -> None:
    here.evaluate = lambda _: TickEvaluation(skip_reason="a holiday")
    tick = make_runner().run(ORIGIN, DUE)
    assert (tick.status, tick.skip_reason) == (TickStatus.SKIPPED, "a holiday")


def test_a_run_config_that_does_not_fit_fails_the_tick_and_leaves_the_other_runs_be(
    make_runner: Callable[[], TickRunner], here: FakeLocation, sqlite_storage: SqliteStorage
) -> None:
    bad = RunRequest(job_name="etl", run_config={"bad": 1})
    here.evaluate = lambda _: TickEvaluation(requests=(bad, RunRequest(job_name="both")))
    tick = make_runner().run(ORIGIN, DUE)
    assert (tick.status, tick.failure_count, len(tick.run_ids)) == (TickStatus.FAILURE, 1, 1)
    assert tick.error is not None
    assert "run request 1 of schedule 'nightly' is refused" in tick.error.message
    assert "bad" in tick.error.message
    assert runs(sqlite_storage) == [("both", RunStatus.STARTING)]
    again = make_runner().retry(ORIGIN, tick)
    assert (again.status, again.attempts, again.run_ids) == (TickStatus.FAILURE, 2, tick.run_ids)
    assert len(here.evaluated) == 1


def test_what_failed_is_tried_again_and_counts_unless_the_code_server_was_gone(
    make_runner: Callable[[], TickRunner], here: FakeLocation
) -> None:
    def fail(error: Exception) -> Callable[[str], TickEvaluation]:
        def evaluate(_: str) -> TickEvaluation:
            raise error

        return evaluate

    here.evaluate = fail(CodeLocationUnavailableError("here", "gone"))
    tick = make_runner().run(ORIGIN, DUE)
    assert (tick.status, tick.failure_count) == (TickStatus.FAILURE, 0)
    here.evaluate = fail(TickEvaluationError("it raised"))
    tick = make_runner().retry(ORIGIN, tick)
    assert (tick.status, tick.failure_count, tick.attempts) == (TickStatus.FAILURE, 1, 2)
    here.evaluate = lambda _: TWO
    tick = make_runner().retry(ORIGIN, tick)
    assert (tick.status, tick.error, len(tick.run_ids)) == (TickStatus.SUCCESS, None, 2)


def test_a_run_that_cannot_be_launched_has_failed_and_the_tick_has_not(
    make_runner: Callable[[], TickRunner],
    here: FakeLocation,
    launcher: FakeLauncher,
    sqlite_storage: SqliteStorage,
) -> None:
    here.evaluate = lambda _: TWO
    launcher.broken = LaunchFailedError("r", "no process")
    assert make_runner().run(ORIGIN, DUE).status is TickStatus.SUCCESS
    assert {status for _, status in runs(sqlite_storage)} == {RunStatus.FAILURE}


def test_a_stopped_schedule_makes_no_tick(
    make_runner: Callable[[], TickRunner], sqlite_storage: SqliteStorage
) -> None:
    schedules = sqlite_storage.schedule_storage
    schedules.set_tick_source_status(ORIGIN, TickSourceStatus.STOPPED, at=2.0)
    with pytest.raises(TickSourceStoppedError):
        make_runner().run(ORIGIN, DUE)
    assert schedules.get_ticks(ORIGIN.source_id, limit=1).ticks == []
