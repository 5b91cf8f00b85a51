"""What runwire runs on one home: servers, daemons, workers, steps; and what became of the runs."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from runwire.events.entry import EventLogRecord
from runwire.events.types import TERMINAL_RUN_EVENTS, EventType
from runwire.instance import Instance
from runwire.runs.run import RunRecord
from runwire.testing.left_behind import is_alive, nothing_left_behind, processes
from tests.end_to_end.conftest import Server, wait_until
from tests.preloaded import prepare

HEAD = '''
"""Jobs whose steps tell in a file beside this one that they run."""

import os
from pathlib import Path
from runwire import OpContext, job, multiprocess_executor, op

HERE = Path(__file__).parent


def tell(context):
    """Appends a line: the run, the step, and the process of the run's worker, which leads the group of its steps."""
    line = f"{context.run_id} {context.step_key} {os.getpgrp()}\\n"
    with open(HERE / "lines", "ab", buffering=0) as file:
        file.write(line.encode())
'''

_REFUSED_OR_DONE = """
    __typename
    ... on UserError { message }
"""


class Line(NamedTuple):
    """That a step's function began in a worker, or in a process of its own beside it."""

    run_id: str
    step_key: str
    worker: int


class Process(NamedTuple):
    """A process: its place in the system, and what it is here."""

    pid: int
    parent: int
    group: int
    kind: str


class NotAnsweredError(Exception):
    """The server was not there, or died over a request."""


@dataclass(frozen=True)
class Fleet:
    """A home, its processes, and its runs as its storage tells them."""

    server: Server
    instance: Instance

    @property
    def home(self) -> Path:
        return self.server.home

    # ------------------------------------------------------------------------------- requests

    def serve(self, *command: str) -> None:
        """Starts `runwire dev`, or another command that serves, and waits until the jobs are loaded."""
        self.server.start(*(command or ("dev", "--no-reload")), "-f", str(self.home / "jobs.py"))
        wait_until(lambda: self.location()["status"] != "LOADING", "the jobs to be loaded")
        assert self.location()["status"] == "LOADED", self.location()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation.

        Raises:
            NotAnsweredError: there is no server, or it died.
        """
        try:
            return self.server.execute(query, **variables)
        except (OSError, urllib.error.URLError, json.JSONDecodeError) as error:
            raise NotAnsweredError from error

    def location(self) -> dict[str, Any]:
        """The state of the code location."""
        query = "{ codeLocations { status loadError { message } server { serverId } } }"
        [location] = self.ask(query)["codeLocations"]
        state: dict[str, Any] = location
        return state

    def submit(self, job_name: str, key: str | None = None) -> str:
        """Submits a run, and returns its id."""
        new_run = {"job": {"jobName": job_name}, "idempotencyKey": key}
        answer = self.mutate("submitRun", target={"newRun": new_run})
        assert answer["__typename"] == "SubmitRunSuccess", answer
        run_id: str = answer["run"]["runId"]
        return run_id

    def mutate(self, name: str, **wanted: Any) -> dict[str, Any]:
        """The answer to a mutation of one run."""
        kind = name[0].upper() + name[1:]
        query = f"""mutation ($input: {kind}Input!) {{
          {name}(input: $input) {{
            {_REFUSED_OR_DONE} ... on {kind}Success {{ run {{ runId status }} }}
          }}
        }}"""
        answer: dict[str, Any] = self.ask(query, input=wanted)[name]
        return answer

    # ----------------------------------------------------------------------------------- runs

    def record(self, run_id: str) -> RunRecord:
        return self.instance.storage.get_run_record(run_id)

    def log(self, run_id: str) -> list[EventLogRecord]:
        logs, record = self.instance.storage.event_log_storage, self.record(run_id)
        events: list[EventLogRecord] = []
        while True:
            page = logs.get_records(record, after=events[-1].position if events else 0)
            events += page.records
            if not page.has_more:
                return events

    def wait_for_end(self, run_id: str) -> RunRecord:
        wait_until(lambda: self.record(run_id).is_finished, f"the end of {self.record(run_id)}")
        return self.record(run_id)

    def lines(self, run_id: str | None = None) -> list[Line]:
        """What the steps have told, of one run or of all."""
        file = self.home / "lines"
        rows = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        found = [Line(run, step, int(worker)) for run, step, worker in map(str.split, rows)]
        return [line for line in found if run_id in (None, line.run_id)]

    def wait_for_step(self, run_id: str, step_key: str, times: int = 1) -> int:
        """Waits until a step has begun so often; returns the worker in which it did last."""

        def begun() -> list[int]:
            return [line.worker for line in self.lines(run_id) if line.step_key == step_key]

        wait_until(lambda: len(begun()) >= times, f"step {step_key} to begin")
        return begun()[-1]

    # ------------------------------------------------------------------------------ processes

    def processes(self, *kinds: str) -> list[Process]:
        """The live processes of the test that are of one of these kinds; all when none is named."""
        found = {pid: _process(pid, command) for pid, command in processes().items()}
        forks = {pid for pid, process in found.items() if process.kind == "fork server"}
        named = [
            each._replace(kind="code server")
            if each.parent in forks and each.pid in forks
            else each
            for each in found.values()
        ]
        return [each for each in named if each.group and (not kinds or each.kind in kinds)]

    def wait_until_gone(self, pids: Iterable[int]) -> None:
        left = set(pids)
        wait_until(lambda: not any(map(is_alive, left)), f"the end of processes {left}")


def _process(pid: int, command: str) -> Process:
    """A process as the system tells it; its group is 0 when it has ended meanwhile."""
    parent = group = 0
    title = ""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        parent, group = int(fields[1]), int(fields[2])
        title = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")
    return Process(pid, parent, group, _kind(command, title, leads=group == pid))


def _kind(command: str, title: str, *, leads: bool) -> str:
    if title.startswith("rw:") or "runwire.processes.spawned" in command:
        return "worker" if leads else "step"
    if "runwire.locations.code_server" in command:
        return "fork server"  # or what answers beside it
    for word, kind in (("serve", "server"), ("dev", "server"), ("daemon", "daemon")):
        if f"runwire.cli {word}" in command:
            return kind
    return "other"


@contextmanager
def fleet(server: Server, jobs: str, settings: str = "") -> Iterator[Fleet]:
    """A home with jobs, and settings, whose processes must all be gone at the end."""
    server.home.joinpath("jobs.py").write_text(HEAD + jobs, encoding="utf-8")
    server.home.joinpath("runwire.yaml").write_text(settings, encoding="utf-8")
    prepare()
    with nothing_left_behind(), Instance.from_home(server.home) as instance:
        try:
            yield Fleet(server, instance)
        finally:
            if server.process is not None and server.process.poll() is None:
                server.stop()


# ----------------------------------------------------------------------------- what must be true


def complaints(fleet: Fleet, run_id: str) -> list[str]:
    """What is wrong with a run that has ended; empty when it ended once and repeated nothing."""
    events, lines = fleet.log(run_id), fleet.lines(run_id)
    # What a fenced worker was just writing when it was killed may stay, for nobody waits for it.
    parts = f".*.{fleet.record(run_id).worker_epoch}.part"
    successes = Counter(e.step_key for e in events if e.event_type is EventType.STEP_SUCCESS)
    found = {
        "positions are not 1..N": [e.position for e in events] != list(range(1, len(events) + 1)),
        "it ended not once": len(endings(events)) != 1,
        "a step succeeded twice": any(count > 1 for count in successes.values()),
        f"finished steps ran again: {repeated(events, lines)}": bool(repeated(events, lines)),
        "something is half written": any((fleet.home / "storage" / run_id).rglob(parts)),
    }
    return [problem for problem, holds in found.items() if holds]


def endings(events: Sequence[EventLogRecord]) -> list[EventLogRecord]:
    """The applied events that end the run."""
    return [e for e in events if e.applied and e.event_type in TERMINAL_RUN_EVENTS]


def worker_starts(events: Sequence[EventLogRecord]) -> dict[int, int]:
    """The position at which each worker, by its pid, told that it is there."""
    told = [(re.match(r"Started process for run \(pid (\d+)\)", e.message), e) for e in events]
    return {int(match[1]): event.position for match, event in told if match}


def repeated(events: Sequence[EventLogRecord], lines: Iterable[Line]) -> list[Line]:
    """The steps that ran although they had succeeded when their worker began, or twice in one worker."""
    succeeded = {e.step_key: e.position for e in events if e.event_type is EventType.STEP_SUCCESS}
    starts = worker_starts(events)
    late = [
        line
        for line in lines
        if succeeded.get(line.step_key, len(events)) < starts.get(line.worker, 0)
    ]
    return late + [line for line, count in Counter(lines).items() if count > 1]


def types(events: Iterable[EventLogRecord]) -> Counter[str]:
    """How often each type of event was told."""
    return Counter(event.stored_type or "" for event in events)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Sends a signal; harmless when the process is gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def retried(attempt: Callable[[], Any], what: str) -> Any:
    """What an attempt gives, once a server answers it."""
    answers: list[Any] = []

    def is_answered() -> bool:
        with suppress(NotAnsweredError):
            answers.append(attempt())
        return bool(answers)

    wait_until(is_answered, what)
    return answers[0]
