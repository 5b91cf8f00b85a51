"""Repair at start-up: one log that cannot be read keeps no other run from it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runwire.errors import StorageDamagedError
from runwire.events import EventLogEntry, EventType
from runwire.runs import Run
from runwire.storages.sqlite import SqliteStorage


def test_a_log_of_another_version_is_told_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = SqliteStorage(tmp_path)
    for number, run_id in enumerate(("foreign", "good")):
        storage.run_storage.add_run(Run(run_id=run_id, job_name="j"), created_at=float(number))
        entry = EventLogEntry(run_id=run_id, event_type=EventType.RUN_STARTING, message="m")
        storage.store_events(run_id, [entry], handover=True)
    storage.dispose()
    [shard] = (tmp_path / "history" / "events").glob("*/foreign.*.db")
    changed = sqlite3.connect(shard)
    changed.execute("UPDATE log SET revision = 'from-the-future'")
    changed.commit()
    changed.close()
    again = SqliteStorage(tmp_path)
    assert again.repair() == 0
    assert "run foreign could not be compared with its log" in caplog.text
    assert "from-the-future" in caplog.text
    assert again.get_run_record("good").worker_epoch == 1
    again.dispose()


@pytest.mark.parametrize("damage", ["empty", "garbage", "missing"])
def test_a_run_whose_log_is_damaged_says_so_and_can_be_deleted(tmp_path: Path, damage: str) -> None:
    storage = SqliteStorage(tmp_path)
    run = Run(run_id="r", job_name="j", managed=True)
    storage.run_storage.add_run(run, created_at=1.0)
    entry = EventLogEntry(run_id="r", event_type=EventType.RUN_START, message="m")
    storage.store_events("r", [entry])
    storage.dispose()
    [shard] = (tmp_path / "history" / "events").glob("*/r.*.db")
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(b"" if damage == "empty" else b"garbage" * 1000)
    again = SqliteStorage(tmp_path)
    record = again.get_run_record("r")
    with pytest.raises(StorageDamagedError, match="r\\."):
        again.event_log_storage.get_records(record)
    with pytest.raises(StorageDamagedError):
        again.store_events("r", [entry])
    assert again.repair() == 0
    again.delete_run("r")
    assert again.run_storage.find_run_record("r") is None
    again.dispose()
