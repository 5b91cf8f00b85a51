"""Storing whose end fails: whoever is told that it failed can try again, and has its events once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.errors import StorageUnavailableError
from runwire.events.types import EventType
from runwire.runs.status import RunStatus
from runwire.storage import InstanceStorage
from runwire.storages.memory import MemoryStorage
from runwire.storages.postgres import PostgresStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run, event

STORAGES = ("memory", "sharded", "consolidated", "postgres")
APART = "sharded"
"""The storage whose logs are apart from the rows of runs."""


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InstanceStorage]:
    made: InstanceStorage
    match request.param:
        case "memory":
            made = MemoryStorage()
        case "postgres":
            made = PostgresStorage(request.getfixturevalue("postgres_url"))
        case layout:
            made = SqliteStorage(tmp_path, layout=layout)
    yield made
    made.dispose()


def refuse(*_: object, **__: object) -> None:
    raise StorageUnavailableError("the disk is full")


def test_events_are_there_once_when_their_run_could_not_be_changed(
    storage: InstanceStorage, request: pytest.FixtureRequest
) -> None:
    run = add_run(storage)
    entry = event(run.run_id, EventType.RUN_START)
    with pytest.MonkeyPatch.context() as patch:
        with storage.run_storage.hold_run(run.run_id) as held:
            patch.setattr(type(held), "apply", refuse)
        is_apart = request.node.callspec.params["storage"] == APART
        if is_apart:
            (told,) = storage.store_events(run.run_id, [entry])
            assert told.applied
        else:
            with pytest.raises(StorageUnavailableError, match="the disk is full"):
                storage.store_events(run.run_id, [entry])
    if not is_apart:
        storage.store_events(run.run_id, [entry])
    page = storage.event_log_storage.get_records(run)
    assert [record.event_type for record in page.records] == [EventType.RUN_START]
    # Whoever holds the run next, or the repair, makes its row follow.
    storage.repair()
    assert storage.get_run_record(run.run_id).status is RunStatus.STARTED


def test_what_is_not_in_the_log_is_told_to_have_failed(
    storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log cannot be asked either, so that nobody knows."""
    run = add_run(storage)
    with storage.run_storage.hold_run(run.run_id) as held:
        monkeypatch.setattr(type(held), "apply", refuse)
    monkeypatch.setattr(type(storage.event_log_storage), "get_records", refuse)
    with pytest.raises(StorageUnavailableError, match="the disk is full"):
        storage.store_events(run.run_id, [event(run.run_id, EventType.RUN_START)])
