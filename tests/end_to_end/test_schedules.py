"""A schedule by a real daemon that is killed wherever a tick can be cut off."""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path

import pytest

from runwire import clock
from runwire.fault_points import TICK_FAULT_POINTS
from runwire.instance import Instance
from runwire.runs import RunStatus
from runwire.testing.left_behind import eventually
from runwire.ticks import TickSourceOrigin, TickSourceStatus, TickSourceType, TickStatus
from tests.end_to_end.conftest import StartDaemon

PATIENCE = 30.0

JOBS = """
    from runwire import RunRequest, job, op, schedule

    @op
    def load() -> None: ...

    @job
    def etl():
        load()

    @schedule("@monthly", job=etl)
    def nightly():
        return [RunRequest(tags={"n": "1"}), RunRequest(tags={"n": "2"})]
"""
YAML = """
daemons: {lease_seconds: 1, heartbeat_interval_seconds: 0.2, heartbeat_tolerance_seconds: 2}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "runwire.yaml").write_text(YAML)
    (tmp_path / "jobs.py").write_text(textwrap.dedent(JOBS))
    return tmp_path


@pytest.mark.torture
@pytest.mark.parametrize("point", TICK_FAULT_POINTS)
def test_a_daemon_that_is_killed_in_a_tick_gives_each_run_once(
    point: str, home: Path, start_daemon: StartDaemon
) -> None:
    with Instance.from_home(home) as instance:
        schedules = instance.storage.schedule_storage
        origin = TickSourceOrigin(
            source_type=TickSourceType.SCHEDULE,
            location_name="jobs",
            repository_name="__repository__",
            name="nightly",
        )
        long_ago = clock.timestamp() - 40 * 86_400
        schedules.set_tick_source_status(origin, TickSourceStatus.RUNNING, at=long_ago)
        assert start_daemon(f"{point}:{home / 'died'}").wait(PATIENCE) == -signal.SIGKILL
        start_daemon("")

        def is_over() -> bool:
            ticks = schedules.get_ticks(origin.source_id, limit=9).ticks
            records = instance.storage.run_storage.get_run_records(limit=9).records
            return [tick.status for tick in ticks] == [TickStatus.SUCCESS] and {
                record.status for record in records
            } == {RunStatus.SUCCESS}

        eventually(is_over, "the tick and its runs have ended")
        (tick,) = schedules.get_ticks(origin.source_id, limit=9).ticks
        records = instance.storage.run_storage.get_run_records(limit=9).records
        assert sorted(record.run.tags["n"] for record in records) == ["1", "2"]
        assert {record.run_id for record in records} == set(tick.run_ids)
        assert {record.worker_epoch for record in records} == {1}
