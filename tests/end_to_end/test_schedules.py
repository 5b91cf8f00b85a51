"""A schedule by a real daemon that is killed wherever a tick can be cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runwire import clock
from runwire.fault_points import TICK_FAULT_POINTS, VARIABLE
from runwire.instance import Instance
from runwire.runs import RunStatus
from runwire.testing.left_behind import eventually
from runwire.ticks import TickSourceOrigin, TickSourceStatus, TickSourceType, TickStatus

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

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "runwire.yaml").write_text(YAML)
    (tmp_path / "jobs.py").write_text(textwrap.dedent(JOBS))
    return tmp_path


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start(fault: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "runwire.cli", "daemon", "run", "--home", str(home)]
        process = subprocess.Popen(
            [*command, "-f", str(home / "jobs.py")], env={**os.environ, VARIABLE: fault}, cwd=home
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


@pytest.mark.torture
@pytest.mark.parametrize("point", TICK_FAULT_POINTS)
def test_a_daemon_that_is_killed_in_a_tick_gives_each_run_once(
    point: str, home: Path, start: Start
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
        assert start(f"{point}:{home / 'died'}").wait(PATIENCE) == -signal.SIGKILL
        start("")

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
