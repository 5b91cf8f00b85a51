"""Runs: from the request to their first and last event, many at once, what a step costs, and what idling costs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.programs import first_line, served
from benchmarks.table import Row

LAUNCHES = 30
AT_ONCE = 20
IDLE_SECONDS = 20.0

RUN_START_COMMITS = 4
RUN_SUCCESS_COMMITS = 9
"""Synced commits from the request to the event: of the row, of mirrored events (two each), of the step's."""

STEP_COMMITS = 3
"""Those of a step: its output, the folder of that, and its end with the start of the next."""

ROUNDS = 3

JOBS = """
import time
from runwire import job, multiprocess_executor, op

@op
def nothing() -> None: ...

@job
def no_op():
    nothing()

@op
def add(number: int = 0) -> int:
    return number + 1

def chained(length):
    number = add()
    for _ in range(length - 1):
        number = add(number)

@job
def chain_of_100():
    chained(100)

@job(executor_def=multiprocess_executor)
def process_chain_of_20():
    chained(20)

@job(executor_def=multiprocess_executor)
def process_fan_of_100():
    for _ in range(100):
        add()

@op
def sleep() -> None:
    time.sleep(60)

@job
def sleeping():
    sleep()
"""

SUBMIT = """mutation ($input: SubmitRunInput!) {
  submitRun(input: $input) { __typename ... on SubmitRunSuccess { run { runId } } ... on UserError { message } }
}"""

RUN = "query ($id: ID!) { run(runId: $id) { status startedAt endedAt } }"

EVENTS = """query ($id: ID!) {
  run(runId: $id) { events(first: 100) { edges { node { eventType timestamp } } } }
}"""


class Server:
    """The server of the jobs, as a client sees it; one connection."""

    def __init__(self, endpoint: str, pid: int, home: Path) -> None:
        self.pid = pid
        self.home = home
        self._place = urlsplit(endpoint).netloc
        self._connection = http.client.HTTPConnection(self._place)

    def another(self) -> Server:
        """The same over a connection of its own."""
        return Server(f"http://{self._place}", self.pid, self.home)

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables})
        self._connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        answer = json.load(self._connection.getresponse())
        assert "errors" not in answer, answer
        return answer["data"]

    def submit(self, job_name: str) -> str:
        wanted = {"target": {"newRun": {"job": {"jobName": job_name}}}}
        result = self.ask(SUBMIT, input=wanted)["submitRun"]
        assert result["__typename"] == "SubmitRunSuccess", result
        run_id: str = result["run"]["runId"]
        return run_id

    def wait(self, run_id: str) -> dict[str, Any]:
        """The run once it has ended."""
        while True:
            run: dict[str, Any] = self.ask(RUN, id=run_id)["run"]
            if run["endedAt"] is not None:
                return run
            time.sleep(0.02)

    def times(self, run_id: str) -> dict[str, float]:
        """When each type of event was first told, in epoch seconds."""
        edges = self.ask(EVENTS, id=run_id)["run"]["events"]["edges"]
        found: dict[str, float] = {}
        for node in (edge["node"] for edge in edges):
            found.setdefault(node["eventType"], _seconds(node["timestamp"]))
        return found

    def close(self) -> None:
        self._connection.close()


def run() -> list[Row]:
    """Measures one server, as `runwire dev` starts it."""
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        home = Path(folder)
        jobs = home / "jobs.py"
        jobs.write_text(JOBS, encoding="utf-8")
        with served(home, "dev", "-f", str(jobs)) as (process, endpoint):
            first_line(process, "location  jobs: LOADED")
            with closing(Server(endpoint, process.pid, home)) as server:
                return [
                    *_launches(server, home),
                    *_many_at_once(server),
                    _steps(server, "chain_of_100", 100, "in process, in a chain of 100", 1.5, 0),
                    _steps(
                        server, "process_chain_of_20", 20, "in processes, in a chain of 20", 25, 1
                    ),
                    _steps(
                        server, "process_fan_of_100", 100, "in processes, 100 side by side", 12, 1
                    ),
                    _dead_worker(server),
                    _idling(server),
                ]


def _launches(server: Server, home: Path) -> list[Row]:
    starts, ends, start_floors, end_floors = [], [], [], []
    for number in range(LAUNCHES + 1):
        asked = time.time()  # noqa: TID251 - compared with the instants of events
        run_id = server.submit("no_op")
        server.wait(run_id)
        times = server.times(run_id)
        if number:  # the first one warms up
            starts.append(1000 * (times["RUN_START"] - asked))
            ends.append(1000 * (times["RUN_SUCCESS"] - asked))
            start_floors.append(_floor(home, RUN_START_COMMITS))
            end_floors.append(_floor(home, RUN_SUCCESS_COMMITS))
    return [
        _latency("submitRun to RUN_START", starts, start_floors, 40),
        _latency("submitRun to RUN_SUCCESS of a no-op", ends, end_floors, 80),
    ]


