"""Runs in workers: real code servers, real workers, and SQLite in a home of the test's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.control.new_run import NewRun
from runwire.errors import LaunchFailedError
from runwire.events.entry import EventLogRecord
from runwire.events.metadata import MetadataEntry, MetadataValue
from runwire.events.payloads import EngineEventData, RunFailureReason
from runwire.events.types import TERMINAL_RUN_EVENTS, EventType
from runwire.instance import Instance
from runwire.locations.target import LocationTarget
from runwire.locations.workspace import LocalWorkspace
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import GENEROUS_SECONDS, eventually, is_alive
from runwire.workspace import (
    CodeLocationStatus,
    JobSelector,
    WorkerRef,
    WorkerRequest,
    WorkerStatus,
)
from tests.locations.conftest import Open, Write
from tests.locations.processes import server_pid

E = EventType

JOBS = """
    import os, signal, time
    from pathlib import Path
    from runwire import job, op

    FOLDER = Path(__file__).parent

    def wait_for(name):
        while not (FOLDER / name).exists():
            time.sleep(0.01)

    @op
    def load() -> int:
        print("loading")
        return 2

    @op
    def double(number: int) -> int:
        return number * 2

    @job
    def good():
        double(load())

    @op
    def fail() -> int:
        raise ValueError("no such table")

    @job
    def bad():
        double(fail())

    @op
    def wait() -> None:
        (FOLDER / "waiting").write_text(str(os.getpid()))
        wait_for("go on")

    @job
    def waiting():
        wait()

    @op
    def ignore() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (FOLDER / "waiting").write_text(str(os.getpid()))
        while True:
            time.sleep(0.01)

    @job
    def ignoring():
        ignore()

    @op
    def leave() -> None:
        print("leaving")
        os._exit(0)

    @job
    def leaving():
        leave()
