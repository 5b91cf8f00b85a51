"""Pools by real servers and workers, some of which are killed: no step begins without a slot, and none is leaked."""

from __future__ import annotations

import json
import os
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.instance import Instance
from runwire.runs import RunStatus
from runwire.testing.left_behind import eventually
from tests.end_to_end.conftest import Server, storage_setting
from tests.torture import crossed

RUNS = 6
LIMIT = 2

JOBS = """
    import os, time
    from pathlib import Path

    from runwire import OpContext, job, multiprocess_executor, op

    HERE = Path(__file__).parent

    def note(context: OpContext, what: str) -> None:
        with (HERE / "notes").open("a") as notes:
            print(what, f"{context.run_id}/{context.step_key}", os.getpid(), file=notes)

    @op(pool="db")
    def query(context: OpContext) -> None:
        note(context, "begin")
        while not (HERE / "go").exists():
            time.sleep(0.01)
        time.sleep(0.05)
        note(context, "end")

    @job
    def in_process():
        query(); query(); query()

    @job(executor_def=multiprocess_executor.configured({"max_concurrent": 3}))
    def in_processes():
        query(); query(); query()
"""
YAML = """
run_monitoring: {{max_resume_run_attempts: {attempts}, poll_interval_seconds: 0.1}}
daemons: {{heartbeat_interval_seconds: 0.2, lease_seconds: 1}}
"""

SUBMIT = """mutation ($input: SubmitRunInput!) {
  submitRun(input: $input) {
    __typename ... on SubmitRunSuccess { run { runId } } ... on UserError { message }
  }
}"""


FAILS, RESUMES = 0, 9
"""How often a run whose worker is lost goes on."""


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    storage, attempts = request.param
    text = YAML.format(attempts=attempts) + storage_setting(request, storage)
    (tmp_path / "runwire.yaml").write_text(text)
    (tmp_path / "jobs.py").write_text(textwrap.dedent(JOBS))
    return tmp_path


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    server = Server(home)
    server.start("dev", "-f", str(home / "jobs.py"))
    yield server
    server.stop()


def notes(home: Path) -> list[list[str]]:
    path = home / "notes"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def worker_of(home: Path, run_id: str) -> int:
    """The pid of the newest worker of a run."""
    files = (home / "storage" / run_id).glob("worker.*.lock")
    newest = max(files, key=lambda file: int(file.name.split(".")[1]))
    return int(json.loads(newest.read_text())["process"]["pid"])


@pytest.mark.torture
@pytest.mark.parametrize(
    ("job_name", "home"),
    crossed(
        ["in_process", "in_processes"],
        [("sharded", RESUMES), ("postgres", FAILS), ("sharded", FAILS), ("postgres", RESUMES)],
    ),
    indirect=["home"],
)
def test_the_limit_holds_while_workers_are_killed(
    job_name: str, home: Path, server: Server
) -> None:
    with Instance.from_home(home) as instance:
        storage, pools = instance.storage, instance.storage.pool_storage
        pools.set_pool_limit("db", LIMIT)
        wanted = {"target": {"newRun": {"job": {"jobName": job_name}}}}
        for _ in range(RUNS):
            answer = server.execute(SUBMIT, input=wanted)
            assert answer["submitRun"]["__typename"] == "SubmitRunSuccess", answer
        killed: set[str] = set()

        def running() -> dict[str, str]:
            """The runs of the steps that wait for the word to go on, by the pid of the step's process."""
            return {
                pid: step.partition("/")[0] for _, step, pid in notes(home) if pid not in killed
            }

        for _ in range(2):
            eventually(lambda: len(running()) == LIMIT, "steps hold every slot")
            victim, *_ = running().values()
            killed |= {pid for pid, run_id in running().items() if run_id == victim}
            os.kill(worker_of(home, victim), signal.SIGKILL)
        (home / "go").touch()
        run_ids = [each.run_id for each in storage.run_storage.get_run_records(limit=99).records]
        most = 0

        def all_ended() -> bool:
            nonlocal most
            for pool in pools.get_pools():
                most = max(most, len(pool.slots))
            return all(storage.get_run_record(run_id).is_finished for run_id in run_ids)

        eventually(all_ended, "the runs end")
        assert 0 < most <= LIMIT
        (pool,) = pools.get_pools()
        assert (pool.slots, pool.waiting) == ((), ())
        statuses = {storage.get_run_record(run_id).status for run_id in run_ids}
        assert statuses <= {RunStatus.SUCCESS, RunStatus.FAILURE}
        assert RunStatus.SUCCESS in statuses
        assert _most_at_once(notes(home)) <= LIMIT


def _most_at_once(told: list[list[str]]) -> int:
    """The most steps of live processes at once, as their notes tell; who was killed ends where it is told again."""
    running: set[str] = set()
    most = 0
    ended = {(step, pid) for what, step, pid in told if what == "end"}
    for what, step, pid in told:
        if what == "begin" and (step, pid) in ended:
            running.add(step + pid)
        else:
            running.discard(step + pid)
        most = max(most, len(running))
    return most
