"""A backfill by two real daemons, of which one is killed wherever a step can be cut off."""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path

import pytest

from runwire import clock
from runwire.fault_points import BACKFILL_FAULT_POINTS
from runwire.instance import Instance
from runwire.partitions import PartitionSelection
from runwire.runs import RunStatus
from runwire.storage import Backfill, BackfillStatus
from runwire.testing.left_behind import eventually
from tests.end_to_end.conftest import StartDaemon

PATIENCE = 60.0

JOBS = """
    from pathlib import Path
    from runwire import DailyPartitions, OpContext, job, multiprocess_executor, op

    @op
    def load(context: OpContext) -> None:
        window = context.partition_window
        with (Path(__file__).parent / "loaded").open("a") as file:
            file.write(f"{context.partition_key} {(window.end - window.start).total_seconds() / 3600:g}\\n")

    @job(
        partitions=DailyPartitions("2026-03-01", "2026-04-02", timezone="Europe/Berlin"),
        partition_config=lambda key: {"ops": {}},
        executor_def=multiprocess_executor,
    )
    def daily():
        load()
"""
YAML = """
daemons: {lease_seconds: 1, heartbeat_interval_seconds: 0.2, heartbeat_tolerance_seconds: 2}
"""
KEYS = ("2026-03-28", "2026-03-29", "2026-03-30")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "runwire.yaml").write_text(YAML)
    (tmp_path / "jobs.py").write_text(textwrap.dedent(JOBS))
    return tmp_path


@pytest.mark.torture
@pytest.mark.parametrize("point", BACKFILL_FAULT_POINTS)
def test_a_daemon_that_is_killed_in_a_step_gives_each_partition_one_run(
    point: str, home: Path, start_daemon: StartDaemon
) -> None:
    """Two daemons work; whichever has the lease is killed once at the point, and the other one goes on."""
    with Instance.from_home(home) as instance:
        backfill, _ = instance.storage.backfill_storage.add_backfill(
            Backfill(
                backfill_id="b1",
                location_name="jobs",
                repository_name="__repository__",
                job_name="daily",
                selection=PartitionSelection(keys=KEYS),
                created_at=clock.timestamp(),
            )
        )
        both = [start_daemon(f"{point}:{home / 'died'}") for _ in range(2)]

        def is_over() -> bool:
            found = instance.storage.backfill_storage.get_backfill(backfill.backfill_id)
            return found.status is BackfillStatus.COMPLETED

        eventually(is_over, "the backfill has ended")
        eventually(lambda: any(each.poll() is not None for each in both), "one of them was killed")
        assert [each.returncode for each in both if each.poll() is not None] == [-signal.SIGKILL]
        records = instance.storage.run_storage.get_run_records(limit=9).records
        assert sorted(record.run.tags["runwire/partition"] for record in records) == list(KEYS)
        assert {record.status for record in records} == {RunStatus.SUCCESS}
        assert {record.worker_epoch for record in records} == {1}
        assert instance.storage.run_storage.get_backfill_run_counts("b1") == {RunStatus.SUCCESS: 3}
    loaded = (home / "loaded").read_text().splitlines()
    assert sorted(loaded) == ["2026-03-28 24", "2026-03-29 23", "2026-03-30 24"]
