"""What becomes of runs when their code location is loaded anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.control.new_run import NewRun
from runwire.instance import Instance
from runwire.locations.worker_presence import stop_workers
from runwire.locations.workspace import LocalWorkspace
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import eventually, is_alive
from runwire.workspace import CodeLocationStatus, JobSelector, WorkerRef, WorkerStatus
from tests.locations.conftest import Open, Write
from tests.locations.processes import code_servers, marked_processes, server_pid

JOBS = """
    import time
    from pathlib import Path
    from runwire import job, op

    VERSION = "{version}"

    def wait_for(name):
        while not Path(__file__).with_name(name).exists():
            time.sleep(0.01)

    @op
    def work() -> None:
        Path(__file__).with_name("working_with_" + VERSION).touch()
        wait_for("gate")
        Path(__file__).with_name("worked_with_" + VERSION).touch()

    @job
    def working():
        work()
"""


@pytest.fixture(autouse=True)
def workers_end(nothing_left: None, tmp_path: Path) -> Iterator[None]:
    """Run workers outlive the workspace; here they end with the test, also when it fails before it lets them go on."""
    yield
    (tmp_path / "gate").touch()
    try:
        eventually(lambda: not marked_processes(), "the run workers have ended")
    finally:
        for run_dir in (tmp_path / "home" / "storage").glob("*"):
            stop_workers(run_dir, sys.maxsize, grace_seconds=0, force=True)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    home = tmp_path / "home"
    home.mkdir()
    with Instance.from_home(home) as instance:
        yield instance


def _submit(instance: Instance, workspace: LocalWorkspace) -> str:
    record, _ = instance.create_run(NewRun(job=JobSelector("working")), workspace)
    instance.submit_run(record.run_id, workspace)
    return record.run_id


def _wait_for_success(instance: Instance, run_id: str) -> None:
    storage = instance.storage
    eventually(lambda: storage.get_run_record(run_id).is_finished, "the run has ended")
    assert storage.get_run_record(run_id).status is RunStatus.SUCCESS


def test_a_run_finishes_on_the_server_that_it_began_on(
    write: Write, open_workspace: Open, instance: Instance, tmp_path: Path
) -> None:
    workspace = open_workspace(write(JOBS.format(version=1)))
    location = workspace.get_location("jobs")
    old = server_pid(location)
    first = _submit(instance, workspace)
    eventually((tmp_path / "working_with_1").exists, "the first run works")
    write(JOBS.format(version=2))
    location.reload()
    second = _submit(instance, workspace)
    eventually((tmp_path / "working_with_2").exists, "the second run works")
    assert is_alive(old)
    assert code_servers() == {old, server_pid(location)}
    (tmp_path / "gate").touch()
    for run_id in (first, second):
        _wait_for_success(instance, run_id)
    eventually(lambda: not is_alive(old), "the old server has ended with its last worker")
    assert sorted(path.name for path in tmp_path.glob("worked_*")) == [
        "worked_with_1",
        "worked_with_2",
    ]


def test_a_reload_that_fails_lets_runs_finish(
    write: Write, open_workspace: Open, instance: Instance, tmp_path: Path
) -> None:
    workspace = open_workspace(write(JOBS.format(version=1)))
    location = workspace.get_location("jobs")
    old = server_pid(location)
    run_id = _submit(instance, workspace)
    eventually((tmp_path / "working_with_1").exists, "the run works")
    write("raise ValueError('no')")
    location.reload()
    assert location.state.status is CodeLocationStatus.FAILED
    assert is_alive(old)
    (tmp_path / "gate").touch()
    _wait_for_success(instance, run_id)
    eventually(lambda: not is_alive(old), "the old server has ended")


@pytest.mark.parametrize("is_draining", [False, True])
def test_a_closed_workspace_leaves_its_runs_alone_and_another_finds_them(
    write: Write,
    open_workspace: Open,
    instance: Instance,
    tmp_path: Path,
    is_draining: bool,
) -> None:
    file = write(JOBS.format(version=1))
    workspace = open_workspace(file)
    run_id = _submit(instance, workspace)
    eventually((tmp_path / "working_with_1").exists, "the run works")
    if is_draining:
        workspace.get_location("jobs").reload()
    workspace.dispose()
    assert code_servers() == set()
    worker = WorkerRef(run_id, 1, instance.get_ref().to_dict())
    location = open_workspace(file).get_location("jobs")
    assert location.check_worker(worker).status is WorkerStatus.RUNNING
    (tmp_path / "gate").touch()
    _wait_for_success(instance, run_id)
    eventually(
        lambda: location.check_worker(worker).status is WorkerStatus.SUCCESS, "the worker has ended"
    )
    assert location.stop_worker(worker) is False


def test_a_worker_is_stopped_whoever_started_it_also_while_its_location_is_failed(
    write: Write, open_workspace: Open, instance: Instance, tmp_path: Path
) -> None:
    file = write(JOBS.format(version=1))
    workspace = open_workspace(file)
    run_id = _submit(instance, workspace)
    eventually((tmp_path / "working_with_1").exists, "the run works")
    workspace.dispose()
    write("raise ValueError('no')")
    location = open_workspace(file).get_location("jobs")
    worker = WorkerRef(run_id, 1, instance.get_ref().to_dict())
    assert location.stop_worker(worker, force=True) is True
    eventually(
        lambda: location.check_worker(worker).status is WorkerStatus.FAILED, "the worker is gone"
    )
    assert location.stop_worker(worker, force=True) is False
