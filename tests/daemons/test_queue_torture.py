"""Two queue daemons at once, killed and started again: no limit is exceeded, no run is launched twice or forgotten.

Runs have random priorities and tags, and some are canceled. A short form by default; 2,000 runs with
RUNWIRE_TORTURE=full.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from runwire.control import NewRun
from runwire.errors import RunFinishedError, RunStateConflictError, StaleWorkerError
from runwire.events import EventLogEntry, EventType
from runwire.instance import Instance
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, TRANSITIONS, RunStatus
from runwire.runs.tags import PRIORITY_TAG
from runwire.storage import InstanceEventKind
from runwire.workspace import JobSelector
from tests.daemons.queue_process import workspace
from tests.torture import FULL

pytestmark = [pytest.mark.torture, pytest.mark.timeout(1200)]

RUNS = 2000 if FULL else 60
KILLS = 60 if FULL else 5
WORKERS = 12
CANCELED_SHARE = 0.2
PATIENCE_SECONDS = 1000.0 if FULL else 120.0

QUEUE = {
    "max_concurrent_runs": 6,
    "tag_concurrency_limits": [
        {"key": "team", "limit": 4},
        {"key": "team", "value": "red", "limit": 2},
        {"key": "customer", "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
    ],
    "dequeue_num_workers": 3,
    "max_user_code_failure_retries": 100,
    "user_code_failure_retry_delay": 0.1,
}
STORAGES: dict[str, Callable[[pytest.FixtureRequest], dict[str, Any]]] = {
    "sharded": lambda request: {"storage": {"sqlite": {}}},
    "consolidated": lambda request: {"storage": {"sqlite": {"layout": "consolidated"}}},
    "postgres": lambda request: {"storage": {"postgres": _postgres(request, "postgres_url")}},
    "pgbouncer": lambda request: {"storage": {"postgres": _postgres(request, "pooled_url")}},
    "apart": lambda request: {
        "run_storage": {"postgres": _postgres(request, "postgres_url")},
        "event_log_storage": {"sqlite": {}},
        "schedule_storage": {"postgres": _postgres(request, "postgres_url")},
    },
}
"""What `runwire.yaml` says of the storage, by name."""


def _postgres(request: pytest.FixtureRequest, name: str) -> dict[str, str]:
    return {"postgres_url": request.getfixturevalue(name)}


@pytest.fixture(params=STORAGES)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A home with a queue, and launchers that leave notes in its folder ``notes``."""
    (tmp_path / "notes").mkdir()
    settings = {
        **STORAGES[request.param](request),
        "run_coordinator": {
            "module": "runwire.coordinators.queued",
            "class": "QueuedRunCoordinator",
            "config": QUEUE,
        },
        "run_launcher": {
            "module": "tests.daemons.queue_process",
            "class": "NotesLauncher",
            "config": {"folder": str(tmp_path / "notes")},
        },
    }
    (tmp_path / "runwire.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


class Workers:
    """Does what the workers of noted launches would do; counts how many began each run."""

    def __init__(self, instance: Instance, notes: Path) -> None:
        self._storage = instance.storage
        self._notes = notes
        self._seen: set[str] = set()
        self._pool = ThreadPoolExecutor(WORKERS)
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self.began: Counter[str] = Counter()
        self.failures: list[BaseException] = []
        self._looking.start()

    def close(self) -> None:
        self._over.set()
        self._looking.join()
        self._pool.shutdown()

    def _look(self) -> None:
        while not self._over.wait(0.005):
            for note in {path.name for path in self._notes.iterdir()} - self._seen:
                self._seen.add(note)
                self._pool.submit(self._execute, note)

    def _execute(self, note: str) -> None:
        run_id, _, epoch = note.rpartition(".")
        try:
            with suppress(StaleWorkerError, RunFinishedError):
                if self._tell(run_id, int(epoch), EventType.RUN_START):
                    self.began[run_id] += 1
                    time.sleep(random.uniform(0.0, 0.03))
                    self._tell(run_id, int(epoch), EventType.RUN_SUCCESS)
                elif self._storage.get_run_record(run_id).status is RunStatus.CANCELING:
                    self._tell(run_id, int(epoch), EventType.RUN_CANCELED)
        except BaseException as error:
            self.failures.append(error)
            raise

    def _tell(self, run_id: str, epoch: int, event_type: EventType) -> bool:
        entry = EventLogEntry(run_id=run_id, event_type=event_type, message="m")
        return self._storage.store_events(run_id, [entry], epoch=epoch)[0].applied


class Daemons:
    """Two processes that take runs, of which one is killed now and then."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._log = (home / "daemons.log").open("wb")
        self._processes = [self._start(), self._start()]
        self.kills = 0

    def kill_one(self) -> None:
        number = random.randrange(len(self._processes))
        self._processes[number].kill()
        self._processes[number].wait()
        self._processes[number] = self._start()
        self.kills += 1

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._log.close()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.daemons.queue_process", str(self._home)]
        return subprocess.Popen(command, stderr=self._log)


@pytest.fixture
def world(home: Path) -> Iterator[tuple[Instance, Workers, Daemons]]:
    with Instance.from_home(home) as instance:
        workers, daemons = Workers(instance, home / "notes"), Daemons(home)
        yield instance, workers, daemons
        daemons.close()
        workers.close()


def test_no_limit_is_exceeded_and_each_run_is_executed_once(
    world: tuple[Instance, Workers, Daemons], home: Path
) -> None:
    instance, workers, daemons = world
    chance = random.Random(7)
    run_ids = [_submit(instance, chance) for _ in range(RUNS // 3)]
    canceled: set[str] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    next_kill = time.monotonic() + 0.5
    while not (len(run_ids) == RUNS and daemons.kills >= KILLS and _all_ended(instance)):
        assert time.monotonic() < deadline, _told(instance, home)
        if len(run_ids) < RUNS:
            run_ids.append(_submit(instance, chance))
            if chance.random() < CANCELED_SHARE:
                canceled.add(_cancel_one(instance, chance.choice(run_ids)))
        else:
            time.sleep(0.02)
        if daemons.kills < KILLS and time.monotonic() > next_kill:
            daemons.kill_one()
            next_kill = time.monotonic() + chance.uniform(0.4, 1.2)
    assert workers.failures == []
    _check_limits(instance, {run_id: instance.storage.get_run_record(run_id) for run_id in run_ids})
    assert set(workers.began.values()) == {1}, workers.began
    for run_id in run_ids:
        status = instance.storage.get_run_record(run_id).status
        assert status is RunStatus.SUCCESS or (status, run_id in canceled) == (
            RunStatus.CANCELED,
            True,
        ), _told(instance, home)
        assert status is not RunStatus.SUCCESS or workers.began[run_id] == 1


def _submit(instance: Instance, chance: random.Random) -> str:
    tags = {
        "team": chance.choice(["red", "blue"]),
        "customer": str(chance.randrange(8)),
        PRIORITY_TAG: str(chance.randrange(-2, 3)),
    }
    some = tuple((key, value) for key, value in tags.items() if chance.random() < 0.6)
    record, _ = instance.create_run(NewRun(job=JobSelector("etl"), tags=some), workspace())
    instance.submit_run(record.run_id, workspace())
    return record.run_id


def _cancel_one(instance: Instance, run_id: str) -> str:
    with suppress(RunStateConflictError):
        instance.terminate_run(run_id, workspace())
    return run_id


def _all_ended(instance: Instance) -> bool:
    return not instance.storage.run_storage.get_unfinished_run_ids()


def _told(instance: Instance, home: Path) -> str:
    """What is left, and what the daemons said."""
    left = instance.storage.run_storage.get_unfinished_run_ids()
    records = [instance.storage.get_run_record(run_id) for run_id in left[:20]]
    told = [(each.run_id, each.status.value, each.worker_epoch) for each in records]
    return f"{len(left)} left: {told}\n{(home / 'daemons.log').read_text()[-3000:]}"


def _check_limits(instance: Instance, records: dict[str, RunRecord]) -> None:
    """Goes through the instance-wide log, and counts at each of its positions what is in progress."""
    status = dict.fromkeys(records, RunStatus.NOT_STARTED)
    queue = instance.run_coordinator.queue
    assert queue is not None
    used: Counter[Any] = Counter()
    position, most = 0, 0
    while True:
        page = instance.storage.event_log_storage.get_event_records(
            after=position, kinds=(InstanceEventKind.EVENT,)
        )
        for entry in page.records:
            event, run_id = entry.event, entry.run_id
            if event is None or not event.applied or event.event_type is None:
                continue
            after = TRANSITIONS.get((status[run_id], event.event_type))
            if after is None:
                continue
            change = (after in IN_PROGRESS_STATUSES) - (status[run_id] in IN_PROGRESS_STATUSES)
            status[run_id] = after
            for limit in queue.limits_of(records[run_id].run.tags):
                used[limit] += change
                assert used[limit] <= limit.max, (limit, entry)
            most = max(most, *used.values())
        if not page.has_more:
            break
        position = page.records[-1].position
    assert most > 1
    assert status == {run_id: record.status for run_id, record in records.items()}
