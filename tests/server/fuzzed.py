"""A program that serves an instance with some runs, for fuzzing: its workers are never started."""

from __future__ import annotations

import sys
from pathlib import Path

from runwire.control import NewRun
from runwire.events import EventLogEntry, EventType
from runwire.instance import Instance
from runwire.server.serve import serve
from runwire.workspace import JobSelector
from tests.api.conftest import FakeLauncher, FakeLocation, FakeWorkspace

RUNS = [f"run-{number}" for number in range(5)]


def main(home: str) -> None:
    """Serves until it is stopped; the first line that it prints is its URL."""
    workspace = FakeWorkspace(
        FakeLocation("here", main=["etl", "both"]), FakeLocation("there", main=["both"])
    )
    with Instance.from_home(Path(home)) as instance:
        instance.run_launcher = FakeLauncher()
        for run_id in RUNS:
            new_run = NewRun(job=JobSelector("etl"), run_id=run_id, tags=[("a", run_id)])
            instance.create_run(new_run, workspace)
        instance.launch_run(RUNS[0], workspace)
        log = [
            EventLogEntry(run_id=RUNS[0], event_type=each, message="x", step_key="load")
            for each in (EventType.RUN_START, None, EventType.STEP_START, EventType.STEP_SUCCESS)
        ]
        instance.storage.store_events(RUNS[0], log)
        serve(instance, workspace, "127.0.0.1", 0, ready=_tell)


def _tell(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
