"""Runs that are deleted while they work, many at once, or because their time is up: nothing of them is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from runwire import clock
from runwire.client import RunwireClient
from runwire.daemons.retention import RetentionDaemon
from runwire.events.types import EventType
from runwire.instance import Instance
from runwire.runs.status import RunStatus
from runwire.storage.instance_log import InstanceEventKind
from runwire.testing.left_behind import pause
from tests.control.fakes import FakeWorkspace
from tests.end_to_end.conftest import STORAGES, Server, storage_setting, wait_until
from tests.end_to_end.fleet import Fleet, fleet, kill

pytestmark = [pytest.mark.torture, pytest.mark.timeout(400)]

JOBS = """
import subprocess
import sys
import time


@op
def first(context: OpContext) -> list[int]:
    tell(context)
    return list(range(100_000))


@op
def chatter(context: OpContext, numbers: list[int]) -> int:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    tell(context)
    while not (HERE / "gate").exists():
        context.log.info("still here")
        time.sleep(0.001)
    return 1


def chatty():
    chatter(first())


def quick():
    first()


for body in (chatty, quick):
    name = body.__name__
    globals()[name] = job(body)
    globals()[name + "_too"] = job(name=name + "_in_processes", executor_def=multiprocess_executor)(body)
"""

DELETE = """mutation ($input: DeleteRunInput!) {
  deleteRun(input: $input) { __typename ... on UserError { message } }
}"""

Start = Callable[..., Fleet]


@pytest.fixture
def start(server: Server, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts `runwire dev` on the jobs, with the lines of runwire.yaml that are given, on a storage."""
    storage = storage_setting(request, getattr(request, "param", "sharded"))
    opened: list[AbstractContextManager[Fleet]] = []

    def make(*settings: str) -> Fleet:
        opened.append(fleet(server, JOBS, "\n".join((storage, *settings))))
        made = opened[0].__enter__()
        made.serve()
        return made

    yield make
    for each in opened:
        each.__exit__(None, None, None)


def delete(made: Fleet, run_id: str, **wanted: Any) -> str:
    answer = made.ask(DELETE, input={"runId": run_id, **wanted})["deleteRun"]
    return str(answer["__typename"])


def traces(made: Fleet, *run_ids: str) -> list[Path]:
    """What there is of runs below the home, in whatever file or folder."""
    paths = made.home.rglob("*")
    return [path for path in paths if any(run_id in path.name for run_id in run_ids)]


def group_of(made: Fleet, worker: int) -> list[int]:
    return [each.pid for each in made.processes() if each.group == worker]


def tombstones(made: Fleet) -> list[str]:
    logs = made.instance.storage.event_log_storage
    kinds = (InstanceEventKind.RUN_DELETED,)
    return [entry.run_id for entry in logs.get_event_records(kinds=kinds).records]


@pytest.mark.parametrize("start", STORAGES, indirect=True)
@pytest.mark.parametrize("job_name", ["chatty", "chatty_in_processes"])
def test_a_run_that_works_is_deleted_by_force_with_its_worker_and_all_that_it_left(
    start: Start, job_name: str
) -> None:
    made = start()
    run_id = made.submit(job_name)
    worker = made.wait_for_step(run_id, "chatter")
    wait_until(lambda: len(made.log(run_id)) > 100, "some log lines")
    record = made.record(run_id)
    assert delete(made, run_id) == "RunStateConflict"
    assert made.record(run_id).status is RunStatus.STARTED
    assert traces(made, run_id) != []

    assert delete(made, run_id, force=True) == "DeleteRunSuccess"
    assert made.instance.get_run_by_id(run_id) is None
    wait_until(lambda: not group_of(made, worker), "the worker and what it started to end")
    # Whoever still saw the worker die has nothing to write any more, and nothing comes back.
    time.sleep(1)
    assert made.instance.storage.event_log_storage.get_head(record).position == 0
    assert made.instance.get_run_by_id(run_id) is None
    assert traces(made, run_id) == []
    assert tombstones(made) == [run_id]
    assert delete(made, run_id, force=True) == "RunNotFound"

    made.wait_for_end(made.submit("quick"))  # the others go on


