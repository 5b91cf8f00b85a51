"""The launcher of subprocesses conforms, and starts workers in the Python and environment that it is told."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runwire.config import ConfigurableClassData
from runwire.errors import CodeLocationNotFoundError, InvalidConfigurationError, LaunchFailedError
from runwire.events.payloads import RunFailureReason
from runwire.events.types import EventType
from runwire.instance import Instance
from runwire.launcher import LaunchRunContext, ResumeRunContext, RunLauncher
from runwire.launchers.subprocess import SubprocessRunLauncher
from runwire.locations.workers import RunWorkers
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import nothing_left_behind
from runwire.testing.run_launcher import LauncherPlace, RunLauncherConformance, launcher_place
from runwire.testing.samples import event
from runwire.workspace import CodeOrigin, WorkerStatus
from tests.launchers.noting import NotingLocation, OneLocation, record

DATA = ConfigurableClassData(
    "runwire.launchers.subprocess", "SubprocessRunLauncher", {"stop_grace_seconds": 0.5}
)


class TestSubprocessRunLauncher(RunLauncherConformance):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[LauncherPlace]:
        with launcher_place(tmp_path, DATA) as place:
            yield place


JOBS = """
import os, sys
from pathlib import Path
from runwire import job, op

@op
def look() -> None:
    told = [os.environ.get(name, "-") for name in ("ADDED", "KEPT", "CHANGED", "WRAPPED")]
    told += [str(Path.cwd() == Path(__file__).parent), str(os.getpgrp() == os.getpid())]
    Path(__file__).with_name("told").write_text(" ".join(told))

@job
def looking():
    look()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with nothing_left_behind():
        (tmp_path / "jobs.py").write_text(JOBS)
        (tmp_path / "home").mkdir()
        yield tmp_path


@pytest.fixture
def instance(folder: Path) -> Iterator[Instance]:
    with Instance.from_home(folder / "home") as instance:
        yield instance


def _origin(folder: Path) -> CodeOrigin:
    return CodeOrigin(
        executable_path=sys.executable,
        python_file=str(folder / "jobs.py"),
        module="",
        attribute=None,
        working_directory=None,
        directory=str(folder),
    )


def _handed_over(instance: Instance, origin: CodeOrigin | None) -> LaunchRunContext:
    """A run of the job in STARTING, in a location that nobody serves, with all that a launcher gets."""
    run = replace(record().run, job_name="looking", repository_name="__repository__")
    instance.storage.run_storage.add_run(run, created_at=1.0)
    starting = event(run.run_id, EventType.RUN_STARTING)
    instance.storage.store_events(run.run_id, [starting], handover=True)
    workspace = OneLocation(NotingLocation(WorkerStatus.UNKNOWN, origin))
    ref = instance.get_ref().to_dict()
    return LaunchRunContext(instance.storage.get_run_record(run.run_id), workspace, ref)


def _launched(instance: Instance, folder: Path, launcher: SubprocessRunLauncher) -> RunRecord:
    """The run after its worker has ended."""
    launcher.launch_run(_handed_over(instance, _origin(folder)))
    launcher.dispose()
    return instance.storage.get_run_record("run")


# ------------------------------------------------------------------------- how workers are started


