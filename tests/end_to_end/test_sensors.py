"""Sensors by two real daemons, of which one is killed wherever a tick can be cut off."""

from __future__ import annotations

import signal
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from runwire.fault_points import TICK_FAULT_POINTS
from runwire.instance import Instance
from runwire.runs import RunStatus
from runwire.testing.left_behind import eventually
from runwire.ticks import TickStatus
from tests.end_to_end.conftest import StartDaemon

PATIENCE = 60.0

JOBS = """
    from pathlib import Path
    from runwire import (
        DefaultSensorStatus, RunRequest, RunStatus, SensorResult, job, op, run_status_sensor, sensor
    )

    FOLDER = Path(__file__).parent / "inbox"

    @op
    def load() -> None: ...

    @job
    def etl():
        load()

    @job
    def notify():
        load()

    @sensor(job=etl, minimum_interval_seconds=1, default_status=DefaultSensorStatus.RUNNING)
    def files(context):
        seen = int(context.cursor or 0)
        new = sorted(FOLDER.iterdir(), key=lambda path: int(path.name))[seen:][:2]
        return SensorResult(
            run_requests=[RunRequest(tags={"file": path.name}) for path in new],
            cursor=str(seen + len(new)),
        )

    @run_status_sensor(
        RunStatus.SUCCESS, monitored_jobs=[etl], job=notify, default_status=DefaultSensorStatus.RUNNING
    )
    def after(context):
        return RunRequest(run_key=context.run.run_id)
"""
YAML = """
daemons: {lease_seconds: 1, heartbeat_interval_seconds: 0.2, heartbeat_tolerance_seconds: 2}
"""
FILES = 5


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "runwire.yaml").write_text(YAML)
    (tmp_path / "jobs.py").write_text(textwrap.dedent(JOBS))
    (tmp_path / "inbox").mkdir()
    return tmp_path


@pytest.mark.torture
@pytest.mark.parametrize("point", TICK_FAULT_POINTS)
def test_a_daemon_that_is_killed_in_a_tick_loses_no_file_and_no_event(
    point: str, home: Path, start_daemon: StartDaemon
) -> None:
    """Two daemons work; whichever has the lease is killed once at the point, and the other one goes on."""
    for number in range(FILES):
        (home / "inbox" / str(number)).touch()
    with Instance.from_home(home) as instance:
        both = [start_daemon(f"{point}:{home / 'died'}") for _ in range(2)]
        runs = instance.storage.run_storage

        def is_over() -> bool:
            records = runs.get_run_records(limit=100).records
            ended = [each for each in records if each.status is RunStatus.SUCCESS]
            return Counter(each.run.job_name for each in ended) == {"etl": FILES, "notify": FILES}

        eventually(is_over, "each file has a run, and each of these has its own")
        eventually(lambda: any(each.poll() is not None for each in both), "one of them was killed")
        assert [each.returncode for each in both if each.poll() is not None] == [-signal.SIGKILL]
        records = runs.get_run_records(limit=100).records
        assert len(records) == 2 * FILES
        loaded = [each.run.tags["file"] for each in records if each.run.job_name == "etl"]
        assert sorted(loaded) == [str(number) for number in range(FILES)]
        told = [
            each.run.tags["runwire/run_key"] for each in records if each.run.job_name == "notify"
        ]
        assert sorted(told) == sorted(each.run_id for each in records if each.run.job_name == "etl")
        sources = instance.storage.schedule_storage.get_tick_sources()
        ticks = instance.storage.schedule_storage.get_batch_ticks(
            [each.source_id for each in sources], statuses={TickStatus.FAILURE}, limit=9
        )
        assert ticks == {}
