"""Code servers that somebody else runs, over a unix socket and over loopback."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runwire.control.new_run import NewRun
from runwire.errors import CodeLocationUnavailableError
from runwire.instance import Instance
from runwire.locations.target import CodeServerTarget
from runwire.locations.workspace import LocalWorkspace
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import GENEROUS_SECONDS, eventually, pause
from runwire.workspace import (
    CodeLocation,
    CodeLocationState,
    CodeLocationStatus,
    JobSelector,
    WorkerRef,
    WorkerStatus,
)
from tests.cli.served import free_port
from tests.locations.conftest import Open, Write
from tests.locations.standalone import code_server

LOADING, LOADED = CodeLocationStatus.LOADING, CodeLocationStatus.LOADED
FAILED, UNREACHABLE = CodeLocationStatus.FAILED, CodeLocationStatus.UNREACHABLE
TOKEN = "a-token-of-16-or-more"

JOBS = """
    import time
    from pathlib import Path
    from runwire import job, op

    @op
    def {op}() -> None: ...

    @job
    def sales():
        {op}()

    @op
    def wait() -> None:
        Path(__file__).with_name("waiting").touch()
        while True:
            time.sleep(0.01)

    @job
    def waiting():
        wait()
"""


@pytest.fixture(params=["socket", "port"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> CodeServerTarget:
    if request.param == "port":
        return CodeServerTarget(port=free_port(), name="shop")
    return CodeServerTarget(socket=tmp_path / "s", name="shop")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    home = tmp_path / "home"
    home.mkdir()
    with Instance.from_home(home) as instance:
        yield instance


def _place(target: CodeServerTarget) -> tuple[str, str]:
    if target.socket is not None:
        return "--socket", str(target.socket)
    return "--port", str(target.port)


def _steps(location: CodeLocation) -> list[str]:
    return [step.step_key for step in location.plan_run("__repository__", "sales", {}).steps]


def _told(state: CodeLocationState) -> tuple[CodeLocationStatus, str]:
    return state.status, "" if state.load_error is None else state.load_error.message


def test_its_definitions_are_listed_and_its_jobs_planned(
    write: Write, open_workspace: Open, target: CodeServerTarget
) -> None:
    with code_server(write(JOBS.format(op="load")), *_place(target)) as process:
        location = open_workspace(target).get_location("shop")
        assert location.state.status is LOADED
        assert location.state.server is not None
        assert location.state.server.address == target.address
        assert location.origin is None
        assert _steps(location) == ["load"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(GENEROUS_SECONDS) == 0


def test_its_death_and_its_return_are_noticed(
    write: Write, open_workspace: Open, target: CodeServerTarget
) -> None:
    told: list[CodeLocationState] = []
    with code_server(write(JOBS.format(op="load")), *_place(target)) as process:
        workspace = open_workspace(target)
        location = workspace.get_location("shop")
        loaded = location.state
        workspace.watch(told.append)
        process.kill()
    eventually(lambda: location.state.status is UNREACHABLE, "the death is noticed")
    assert (location.state.repositories, location.state.server) == (
        loaded.repositories,
        loaded.server,
    )
    with pytest.raises(CodeLocationUnavailableError, match="does not answer"):
        _steps(location)
    with code_server(write(JOBS.format(op="store")), *_place(target)):
        eventually(lambda: location.state.status is LOADED, "its return is noticed")
        assert _steps(location) == ["store"]
        assert location.state.load_error is None
        assert location.state.server != loaded.server
        assert {state.status for state in told[:-1]} == {UNREACHABLE}
        assert told[-1].status is LOADED


def test_a_pause_changes_nothing(
    write: Write,
    open_workspace: Open,
    target: CodeServerTarget,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with code_server(write(JOBS.format(op="load")), *_place(target)) as process:
        location = open_workspace(target).get_location("shop")
        loaded = location.state
        pause(process.pid)
        eventually(lambda: location.state.status is UNREACHABLE, "the silence is noticed")
        assert _told(location.state) == (UNREACHABLE, "it did not answer Ping within 1 s")
        os.kill(process.pid, signal.SIGCONT)
        eventually(lambda: location.state.status is LOADED, "it answers again")
        assert location.state == replace(loaded, updated_at=location.state.updated_at)


def test_one_that_is_not_there_yet_is_waited_for(
    write: Write, open_workspace: Open, target: CodeServerTarget
) -> None:
    location = open_workspace(target).get_location("shop")
    assert location.state.status is UNREACHABLE
    assert location.state.server is None
    with pytest.raises(CodeLocationUnavailableError, match="it is UNREACHABLE"):
        _steps(location)
    with code_server(write(JOBS.format(op="load")), *_place(target)):
        eventually(lambda: location.state.status is LOADED, "it has come")
        assert _steps(location) == ["load"]


def test_definitions_that_do_not_load_are_told_as_that(
    write: Write, open_workspace: Open, target: CodeServerTarget
) -> None:
    file = write("raise ValueError('no')")
    with code_server(file, *_place(target)):
        location = open_workspace(target).get_location("shop")
        assert _told(location.state) == (
            FAILED,
            f"{file}:1: loading the definitions raised ValueError: no",
        )


def test_a_reload_asks_for_the_definitions_again(
    write: Write, open_workspace: Open, target: CodeServerTarget
) -> None:
    with code_server(write(JOBS.format(op="load")), *_place(target)):
        workspace = open_workspace(target)
        location, told = workspace.get_location("shop"), list[CodeLocationState]()
        before = location.state
        workspace.watch(told.append)
        location.reload()
        assert told == [replace(before, updated_at=told[0].updated_at)]


def test_its_runs_run_and_can_be_checked_and_stopped(
    write: Write,
    open_workspace: Open,
    target: CodeServerTarget,
    instance: Instance,
    tmp_path: Path,
) -> None:
    with code_server(write(JOBS.format(op="load")), *_place(target)):
        workspace = open_workspace(target, stop_grace_seconds=1.0)
        run_id = _submit(instance, workspace, "sales")
        eventually(lambda: _is_finished(instance, run_id), "the run has ended")
        assert instance.storage.get_run_record(run_id).status is RunStatus.SUCCESS

        location = workspace.get_location("shop")
        run_id = _submit(instance, workspace, "waiting")
        worker = WorkerRef(run_id, 1, instance.get_ref().to_dict())
        eventually((tmp_path / "waiting").exists, "the op runs")
        assert location.check_worker(worker).status is WorkerStatus.RUNNING
        assert location.stop_worker(worker, force=True) is True
        eventually(lambda: _is_finished(instance, run_id), "the run has ended")
        assert location.check_worker(worker).status is WorkerStatus.FAILED
        assert location.stop_worker(worker) is False


def _submit(instance: Instance, workspace: LocalWorkspace, job_name: str) -> str:
    record, _ = instance.create_run(NewRun(job=JobSelector(job_name)), workspace)
    instance.submit_run(record.run_id, workspace)
    return record.run_id


def _is_finished(instance: Instance, run_id: str) -> bool:
    return instance.storage.get_run_record(run_id).is_finished


def test_a_code_server_with_a_token_answers_who_presents_it(
    write: Write, open_workspace: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    variables = {"RUNWIRE_CODE_SERVER_TOKEN": TOKEN}
    file = write(JOBS.format(op="load"))
    with code_server(file, "--port", str(port), variables=variables):
        with_token = CodeServerTarget(port=port, token=TOKEN, name="with")
        without = CodeServerTarget(port=port, name="without")
        workspace = open_workspace(with_token, without)
        assert workspace.get_location("with").state.status is LOADED
        assert _told(workspace.get_location("without").state) == (
            UNREACHABLE,
            "it refuses the call: the token of this code server is needed",
        )


def test_a_closed_workspace_calls_nobody(
    write: Write, open_workspace: Open, target: CodeServerTarget
) -> None:
    with code_server(write(JOBS.format(op="load")), *_place(target)):
        workspace = open_workspace(target)
        location = workspace.get_location("shop")
        workspace.dispose()
        workspace.dispose()
        with pytest.raises(CodeLocationUnavailableError, match="its workspace was closed"):
            _steps(location)
        assert location.state.server is None


def test_local_and_remote_locations_live_in_one_workspace(
    write: Write, open_workspace: Open, target: CodeServerTarget
) -> None:
    file = write(JOBS.format(op="load"))
    with code_server(file, *_place(target)):
        workspace = open_workspace(target, write(JOBS.format(op="store"), "other.py"))
        assert {
            location.state.name: _steps(location) for location in workspace.list_locations()
        } == {"other": ["store"], "shop": ["load"]}
        assert [location.state.name for location in workspace.list_local_locations()] == ["other"]
