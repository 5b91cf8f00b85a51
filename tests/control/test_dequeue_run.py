"""Taking runs from the queue: the limits hold, whoever tries, and one of any number takes a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runwire.control import NewRun, claim_run, create_run, launch_run, put_back, terminate_run
from runwire.control.dequeue_run import count_attempts, count_failures, launch_claimed
from runwire.control.queue_mirror import QueueMirror
from runwire.errors import (
    CodeLocationUnavailableError,
    ConcurrencyLimitReachedError,
    LaunchFailedError,
    RunNotFoundError,
    RunStateConflictError,
    StaleWorkerError,
)
from runwire.events import EventType
from runwire.runs.queueing import QueueSettings, TagLimit
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, RunStatus
from runwire.storage import InstanceStorage
from runwire.storages.memory import MemoryStorage
from runwire.storages.postgres import PostgresStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run_in, event
from runwire.workspace import JobSelector
from tests.control.fakes import FakeLauncher, FakeWorkspace
from tests.control.ways import events_of, tell, types_of
from tests.runs.queue_cases import CASES, Case

T, S = EventType, RunStatus
NO_LIMITS = QueueSettings(max_concurrent_runs=None)
OPENERS: dict[str, Callable[[pytest.FixtureRequest, Path], InstanceStorage]] = {
    "memory": lambda request, path: MemoryStorage(),
    "sharded": lambda request, path: SqliteStorage(path),
    "consolidated": lambda request, path: SqliteStorage(path, layout="consolidated"),
    "postgres": lambda request, path: PostgresStorage(request.getfixturevalue("postgres_url")),
    "pgbouncer": lambda request, path: PostgresStorage(request.getfixturevalue("pooled_url")),
}


@pytest.fixture(params=OPENERS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InstanceStorage]:
    made = OPENERS[request.param](request, tmp_path)
    yield made
    made.dispose()


def _claim_all(storage: InstanceStorage, settings: QueueSettings) -> list[str]:
    """One pass as the daemon makes it."""
    mirror = QueueMirror(storage, settings)
    mirror.sync()
    taken = []
    while (run := mirror.index.take_next(lambda name: False)) is not None:
        claim_run(storage, settings, run.run_id)
        taken.append(run.run_id)
    return taken


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_pass_launches(case: Case, storage: InstanceStorage) -> None:
    for status, tags in case.in_progress:
        add_run_in(storage, status, tags=tags)
    queue = [add_run_in(storage, S.QUEUED, tags=tags).run_id for tags in case.queue]
    assert _claim_all(storage, case.settings) == [queue[number] for number in case.launched]
    for number, run_id in enumerate(queue):
        wanted = S.STARTING if number in case.launched else S.QUEUED
        assert storage.get_run_record(run_id).status is wanted
        if wanted is S.QUEUED:
            with pytest.raises(ConcurrencyLimitReachedError, match="is reached"):
                claim_run(storage, case.settings, run_id)
            assert types_of(storage, run_id) == [T.RUN_ENQUEUED]


def test_a_claim_hands_the_run_to_a_new_worker(storage: InstanceStorage) -> None:
    run = add_run_in(storage, S.QUEUED)
    record = claim_run(storage, NO_LIMITS, run.run_id)
    assert (record.status, record.worker_epoch, record.resume_attempts) == (S.STARTING, 1, 0)
    assert types_of(storage, run.run_id) == [T.RUN_ENQUEUED, T.RUN_DEQUEUED, T.RUN_STARTING]
    assert [event.epoch for event in events_of(storage, run.run_id)] == [None, 1, 1]


@pytest.mark.parametrize("status", [each for each in RunStatus if each is not S.QUEUED])
def test_only_a_run_that_waits_is_taken(storage: InstanceStorage, status: RunStatus) -> None:
    run = add_run_in(storage, status)
    with pytest.raises(RunStateConflictError):
        claim_run(storage, NO_LIMITS, run.run_id)
    assert storage.get_run_record(run.run_id) == run
    with pytest.raises(RunNotFoundError):
        claim_run(storage, NO_LIMITS, "nobody")


def test_a_launch_past_the_queue_goes_past_the_limits_and_counts_afterwards(
    sqlite_storage: SqliteStorage, launcher: FakeLauncher, workspace: FakeWorkspace
) -> None:
    settings, storage = QueueSettings(max_concurrent_runs=1), sqlite_storage
    first, second = (_queued(storage, workspace) for _ in range(2))
    waiting = _queued(storage, workspace)
    for run_id in (first, second):
        launch_run(storage, launcher, workspace, {}, run_id)
    with pytest.raises(ConcurrencyLimitReachedError):
        claim_run(storage, settings, waiting)
    tell(storage, first, T.RUN_FAILURE)
    with pytest.raises(ConcurrencyLimitReachedError):
        claim_run(storage, settings, waiting)
    tell(storage, second, T.RUN_FAILURE)
    claim_run(storage, settings, waiting)


def test_of_many_who_take_runs_at_once_none_exceeds_a_limit(storage: InstanceStorage) -> None:
    settings = QueueSettings(
        max_concurrent_runs=3, tag_limits=(TagLimit(key="team", value="a", max=1),)
    )
    tags = [{"team": "a"}, {"team": "b"}]
    queue = [add_run_in(storage, S.QUEUED, tags=tags[n % 2]).run_id for n in range(12)]

    def claim(run_id: str) -> bool:
        try:
            claim_run(storage, settings, run_id)
        except (ConcurrencyLimitReachedError, RunStateConflictError):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(claim, queue * 3))
    records = [storage.get_run_record(run_id) for run_id in queue]
    in_progress = [record for record in records if record.status in IN_PROGRESS_STATUSES]
    assert taken == len(in_progress) == 3
    assert sum(record.run.tags["team"] == "a" for record in in_progress) <= 1


def test_a_run_is_either_taken_or_canceled(
    storage: InstanceStorage, launcher: FakeLauncher, workspace: FakeWorkspace
) -> None:
    launcher.supports_check_run_worker_health = False
    queue = [add_run_in(storage, S.QUEUED).run_id for _ in range(20)]

    def claim(run_id: str) -> bool:
        try:
            claim_run(storage, NO_LIMITS, run_id)
        except RunStateConflictError:
            return False
        return True

    def cancel(run_id: str) -> None:
        terminate_run(storage, launcher, workspace, {}, run_id)

    with ThreadPoolExecutor(2) as pool:
        taken = pool.map(claim, queue)
        list(pool.map(cancel, queue))
        outcomes = dict(zip(queue, taken, strict=True))
    for run_id, was_taken in outcomes.items():
        wanted = S.CANCELING if was_taken else S.CANCELED
        assert storage.get_run_record(run_id).status is wanted
        assert (T.RUN_STARTING in types_of(storage, run_id)) is was_taken


# ------------------------------------------------------------------------- the launch of a claim


def _queued(storage: InstanceStorage, workspace: FakeWorkspace) -> str:
    record, _ = create_run(storage, workspace, NewRun(job=JobSelector("etl")))
    tell(storage, record.run_id, T.RUN_ENQUEUED)
    return record.run_id


def _claimed(storage: InstanceStorage, workspace: FakeWorkspace) -> RunRecord:
    return claim_run(storage, NO_LIMITS, _queued(storage, workspace))


@pytest.fixture
def one_storage(sqlite_storage: SqliteStorage) -> InstanceStorage:
    return sqlite_storage


def test_a_claimed_run_gets_its_worker(
    one_storage: InstanceStorage, launcher: FakeLauncher, workspace: FakeWorkspace
) -> None:
    record = _claimed(one_storage, workspace)
    assert launch_claimed(one_storage, launcher, workspace, {}, record, max_retries=0) is None
    assert launcher.launched == [(record.run_id, 1)]


def test_a_run_whose_code_location_does_not_answer_is_put_back_so_often_and_then_fails(
    one_storage: InstanceStorage, launcher: FakeLauncher, workspace: FakeWorkspace
) -> None:
    launcher.broken = CodeLocationUnavailableError("here", "no answer")
    record = _claimed(one_storage, workspace)
    run_id = record.run_id
    for attempt in range(2):
        assert count_failures(one_storage, record) == attempt
        error = launch_claimed(one_storage, launcher, workspace, {}, record, max_retries=2)
        assert isinstance(error, CodeLocationUnavailableError)
        waiting = one_storage.get_run_record(run_id)
        assert (waiting.status, waiting.resume_attempts) == (S.QUEUED, 0)
        assert count_attempts(waiting) == attempt + 1
        assert "no answer" in events_of(one_storage, run_id)[-1].message
        record = claim_run(one_storage, NO_LIMITS, run_id)
    with pytest.raises(LaunchFailedError):
        launch_claimed(one_storage, launcher, workspace, {}, record, max_retries=2)
    assert one_storage.get_run_record(run_id).status is S.FAILURE
    assert types_of(one_storage, run_id).count(T.RUN_FAILURE) == 1


def test_a_run_that_is_to_be_canceled_is_not_put_back(
    one_storage: InstanceStorage, launcher: FakeLauncher, workspace: FakeWorkspace
) -> None:
    record = _claimed(one_storage, workspace)
    launcher.broken = CodeLocationUnavailableError("here", "no answer")
    launcher.on_start = lambda context: tell(one_storage, record.run_id, T.RUN_CANCELING)
    with pytest.raises(LaunchFailedError):
        launch_claimed(one_storage, launcher, workspace, {}, record, max_retries=2)
    assert one_storage.get_run_record(record.run_id).status is S.CANCELED


def test_a_run_whose_job_is_gone_fails(
    one_storage: InstanceStorage, launcher: FakeLauncher, workspace: FakeWorkspace
) -> None:
    record = _claimed(one_storage, workspace)
    workspace.get_location("here").load(main=["both"])
    with pytest.raises(LaunchFailedError, match="etl"):
        launch_claimed(one_storage, launcher, workspace, {}, record, max_retries=2)
    assert one_storage.get_run_record(record.run_id).status is S.FAILURE
    assert launcher.launched == []


def test_the_worker_of_a_run_that_was_put_back_is_refused_should_it_turn_up(
    one_storage: InstanceStorage, workspace: FakeWorkspace
) -> None:
    record = _claimed(one_storage, workspace)
    assert put_back(one_storage, record, "again")
    late = event(record.run_id, T.RUN_START)
    with pytest.raises(StaleWorkerError):
        one_storage.store_events(record.run_id, [late], epoch=record.worker_epoch)
    assert not put_back(one_storage, record, "again")
    again = claim_run(one_storage, NO_LIMITS, record.run_id)
    assert not put_back(one_storage, record, "again")
    with pytest.raises(StaleWorkerError):
        one_storage.store_events(record.run_id, [late], epoch=record.worker_epoch)
    assert one_storage.get_run_record(record.run_id) == again
