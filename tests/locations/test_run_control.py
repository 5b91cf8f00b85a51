"""The thread in a worker that looks after the worker's claim to its run."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.errors import StorageUnavailableError
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.locations.run_control import RunControl
from runwire.runs.run import Run, RunRecord
from runwire.storages.memory import MemoryStorage

PATIENCE = 30.0


@pytest.fixture
def storage() -> Iterator[MemoryStorage]:
    """A storage with the run ``r``, which is STARTED by the worker of epoch 1."""
    storage = MemoryStorage()
    storage.run_storage.add_run(Run(job_name="j", run_id="r"), created_at=1.0)
    tell(storage, EventType.RUN_STARTING, handover=True)
    tell(storage, EventType.RUN_START)
    yield storage
    storage.dispose()


def tell(storage: MemoryStorage, event_type: EventType, *, handover: bool = False) -> None:
    entry = EventLogEntry(run_id="r", event_type=event_type, message="")
    storage.store_events("r", [entry], handover=handover)


class Deeds:
    """What the control did, in order."""

    def __init__(self) -> None:
        self._done: queue.Queue[str] = queue.Queue()

    def interrupt(self) -> None:
        self._done.put("interrupt")

    def kill(self, why: str) -> None:
        self._done.put(why)

    def next(self) -> str:
        return self._done.get(timeout=PATIENCE)

    @property
    def are_none(self) -> bool:
        return self._done.empty()


def control(
    storage: MemoryStorage,
    deeds: Deeds,
    *,
    grace_seconds: float = 0.02,
    run_dir: Path = Path(__file__).parent,
) -> RunControl:
    return RunControl(
        storage.run_storage,
        "r",
        1,
        run_dir,
        poll_seconds=0.005,
        grace_seconds=grace_seconds,
        interrupt=deeds.interrupt,
        kill=deeds.kill,
    )


def test_a_fenced_worker_is_killed_at_once(storage: MemoryStorage) -> None:
    deeds = Deeds()
    with control(storage, deeds):
        tell(storage, EventType.RUN_WORKER_LOST, handover=True)
        assert deeds.next() == "its run has another worker: epoch 2, not 1"


def test_a_worker_whose_run_is_gone_is_killed_at_once(storage: MemoryStorage) -> None:
    deeds = Deeds()
    with control(storage, deeds):
        storage.delete_run("r")
        assert deeds.next() == "its run is gone"


def test_a_worker_whose_home_is_gone_is_killed_at_once(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    """Its database may still be open, and say that nothing has happened."""
    deeds = Deeds()
    run_dir = tmp_path / "r"
    run_dir.mkdir()
    with control(storage, deeds, run_dir=run_dir):
        run_dir.rmdir()
        assert deeds.next() == "its folder is gone, and its run with it"


@pytest.mark.parametrize(
    ("event_type", "why"),
    [
        (EventType.RUN_CANCELING, "its run is CANCELING, and it does not end"),
        (EventType.RUN_CANCELED, "its run is CANCELED, and it does not end"),
        (EventType.RUN_FAILURE, "its run is FAILURE, and it does not end"),
    ],
)
def test_a_worker_that_is_to_stop_is_interrupted_then_killed(
    storage: MemoryStorage, event_type: EventType, why: str
) -> None:
    deeds = Deeds()
    with control(storage, deeds):
        tell(storage, event_type)
        assert deeds.next() == "interrupt"
        assert deeds.next() == why


def test_a_worker_within_its_grace_is_only_interrupted_and_only_once(
    storage: MemoryStorage,
) -> None:
    deeds = Deeds()
    with control(storage, deeds, grace_seconds=600):
        tell(storage, EventType.RUN_CANCELING)
        assert deeds.next() == "interrupt"
    assert deeds.are_none


def test_a_worker_with_its_run_is_left_alone_also_without_an_answer(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    deeds = Deeds()
    asked: queue.Queue[str] = queue.Queue()
    find = storage.run_storage.find_run_record

    def find_sometimes(run_id: str) -> RunRecord | None:
        asked.put(run_id)
        if asked.qsize() < 4:
            raise StorageUnavailableError("locked")
        return find(run_id)

    monkeypatch.setattr(storage.run_storage, "find_run_record", find_sometimes)
    with control(storage, deeds):
        for _ in range(6):
            asked.get(timeout=PATIENCE)
    assert deeds.are_none