def test_a_paused_worker_that_cannot_be_reached_writes_nothing_when_it_goes_on(
    start: Start,
) -> None:
    made = start()
    run_id = made.submit("chatty")
    worker = made.wait_for_step(run_id, "chatter")
    record = made.record(run_id)
    pause(worker)
    nowhere = FakeWorkspace()  # knows of no code location, which alone could stop the worker
    made.instance.delete_run(run_id, nowhere, force=True)
    assert traces(made, run_id) == []
    kill(worker, 18)  # SIGCONT
    wait_until(lambda: not group_of(made, worker), "the worker to find that its run is gone")
    assert made.instance.get_run_by_id(run_id) is None
    assert made.instance.storage.event_log_storage.get_head(record).position == 0
    assert [path for path in traces(made, run_id) if path.suffix == ".db"] == []

    # What it may have made before it looked is swept later.
    folder = made.instance.local_artifact_storage.run_dir(run_id)
    folder.mkdir(exist_ok=True)
    settings = "retention: {orphans: {purge_after_days: 1}}\nstorage: {sqlite: {layout: sharded}}\n"
    (made.home / "runwire.yaml").write_text(settings)
    with Instance.from_home(made.home) as instance:
        daemon = RetentionDaemon(instance, nowhere, lambda: clock.timestamp() + 2 * 86_400)
        errors: list[BaseException] = []
        daemon.run_iteration(errors.append, lambda: False)
    assert (errors, traces(made, run_id)) == ([], [])


def test_many_runs_are_stopped_and_deleted_by_one_filter(start: Start) -> None:
    made = start()
    working = [made.submit("chatty") for _ in range(4)]
    waiting = [
        made.mutate("createRun", newRun={"job": {"jobName": "chatty"}})["run"]["runId"]
        for _ in range(30)
    ]
    for run_id in working:
        made.wait_for_step(run_id, "chatter")
    everything = set(working + waiting)
    with RunwireClient(made.server.url) as client:
        kept = client.delete_runs(job_names=["chatty"], dry_run=True)
        assert (set(kept.run_ids), {each.run_id for each in kept.failures}) == (
            set(waiting),
            set(working),
        )
        stopped = client.terminate_runs(job_names=["chatty"], limit=20)
        assert (len(stopped.runs), stopped.remaining_count) == (20, 14)
        stopped = client.terminate_runs(job_names=["chatty"])
        assert (len(stopped.runs), stopped.failures, stopped.remaining_count) == (14, (), 0)
        for run_id in everything:
            assert made.wait_for_end(run_id).status is RunStatus.CANCELED
            assert made.log(run_id)[-1].event_type is EventType.RUN_CANCELED
        deleted = client.delete_runs(job_names=["chatty"])
        assert (set(deleted.run_ids), deleted.failures) == (everything, ())
    assert traces(made, *everything) == []
    assert set(tombstones(made)) == everything


def test_runs_whose_time_is_up_go_by_themselves(start: Start) -> None:
    made = start(
        "retention: {runs: {purge_after_days: 0.00001}, poll_interval_seconds: 0.2}",
    )
    living = made.submit("chatty")
    made.wait_for_step(living, "chatter")
    ended = [made.submit("quick") for _ in range(3)]
    wait_until(lambda: set(tombstones(made)) == set(ended), "the runs that ended to go")
    wait_until(lambda: not traces(made, *ended), "what they left to go")
    assert made.record(living).status is RunStatus.STARTED
    daemons = made.ask("{ instance { daemons { daemonType required state } } }")["instance"]
    assert {"daemonType": "RETENTION", "required": True, "state": "RUNNING"} in daemons["daemons"]
    assert delete(made, living, force=True) == "DeleteRunSuccess"
