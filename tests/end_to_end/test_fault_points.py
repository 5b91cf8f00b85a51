"""Every named fault point: a process dies there, and the run still ends once, in the way that users are told."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runwire.events.entry import EventLogRecord
from runwire.events.types import TERMINAL_RUN_EVENTS, EventType
from runwire.fault_points import FAULT_POINTS, VARIABLE
from runwire.instance import Instance
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import is_alive
from tests.end_to_end.conftest import Server, wait_until

MARK = "RUNWIRE_TEST_MARK"

YAML = """
run_monitoring: {{max_resume_run_attempts: {attempts}, poll_interval_seconds: 0.1}}
daemons: {{heartbeat_interval_seconds: 0.2, lease_seconds: 1}}
"""

QUEUE = """
run_coordinator: {module: runwire.coordinators.queued, class: QueuedRunCoordinator}
"""

JOBS = """
import time
from pathlib import Path

from runwire import OpContext, job, multiprocess_executor, op

HERE = Path(__file__).parent


def note(context: OpContext) -> None:
    with (HERE / "notes").open("a") as notes:
        print(context.step_key, file=notes)


@op
def step(context: OpContext, number: int = 0) -> int:
    note(context)
    return number + 1


@op
def wait(context: OpContext, number: int) -> int:
    note(context)
    while not (HERE / "go on").exists():
        time.sleep(0.01)
    return number + 1


@job
def in_process():
    step(step(step()))


@job(executor_def=multiprocess_executor)
def in_processes():
    step(step(step()))


@job
def waiting():
    step(wait(step()))