"""

SPAWNING_JOBS = (
    JOBS
    + """
    import threading
    threading.Thread(target=time.sleep, args=(600,), name="poller", daemon=True).start()
    """
)
"""A thread that the definitions start forbids forks: workers are spawned and load the definitions anew."""

both_ways = pytest.mark.parametrize(
    "jobs", [pytest.param(JOBS, id="forked"), pytest.param(SPAWNING_JOBS, id="spawned")]
)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    home = tmp_path / "home"
    home.mkdir()
    with Instance.from_home(home) as instance:
        yield instance


def _submit(instance: Instance, workspace: LocalWorkspace, job_name: str) -> str:
    record, _ = instance.create_run(NewRun(job=JobSelector(job_name)), workspace)
    instance.submit_run(record.run_id, workspace)
    return record.run_id


def _record(instance: Instance, run_id: str) -> RunRecord:
    return instance.storage.get_run_record(run_id)


def _wait_for_end(instance: Instance, run_id: str) -> RunRecord:
    eventually(lambda: _record(instance, run_id).is_finished, f"run {run_id} has ended")
    return _record(instance, run_id)


def _events(instance: Instance, run_id: str) -> list[EventLogRecord]:
    return instance.storage.event_log_storage.get_records(_record(instance, run_id)).records


def _types(instance: Instance, run_id: str) -> list[EventType | None]:
    return [event.event_type for event in _events(instance, run_id)]


def _endings(instance: Instance, run_id: str) -> list[tuple[EventType | None, bool, int | None]]:
    return [
        (event.event_type, event.applied, event.epoch)
        for event in _events(instance, run_id)
        if event.event_type in TERMINAL_RUN_EVENTS
    ]


def _waiting_pid(tmp_path: Path) -> int:
    mark = tmp_path / "waiting"
    eventually(lambda: mark.exists() and mark.read_text(), "the op is running")
    return int(mark.read_text())


# -------------------------------------------------------------------------------- to the end


@both_ways
def test_a_run_goes_through_its_events_to_success(
    write: Write, open_workspace: Open, instance: Instance, jobs: str
) -> None:
    run_id = _submit(instance, open_workspace(write(jobs)), "good")
    assert _wait_for_end(instance, run_id).status is RunStatus.SUCCESS
    assert _types(instance, run_id) == [
        E.RUN_STARTING,
        E.ENGINE_EVENT,
        E.RUN_START,
        E.ENGINE_EVENT,
        E.STEP_START,
        E.STEP_OUTPUT,
        E.HANDLED_OUTPUT,
        E.STEP_SUCCESS,
        E.STEP_START,
        E.LOADED_INPUT,
        E.STEP_INPUT,
        E.STEP_OUTPUT,
        E.HANDLED_OUTPUT,
        E.STEP_SUCCESS,
        E.ENGINE_EVENT,
        E.RUN_SUCCESS,
    ]
    events = _events(instance, run_id)
    assert [event.position for event in events] == list(range(1, 17))
    assert {event.epoch for event in events} == {1}


@both_ways
def test_the_worker_tells_its_pid_and_keeps_what_user_code_prints(
    write: Write, open_workspace: Open, instance: Instance, jobs: str
) -> None:
    run_id = _submit(instance, open_workspace(write(jobs)), "good")
    _wait_for_end(instance, run_id)
    told = _events(instance, run_id)[1]
    assert isinstance(told.data, EngineEventData)
    [entry] = told.data.metadata
    pid = int(told.message.removeprefix("Started process for run (pid ").removesuffix(")."))
    assert entry == MetadataEntry("pid", MetadataValue.number(pid))
    assert pid != os.getpid()
    folder = instance.local_artifact_storage.run_dir(run_id)
    assert (folder / "worker.out").read_text() == "loading\n"
    assert (folder / "worker.err").read_text() == ""


def test_a_run_with_a_failing_op_fails_once(
    write: Write, open_workspace: Open, instance: Instance
) -> None:
    run_id = _submit(instance, open_workspace(write(JOBS)), "bad")
    failure = _wait_for_end(instance, run_id).failure
    assert failure is not None
    assert (failure.reason, failure.failed_step_keys) == (RunFailureReason.STEP_FAILURE, ("fail",))
    assert _endings(instance, run_id) == [(E.RUN_FAILURE, True, 1)]
    steps = [
        (event.event_type, event.step_key)
        for event in _events(instance, run_id)
        if event.event_type in {E.STEP_START, E.STEP_SUCCESS, E.STEP_FAILURE}
    ]
    assert steps == [(E.STEP_START, "fail"), (E.STEP_FAILURE, "fail")]


@both_ways
def test_a_worker_runs_beside_its_code_server(
    write: Write, open_workspace: Open, instance: Instance, jobs: str, tmp_path: Path
) -> None:
    workspace = open_workspace(write(jobs))
    run_id = _submit(instance, workspace, "waiting")
    pid = _waiting_pid(tmp_path)
    assert os.getpgid(pid) == pid
    location = workspace.get_location("jobs")
    assert pid != server_pid(location)
    ref = instance.get_ref().to_dict()

    def status(run: str) -> WorkerStatus:
        return location.check_worker(WorkerRef(run, 1, ref)).status

    assert (status(run_id), status("other")) == (WorkerStatus.RUNNING, WorkerStatus.NOT_FOUND)
    (tmp_path / "go on").touch()
    assert _wait_for_end(instance, run_id).status is RunStatus.SUCCESS
    eventually(lambda: status(run_id) is WorkerStatus.SUCCESS, "the worker is gone")
    assert location.stop_worker(WorkerRef(run_id, 1, ref)) is False


# -------------------------------------------------------------------------- lost and not loaded


@both_ways
def test_a_worker_that_is_killed_in_a_step_fails_its_run_once(
    write: Write, open_workspace: Open, instance: Instance, jobs: str, tmp_path: Path
) -> None:
    run_id = _submit(instance, open_workspace(write(jobs)), "waiting")
    pid = _waiting_pid(tmp_path)
    os.kill(pid, signal.SIGKILL)
    failure = _wait_for_end(instance, run_id).failure
    assert failure is not None
    assert failure.reason is RunFailureReason.WORKER_LOST
    errors = instance.local_artifact_storage.run_dir(run_id) / "worker.err"
    assert failure.message == (
        f"The run lost its worker. Its process (pid {pid}) was killed by SIGKILL;"
        f" {errors} has its last words."
    )
    assert _endings(instance, run_id) == [(E.RUN_FAILURE, True, 1)]


def test_user_code_that_leaves_without_a_word_loses_the_worker(
    write: Write, open_workspace: Open, instance: Instance
) -> None:
    run_id = _submit(instance, open_workspace(write(JOBS)), "leaving")
    failure = _wait_for_end(instance, run_id).failure
    assert failure is not None
    assert failure.reason is RunFailureReason.WORKER_LOST
    assert "ended with exit code 0" in failure.message
    out = instance.local_artifact_storage.run_dir(run_id) / "worker.out"
    assert out.read_text() == "leaving\n"


def test_definitions_that_do_not_load_in_the_worker_fail_the_run(
    write: Write, open_workspace: Open, instance: Instance
) -> None:
    workspace = open_workspace(write(SPAWNING_JOBS))
    write("raise KeyError('changed')\n")
    run_id = _submit(instance, workspace, "good")
    record = _wait_for_end(instance, run_id)
    assert record.failure is not None
    assert record.failure.reason is RunFailureReason.LOAD_FAILED
    assert record.failure.error is not None
    assert record.failure.error.class_name == "DefinitionLoadError"
    assert "KeyError: 'changed'" in record.failure.message
    assert _types(instance, run_id) == [E.RUN_STARTING, E.ENGINE_EVENT, E.RUN_FAILURE]


def test_a_job_that_is_gone_in_the_worker_fails_the_run(
    write: Write, open_workspace: Open, instance: Instance
) -> None:
    workspace = open_workspace(write(SPAWNING_JOBS))
    write(JOBS.replace("def good():", "def better():"))
    run_id = _submit(instance, workspace, "good")
    failure = _wait_for_end(instance, run_id).failure
    assert failure is not None
    assert failure.reason is RunFailureReason.LOAD_FAILED
    assert "do not have job 'good'" in failure.message
    assert _endings(instance, run_id) == [(E.RUN_FAILURE, True, 1)]


def test_a_worker_that_cannot_be_started_is_told_to_who_launched(
    write: Write, open_workspace: Open, instance: Instance
) -> None:
    workspace = open_workspace(write(JOBS))
    instance.local_artifact_storage.storage_dir.parent.mkdir(exist_ok=True)
    instance.local_artifact_storage.storage_dir.write_text("a file, not a folder")
    record, _ = instance.create_run(NewRun(job=JobSelector("good")), workspace)
    with pytest.raises(LaunchFailedError, match="worker"):
        instance.submit_run(record.run_id, workspace)
    after = _record(instance, record.run_id)
    assert after.failure is not None
    assert (after.status, after.failure.reason) == (
        RunStatus.FAILURE,
        RunFailureReason.LAUNCH_FAILED,
    )
    assert _types(instance, record.run_id) == [E.RUN_STARTING, E.RUN_FAILURE]


def test_a_worker_is_not_started_where_the_folder_of_its_definitions_is_gone(
    write: Write, open_workspace: Open, instance: Instance, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    target = LocationTarget(python_file=write(JOBS), working_directory=folder)
    workspace = open_workspace(target)
    folder.rmdir()
    record, _ = instance.create_run(NewRun(job=JobSelector("good")), workspace)
    with pytest.raises(LaunchFailedError, match="is not there any more; put it back"):
        instance.submit_run(record.run_id, workspace)
    assert _record(instance, record.run_id).status is RunStatus.FAILURE
    failure = _events(instance, record.run_id)[-1]
    assert failure.event_type is E.RUN_FAILURE
    assert f"the folder {folder}, in which" in failure.message


@both_ways
def test_a_worker_of_a_run_that_was_deleted_leaves_no_folder(
    write: Write, open_workspace: Open, instance: Instance, jobs: str
) -> None:
    workspace = open_workspace(write(jobs))
    run_id = _submit(instance, workspace, "good")
    _wait_for_end(instance, run_id)
    instance.delete_run(run_id, workspace)
    run_dir = instance.local_artifact_storage.run_dir(run_id)
    assert not run_dir.exists()
    ref = instance.get_ref().to_dict()
    request = WorkerRequest(run_id, "good", "__repository__", 1, ref)
    pid = workspace.get_location("jobs").start_worker(request)
    eventually(lambda: not is_alive(pid) and not run_dir.exists(), "its folder is gone")
    assert [path.name for path in run_dir.parent.iterdir()] == []


def test_a_second_worker_with_an_old_epoch_does_nothing(
    write: Write, open_workspace: Open, instance: Instance, tmp_path: Path
) -> None:
    workspace = open_workspace(write(JOBS))
    run_id = _submit(instance, workspace, "waiting")
    _waiting_pid(tmp_path)
    before = _events(instance, run_id)
    location = workspace.get_location("jobs")
    ref = instance.get_ref().to_dict()
    pid = location.start_worker(WorkerRequest(run_id, "waiting", "__repository__", 0, ref))
    eventually(lambda: not is_alive(pid), "the second worker has ended")
    assert _events(instance, run_id) == before
    (tmp_path / "go on").touch()
    assert _wait_for_end(instance, run_id).status is RunStatus.SUCCESS
    assert _endings(instance, run_id) == [(E.RUN_SUCCESS, True, 1)]


# --------------------------------------------------------------------------------------- stopping


@both_ways
def test_a_run_that_is_stopped_is_canceled(
    write: Write, open_workspace: Open, instance: Instance, jobs: str, tmp_path: Path
) -> None:
    workspace = open_workspace(write(jobs), stop_grace_seconds=GENEROUS_SECONDS)
    run_id = _submit(instance, workspace, "waiting")
    _waiting_pid(tmp_path)
    assert instance.terminate_run(run_id, workspace).status in {
        RunStatus.CANCELING,
        RunStatus.CANCELED,
    }
    assert _wait_for_end(instance, run_id).status is RunStatus.CANCELED
    assert _endings(instance, run_id) == [(E.RUN_CANCELED, True, 1)]
    assert "killed" not in _events(instance, run_id)[-1].message


@both_ways
def test_a_worker_that_does_not_stop_is_killed_after_a_grace(
    write: Write, open_workspace: Open, instance: Instance, jobs: str, tmp_path: Path
) -> None:
    workspace = open_workspace(write(jobs), stop_grace_seconds=0.3)
    run_id = _submit(instance, workspace, "ignoring")
    pid = _waiting_pid(tmp_path)
    instance.terminate_run(run_id, workspace)
    assert _wait_for_end(instance, run_id).status is RunStatus.CANCELED
    [message] = [e.message for e in _events(instance, run_id) if e.event_type is E.RUN_CANCELED]
    assert message.startswith(
        f"The run was canceled. Its process (pid {pid}) was killed by SIGKILL;"
    )
    assert _endings(instance, run_id) == [(E.RUN_CANCELED, True, 1)]


def test_a_worker_is_stopped_while_it_loads_its_definitions(
    write: Write, open_workspace: Open, instance: Instance, tmp_path: Path
) -> None:
    workspace = open_workspace(write(SPAWNING_JOBS), stop_grace_seconds=GENEROUS_SECONDS)
    write(
        """
        import os, time
        from pathlib import Path
        Path(__file__).with_name("waiting").write_text(str(os.getpid()))
        while True:
            time.sleep(0.01)
        """
    )
    run_id = _submit(instance, workspace, "good")
    _waiting_pid(tmp_path)
    instance.terminate_run(run_id, workspace)
    assert _wait_for_end(instance, run_id).status is RunStatus.CANCELED
    assert [event.message for event in _events(instance, run_id)][-1] == (
        "The run was canceled. It was interrupted while it loaded the definitions."
    )


def test_a_worker_that_is_stopped_without_a_cancel_leaves_its_run_to_be_resumed(
    write: Write, open_workspace: Open, tmp_path: Path
) -> None:
    """As when its machine shuts down. Without resume attempts the run fails instead."""
    (tmp_path / "runwire.yaml").write_text("run_monitoring: {max_resume_run_attempts: 1}")
    with Instance.from_home(tmp_path) as instance:
        workspace = open_workspace(write(JOBS))
        run_id = _submit(instance, workspace, "waiting")
        pid = _waiting_pid(tmp_path)
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not is_alive(pid), "the worker has ended")
        assert _record(instance, run_id).status is RunStatus.STARTED
        assert _events(instance, run_id)[-1].message == (
            "The worker was stopped, but nobody canceled the run, which waits to be resumed"
        )
        (tmp_path / "go on").touch()
        instance.resume_run(run_id, workspace, 1)
        assert _wait_for_end(instance, run_id).status is RunStatus.SUCCESS


# ---------------------------------------------------------------------------- without code server


def test_a_worker_outlives_its_code_server_and_is_found_by_the_next(
    write: Write, open_workspace: Open, instance: Instance, tmp_path: Path
) -> None:
    workspace = open_workspace(write(JOBS), stop_grace_seconds=GENEROUS_SECONDS)
    location = workspace.get_location("jobs")
    first = location.state.server
    run_id = _submit(instance, workspace, "waiting")
    worker = _waiting_pid(tmp_path)
    os.kill(server_pid(location), signal.SIGKILL)
    eventually(
        lambda: (
            location.state.status is CodeLocationStatus.LOADED and location.state.server != first
        ),
        "the code server is started again",
    )
    assert is_alive(worker)
    health = location.check_worker(WorkerRef(run_id, 1, instance.get_ref().to_dict()))
    assert health.status is WorkerStatus.RUNNING
    assert instance.terminate_run(run_id, workspace).status in {
        RunStatus.CANCELING,
        RunStatus.CANCELED,
    }
    assert _wait_for_end(instance, run_id).status is RunStatus.CANCELED
    eventually(lambda: not is_alive(worker), "the worker has ended")


def test_a_worker_outlives_its_workspace(
    write: Write, open_workspace: Open, instance: Instance, tmp_path: Path
) -> None:
    workspace = open_workspace(write(JOBS))
    run_id = _submit(instance, workspace, "waiting")
    worker = _waiting_pid(tmp_path)
    workspace.dispose()
    assert is_alive(worker)
    (tmp_path / "go on").touch()
    assert _wait_for_end(instance, run_id).status is RunStatus.SUCCESS


def test_a_worker_imports_from_where_its_code_server_did(
    write: Write, open_workspace: Open, instance: Instance, tmp_path: Path
) -> None:
    file = write(
        SPAWNING_JOBS
        + """
    import json, sys
    with (FOLDER / "paths").open("a") as paths:
        print(json.dumps([os.getcwd(), *sys.path]), file=paths)
    os.environ["PYTHONPATH"] = os.pathsep.join(["nowhere", os.environ.get("PYTHONPATH", "")])
    """
    )
    run_id = _submit(instance, open_workspace(file), "good")
    assert _wait_for_end(instance, run_id).status is RunStatus.SUCCESS
    of_code_server, of_worker = (tmp_path / "paths").read_text().splitlines()
    assert of_worker == of_code_server


def test_a_worker_stays_lean(write: Write, open_workspace: Open, instance: Instance) -> None:
    file = write(
        SPAWNING_JOBS
        + """
    import sys

    @op
    def look() -> None:
        (FOLDER / "modules").write_text("\\n".join(sys.modules))

    @job
    def looking():
        look()
    """
    )
    run_id = _submit(instance, open_workspace(file), "looking")
    assert _wait_for_end(instance, run_id).status is RunStatus.SUCCESS
    loaded = set(file.with_name("modules").read_text().split("\n"))
    assert loaded & {"grpc", "strawberry", "starlette", "uvicorn", "typer", "rich", "gql"} == set()
