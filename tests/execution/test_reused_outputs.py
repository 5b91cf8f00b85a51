"""Runs that take over outputs of runs before them, as their workers execute them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.clock import timestamp
from runwire.control import FinishedSteps, StoredOutput
from runwire.definitions import Out, Output, OutputRef, job, op
from runwire.events.types import EventType
from runwire.execution import Progress, StepState, build_plan, execute_run
from runwire.execution.progress import Dropped
from runwire.executors import InProcessExecutor
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import ScriptedStorage, events, execute, tell

seen: list[int] = []


@op
def give() -> int:
    return 3


@op
def take(number: int) -> None:
    seen.append(number)


@job
def pair() -> None:
    take(give())


@pytest.fixture
def storage() -> MemoryStorage:
    seen.clear()
    return ScriptedStorage()


@op(out=Out(is_required=False))
def maybe() -> Iterator[Output[int]]:
    yield from ()


@op
def pass_on(number: int) -> int:
    return number


@job
def lacking() -> None:
    pass_on.alias("then")(pass_on.alias("left")(maybe()))


def again(storage: MemoryStorage, folder: Path, parent: str) -> RunStatus:
    """Executes the run `again` of the second step, which re-executes a run."""
    return worked(storage, folder, made(storage, parent))


def made(storage: MemoryStorage, parent: str) -> RunRecord:
    """The run `again`, handed to its first worker."""
    run = Run(
        run_id="again",
        job_name="pair",
        step_keys=("take",),
        parent_run_id=parent,
        root_run_id=parent,
    )
    storage.run_storage.add_run(run, created_at=timestamp())
    tell(storage, "again", EventType.RUN_STARTING, handover=True)
    return storage.get_run_record("again")


def worked(storage: MemoryStorage, folder: Path, record: RunRecord) -> RunStatus:
    """Executes a run as the worker that has it."""
    return execute_run(
        pair,
        record,
        storage,
        epoch=record.worker_epoch,
        executor=InProcessExecutor(),
        io_base_dir=folder,
    )


def test_an_input_is_loaded_from_the_run_before(storage: MemoryStorage, tmp_path: Path) -> None:
    assert execute(storage, pair, tmp_path) is RunStatus.SUCCESS
    assert again(storage, tmp_path, "r") is RunStatus.SUCCESS
    assert seen == [3, 3]
    log = events(storage, "again")
    assert {each.step_key for each in log} == {None, "take"}
    [loaded] = [each.message for each in log if each.event_type is EventType.LOADED_INPUT]
    assert loaded == "Input number was loaded from give.result of run r"


def test_a_run_whose_parent_was_deleted_meanwhile_fails_and_says_why(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    assert again(storage, tmp_path, "gone") is RunStatus.FAILURE
    assert seen == []
    failure = storage.get_run_record("again").failure
    assert failure is not None
    assert "output 'result' of step 'give' is needed, but run 'gone' is deleted" in failure.message


def test_a_step_whose_input_is_gone_meanwhile_fails(storage: MemoryStorage, tmp_path: Path) -> None:
    execute(storage, pair, tmp_path)
    (tmp_path / "r" / "outputs" / "give,result.1").unlink()
    assert again(storage, tmp_path, "r") is RunStatus.FAILURE
    [failed] = [e for e in events(storage, "again") if e.event_type is EventType.STEP_FAILURE]
    assert failed.error is not None
    assert "is not stored at" in str(failed.error)


def test_a_second_worker_takes_the_outputs_over_as_well(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    execute(storage, pair, tmp_path)
    handed = made(storage, "r")
    tell(storage, "again", EventType.RUN_START, epoch=handed.worker_epoch)
    tell(storage, "again", EventType.RUN_WORKER_LOST, handover=True)
    record = storage.get_run_record("again")
    assert worked(storage, tmp_path, record) is RunStatus.SUCCESS
    assert seen == [3, 3]


def test_steps_below_what_was_not_given_are_skipped_once(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    """Also by a second worker, which finds in the log that they were."""
    plan = build_plan(
        lacking, lacking.resolve_run_config({}), lacking.plan(["left", "then"]), reuses=True
    )
    progress = Progress(plan, reused={})
    assert progress.unseen == (
        Dropped("left", StepState.SKIPPED, ("maybe.result",)),
        Dropped("then", StepState.SKIPPED, ("left.result",)),
    )
    assert progress.is_complete
    resumed = Progress(plan, FinishedSteps(dropped=frozenset({"left"})), reused={})
    assert [each.step_key for each in resumed.unseen] == ["then"]
    given = {OutputRef("maybe", "result"): StoredOutput("r", 1)}
    assert Progress(plan, reused=given).left == ("left", "then")
