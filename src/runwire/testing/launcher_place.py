"""Where run launchers are tested: an instance, a workspace with jobs, and a look at what their steps did."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runwire.config import ConfigurableClassData
from runwire.control import NewRun
from runwire.events.entry import EventLogEntry
from runwire.events.types import TERMINAL_RUN_EVENTS, EventType
from runwire.instance import Instance
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.locations.workspace import LocalWorkspace, LocationTarget, LocationTimeouts
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import GENEROUS_SECONDS, eventually
from runwire.testing.samples import read_log
from runwire.workspace import CodeLocationStatus, JobSelector, Workspace

LAUNCHED_JOBS = textwrap.dedent(
    '''\
    """Jobs whose steps write to files beside this one, a line with their pid each time."""

    import os
    import signal
    import subprocess
    import sys
    import time
    from pathlib import Path

    from runwire import job, op

    FOLDER = Path(__file__).parent
    SLEEPING = "import time; time.sleep(300)"


    def note(name, pid=None):
        with (FOLDER / name).open("a") as file:
            file.write(f"{pid or os.getpid()}\\n")


    def wait_for(name):
        while not (FOLDER / name).exists():
            time.sleep(0.01)


    @op
    def first() -> int:
        note("first")
        return 2


    @op
    def second(number: int) -> None:
        note(f"second of {number}")
        wait_for("go on")


    @job
    def two_steps():
        second(first())


    @op
    def clean_up() -> None:
        try:
            note("working")
            wait_for("go on")
        finally:
            note("cleaned up")


    @job
    def cleaning():
        clean_up()


    @op
    def ignore() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        note("child", subprocess.Popen([sys.executable, "-c", SLEEPING]).pid)
        note("ignoring")
        while True:
            time.sleep(0.01)


    @job
    def ignoring():
        ignore()
    '''
)
"""The jobs ``two_steps``, ``cleaning`` and ``ignoring``. Steps wait for a file ``go on``, or for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LauncherPlace:
    """Where a launcher is tested.

    Attributes:
        instance: one that other processes can open; its `run_launcher` is what is tested.
        workspace: has one code location, loaded, with the jobs of `LAUNCHED_JOBS` from a file in:
        folder: there the steps of these jobs write, on this machine.
    """

    instance: Instance
    workspace: Workspace
    folder: Path

    @property
    def launcher(self) -> RunLauncher:
        """The launcher."""
        return self.instance.run_launcher

    def another_launcher(self, **config: Any) -> RunLauncher:
        """A second launcher, which knows nothing of the first; with a config over that of the first."""
        data = self.instance.ref.run_launcher
        return ConfigurableClassData(
            data.module_name, data.class_name, {**data.config, **config}
        ).rehydrate(RunLauncher)

    # ------------------------------------------------------------------------------------- runs

    def create_run(self, job_name: str) -> RunRecord:
        """A new run, which nobody launches."""
        new = NewRun(job=JobSelector(job_name))
        record, _ = self.instance.create_run(new, self.workspace)
        return record

    def hand_over(self, run_id: str, event_type: EventType) -> LaunchRunContext:
        """Hands a run to a new worker, which is to be launched; returns what the launcher gets."""
        self.report(run_id, event_type, handover=True)
        return self.context(run_id)

    def launch(self, job_name: str, launcher: RunLauncher | None = None) -> str:
        """Launches a new run, and returns its id."""
        run_id = self.create_run(job_name).run_id
        context = self.hand_over(run_id, EventType.RUN_STARTING)
        (launcher or self.launcher).launch_run(context)
        return run_id

    def report(self, run_id: str, event_type: EventType, *, handover: bool = False) -> None:
        """Stores an event of a run."""
        entry = EventLogEntry(run_id=run_id, event_type=event_type, message="by the suite")
        self.instance.storage.store_events(run_id, [entry], handover=handover)

    def context(self, run_id: str) -> LaunchRunContext:
        """What a launcher gets of a run, as it is now."""
        ref = self.instance.get_ref().to_dict()
        return LaunchRunContext(self.record(run_id), self.workspace, ref)

    def record(self, run_id: str) -> RunRecord:
        """A run."""
        return self.instance.storage.get_run_record(run_id)

    def wait_for_end(self, run_id: str) -> RunStatus:
        """Waits until a run has ended, and returns how."""
        eventually(lambda: self.record(run_id).is_finished, f"run {run_id} has ended")
        return self.record(run_id).status

    def endings(self, run_id: str) -> list[tuple[EventType | None, bool, int | None]]:
        """The terminal events of a run: type, whether it is applied, and epoch."""
        return [
            (event.event_type, event.applied, event.epoch)
            for event in read_log(self.instance.storage, self.record(run_id))
            if event.event_type in TERMINAL_RUN_EVENTS
        ]

    # ------------------------------------------------------------------------------------ steps

    def noted(self, name: str) -> list[int]:
        """The process ids that steps wrote to a file, in their order."""
        file = self.folder / name
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for_note(self, name: str, times: int = 1) -> int:
        """Waits until steps have written to a file so many times; returns the last process id."""
        eventually(lambda: len(self.noted(name)) >= times, f"{name!r} was noted {times} times")
        return self.noted(name)[times - 1]

    def go_on(self) -> None:
        """Lets the steps that wait go on."""
        (self.folder / "go on").touch()


@contextmanager
def launcher_place(folder: Path, launcher: ConfigurableClassData) -> Iterator[LauncherPlace]:
    """A place with SQLite in a home below a folder, and a workspace with a code server of its own.

    Args:
        folder: an empty one, or the one of another place, whose runs and files this one then has.
        launcher: the launcher that is tested. Where it has a grace until workers are killed, make it short.
    """
    home, jobs = folder / "home", folder / "jobs.py"
    home.mkdir(exist_ok=True)
    jobs.write_text(LAUNCHED_JOBS, encoding="utf-8")
    # Without monitoring, workers do not stop themselves: what stops them is the launcher.
    settings = {"run_launcher": launcher.to_dict(), "run_monitoring": {"enabled": False}}
    (home / "runwire.yaml").write_text(json.dumps(settings), encoding="utf-8")
    target, timeouts = LocationTarget(python_file=jobs), LocationTimeouts(stop_grace_seconds=0.5)
    with Instance.from_home(home) as instance, LocalWorkspace([target], timeouts) as workspace:
        [location] = workspace.list_locations()
        assert location.wait_until_settled(GENEROUS_SECONDS)
        assert location.state.status is CodeLocationStatus.LOADED, location.state.load_error
        yield LauncherPlace(instance=instance, workspace=workspace, folder=folder)