def _latency(name: str, measured: list[float], floors: list[float], aim: float) -> Row:
    middle, floor = statistics.median(measured), statistics.median(floors)
    return Row(
        name=f"{name}, against forks and as many synced commits",
        measured=middle,
        unit="ms",
        floor=floor,
        ratio=middle / floor,
        aim=f"at most {aim:g} ms",
        met=middle <= aim,
    )


def _floor(home: Path, commits: int, forks: int = 1) -> float:
    """Milliseconds of forks that end at once, and of synced appends to a file."""
    began = time.perf_counter()
    for _ in range(forks):
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    with (home / "floor").open("ab", buffering=0) as file:
        for _ in range(commits):
            file.write(b"x" * 512)
            os.fdatasync(file.fileno())
    return 1000 * (time.perf_counter() - began)


def _many_at_once(server: Server) -> list[Row]:
    """Time and memory in rounds of their own, for looking at memory takes time."""
    took, floors = [], []
    for _ in range(ROUNDS):
        took.append(_launch_at_once(server))
        floors.append(_floor(server.home, AT_ONCE * RUN_SUCCESS_COMMITS, AT_ONCE) / 1000)
    with _Peak(server.pid) as peak:
        for _ in range(ROUNDS):
            _launch_at_once(server)
    seconds, floor = statistics.median(took), statistics.median(floors)
    return [
        Row(
            name=f"{AT_ONCE} runs submitted at once, until the last has ended",
            measured=seconds,
            unit="s",
            floor=floor,
            ratio=seconds / floor,
            aim="at most 1.5 s",
            met=seconds <= 1.5,
        ),
        Row(
            name="memory of all processes meanwhile, at the peak, what they share counted once",
            measured=peak.mebibytes,
            unit="MiB",
            aim="at most 500 MiB",
            met=peak.mebibytes <= 500,
        ),
    ]


def _launch_at_once(server: Server) -> float:
    """Seconds from the first request to the end of the last run; nobody asks meanwhile how far they are."""
    began = time.time()  # noqa: TID251 - compared with the instants of events
    with ThreadPoolExecutor(AT_ONCE) as pool:
        run_ids = list(pool.map(_submit_by_itself, [server] * AT_ONCE))
    runs = [server.wait(run_id) for run_id in run_ids]
    assert {run["status"] for run in runs} == {"SUCCESS"}, runs
    return max(_seconds(run["endedAt"]) for run in runs) - began


def _submit_by_itself(server: Server) -> str:
    with closing(server.another()) as client:
        return client.submit("no_op")


class _Peak(threading.Thread):
    """Samples the proportional memory of a process and all below it, and keeps the most."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self.mebibytes = 0.0

    def run(self) -> None:
        while not self._over.is_set():
            total = sum(_proportional_memory(pid) for pid in _tree(self._pid))
            self.mebibytes = max(self.mebibytes, total)
            self._over.wait(0.02)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def _proportional_memory(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _tree(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _steps(
    server: Server, job_name: str, steps: int, how: str, aim: float, forks_a_step: int
) -> Row:
    measured, floors = [], []
    for _ in range(ROUNDS):
        run = server.wait(server.submit(job_name))
        assert run["status"] == "SUCCESS", run
        seconds = _seconds(run["endedAt"]) - _seconds(run["startedAt"])
        measured.append(1000 * seconds / steps)
        floors.append(_floor(server.home, steps * STEP_COMMITS, steps * forks_a_step) / steps)
    return _latency(f"a step {how}", measured, floors, aim)


def _dead_worker(server: Server) -> Row:
    measured = []
    for _ in range(5):
        run_id = server.submit("sleeping")
        _wait_until(lambda: "STEP_START" in server.times(run_id))  # noqa: B023
        lock = server.home / "storage" / run_id / "worker.1.lock"
        os.kill(json.loads(lock.read_text(encoding="utf-8"))["process"]["pid"], signal.SIGKILL)
        killed = time.time()  # noqa: TID251 - compared with the instants of events
        measured.append(_seconds(server.wait(run_id)["endedAt"]) - killed)
    middle = statistics.median(measured)
    return Row(
        name="kill -9 of a worker to the run's RUN_FAILURE",
        measured=middle,
        unit="s",
        aim="at most 1 s",
        met=middle <= 1,
    )


def _wait_until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.005)


def _idling(server: Server) -> Row:
    before = _processor_seconds(server.pid)
    time.sleep(IDLE_SECONDS)
    share = 100 * (_processor_seconds(server.pid) - before) / IDLE_SECONDS
    return Row(
        name="server, daemons and code location when nothing happens",
        measured=share,
        unit="% of a core",
        aim="less than 1 %",
        met=share < 1,
    )


def _processor_seconds(root: int) -> float:
    ticks = 0
    for pid in _tree(root):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
