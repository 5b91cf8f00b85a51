"""The default run launcher: it conforms, and asks code locations, here ones that note what they are asked."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.config import ConfigurableClassData
from runwire.errors import (
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    InvalidConfigurationError,
    LaunchFailedError,
)
from runwire.launcher import LaunchRunContext, ResumeRunContext, RunLauncher
from runwire.launchers import default
from runwire.launchers.default import DefaultRunLauncher, LaunchedWorkers
from runwire.runs.run import RunRecord
from runwire.testing.run_launcher import LauncherPlace, RunLauncherConformance, launcher_place
from runwire.workspace import CheckRunHealthResult, WorkerRef, WorkerRequest, WorkerStatus
from tests.launchers.noting import INSTANCE_REF, NotingLocation, OneLocation, record

DATA = ConfigurableClassData("runwire.launchers.default", "DefaultRunLauncher")


class TestDefaultRunLauncher(RunLauncherConformance):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[LauncherPlace]:
        with launcher_place(tmp_path, DATA) as place:
            yield place


def _context(run: RunRecord, location: NotingLocation) -> LaunchRunContext:
    return LaunchRunContext(run, OneLocation(location), INSTANCE_REF)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "POLL_SECONDS", 0.0)


# -------------------------------------------------------------------------------- what it asks for


def test_launching_asks_the_run_s_location_for_a_worker_of_its_epoch() -> None:
    location = NotingLocation()
    DefaultRunLauncher().launch_run(_context(record(), location))
    assert location.asked == [WorkerRequest("run", "sales", "main", 3, INSTANCE_REF)]


def test_resuming_asks_for_a_worker_of_the_run_s_epoch_and_leaves_the_former_to_who_resumes() -> (
    None
):
    location = NotingLocation()
    DefaultRunLauncher().resume_run(
        ResumeRunContext(record(), OneLocation(location), INSTANCE_REF, resume_attempt_number=2)
    )
    assert location.asked == [WorkerRequest("run", "sales", "main", 3, INSTANCE_REF)]


@pytest.mark.parametrize("run", [record(location=None), record(repository=None)])
def test_a_run_without_a_place_cannot_be_launched_or_resumed(run: RunRecord) -> None:
    location = NotingLocation()
    with pytest.raises(LaunchFailedError, match="does not name the code location"):
        DefaultRunLauncher().launch_run(_context(run, location))
    with pytest.raises(LaunchFailedError, match="does not name the code location"):
        DefaultRunLauncher().resume_run(ResumeRunContext(run, OneLocation(location), INSTANCE_REF))
    assert location.asked == []


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("status", "stopped"), [(WorkerStatus.RUNNING, True), (WorkerStatus.FAILED, False)]
)
def test_the_location_tells_of_workers_and_stops_them(
    status: WorkerStatus, stopped: bool, force: bool
) -> None:
    location = NotingLocation(status)
    context, worker = _context(record(), location), WorkerRef("run", 3, INSTANCE_REF)
    health = DefaultRunLauncher().check_run_worker_health(context)
    assert health == CheckRunHealthResult(status, "as told")
    assert DefaultRunLauncher().terminate(context, force=force) is stopped
    assert location.asked == [("check", worker), ("stop", worker, force)]


def test_a_run_without_a_location_has_no_worker_here() -> None:
    location = NotingLocation()
    context = _context(record(location=None), location)
    health = DefaultRunLauncher().check_run_worker_health(context)
    assert health == CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The run has no code location.")
    assert DefaultRunLauncher().terminate(context) is False
    assert location.asked == []


def test_a_location_that_is_not_in_the_workspace_is_named() -> None:
    location = NotingLocation()
    context = _context(record(location="other"), location)
    for action in (
        DefaultRunLauncher().launch_run,
        DefaultRunLauncher().check_run_worker_health,
        DefaultRunLauncher().terminate,
    ):
        with pytest.raises(CodeLocationNotFoundError, match="'other'"):
            action(context)
    assert location.asked == []


def test_a_location_that_is_down_is_told_as_such() -> None:
    location = NotingLocation(WorkerStatus.UNKNOWN)
    launcher = DefaultRunLauncher(wait_for_processes=True)
    for action in (launcher.launch_run, launcher.check_run_worker_health, launcher.terminate):
        with pytest.raises(CodeLocationUnavailableError):
            action(_context(record(), location))
    launcher.dispose()  # there is nothing to wait for
    assert location.asked == []


# ---------------------------------------------------------------------------------------- waiting


@pytest.mark.parametrize("end", [WorkerStatus.SUCCESS, WorkerStatus.FAILED, WorkerStatus.NOT_FOUND])
def test_it_waits_for_what_it_launched_and_resumed_until_that_has_ended(
    no_pause: None, end: WorkerStatus
) -> None:
    location = NotingLocation()
    launcher = DefaultRunLauncher(wait_for_processes=True)
    launcher.launch_run(_context(record(), location))
    launcher.resume_run(ResumeRunContext(record("other"), OneLocation(location), INSTANCE_REF))
    location.asked.clear()
    location.end_after(4, end)
    launcher.dispose()
    first, other = WorkerRef("run", 3, INSTANCE_REF), WorkerRef("other", 3, INSTANCE_REF)
    assert location.asked == [("check", first), ("check", other)] * 3
    launcher.dispose()
    assert len(location.asked) == 6


def test_it_waits_for_nothing_unless_it_is_configured_to() -> None:
    location = NotingLocation()
    launcher = DefaultRunLauncher()
    launcher.launch_run(_context(record(), location))
    location.asked.clear()
    launcher.dispose()
    assert location.asked == []


def test_workers_that_have_ended_are_forgotten_while_others_are_added() -> None:
    workers, running, ended = LaunchedWorkers(), NotingLocation(), NotingLocation()
    ended.end_after(0, WorkerStatus.SUCCESS)
    most = 0
    for number in range(1000):
        location = running if number % 100 == 0 else ended
        workers.add(location, WorkerRef(str(number), 1, INSTANCE_REF))
        most = max(most, len(workers))
    assert most < 64
    assert len(running.asked) + len(ended.asked) < 3000
    running.end_after(0, WorkerStatus.SUCCESS)
    running.asked.clear()
    workers.wait_until_ended()
    assert [worker.run_id for _, worker in running.asked] == [str(n) for n in range(0, 1000, 100)]


def test_ctrl_c_ends_the_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    location = NotingLocation()
    launcher = DefaultRunLauncher(wait_for_processes=True)
    launcher.launch_run(_context(record(), location))
    with caplog.at_level(logging.WARNING):
        launcher.dispose()
    assert caplog.messages == ["1 run workers are not waited for; they go on"]
    asked = len(location.asked)
    launcher.dispose()
    assert len(location.asked) == asked


def test_a_worker_of_which_nobody_tells_any_more_is_not_waited_for(
    no_pause: None, caplog: pytest.LogCaptureFixture
) -> None:
    silent, telling = NotingLocation(), NotingLocation()
    workers = LaunchedWorkers(silence_seconds=0.0)
    workers.add(silent, WorkerRef("silent", 1, INSTANCE_REF))
    workers.add(telling, WorkerRef("telling", 1, INSTANCE_REF))
    silent.end_after(0, WorkerStatus.UNKNOWN)
    telling.end_after(3, WorkerStatus.SUCCESS)
    with caplog.at_level(logging.WARNING):
        workers.wait_until_ended()
    assert len(telling.asked) == 4
    assert caplog.messages == [
        "run silent: nobody tells of its worker any more; it is not waited for"
    ]


# ---------------------------------------------------------------------------------- configuration


def test_it_is_configured_by_its_class_path() -> None:
    assert isinstance(DATA.rehydrate(RunLauncher), DefaultRunLauncher)
    assert DATA.info_dict()["config"] == {"wait_for_processes": False}


def test_a_key_that_it_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidConfigurationError, match=r"config\.grace"):
        ConfigurableClassData(DATA.module_name, DATA.class_name, {"grace": 1}).rehydrate(
            RunLauncher
        )