"""


@dataclass
class Place:
    """A home with a server on it that is started again whenever it dies, and the run that is tried."""

    server: Server
    mark: str
    marker: Path
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    run_id: str = ""
    starts: int = 0

    @property
    def home(self) -> Path:
        return self.server.home

    def keep_alive(self) -> None:
        """Starts the server if it does not run."""
        process = self.server.process
        while process is None or process.poll() is not None:
            self.starts += 1
            assert self.starts <= 4, "the server dies again and again"
            with suppress(AssertionError):  # it died before it answered
                self.server.start("dev", "-f", str(self.home / "jobs.py"), "--no-reload")
            process = self.server.process

    def ask(self, query: str, **variables: Any) -> dict[str, Any] | None:
        """The data of an operation; None when the server dies over it."""
        self.keep_alive()
        try:
            return self.server.execute(query, **variables)
        except (OSError, urllib.error.URLError, json.JSONDecodeError):
            return None

    def submit(self, job_name: str) -> None:
        """Submits the run until that is answered; the key makes it safe."""
        query = """mutation ($input: SubmitRunInput!) {
          submitRun(input: $input) {
            __typename
            ... on SubmitRunSuccess { run { runId } }
            ... on UserError { message }
          }
        }"""
        wanted = {"target": {"newRun": {"job": {"jobName": job_name}, "idempotencyKey": self.key}}}

        def is_answered() -> bool:
            data = self.ask(query, input=wanted)
            # Refused is also what was made before the server died, and what could not be launched.
            return data is not None and data["submitRun"]["__typename"] != "CodeLocationUnavailable"

        wait_until(is_answered, "an answer to the submission")
        with self.instance() as instance:
            [record] = instance.storage.run_storage.get_run_records(limit=10).records
        self.run_id = record.run_id

    def instance(self) -> Instance:
        return Instance.from_home(self.home)

    def record(self) -> RunRecord:
        with self.instance() as instance:
            return instance.storage.get_run_record(self.run_id)

    def events(self) -> list[EventLogRecord]:
        with self.instance() as instance:
            record = instance.storage.get_run_record(self.run_id)
            return instance.storage.event_log_storage.get_records(record).records

    def wait_for_end(self) -> RunRecord:
        def has_ended() -> bool:
            self.keep_alive()
            return self.record().is_finished

        wait_until(has_ended, "the run to end")
        return self.record()

    def wait_for_step(self, key: str) -> None:
        wait_until(lambda: key in self.notes(), f"step {key} to run")

    def notes(self) -> list[str]:
        file = self.home / "notes"
        return file.read_text().split() if file.exists() else []

    def worker(self) -> int:
        """The pid of the run's first worker."""
        file = self.home / "storage" / self.run_id / "worker.1.lock"
        return int(json.loads(file.read_text())["process"]["pid"])

    def kill_worker(self) -> None:
        os.kill(self.worker(), signal.SIGKILL)

    def processes(self) -> list[str]:
        """What runs of all that was started here."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                mark = f"{MARK}={self.mark}".encode()
                if mark in (folder / "environ").read_bytes() and is_alive(int(folder.name)):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def code_server(self) -> int:
        """The pid of the fork server."""
        found: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                mark = f"{MARK}={self.mark}".encode()
                is_named = b"runwire.locations.code_server" in (folder / "cmdline").read_bytes()
                if is_named and mark in (folder / "environ").read_bytes():
                    stat = (folder / "stat").read_text().rpartition(")")[2].split()
                    found[int(folder.name)] = int(stat[1])
        assert self.server.process is not None
        [pid] = [pid for pid, parent in found.items() if parent == self.server.process.pid]
        return pid


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    made: list[Place] = []

    def make(point: str, *, attempts: int = 3) -> Place:
        queue = QUEUE if point.startswith("queue.") else ""
        (tmp_path / "runwire.yaml").write_text(YAML.format(attempts=attempts) + queue)
        (tmp_path / "jobs.py").write_text(JOBS)
        mark, marker = str(uuid.uuid4()), tmp_path / "died"
        environ = {VARIABLE: f"{point}:{marker}", MARK: mark}
        made.append(Place(Server(tmp_path, environ=environ), mark, marker))
        return made[0]

    yield make
    for each in made:
        if each.server.process is not None and each.server.process.poll() is None:
            each.server.stop()
        wait_until(lambda: not each.processes(), f"no process to be left of {each.processes()}")  # noqa: B023


Way = Callable[[Place], None]


def run(job_name: str) -> Way:
    return lambda place: place.submit(job_name)


def lose_a_worker(place: Place) -> None:
    """A worker dies in the middle of a step; the run goes on, and ends when it may."""
    place.submit("waiting")
    place.wait_for_step("wait")
    place.kill_worker()
    (place.home / "go on").touch()


def run_again(place: Place) -> None:
    """Runs a run again until that is answered, by one key; the new run is the one that is tried."""
    place.submit("in_process")
    place.wait_for_end()
    (place.home / "notes").unlink()
    query = """mutation ($input: ReexecuteRunInput!) {
      reexecuteRun(input: $input) { __typename ... on ReexecuteRunSuccess { run { runId } } }
    }"""
    wanted = {
        "runId": place.run_id,
        "scope": {"strategy": "ALL_STEPS"},
        "idempotencyKey": place.key + "again",
    }

    def is_answered() -> bool:
        data = place.ask(query, input=wanted)
        if data is None or data["reexecuteRun"]["__typename"] == "CodeLocationUnavailable":
            return False
        place.run_id = data["reexecuteRun"]["run"]["runId"]
        return True

    wait_until(is_answered, "an answer to the re-execution")


def lose_an_adopted_worker(place: Place) -> None:
    """A worker dies whose code server has died before it, so that monitoring has to find out."""
    place.submit("waiting")
    place.wait_for_step("wait")
    worker = place.worker()
    os.kill(place.code_server(), signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)


def cancel(place: Place) -> None:
    place.submit("waiting")
    place.wait_for_step("wait")
    query = """mutation ($input: TerminateRunInput!) {
      terminateRun(input: $input) { __typename ... on UserError { message } }
    }"""
    place.ask(query, input={"runId": place.run_id})


@dataclass(frozen=True)
class Case:
    """What makes a process get to a point, and how the run ends.

    A worker that dies is replaced, for three resume attempts are allowed; `why` tells where the run cannot
    succeed.
    """

    way: Way
    status: RunStatus = RunStatus.SUCCESS
    attempts: int = 3
    why: str = ""


S = RunStatus
CASES = {
    "launch.after_run_starting": Case(run("in_process")),
    "launch.after_worker_started": Case(run("in_process")),
    "resume.after_handover": Case(lose_a_worker),
    "reexecute.after_add": Case(run_again),
    "queue.before_claim": Case(run("in_process")),
    "queue.after_claim": Case(run("in_process")),
    "queue.after_launch": Case(run("in_process")),
    "code_server.before_fork": Case(run("in_process")),
    "code_server.after_fork": Case(run("in_process")),
    "fork_server.before_fork": Case(run("in_process")),
    "fork_server.after_fork": Case(run("in_process")),
    "fork_server.before_bound_fork": Case(run("in_processes")),
    "fork_server.after_bound_fork": Case(run("in_processes")),
    "worker.before_run_start": Case(run("in_process")),
    "worker.after_run_start": Case(run("in_process")),
    "worker.after_output": Case(run("in_process")),
    "worker.after_step_success": Case(run("in_process")),
    "worker.before_run_end": Case(run("in_process")),
    "worker.after_run_end": Case(run("in_process")),
    "step.before_step_start": Case(
        run("in_processes"), S.FAILURE, why="a step whose process dies fails"
    ),
    "step.after_output": Case(
        run("in_processes"), S.FAILURE, why="a step whose process dies fails"
    ),
    "step.after_step_success": Case(run("in_processes")),
    "monitoring.before_resume": Case(lose_a_worker),
    "monitoring.after_resume": Case(lose_a_worker),
    "monitoring.before_failure": Case(
        lose_an_adopted_worker, S.FAILURE, attempts=0, why="no attempt is allowed"
    ),
    "daemon.after_lease": Case(run("in_process")),
    "terminate.after_canceling": Case(cancel, S.CANCELED, why="it was asked for"),
}


def test_every_point_has_a_case() -> None:
    assert tuple(CASES) == FAULT_POINTS


@pytest.mark.torture
@pytest.mark.parametrize("point", FAULT_POINTS)
def test_the_run_ends_once_whoever_dies(point: str, place: Callable[..., Place]) -> None:
    case = CASES[point]
    tried = place(point, attempts=case.attempts)
    case.way(tried)
    record = tried.wait_for_end()
    assert tried.marker.exists(), f"{point} was not reached"
    assert record.status is case.status, case.why
    events = tried.events()
    endings = [e for e in events if e.event_type in TERMINAL_RUN_EVENTS and e.applied]
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    assert len(endings) == 1
    successes = Counter(e.step_key for e in events if e.event_type is EventType.STEP_SUCCESS)
    assert set(successes.values()) <= {1}
    begins = {EventType.STEP_START, EventType.STEP_RESTARTED}
    starts = Counter(e.step_key for e in events if e.event_type in begins)
    assert Counter(tried.notes()) <= starts, [
        (e.position, e.epoch, e.stored_type, e.step_key, e.message[:90]) for e in events
    ]
    if point.startswith("worker."):
        died = tried.home / "storage" / tried.run_id / "worker.1.lock"
        assert not json.loads(died.read_text())["ended"], "it was not the worker that died"
        assert record.resume_attempts == (point != "worker.after_run_end")
    if point.startswith("queue."):
        begun = [e for e in events if e.event_type is EventType.RUN_START and e.applied]
        assert len(begun) == 1
        launches = [e for e in events if e.event_type is EventType.RUN_STARTING]
        assert len(launches) == (2 if point == "queue.after_claim" else 1)
    if record.status is S.SUCCESS:
        assert len(successes) == 3
    parts = list((tried.home / "storage").rglob("*.part"))
    assert parts == []
