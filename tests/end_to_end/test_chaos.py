"""Everything is killed at random, again and again, and every run still ends once, with no step repeated.

Half a minute of it by default, ten minutes with RUNWIRE_TORTURE=full; RUNWIRE_CHAOS_SECONDS says otherwise.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runwire.events.entry import EventLogRecord
from runwire.events.types import TERMINAL_RUN_EVENTS, EventType
from runwire.instance import Instance
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from tests.end_to_end.conftest import Server, Subscriber, wait_until
from tests.torture import FULL

SECONDS = float(os.environ.get("RUNWIRE_CHAOS_SECONDS", "600" if FULL else "30"))
LANES = 4
MARK = "RUNWIRE_TEST_MARK"

YAML = """
run_monitoring: {max_resume_run_attempts: 100}
daemons: {heartbeat_interval_seconds: 0.5, lease_seconds: 2}
"""

JOBS = """
import random
import time
from pathlib import Path

from runwire import OpContext, job, multiprocess_executor, op

NOTES = Path(__file__).with_name("notes")


@op
def work(context: OpContext, number: int = 0) -> int:
    with NOTES.open("a") as notes:
        print(context.run_id, context.step_key, file=notes)
    context.log.info("working on %d", number)
    time.sleep(random.random() * 0.4)
    return number + 1


def chain():
    number = work()
    for _ in range(6):
        number = work(number)


@job
def in_process():
    chain()


@job(executor_def=multiprocess_executor)
def in_processes():
    chain()
    for _ in range(3):
        work()
"""

STEPS = {"in_process": 7, "in_processes": 10}

SUBMIT = """mutation ($input: SubmitRunInput!) {
  submitRun(input: $input) { __typename ... on SubmitRunSuccess { run { runId } } ... on UserError { message } }
}"""


@dataclass(frozen=True)
class Process:
    """A process of this test: its parent, and what it is."""

    pid: int
    parent: int
    name: str
    command: str

    @property
    def is_worker(self) -> bool:
        """Whether it is a run worker: it leads its group, as no step process does."""
        with suppress(ProcessLookupError):
            return self.name.startswith("rw:") and os.getpgid(self.pid) == self.pid
        return False

    @property
    def is_code_server(self) -> bool:
        return "runwire.locations.code_server" in self.command and not self.name.startswith("rw:")


@dataclass
class Place:
    """The processes of an instance, which are started again when they die."""

    home: Path
    mark: str
    server: Server
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def keep_alive(self) -> None:
        process = self.server.process
        if process is None or process.poll() is not None:
            self.server.start("serve", "-f", str(self.home / "jobs.py"))
        self.daemons = [each for each in self.daemons if each.poll() is None]
        while len(self.daemons) < 2:
            self.daemons.append(self._start_daemon())

    def _start_daemon(self) -> subprocess.Popen[bytes]:
        place = ["-f", str(self.home / "jobs.py"), "--home", str(self.home)]
        with (self.home / "daemons.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "runwire.cli", "daemon", "run", *place],
                stdout=log,
                stderr=log,
                env={**os.environ, MARK: self.mark},
            )

    def kill_something(self, dice: random.Random) -> None:
        assert self.server.process is not None
        found = self.processes()
        serving = {each.pid for each in found if each.is_code_server}
        candidates = {
            "worker": [each.pid for each in found if each.is_worker],
            # What it has just forked, such as a step, has no name of its own yet.
            "code server": [p.pid for p in found if p.pid in serving and p.parent not in serving],
            "API server": [self.server.process.pid],
            "daemon": [each.pid for each in self.daemons],
        }
        kind = dice.choice(["worker", "worker", "code server", "API server", "daemon"])
        if candidates[kind]:
            with suppress(ProcessLookupError):
                os.kill(dice.choice(candidates[kind]), signal.SIGKILL)
                self.kills[kind] += 1

    def processes(self) -> list[Process]:
        """All that live, wherever they were started from; what was started is known by its environment."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    stat = (folder / "stat").read_text().rpartition(")")[2].split()
                    name = (folder / "comm").read_text().strip()
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if stat[0] != "Z":
                        found.append(Process(int(folder.name), int(stat[1]), name, command))
        return found

    def stop(self) -> None:
        wait_until(  # those that were started just now would die of it
            lambda: all(map(_handles_sigterm, self.daemons)), "the daemons to be ready to stop"
        )
        for each in self.daemons:
            each.terminate()
        for each in self.daemons:
            assert each.wait(60) == 0
        assert self.server.stop() == 0


def _handles_sigterm(process: subprocess.Popen[bytes]) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    [caught] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "runwire.yaml").write_text(YAML)
    (tmp_path / "jobs.py").write_text(JOBS)
    mark = str(uuid.uuid4())
    place = Place(
        tmp_path, mark, Server(tmp_path, environ={MARK: mark}, is_found_by_its_command=True)
    )
    yield place
    for process in place.processes():
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


