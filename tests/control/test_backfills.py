"""Backfills: what is chosen, one run for each partition, and what becomes of those that cannot be made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from runwire.control import (
    BackfillProgress,
    BackfillRunner,
    NewBackfill,
    NewRun,
    cancel_backfill,
    create_backfill,
    create_run,
    resume_backfill,
)
from runwire.errors import (
    BackfillAlreadyExistsError,
    BackfillNotFoundError,
    BackfillStateConflictError,
    CodeLocationUnavailableError,
    ConfigProblem,
    InputInvalidError,
    JobNotFoundError,
    JobNotPartitionedError,
    LaunchFailedError,
    PartitionConfigError,
    PartitionNotFoundError,
    RunConfigInvalidError,
    RunwireError,
    TerminateFailedError,
)
from runwire.events.types import EventType
from runwire.partitions import PartitionsKind, PartitionsSnapshot
from runwire.runs.filters import OLDEST_FIRST
from runwire.runs.run import RunRecord
from runwire.runs.status import UNFINISHED_STATUSES, RunStatus
from runwire.storage import Backfill, BackfillScope, BackfillStatus
from runwire.storages.memory import MemoryStorage
from runwire.testing.samples import report
from runwire.workspace import CodeLocationStatus, JobSelector

ETL = JobSelector("etl")
KEYS = ("a", "b", "c", "d", "e")
STATIC = PartitionsSnapshot(PartitionsKind.STATIC, keys=KEYS)
NOW = 1_770_000_000.0  # 2026-02-02


@dataclass
class World:
    """An instance in memory whose runs move as a test says."""

    storage: MemoryStorage
    workspace: Any
    submitted: list[str] = field(default_factory=list)
    fails: dict[str, RunwireError] = field(default_factory=dict)
    """What submitting or terminating the run of a partition raises."""

    @property
    def location(self) -> Any:
        return self.workspace.locations["here"]

    def runner(self) -> BackfillRunner:
        return BackfillRunner(
            self.storage, self.workspace, self._submit, self._terminate, now=lambda: NOW
        )

    def create(self, **wanted: Any) -> Backfill:
        made, _ = create_backfill(self.storage, self.workspace, NewBackfill(job=ETL, **wanted), NOW)
        return made

    def advance(self, backfill: Backfill, times: int = 1) -> Backfill:
        for _ in range(times):
            backfill = self.runner().advance(backfill.backfill_id)
        return backfill

    def end(self, status: RunStatus = RunStatus.SUCCESS, *keys: str) -> None:
        """Ends the runs that wait or go on, or those of some partitions."""
        for record in self.runs():
            if record.status in UNFINISHED_STATUSES and (not keys or self.key(record) in keys):
                events = {
                    RunStatus.SUCCESS: [
                        EventType.RUN_STARTING,
                        EventType.RUN_START,
                        EventType.RUN_SUCCESS,
                    ],
                    RunStatus.FAILURE: [EventType.RUN_FAILURE],
                    RunStatus.STARTED: [EventType.RUN_STARTING, EventType.RUN_START],
                }[status]
                report(self.storage, record.run_id, *events)

    def runs(self) -> list[RunRecord]:
        return self.storage.run_storage.get_run_records(order=OLDEST_FIRST, limit=100).records

    def key(self, record: RunRecord) -> str:
        return record.run.tags["runwire/partition"]

    def told(self) -> list[tuple[str, str]]:
        return [(self.key(record), record.status.value) for record in self.runs()]

    def progress(self, backfill: Backfill) -> dict[str, int]:
        backfill = self.storage.backfill_storage.get_backfill(backfill.backfill_id)
        counts = self.storage.run_storage.get_backfill_run_counts(backfill.backfill_id)
        made = BackfillProgress.of(backfill, counts)
        told = {name: getattr(made, name) for name in BackfillProgress.__slots__}
        assert sum(told.values()) == backfill.selection.count
        return {name: count for name, count in told.items() if count}

    def failures(self, backfill: Backfill) -> dict[str, str]:
        page = self.storage.backfill_storage.get_backfill_failures(backfill.backfill_id, limit=99)
        return {each.partition_key: each.error.message for each in page.failures}

    def _submit(self, run_id: str) -> RunRecord:
        record = self.storage.get_run_record(run_id)
        self.submitted.append(self.key(record))
        error = self.fails.get(self.key(record))
        if isinstance(error, LaunchFailedError):
            report(self.storage, run_id, EventType.RUN_FAILURE)
        if error is not None:
            raise error
        report(self.storage, run_id, EventType.RUN_ENQUEUED)
        return self.storage.get_run_record(run_id)

    def _terminate(self, run_id: str) -> RunRecord:
        record = self.storage.get_run_record(run_id)
        if self.key(record) in self.fails:
            raise self.fails[self.key(record)]
        report(self.storage, run_id, EventType.RUN_CANCELED)
        return self.storage.get_run_record(run_id)


@pytest.fixture
def world(storage: MemoryStorage, workspace: Any) -> World:
    made = World(storage, workspace)
    made.location.partition("etl", STATIC)
    return made


# ------------------------------------------------------------------------------- what is chosen


def test_partitions_are_chosen_once_and_for_all(world: World) -> None:
    assert world.create(keys=["c", "a"]).selection.keys == ("c", "a")
    assert world.create().selection.keys == KEYS
    assert world.create(first="b", last="d").selection.keys == ("b", "c", "d")
    days = PartitionsSnapshot(PartitionsKind.DAILY, "2026-01-30", timezone="Europe/Berlin")
    world.location.partition("etl", days)
    made = world.create(first="2026-01-31", tags=[("a", "b")], run_config={"x": 1})
    world.location.partition("etl", STATIC)
    chosen = world.storage.backfill_storage.get_backfill(made.backfill_id).selection
    assert chosen.keys_between(0, 9) == ["2026-01-31", "2026-02-01"]
    assert (chosen.count, chosen.key_at(1)) == (2, "2026-02-01")
    assert (made.location_name, made.repository_name, made.job_name) == ("here", "main", "etl")
    assert (made.tags, made.run_config) == ({"a": "b"}, {"x": 1})


@pytest.mark.parametrize(
    ("wanted", "error", "problem"),
    [
        ({"keys": ["a", "z"]}, PartitionNotFoundError, "no partition 'z'; there are: a, …, e"),
        ({"keys": ["a", "a"]}, InputInvalidError, "'a' is given twice"),
        ({"keys": []}, InputInvalidError, "these are 0 keys"),
        ({"first": "d", "last": "b"}, InputInvalidError, "'b', comes before the first"),
        ({"first": "z"}, PartitionNotFoundError, "no partition 'z'"),
        ({"runs_at_once": 0}, InputInvalidError, "runsAtOnce is 0; give 1 to 1,000"),
        ({"tags": [("runwire/backfill", "x")]}, InputInvalidError, "is the system's"),
        ({"idempotency_key": ""}, InputInvalidError, "an idempotency key has"),
        ({"run_config": [1]}, InputInvalidError, "a run config is a JSON object"),
        ({"job": JobSelector("nope", "main", "here")}, JobNotFoundError, "there is no job 'nope'"),
        ({"job": JobSelector("both", "main", "here")}, JobNotPartitionedError, "no partitions"),
    ],
)
def test_what_cannot_be_backfilled_is_refused(
    world: World, wanted: dict[str, Any], error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        create_backfill(world.storage, world.workspace, NewBackfill(**{"job": ETL, **wanted}), NOW)
    assert world.storage.backfill_storage.get_backfills(limit=1).backfills == []


def test_partitions_that_do_not_exist_yet_cannot_be_chosen(world: World) -> None:
    world.location.partition("etl", PartitionsSnapshot(PartitionsKind.DAILY, "2026-02-02"))
    with pytest.raises(InputInvalidError, match="has no partitions yet"):
        world.create()
    with pytest.raises(PartitionNotFoundError, match="there are none yet"):
        world.create(keys=["2026-02-02"])
    world.location.partition("etl", PartitionsSnapshot(PartitionsKind.HOURLY, "1970-01-01"))
    with pytest.raises(InputInvalidError, match="these are 491,666 partitions; choose 100,000"):
        world.create()


def test_a_request_that_is_repeated_makes_one(world: World) -> None:
    first = world.create(idempotency_key="k")
    assert world.create(idempotency_key="k") == first
    with pytest.raises(BackfillAlreadyExistsError):
        world.create(idempotency_key="k", keys=["a"])


# --------------------------------------------------------------------------------- making runs


def test_each_partition_has_one_run_and_so_many_at_once(world: World) -> None:
    backfill = world.create(runs_at_once=2, tags=[("why", "late")], requested_by="me")
    assert world.progress(backfill) == {"requested": 5}
    assert world.advance(backfill).status is BackfillStatus.IN_PROGRESS
    assert world.submitted == ["a", "b"]
    assert world.progress(backfill) == {"requested": 3, "queued": 2}
    (run, _) = (record.run for record in world.runs())
    assert (run.tags["why"], run.tags["team"], run.requested_by) == ("late", "a", "me")
    assert run.tags["runwire/backfill"] == backfill.backfill_id
    world.advance(backfill, 2)
    assert world.submitted == ["a", "b"]
    world.end(RunStatus.SUCCESS, "a")
    world.advance(backfill, 2)
    assert world.submitted == ["a", "b", "c"]
    world.end(RunStatus.FAILURE, "b")
    world.end(RunStatus.STARTED, "c")
    assert world.progress(backfill) == {
        "requested": 2, "in_progress": 1, "succeeded": 1, "failed": 1,
    }  # fmt: skip
    world.advance(backfill)
    world.end(RunStatus.SUCCESS, "d")
    world.advance(backfill)
    assert world.advance(backfill).status is BackfillStatus.IN_PROGRESS
    assert world.submitted == list(KEYS)
    world.end(RunStatus.SUCCESS, "e")
    report(world.storage, world.runs()[2].run_id, EventType.RUN_SUCCESS)
    ended = world.advance(backfill)
    assert (ended.status, ended.ended_at) == (BackfillStatus.COMPLETED, NOW)
    assert world.progress(backfill) == {"succeeded": 4, "failed": 1}
    assert world.advance(backfill) == ended


def test_a_step_that_was_cut_off_is_done_again_without_a_second_run(world: World) -> None:
    """The run of a was submitted, that of b was only made, c was not begun; nothing was stored."""
    backfill = world.create(runs_at_once=3)

    class Killed(BaseException):
        pass

    def kill(run_id: str) -> RunRecord:
        if world.submitted:
            raise Killed
        return world._submit(run_id)

    with pytest.raises(Killed):
        replace(world.runner(), submit=kill).advance(backfill.backfill_id)
    assert world.told() == [("a", "QUEUED"), ("b", "NOT_STARTED")]
    for _ in range(4):
        world.advance(backfill)
        world.end()
    assert world.told() == [(key, "SUCCESS") for key in KEYS]
    assert world.submitted == list(KEYS)


def test_a_run_that_was_made_and_not_submitted_takes_no_place(world: World) -> None:
    backfill = world.create(runs_at_once=1)
    with pytest.raises(ZeroDivisionError):
        replace(world.runner(), submit=lambda run_id: 1 // 0).advance(backfill.backfill_id)  # type: ignore[arg-type,return-value]
    assert world.told() == [("a", "NOT_STARTED")]
    world.advance(backfill)
    assert world.told() == [("a", "QUEUED")]


def test_of_two_that_do_a_step_at_once_each_makes_no_second_run(world: World) -> None:
    """The other one comes between each two instructions of the first that it can come between."""
    backfill = world.create(runs_at_once=2)

    def beside(run_id: str) -> RunRecord:
        world.advance(backfill)
        return world._submit(run_id)

    replace(world.runner(), submit=beside).advance(backfill.backfill_id)
    world.advance(backfill)
    assert sorted(key for key, _ in world.told()) == ["a", "b"]


def test_partitions_that_have_succeeded_are_not_missing(world: World) -> None:
    first = world.create(keys=["a", "b"])
    world.advance(first)
    world.end(RunStatus.SUCCESS, "a")
    world.end(RunStatus.FAILURE, "b")
    second = world.create(keys=["a", "b", "c"], scope=BackfillScope.MISSING)
    world.advance(second)
    assert world.progress(second) == {"skipped": 1, "queued": 2}
    assert [key for key, _ in world.told()] == ["a", "b", "b", "c"]
    world.end()
    assert world.advance(second).status is BackfillStatus.COMPLETED
    third = world.create(keys=["a"], scope=BackfillScope.MISSING)
    world.advance(third)
    assert world.advance(third).status is BackfillStatus.COMPLETED
    assert world.progress(third) == {"skipped": 1}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PartitionConfigError("it raised"), "it raised"),
        (
            RunConfigInvalidError("etl", [ConfigProblem(("a",), "no", "x")]),
            "job 'etl'",
        ),
    ],
)
def test_a_partition_whose_run_cannot_be_made_has_failed_and_others_go_on(
    world: World, error: RunwireError, told: str
) -> None:
    def configure(key: str) -> dict[str, Any]:
        if key == "b":
            raise error
        return {"of": key}

    world.location.partition("etl", replace_config(STATIC))
    world.location.configure = configure
    backfill = world.create(keys=["a", "b", "c"])
    world.advance(backfill)
    assert world.progress(backfill) == {"queued": 2, "failed": 1}
    assert [record.run.run_config for record in world.runs()] == [{"of": "a"}, {"of": "c"}]
    ((key, message),) = world.failures(backfill).items()
    assert (key, told in message) == ("b", True)
    world.end()
    assert world.advance(backfill).status is BackfillStatus.COMPLETED
    assert world.progress(backfill) == {"succeeded": 2, "failed": 1}

    world.location.configure = lambda key: {"of": key}
    resume_backfill(world.storage, backfill.backfill_id)
    assert world.failures(backfill) == {}
    world.advance(backfill)
    assert world.progress(backfill) == {"succeeded": 2, "queued": 1}


def test_a_partition_that_the_job_has_lost_has_failed(world: World) -> None:
    backfill = world.create(keys=["a", "b"])
    world.location.partition("etl", PartitionsSnapshot(PartitionsKind.STATIC, keys=("b",)))
    world.advance(backfill)
    assert world.progress(backfill) == {"queued": 1, "failed": 1}
    assert list(world.failures(backfill)) == ["a"]


def test_a_run_that_cannot_be_launched_is_a_run_that_failed(world: World) -> None:
    world.fails["a"] = LaunchFailedError("r", "no worker")
    backfill = world.create(keys=["a", "b"])
    world.advance(backfill)
    assert world.progress(backfill) == {"failed": 1, "queued": 1}
    assert world.failures(backfill) == {}


def test_a_run_config_that_is_given_is_that_of_all_runs(world: World) -> None:
    world.location.partition("etl", replace_config(STATIC))
    world.advance(world.create(keys=["a", "b"], run_config={"by": "hand"}))
    assert [record.run.run_config for record in world.runs()] == [{"by": "hand"}] * 2
    assert world.location.configured == []


# ------------------------------------------------------------------------- what keeps it waiting


@pytest.mark.parametrize("status", [CodeLocationStatus.LOADING, CodeLocationStatus.UNREACHABLE])
def test_it_waits_for_its_code_location_and_goes_on_by_itself(
    world: World, status: CodeLocationStatus
) -> None:
    backfill = world.create(keys=["a"])
    world.location.turn(status)
    waiting = world.advance(backfill)
    assert waiting.waiting == f"code location 'here' is not available: it is {status.value}"
    assert (waiting.status, world.told()) == (BackfillStatus.REQUESTED, [])
    assert world.advance(backfill) == waiting
    world.location.turn(CodeLocationStatus.LOADED)
    assert world.advance(backfill).waiting is None
    assert world.told() == [("a", "QUEUED")]


def test_it_waits_for_a_code_location_that_the_workspace_lost(world: World) -> None:
    backfill = world.create(keys=["a"])
    here = world.workspace.locations.pop("here")
    assert "no code location 'here'" in (world.advance(backfill).waiting or "")
    world.workspace.locations["here"] = here
    assert world.advance(backfill).waiting is None


def test_it_waits_when_a_code_location_stops_answering_in_a_step(world: World) -> None:
    backfill = world.create(keys=["a", "b", "c"])
    world.fails["b"] = CodeLocationUnavailableError("here", "it hung up")
    waiting = world.advance(backfill)
    assert "it hung up" in (waiting.waiting or "")
    assert waiting.position == 1
    assert world.told() == [("a", "QUEUED"), ("b", "NOT_STARTED")]
    del world.fails["b"]
    assert world.advance(backfill).waiting is None
    assert world.told() == [("a", "QUEUED"), ("b", "QUEUED"), ("c", "QUEUED")]


@pytest.mark.parametrize(
    ("lose", "error"),
    [
        (lambda location: location.load(main=["both"]), "JobNotFoundError"),
        (lambda location: location.partition("etl", None), "JobNotPartitionedError"),
    ],
)
def test_it_fails_when_its_job_is_gone_and_can_be_resumed(
    world: World, lose: Callable[[Any], None], error: str
) -> None:
    backfill = world.create(keys=["a", "b", "c"], runs_at_once=1)
    world.advance(backfill)
    world.end()
    lose(world.location)
    failed = world.advance(backfill)
    assert (failed.status, failed.ended_at) == (BackfillStatus.FAILED, NOW)
    assert failed.error is not None
    assert failed.error.class_name == error
    assert world.progress(backfill) == {"succeeded": 1, "requested": 2}
    world.location.load(main=["etl", "both"])
    world.location.partition("etl", STATIC)
    resumed = resume_backfill(world.storage, backfill.backfill_id)
    assert (resumed.status, resumed.error, resumed.ended_at) == (
        BackfillStatus.REQUESTED,
        None,
        None,
    )
    for _ in range(5):
        world.advance(backfill)
        world.end()
    assert world.told() == [("a", "SUCCESS"), ("b", "SUCCESS"), ("c", "SUCCESS")]


# ---------------------------------------------------------------------------- cancel and resume


def test_canceling_ends_what_waits_and_nothing_more_is_submitted(world: World) -> None:
    backfill = world.create(runs_at_once=3)
    world.advance(backfill)
    world.end(RunStatus.STARTED, "a")
    asked = cancel_backfill(world.storage, backfill.backfill_id)
    assert asked.status is BackfillStatus.CANCELING
    assert cancel_backfill(world.storage, backfill.backfill_id) == asked
    ended = world.advance(backfill)
    assert (ended.status, ended.ended_at) == (BackfillStatus.CANCELED, NOW)
    assert world.told() == [("a", "STARTED"), ("b", "CANCELED"), ("c", "CANCELED")]
    assert world.progress(backfill) == {"requested": 2, "in_progress": 1, "canceled": 2}
    with pytest.raises(BackfillStateConflictError, match="is CANCELED; this needs REQUESTED or"):
        cancel_backfill(world.storage, backfill.backfill_id)


def test_canceling_ends_runs_in_progress_when_asked_to(world: World) -> None:
    backfill = world.create(runs_at_once=3)
    world.advance(backfill)
    world.end(RunStatus.STARTED, "a")
    world.fails["a"] = TerminateFailedError("r", "nobody knows")
    cancel_backfill(world.storage, backfill.backfill_id)
    cancel_backfill(world.storage, backfill.backfill_id, terminate_runs=True)
    waiting = world.advance(backfill)
    assert waiting.status is BackfillStatus.CANCELING
    assert "nobody knows" in (waiting.waiting or "")
    assert world.told() == [("a", "STARTED"), ("b", "CANCELED"), ("c", "CANCELED")]
    del world.fails["a"]
    assert world.advance(backfill).status is BackfillStatus.CANCELED
    assert world.told()[0] == ("a", "CANCELED")


def test_a_step_that_is_canceled_leaves_nothing_waiting(world: World) -> None:
    """Somebody cancels it, and another daemon ends it, while a run of the step is being submitted."""
    backfill = world.create(keys=["a", "b", "c"])

    def canceled_meanwhile(run_id: str) -> RunRecord:
        cancel_backfill(world.storage, backfill.backfill_id)
        world.advance(backfill)
        state = world.storage.backfill_storage.get_backfill(backfill.backfill_id)
        assert state.status is BackfillStatus.CANCELED
        record = world.storage.get_run_record(run_id)
        return record if record.is_finished else world._submit(run_id)

    runner = replace(world.runner(), submit=canceled_meanwhile)
    assert runner.advance(backfill.backfill_id).status is BackfillStatus.CANCELED
    assert world.told() == [("a", "CANCELED")]


def test_a_run_that_is_made_after_it_was_canceled_is_canceled(world: World) -> None:
    """Another daemon ends it after this one has looked whether to go on, and before the run is there."""
    backfill = world.create(keys=["a", "b"])

    def canceled_meanwhile(key: str) -> dict[str, Any]:
        cancel_backfill(world.storage, backfill.backfill_id)
        assert world.advance(backfill).status is BackfillStatus.CANCELED
        return {}

    world.location.partition("etl", replace_config(STATIC))
    world.location.configure = canceled_meanwhile
    assert world.advance(backfill).status is BackfillStatus.CANCELED
    assert world.told() == [("a", "CANCELED")]


def test_a_partition_is_counted_once_whatever_became_of_it(world: World) -> None:
    """Its run has failed; then another run of it succeeds, or none can be made any more."""
    world.location.partition("etl", replace_config(STATIC))
    backfill = world.create(keys=["a", "b"], scope=BackfillScope.MISSING)
    world.advance(backfill)
    world.end(RunStatus.FAILURE)
    world.advance(backfill)
    by_hand = NewRun(job=ETL, partition_key="a", run_id="by-hand")
    create_run(world.storage, world.workspace, by_hand)
    report(
        world.storage, "by-hand", EventType.RUN_STARTING, EventType.RUN_START, EventType.RUN_SUCCESS
    )

    def broken(key: str) -> dict[str, Any]:
        raise PartitionConfigError("it raised")

    world.location.configure = broken
    resume_backfill(world.storage, backfill.backfill_id)
    assert world.advance(backfill).status is BackfillStatus.IN_PROGRESS
    assert world.advance(backfill).status is BackfillStatus.COMPLETED
    assert world.progress(backfill) == {"failed": 2}
    assert list(world.failures(backfill)) == ["b"]


def test_resuming_submits_again_what_did_not_succeed(world: World) -> None:
    backfill = world.create(runs_at_once=3)
    world.advance(backfill)
    world.end(RunStatus.SUCCESS, "a")
    world.end(RunStatus.FAILURE, "b")
    world.end(RunStatus.STARTED, "c")
    cancel_backfill(world.storage, backfill.backfill_id)
    with pytest.raises(BackfillStateConflictError, match="COMPLETED or FAILED or CANCELED"):
        resume_backfill(world.storage, backfill.backfill_id)
    world.advance(backfill)
    assert resume_backfill(world.storage, backfill.backfill_id).attempt == 1
    world.advance(backfill, 4)
    assert world.told() == [
        ("a", "SUCCESS"),
        ("b", "FAILURE"),
        ("c", "STARTED"),  # which goes on, and has no other beside it
        ("b", "QUEUED"),
        ("d", "QUEUED"),
    ]
    report(world.storage, world.runs()[2].run_id, EventType.RUN_SUCCESS)
    world.advance(backfill)
    world.end()
    assert world.advance(backfill, 2).status is BackfillStatus.COMPLETED
    assert world.progress(backfill) == {"succeeded": 5}


def test_one_that_is_not_there_is_not_found(world: World) -> None:
    for ask in (cancel_backfill, resume_backfill):
        with pytest.raises(BackfillNotFoundError):
            ask(world.storage, "gone")


def replace_config(partitions: PartitionsSnapshot) -> PartitionsSnapshot:
    """The partitions with a function that configures them."""
    return PartitionsSnapshot(partitions.kind, keys=partitions.keys, has_config=True)
