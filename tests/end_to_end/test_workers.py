"""One worker has a run, whatever calls race for it, dies, is paused, refuses to end, or loses its server."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from runwire.events.payloads import RunFailureReason
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import is_alive, pause
from tests.end_to_end.conftest import STORAGES, Server, storage_setting, wait_until
from tests.end_to_end.fleet import (
    Fleet,
    complaints,
    endings,
    fleet,
    kill,
    types,
    worker_starts,
)

pytestmark = [pytest.mark.torture, pytest.mark.timeout(400)]

CALLS = 50

JOBS = """
import signal
import subprocess
import sys
import time


def wait_at_gate(name="gate"):
    while not (HERE / name).exists():
        time.sleep(0.01)


@op
def first(context: OpContext) -> int:
    tell(context)
    return 1


@op
def gate(context: OpContext, number: int) -> int:
    tell(context)
    wait_at_gate()
    return number


@op
def second_gate(context: OpContext, number: int) -> int:
    tell(context)
    wait_at_gate("second gate")
    return number


@op
def last(context: OpContext, number: int) -> None:
    tell(context)


@op
def vanish(context: OpContext) -> None:
    tell(context)
    os._exit(3)


@op
def ignore_signals(context: OpContext) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    tell(context)
    wait_at_gate()


@op
def spawn(context: OpContext) -> None:
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    children = [str(subprocess.Popen(sleeping).pid) for _ in range(2)]
    if (pid := os.fork()) == 0:  # a grandchild that nobody waits for
        children.append(str(subprocess.Popen(sleeping).pid))
        (HERE / "children").write_text(" ".join(children))
        os._exit(0)
    os.waitpid(pid, 0)
    tell(context)
    wait_at_gate()


@op
def give_a_generator(context: OpContext) -> object:
    tell(context)
    return (number for number in range(3))


def good():
    last(first())


def gated():
    last(gate(first()))


def twice_gated():
    last(second_gate(gate(first())))


def vanishing():
    vanish()


def stubborn():
    ignore_signals()


def spawning():
    spawn()


def unpicklable():
    give_a_generator()


for body in (good, gated, twice_gated, vanishing, stubborn, spawning, unpicklable):
    name = body.__name__
    globals()[name] = job(body)
    globals()[name + "_too"] = job(name=name + "_in_processes", executor_def=multiprocess_executor)(body)
"""

Start = Callable[..., Fleet]


@pytest.fixture
def start(server: Server, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts `runwire dev` on the jobs, with the lines of runwire.yaml that are given, on a storage."""
    storage = storage_setting(request, getattr(request, "param", "sharded"))
    opened: list[AbstractContextManager[Fleet]] = []

    def make(*settings: str, jobs: str = JOBS) -> Fleet:
        opened.append(fleet(server, jobs, "\n".join((storage, *settings))))
        made = opened[0].__enter__()
        made.serve()
        return made

    yield make
    for each in opened:
        each.__exit__(None, None, None)


def open_gate(made: Fleet, name: str = "gate") -> None:
    (made.home / name).touch()


def at_once(call: Callable[[], Any]) -> list[Any]:
    """The answers to many calls that begin at one moment."""
    barrier = Barrier(CALLS)

    def wait_and_call(_: int) -> Any:
        barrier.wait(60)
        return call()

    with ThreadPoolExecutor(CALLS) as pool:
        return list(pool.map(wait_and_call, range(CALLS)))


def kinds(answers: list[dict[str, Any]]) -> Counter[str]:
    return Counter(answer["__typename"] for answer in answers)


def reason_of(record: RunRecord) -> RunFailureReason | None:
    return None if record.failure is None else record.failure.reason


# ------------------------------------------------------------------------------------------ races


@pytest.mark.parametrize("start", STORAGES, indirect=True)
def test_of_fifty_calls_that_launch_a_run_one_starts_a_worker(start: Start) -> None:
    made = start()
    run_id = made.mutate("createRun", newRun={"job": {"jobName": "good"}})["run"]["runId"]
    answers = at_once(lambda: made.mutate("launchRun", target={"runId": run_id}))
    assert kinds(answers) == {"LaunchRunSuccess": 1, "RunStateConflict": CALLS - 1}
    record = made.wait_for_end(run_id)
    told = types(made.log(run_id))
    assert (record.status, record.worker_epoch) == (RunStatus.SUCCESS, 1)
    assert (told["RUN_STARTING"], told["RUN_START"]) == (1, 1)
    assert len(worker_starts(made.log(run_id))) == 1
    assert complaints(made, run_id) == []