class Lane(threading.Thread):
    """Submits one run after another, each until it is answered, and waits for its end."""

    def __init__(self, server: Server, seed: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._dice = random.Random(seed)
        self._over = over
        self.subscribers: list[Subscriber] = []
        self.run_ids: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            run_id = self._submit()
            self.run_ids.append(run_id)
            if len(self.run_ids) % 3 == 1:
                self.subscribers.append(Subscriber(self._server, run_id))
                self.subscribers[-1].start()
            self._wait(run_id)

    def _submit(self) -> str:
        new_run = {
            "job": {"jobName": self._dice.choice(list(STEPS))},
            "idempotencyKey": str(uuid.uuid4()),
        }
        while True:
            data = self._ask(SUBMIT, input={"target": {"newRun": new_run}})
            result = {} if data is None else data["submitRun"]
            if result.get("__typename") == "SubmitRunSuccess":
                run_id: str = result["run"]["runId"]
                return run_id
            time.sleep(0.2)

    def _wait(self, run_id: str) -> None:
        query = "query ($id: ID!) { run(runId: $id) { endedAt } }"
        while (data := self._ask(query, id=run_id)) is None or data["run"]["endedAt"] is None:
            time.sleep(0.1)

    def _ask(self, query: str, **variables: Any) -> dict[str, Any] | None:
        try:
            return self._server.execute(query, **variables)
        except (OSError, urllib.error.URLError, json.JSONDecodeError):
            return None


@pytest.mark.torture
@pytest.mark.timeout(SECONDS + 300)
def test_every_run_ends_once_and_no_finished_step_is_repeated(place: Place) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - what a failure is reproduced by
    place.keep_alive()
    over = threading.Event()
    lanes = [Lane(place.server, seed + number, over) for number in range(LANES)]
    for lane in lanes:
        lane.start()
    _kill_for_a_while(place, random.Random(seed))
    over.set()

    def lanes_have_ended() -> bool:
        place.keep_alive()
        return not any(lane.is_alive() for lane in lanes)

    wait_until(lanes_have_ended, "the last runs to end", seconds=180)
    _check_runs(place, [run_id for lane in lanes for run_id in lane.run_ids])
    for subscriber in (each for lane in lanes for each in lane.subscribers):
        subscriber.join(60)
        assert (subscriber.failure, subscriber.ranges_are_contiguous) == (None, True)
        assert subscriber.positions == list(range(1, len(subscriber.positions) + 1))
    _check_nothing_is_left(place)


def _kill_for_a_while(place: Place, dice: random.Random) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(dice.uniform(0.5, 2.5))
        place.kill_something(dice)
        place.keep_alive()
    print(f"killed: {dict(place.kills)}")  # noqa: T201 - what a failure is reproduced by


def _check_runs(place: Place, run_ids: list[str]) -> None:
    notes = Counter((place.home / "notes").read_text().splitlines())
    statuses: Counter[RunStatus] = Counter()
    resumes = 0
    with Instance.from_home(place.home) as instance:
        for run_id in run_ids:
            record = instance.storage.get_run_record(run_id)
            statuses[record.status] += 1
            resumes += record.resume_attempts
            _check_run(record, _events(instance, record), notes)
        assert instance.storage.run_storage.get_unfinished_run_ids() == []
    print(f"{len(run_ids)} runs: {dict(statuses)}, {resumes} resumes")  # noqa: T201 - what a failure is reproduced by
    assert len(run_ids) >= LANES
    assert sum(place.kills.values()) > 0


def _check_run(record: RunRecord, events: list[EventLogRecord], notes: Counter[str]) -> None:
    endings = [e for e in events if e.event_type in TERMINAL_RUN_EVENTS and e.applied]
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert len(endings) == 1
    assert record.status is RunStatus.SUCCESS, endings[0].message
    begun, succeeded = Counter[str](), set[str]()
    for event in events:
        key = event.step_key or ""
        if event.event_type is EventType.STEP_SUCCESS:
            assert key not in succeeded, f"step {key} of run {record.run_id} succeeded twice"
            succeeded.add(key)
        elif event.event_type in {EventType.STEP_START, EventType.STEP_RESTARTED}:
            assert key not in succeeded, f"step {key} of run {record.run_id} was repeated"
            begun[key] += 1
    assert len(succeeded) == STEPS[record.run.job_name]
    for key in begun:
        # An op runs only after its beginning is in the log, so no more often than that.
        assert 1 <= notes[f"{record.run_id} {key}"] <= begun[key]


def _events(instance: Instance, record: RunRecord) -> list[EventLogRecord]:
    events: list[EventLogRecord] = []
    while True:
        after = events[-1].position if events else 0
        page = instance.storage.event_log_storage.get_records(record, after=after)
        events += page.records
        if not page.has_more:
            return events


def _check_nothing_is_left(place: Place) -> None:
    wait_until(
        lambda: not any(each.name.startswith("rw:") for each in place.processes()),
        "the workers to be gone",
    )
    assert place.server.process is not None
    descriptors = Path(f"/proc/{place.server.process.pid}/fd")
    # What serving takes, and the logs that are kept open, at most 64, each by a few connections.
    wait_until(lambda: len(list(descriptors.iterdir())) < 700, "descriptors to be closed")
    assert list((place.home / "storage").rglob("*.part")) == []
    place.stop()
    wait_until(lambda: not place.processes(), f"nothing to be left of {place.processes()}")
