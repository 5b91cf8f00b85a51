"""Repair at start-up: one log that cannot be read keeps no other run from it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

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
