"""The database is gone for a while: daemons go on where they were, no tick is lost and no run made twice."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from runwire.events import EventType
from runwire.events.filters import EventFilter
from runwire.instance import Instance
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import eventually
from runwire.ticks import TickStatus
from tests.memory import memory_folder
from tests.postgres import PostgresServer
from tests.preloaded import start_runwire
from tests.torture import FULL

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]

DOWN_SECONDS = 30.0 if FULL else 2.0
PATIENCE = 60.0

JOBS = """
    from runwire import DefaultSensorStatus, RunRequest, SensorResult, job, op, sensor

    @op
    def load() -> None: ...

    @job
    def etl():
        load()

    @sensor(job=etl, minimum_interval_seconds=1, default_status=DefaultSensorStatus.RUNNING)
    def counts(context):
        number = int(context.cursor or 0) + 1
        return SensorResult(run_requests=[RunRequest(tags={"n": str(number)})], cursor=str(number))
"""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    made = PostgresServer(memory_folder())
    made.start()
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path, server: PostgresServer) -> Path:
    settings = {
        "storage": {"postgres": {"postgres_url": server.url(server.make_database())}},
        "run_coordinator": {
            "module": "runwire.coordinators.queued",
            "class": "QueuedRunCoordinator",
            "config": {"max_concurrent_runs": 2},
        },
    }
    (tmp_path / "runwire.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "jobs.py").write_text(textwrap.dedent(JOBS))
    return tmp_path


def runs_of(instance: Instance) -> list[RunRecord]:
    """All runs, oldest first."""
    return instance.storage.run_storage.get_run_records(limit=1000).records[::-1]


def test_after_a_time_without_database_daemons_go_on(home: Path, server: PostgresServer) -> None:
    place = ["--home", str(home), "-f", str(home / "jobs.py")]
    with Instance.from_home(home) as instance:
        daemon = start_runwire("daemon", "run", *place, cwd=home)
        try:

            def succeeded() -> int:
                return sum(each.status is RunStatus.SUCCESS for each in runs_of(instance))

            eventually(lambda: succeeded() >= 2, "runs have ended before")
            server.kill()
            time.sleep(DOWN_SECONDS)
            assert daemon.poll() is None
            server.start()
            before = succeeded()
            eventually(lambda: succeeded() >= before + 3, "runs have ended after")
        finally:
            daemon.terminate()
            assert daemon.wait(PATIENCE) == 0
        (source,) = instance.storage.schedule_storage.get_tick_sources()
        records = runs_of(instance)
        assert [each.run.tags["n"] for each in records] == [
            str(number) for number in range(1, len(records) + 1)
        ]
        launches = EventFilter(event_types=frozenset({EventType.RUN_STARTING}))
        for record in records:
            found = instance.storage.event_log_storage.get_records(record, filter=launches)
            assert len(found.records) <= 1
        ticks = instance.storage.schedule_storage.get_ticks(source.source_id, limit=1000).ticks
        assert [tick for tick in ticks if tick.status is TickStatus.FAILURE] == []