@pytest.mark.parametrize("start", STORAGES, indirect=True)
@pytest.mark.parametrize("numbered", [{"attemptNumber": 1}, {}], ids=["numbered", "next"])
def test_of_fifty_calls_that_resume_a_run_one_starts_a_worker(
    start: Start, numbered: dict[str, int]
) -> None:
    made = start()
    run_id = made.submit("gated")
    before = made.wait_for_step(run_id, "gate")
    answers = at_once(lambda: made.mutate("resumeRun", runId=run_id, **numbered))
    assert kinds(answers) == {"ResumeRunSuccess": 1, "RunStateConflict": CALLS - 1}
    after = made.wait_for_step(run_id, "gate", times=2)
    assert after != before
    assert not is_alive(before)
    open_gate(made)
    record = made.wait_for_end(run_id)
    told = types(made.log(run_id))
    assert (record.status, record.worker_epoch) == (RunStatus.SUCCESS, 2)
    assert record.resume_attempts == told["RUN_START"] == told["RUN_WORKER_LOST"] == 1
    assert list(worker_starts(made.log(run_id))) == [before, after]
    assert Counter(line.step_key for line in made.lines()) == {"first": 1, "gate": 2, "last": 1}
    assert complaints(made, run_id) == []


# ----------------------------------------------------------------------------------------- deaths


@pytest.mark.parametrize("job_name", ["gated", "gated_in_processes"])
def test_a_run_whose_worker_is_killed_fails_once(start: Start, job_name: str) -> None:
    made = start()
    run_id = made.submit(job_name)
    kill(made.wait_for_step(run_id, "gate"))
    record = made.wait_for_end(run_id)
    assert (record.status, reason_of(record)) == (RunStatus.FAILURE, RunFailureReason.WORKER_LOST)
    wait_until(lambda: not made.processes("worker", "step"), "the end of what the worker began")
    assert types(made.log(run_id))["RUN_FAILURE"] == 1
    assert complaints(made, run_id) == []


@pytest.mark.parametrize("start", STORAGES, indirect=True)
@pytest.mark.parametrize("job_name", ["gated", "gated_in_processes"])
def test_a_run_whose_worker_is_killed_goes_on_where_it_may(start: Start, job_name: str) -> None:
    made = start("run_monitoring: {max_resume_run_attempts: 1}")
    run_id = made.submit(job_name)
    before = made.wait_for_step(run_id, "gate")
    kill(before)
    assert made.wait_for_step(run_id, "gate", times=2) != before
    open_gate(made)
    record = made.wait_for_end(run_id)
    assert (record.status, record.resume_attempts) == (RunStatus.SUCCESS, 1)
    assert Counter(line.step_key for line in made.lines()) == {"first": 1, "gate": 2, "last": 1}
    assert complaints(made, run_id) == []


def test_a_run_fails_when_its_worker_is_killed_once_more_than_it_may(start: Start) -> None:
    made = start("run_monitoring: {max_resume_run_attempts: 1}")
    run_id = made.submit("gated")
    for times in (1, 2):
        kill(made.wait_for_step(run_id, "gate", times))
    record = made.wait_for_end(run_id)
    assert (record.status, reason_of(record)) == (RunStatus.FAILURE, RunFailureReason.WORKER_LOST)
    assert record.resume_attempts == 1
    assert complaints(made, run_id) == []


def test_a_step_that_ends_the_process_of_the_worker_fails_the_run_once(start: Start) -> None:
    made = start()
    run_id = made.submit("vanishing")
    record = made.wait_for_end(run_id)
    assert (record.status, reason_of(record)) == (RunStatus.FAILURE, RunFailureReason.WORKER_LOST)
    assert record.failure is not None
    assert "ended with exit code 3" in record.failure.message
    assert complaints(made, run_id) == []


# ----------------------------------------------------------------------------------------- pauses

BLIND = "run_launcher: {module: tests.end_to_end.blind_launcher, class: BlindRunLauncher}"
LOOKS_NEVER = "run_monitoring: {cancellation_thread_poll_interval_seconds: 3600}"


def start_blind(server: Server, start: Start, *settings: str) -> Fleet:
    """With a launcher that cannot reach the workers that it has started."""
    server.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    return start(BLIND, *settings)


def pause_between_writes(made: Fleet, worker: int) -> None:
    """Stops a worker between two transactions: in one it would hold the lock of its log, which nobody could write."""
    while True:
        os.killpg(worker, signal.SIGSTOP)
        pause(worker)
        if all(map(is_writable, (made.home / "history").rglob("*.db"))):
            return
        os.killpg(worker, signal.SIGCONT)


