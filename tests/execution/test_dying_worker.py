"""Workers that die for good, each in a process of its own, and what the next one makes of what they left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from runwire.clock import timestamp
from runwire.definitions import job, op
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.payloads import StepErrorSource, StepFailureData
from runwire.events.types import EventType
from runwire.fault_points import VARIABLE
from runwire.runs.run import Run
from runwire.runs.status import RunStatus
from runwire.runs.steps import StepStatus, fold_steps
from runwire.storages.memory import MemoryStorage
from runwire.storages.sqlite import SqliteStorage
from tests.execution import doomed_worker
from tests.execution.runs import GENEROUS_SECONDS, events, execute

E = EventType
S = StepStatus


def store(folder: Path, event_type: EventType) -> None:
    """Stores an event that hands the run over."""
    storage = SqliteStorage(folder)
    entry = EventLogEntry(run_id="r", event_type=event_type, message="")
    storage.store_events("r", [entry], handover=True)
    storage.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a run that was handed to its first worker."""
    storage = SqliteStorage(tmp_path)
    run = Run(run_id="r", job_name="doomed", tags={"folder": str(tmp_path)}, steps_planned=3)
    storage.run_storage.add_run(run, created_at=timestamp())
    storage.dispose()
    store(tmp_path, E.RUN_STARTING)
    return tmp_path


def work_in_process(folder: Path, point: str = "") -> int:
    """Lets a worker die at a point, if one is named; returns how its process ended."""
    environ = {**os.environ, VARIABLE: f"{point}:{folder / 'died'}"} if point else None
    command = [sys.executable, doomed_worker.__file__, str(folder)]
    return subprocess.run(command, env=environ, timeout=GENEROUS_SECONDS, check=False).returncode


def go_on(folder: Path) -> RunStatus:
    """Hands the run to its next worker, which is this process."""
    store(folder, E.RUN_WORKER_LOST)
    return doomed_worker.work(folder)


def read_log(folder: Path) -> list[EventLogRecord]:
    storage = SqliteStorage(folder)
    page = storage.event_log_storage.get_records(storage.get_run_record("r"))
    storage.dispose()
    assert not page.has_more
    return page.records


def count(records: list[EventLogRecord], *wanted: EventType) -> dict[str | None, int]:
    types = {each.value for each in wanted}
    return Counter(r.stored_type for r in records if r.stored_type in types)


def ran(folder: Path) -> list[str]:
    """The ops that ran, in order."""
    return (folder / "ran").read_text().split()


def outputs(folder: Path) -> list[str]:
    """The files of outputs, whole or not."""
    made = (folder / "outputs").rglob("*")
    return sorted(path.name for path in made if path.is_file())


ONE = ["one"]
WHOLE = ["one", "two", "three"]
AGAIN = ["one", "one", "two", "three"]


@pytest.mark.parametrize(
    ("point", "first_has_run", "both_have_run"),
    [
        ("worker.before_run_start", [], WHOLE),
        ("worker.after_run_start", [], WHOLE),
        ("worker.after_output", ONE, AGAIN),
        ("worker.after_step_success", ONE, WHOLE),
        ("worker.before_run_end", WHOLE, [*WHOLE, "three"]),
    ],
)
def test_a_run_whose_worker_was_killed_goes_on_where_its_log_ends(
    folder: Path, point: str, first_has_run: list[str], both_have_run: list[str]
) -> None:
    """The success of the last step is stored with the end of the run."""
    (folder / "ran").touch()
    assert work_in_process(folder, point) == -signal.SIGKILL
    assert ran(folder) == first_has_run
    assert go_on(folder) is RunStatus.SUCCESS
    assert ran(folder) == both_have_run
    records = read_log(folder)
    assert count(records, E.RUN_START, E.RUN_SUCCESS, E.STEP_SUCCESS, E.STEP_FAILURE) == {
        "RUN_START": 1,
        "RUN_SUCCESS": 1,
        "STEP_SUCCESS": 3,
    }
    attempts = fold_steps({}, records)["one"].attempts
    again = both_have_run is AGAIN
    assert [each.status for each in attempts] == [S.ABANDONED, S.SUCCESS] if again else [S.SUCCESS]


def test_a_run_whose_worker_was_killed_after_its_end_has_ended(folder: Path) -> None:
    assert work_in_process(folder, "worker.after_run_end") == -signal.SIGKILL
    assert ran(folder) == WHOLE
    assert read_log(folder)[-1].event_type is E.RUN_SUCCESS


def test_an_op_that_ends_the_process_is_run_again_by_the_next_worker(folder: Path) -> None:
    (folder / "order").write_text("exit")
    assert work_in_process(folder) == doomed_worker.EXIT_CODE
    assert count(read_log(folder), E.STEP_START, E.STEP_FAILURE) == {"STEP_START": 2}
    assert go_on(folder) is RunStatus.SUCCESS
    assert ran(folder) == ["one", "two", "two", "three"]
    assert count(read_log(folder), E.STEP_START, E.STEP_RESTARTED, E.STEP_FAILURE) == {
        "STEP_START": 3,
        "STEP_RESTARTED": 1,
    }


def test_what_a_worker_that_died_has_half_written_is_removed_by_the_next(folder: Path) -> None:
    (folder / "order").write_text("exit while it is stored")
    assert work_in_process(folder) == doomed_worker.EXIT_CODE
    assert outputs(folder) == [".two,result.1.part", "one,result.1"]
    assert go_on(folder) is RunStatus.SUCCESS
    assert outputs(folder) == ["one,result.1", "three,result.2", "two,result.2"]


def test_an_output_for_which_there_is_no_space_fails_its_step_and_leaves_nothing(
    folder: Path,
) -> None:
    (folder / "order").write_text("exceed what may be written")
    assert work_in_process(folder) == 0
    assert outputs(folder) == ["one,result.1"]
    records = read_log(folder)
    [failure] = [r for r in records if r.event_type is E.STEP_FAILURE]
    assert failure.step_key == "two"
    assert failure.message == (
        "Step two failed: output 'result' of op 'two' could not be stored: OSError: [Errno 27] File"
        " too large"
    )
    assert isinstance(failure.data, StepFailureData)
    assert failure.data.error_source is StepErrorSource.USER_CODE_ERROR
    assert records[-1].event_type is E.RUN_FAILURE
    assert ran(folder) == ["one", "two"]


def test_an_output_that_cannot_be_pickled_fails_its_step_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    @op
    def lock() -> object:
        return threading.Lock()

    @job
    def locking() -> None:
        lock()

    storage = MemoryStorage()
    assert execute(storage, locking, tmp_path) is RunStatus.FAILURE
    [failure] = [r for r in events(storage) if r.event_type is E.STEP_FAILURE]
    assert "is a lock, which cannot be pickled" in failure.message
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    storage.dispose()
