"""The launcher of subprocesses conforms, and starts workers in the Python and environment that it is told."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runwire.config import ConfigurableClassData
from runwire.errors import CodeLocationNotFoundError, InvalidConfigurationError, LaunchFailedError
from runwire.events.types import EventType
from runwire.instance import Instance
from runwire.launcher import LaunchRunContext, ResumeRunContext, RunLauncher
from runwire.launchers.subprocess import SubprocessRunLauncher
from runwire.locations.workers import RunWorkers
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import eventually, is_alive, nothing_left_behind
from runwire.testing.run_launcher import LauncherPlace, RunLauncherConformance, launcher_place
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
    told = [os.environ.get(name, "") for name in ("ADDED", "KEPT", "CHANGED", "WRAPPED")]
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


def _here(folder: Path) -> NotingLocation:
    """A location that nobody serves, whose definitions are here."""
    origin = CodeOrigin(
        executable_path=sys.executable,
        python_file=str(folder / "jobs.py"),
        module="",
        attribute=None,
        working_directory=None,
        directory=str(folder),
    )
    return NotingLocation(WorkerStatus.UNKNOWN, origin)


def _hand_over(instance: Instance, location: NotingLocation) -> LaunchRunContext:
    """A run of the job in STARTING, with all that a launcher gets."""
    run = replace(record().run, job_name="looking", repository_name="__repository__")
    instance.storage.run_storage.add_run(run, created_at=1.0)
    instance.report_event(_entry(run.run_id))
    return _context(instance, location, run.run_id)


# ------------------------------------------------------------------------- how workers are started


def _launched(instance: Instance, folder: Path, launcher: SubprocessRunLauncher) -> RunRecord:
    """A run of the job that looks about, after its worker has ended."""
    run = replace(record().run, job_name="looking", repository_name="__repository__")
    instance.storage.run_storage.add_run(run, created_at=1.0)
    starting = starting_of(run.run_id)
    instance.storage.store_events(run.run_id, [starting], handover=True)
    before = instance.storage.get_run_record(run.run_id)
    launcher.launch_run(
        LaunchRunContext(before, OneLocation(_here(folder)), instance.get_ref().to_dict())
    )
    launcher.dispose()
    return instance.storage.get_run_record(run.run_id)