def is_writable(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=0.2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


def replace_paused(made: Fleet, job_name: str) -> tuple[str, int, int]:
    """Pauses the worker of a run and hands the run to another one: the run, and both."""
    run_id = made.submit(job_name)
    paused = made.wait_for_step(run_id, "gate")
    pause_between_writes(made, paused)
    answer = made.mutate("resumeRun", runId=run_id, attemptNumber=1)
    assert answer["__typename"] == "ResumeRunSuccess", answer
    return run_id, paused, made.wait_for_step(run_id, "gate", times=2)


def test_a_paused_worker_is_killed_by_the_resume(start: Start) -> None:
    made = start()
    run_id, paused, _ = replace_paused(made, "gated")
    made.wait_until_gone([paused])
    open_gate(made)
    assert made.wait_for_end(run_id).status is RunStatus.SUCCESS
    assert complaints(made, run_id) == []


@pytest.mark.parametrize("job_name", ["twice_gated", "twice_gated_in_processes"])
def test_a_paused_worker_that_nobody_can_reach_is_refused_when_it_goes_on(
    server: Server, start: Start, job_name: str
) -> None:
    """The run goes on meanwhile: what the old worker writes is refused, for its epoch is another one."""
    made = start_blind(server, start, LOOKS_NEVER)
    run_id, paused, replacing = replace_paused(made, job_name)
    open_gate(made)
    assert made.wait_for_step(run_id, "second_gate") == replacing
    assert is_alive(paused)
    os.killpg(paused, signal.SIGCONT)
    made.wait_until_gone([paused])
    wait_until(
        lambda: {each.group for each in made.processes("worker", "step")} == {replacing},
        "the end of its steps",
    )
    open_gate(made, "second gate")
    record = made.wait_for_end(run_id)
    assert (record.status, record.worker_epoch) == (RunStatus.SUCCESS, 2)
    began = worker_starts(made.log(run_id))[replacing]
    assert {event.epoch for event in made.log(run_id)[began - 1 :]} == {2}
    assert complaints(made, run_id) == []


@pytest.mark.parametrize("job_name", ["gated", "gated_in_processes"])
def test_a_paused_worker_that_nobody_can_reach_ends_itself_when_it_goes_on(
    server: Server, start: Start, job_name: str
) -> None:
    """Its step would take for ever: it looks whose the run is, and ends with all that it has begun."""
    made = start_blind(server, start)
    run_id, paused, replacing = replace_paused(made, job_name)
    os.killpg(paused, signal.SIGCONT)
    made.wait_until_gone([paused])
    wait_until(
        lambda: {each.group for each in made.processes("worker", "step")} == {replacing},
        "the end of its steps",
    )
    said = (made.home / "storage" / run_id / "worker.err").read_text(encoding="utf-8")
    assert "its run has another worker: epoch 2, not 1" in said
    open_gate(made)
    record = made.wait_for_end(run_id)
    assert (record.status, record.worker_epoch) == (RunStatus.SUCCESS, 2)
    assert complaints(made, run_id) == []


# ------------------------------------------------------------------------------------ hard to end


@pytest.mark.parametrize("job_name", ["stubborn", "stubborn_in_processes"])
def test_a_run_whose_step_ignores_signals_can_be_canceled(start: Start, job_name: str) -> None:
    made = start("run_monitoring: {cancel_timeout_seconds: 1}")
    run_id = made.submit(job_name)
    worker = made.wait_for_step(run_id, "ignore_signals")
    answer = made.mutate("terminateRun", runId=run_id)
    assert answer["run"]["status"] in {"CANCELING", "CANCELED"}
    assert made.wait_for_end(run_id).status is RunStatus.CANCELED
    made.wait_until_gone([worker])
    wait_until(lambda: not made.processes("worker", "step"), "the end of its steps")
    assert complaints(made, run_id) == []


Ending = Callable[[Fleet, str, int], object]
ENDINGS: dict[str, tuple[Ending, RunStatus]] = {
    "by itself": (lambda made, run_id, worker: open_gate(made), RunStatus.SUCCESS),
    "canceled": (
        lambda made, run_id, worker: made.mutate("terminateRun", runId=run_id),
        RunStatus.CANCELED,
    ),
    "killed": (lambda made, run_id, worker: kill(worker), RunStatus.FAILURE),
}


@pytest.mark.parametrize("job_name", ["spawning", "spawning_in_processes"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_no_process_that_a_step_has_started_is_left(
    start: Start, ending: str, job_name: str
) -> None:
    made = start()
    end, status = ENDINGS[ending]
    run_id = made.submit(job_name)
    worker = made.wait_for_step(run_id, "spawn")
    children = [int(pid) for pid in (made.home / "children").read_text().split()]
    assert [is_alive(pid) for pid in children] == [True] * 3
    end(made, run_id, worker)
    assert made.wait_for_end(run_id).status is status
    made.wait_until_gone([worker, *children])
    assert complaints(made, run_id) == []


# ---------------------------------------------------------------------------------- what code does


def test_definitions_that_start_threads_are_run_in_processes_that_are_spawned(start: Start) -> None:
    thread = (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(3600,), name='watcher', daemon=True).start()\n"
    )
    made = start(jobs=thread + JOBS)
    runs = {name: made.submit(name) for name in ("good", "gated_in_processes")}
    open_gate(made)
    assert {
        name: made.wait_for_end(run_id).status for name, run_id in runs.items()
    } == dict.fromkeys(runs, RunStatus.SUCCESS)
    assert [complaints(made, run_id) for run_id in runs.values()] == [[], []]
    assert "forks would lose: watcher" in (made.home / "server.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("job_name", ["unpicklable", "unpicklable_in_processes"])
def test_an_output_that_cannot_be_pickled_fails_its_step(start: Start, job_name: str) -> None:
    made = start()
    run_id = made.submit(job_name)
    record = made.wait_for_end(run_id)
    assert (record.status, reason_of(record)) == (RunStatus.FAILURE, RunFailureReason.STEP_FAILURE)
    [failure] = [e for e in made.log(run_id) if e.event_type is EventType.STEP_FAILURE]
    assert "is a generator, which cannot be pickled" in failure.message
    assert complaints(made, run_id) == []


# --------------------------------------------------------------------------------- servers that die


@pytest.mark.parametrize("kind", ["fork server", "code server"])
def test_a_run_goes_on_when_its_code_server_is_killed(start: Start, kind: str) -> None:
    made = start()
    server_id = made.location()["server"]["serverId"]
    run_id = made.submit("gated_in_processes")
    worker = made.wait_for_step(run_id, "gate")
    [server] = made.processes(kind)
    kill(server.pid)

    def is_loaded_anew() -> bool:
        location = made.location()
        return bool(location["status"] == "LOADED" and location["server"]["serverId"] != server_id)

    wait_until(is_loaded_anew, "another code server")
    assert is_alive(worker)
    open_gate(made)
    again = made.submit("good")
    for each in (run_id, again):
        assert made.wait_for_end(each).status is RunStatus.SUCCESS
        assert complaints(made, each) == []
    assert list(worker_starts(made.log(run_id))) == [worker]


def restart(made: Fleet) -> None:
    made.server.kill()
    wait_until(lambda: not made.processes("fork server", "code server"), "its code servers to end")
    made.serve()


@pytest.mark.parametrize("job_name", ["gated", "gated_in_processes"])
def test_a_worker_whose_server_was_killed_can_be_canceled_after_its_restart(
    start: Start, job_name: str
) -> None:
    made = start()
    run_id = made.submit(job_name)
    worker = made.wait_for_step(run_id, "gate")
    restart(made)
    assert is_alive(worker)
    assert made.record(run_id).status is RunStatus.STARTED
    answer = made.mutate("terminateRun", runId=run_id)
    assert answer["run"]["status"] in {"CANCELING", "CANCELED"}
    assert made.wait_for_end(run_id).status is RunStatus.CANCELED
    made.wait_until_gone([worker])
    assert list(worker_starts(made.log(run_id))) == [worker]
    assert complaints(made, run_id) == []


def test_the_death_of_a_worker_is_seen_by_a_server_that_did_not_start_it(start: Start) -> None:
    made = start()
    run_id = made.submit("gated")
    worker = made.wait_for_step(run_id, "gate")
    restart(made)
    kill(worker)
    record = made.wait_for_end(run_id)
    assert (record.status, reason_of(record)) == (RunStatus.FAILURE, RunFailureReason.WORKER_LOST)
    assert complaints(made, run_id) == []


def test_a_worker_whose_server_was_killed_ends_its_run(start: Start) -> None:
    made = start()
    run_id = made.submit("gated_in_processes")
    worker = made.wait_for_step(run_id, "gate")
    made.server.kill()
    open_gate(made)
    assert made.wait_for_end(run_id).status is RunStatus.SUCCESS
    made.wait_until_gone([worker])
    assert [event.message for event in endings(made.log(run_id))]
    assert complaints(made, run_id) == []