def test_a_worker_needs_no_code_server_and_gets_the_environment_that_is_configured(
    instance: Instance, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("CHANGED", "old")
    environment = {"ADDED": "added", "CHANGED": "new"}
    launcher = SubprocessRunLauncher(environment=environment, wait_for_processes=True)
    assert _launched(instance, folder, launcher).status is RunStatus.SUCCESS
    assert (folder / "told").read_text() == "added kept new - True True"


def test_another_python_runs_the_workers_where_one_is_configured(
    instance: Instance, folder: Path
) -> None:
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nWRAPPED=yes exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    launcher = SubprocessRunLauncher(executable_path=str(python), wait_for_processes=True)
    assert _launched(instance, folder, launcher).status is RunStatus.SUCCESS
    assert (folder / "told").read_text() == "- - - yes True True"


def test_a_python_that_is_not_there_is_named(instance: Instance, folder: Path) -> None:
    context = _handed_over(instance, _origin(folder))
    launcher = SubprocessRunLauncher(executable_path=str(folder / "none"), wait_for_processes=True)
    with pytest.raises(LaunchFailedError, match=r"no worker could be started .*/none"):
        launcher.launch_run(context)
    launcher.dispose()
    assert instance.storage.get_run_record("run") == context.record


def test_a_python_that_cannot_run_workers_loses_them_and_that_is_reported(
    instance: Instance, folder: Path
) -> None:
    python = folder / "python"
    python.write_text("#!/bin/sh\necho no runwire here >&2\nexit 3\n")
    python.chmod(0o755)
    launcher = SubprocessRunLauncher(executable_path=str(python), wait_for_processes=True)
    run = _launched(instance, folder, launcher)
    assert run.failure is not None
    assert (run.status, run.failure.reason) == (RunStatus.FAILURE, RunFailureReason.WORKER_LOST)
    assert "ended with exit code 3" in run.failure.message
    words = instance.local_artifact_storage.run_dir("run") / "worker.err"
    assert words.read_text() == "no runwire here\n"


def test_a_location_that_somebody_else_serves_is_refused_with_the_mend(
    instance: Instance,
) -> None:
    context = _handed_over(instance, None)
    launcher = SubprocessRunLauncher()
    resume = ResumeRunContext(context.record, context.workspace, context.instance_ref)
    with pytest.raises(LaunchFailedError, match=r"python_file.*DefaultRunLauncher"):
        launcher.launch_run(context)
    with pytest.raises(LaunchFailedError, match=r"python_file.*DefaultRunLauncher"):
        launcher.resume_run(resume)
    assert instance.storage.get_run_record("run") == context.record


def test_a_location_that_is_not_in_the_workspace_is_named(instance: Instance) -> None:
    context = _handed_over(instance, None)
    other = replace(context.record, run=replace(context.record.run, location_name="other"))
    with pytest.raises(CodeLocationNotFoundError, match="'other'"):
        SubprocessRunLauncher().launch_run(replace(context, record=other))


def test_workers_are_found_and_stopped_without_their_location(
    instance: Instance, folder: Path
) -> None:
    context = _handed_over(instance, _origin(folder))
    gone = replace(context.record, run=replace(context.record.run, location_name="other"))
    context = replace(context, record=gone)
    health = SubprocessRunLauncher().check_run_worker_health(context)
    assert health.status is WorkerStatus.NOT_FOUND
    assert SubprocessRunLauncher().terminate(context) is False


# ---------------------------------------------------------------------------------------- waiting


def test_ctrl_c_ends_the_waiting(
    instance: Instance,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def interrupt(_workers: RunWorkers) -> bool:
        raise KeyboardInterrupt

    launcher = SubprocessRunLauncher(wait_for_processes=True)
    launcher.launch_run(_handed_over(instance, _origin(folder)))
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(RunWorkers, "wait_until_ended", interrupt)
        launcher.dispose()
    assert caplog.messages == ["run workers are not waited for any longer; they go on"]
    launcher.dispose()
    assert instance.storage.get_run_record("run").status is RunStatus.SUCCESS


# ---------------------------------------------------------------------------------- configuration


def test_it_is_configured_by_its_class_path() -> None:
    assert isinstance(DATA.rehydrate(RunLauncher), SubprocessRunLauncher)
    assert DATA.info_dict()["config"] == {
        "executable_path": None,
        "environment": {},
        "stop_grace_seconds": 0.5,
        "wait_for_processes": False,
    }


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"executable_path": "python3"}, r"config\.executable_path: .*an absolute path"),
        ({"environment": {"A=B": "c"}}, r"config\.environment: .*'A=B' cannot be"),
        ({"environment": {"": "c"}}, r"config\.environment: .*'' cannot be"),
        ({"environment": {"A": "\0"}}, r"config\.environment: .*'A' cannot be"),
        ({"environment": {"A": 1}}, r"config\.environment\.A: .*string"),
        ({"stop_grace_seconds": -1}, r"config\.stop_grace_seconds: .*greater than or equal to 0"),
        ({"grace": 1}, r"config\.grace"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(config: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidConfigurationError, match=problem):
        ConfigurableClassData(DATA.module_name, DATA.class_name, config).rehydrate(RunLauncher)
