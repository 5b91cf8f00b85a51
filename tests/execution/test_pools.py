"""Steps that take slots of concurrency pools: they wait without a process, are told once, and free their slots."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runwire.definitions import JobDefinition, job, op
from runwire.errors import RunFinishedError
from runwire.events.types import EventType
from runwire.execution import Interrupts, execute_run
from runwire.executors import InProcessExecutor
from runwire.runs.status import RunStatus
from runwire.storage import Pool, SlotClaim
from runwire.storages.memory import MemoryStorage
from runwire.testing.left_behind import eventually
from tests.execution.runs import GENEROUS_SECONDS, execute, launched_run, tell

HELD = SlotClaim(pool="db", run_id="holder", step_key="query", epoch=1)


@pytest.fixture
def storage() -> MemoryStorage:
    """A storage where another run holds the one slot of the pool ``db``."""
    storage = MemoryStorage()
    storage.pool_storage.set_pool_limit("db", 1)
    launched_run(storage, run_id="holder")
    assert storage.pool_storage.claim_slot(HELD, default_limit=None, now=1.0).is_held
    return storage


def a_job(done: list[str], on_query: Callable[[], object] = lambda: None) -> JobDefinition:
    """One step that needs a slot, before one that needs none, and a third that needs a slot after both."""

    @op(pool="db", tags={"runwire/priority": "1"})
    def query() -> None:
        on_query()
        done.append("query")

    @op
    def free() -> None:
        done.append("free")

    @op(pool="db")
    def write(first: None, second: None) -> None:
        done.append("write")

    @job
    def etl() -> None:
        write(query(), free())

    return etl


def waits(storage: MemoryStorage, run_id: str = "r") -> list[str]:
    record = storage.run_storage.find_run_record(run_id)
    if record is None:
        return []
    page = storage.event_log_storage.get_records(record)
    return [record.message for record in page.records if " waits for a slot " in record.message]


def test_a_step_waits_while_others_run_and_is_told_once(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    done: list[str] = []
    etl = a_job(done)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(execute, storage, etl, tmp_path)
        eventually(lambda: done == ["free"], "the step that needs no slot runs")
        (state,) = storage.pool_storage.get_pools()
        assert [slot.step_key for slot in state.waiting] == ["query"]
        storage.pool_storage.release_slot(HELD)
        assert ended.result(GENEROUS_SECONDS) is RunStatus.SUCCESS
    assert done == ["free", "query", "write"]
    assert waits(storage) == ["Step query waits for a slot of pool db: 1 of 1 are taken"]
    assert storage.pool_storage.get_pools() == [Pool(name="db", limit=1)]


def test_a_step_has_its_slot_while_it_runs(tmp_path: Path) -> None:
    storage, found = MemoryStorage(), []
    storage.pool_storage.set_pool_limit("db", 1)
    etl = a_job([], lambda: found.extend(storage.pool_storage.get_pools()))
    assert execute(storage, etl, tmp_path) is RunStatus.SUCCESS
    assert [(slot.run_id, slot.step_key) for slot in found[0].slots] == [("r", "query")]
    assert waits(storage) == []


def test_a_step_that_fails_frees_its_slot(tmp_path: Path) -> None:
    storage = MemoryStorage()
    storage.pool_storage.set_pool_limit("db", 1)

    def fail() -> None:
        raise ValueError("no")

    assert execute(storage, a_job([], fail), tmp_path) is RunStatus.FAILURE
    launched_run(storage, run_id="next")
    claim = SlotClaim(pool="db", run_id="next", step_key="query", epoch=1)
    assert storage.pool_storage.claim_slot(claim, default_limit=None, now=1.0).is_held


def test_a_run_is_interrupted_where_it_waits(storage: MemoryStorage, tmp_path: Path) -> None:
    interrupts, done = Interrupts(), list[str]()

    def stop() -> None:
        eventually(lambda: done and waits(storage), "the step waits, and the other has run")
        tell(storage, "r", EventType.RUN_CANCELING)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    with interrupts.captured():
        thread.start()
        status = execute(storage, a_job(done), tmp_path, interrupts=interrupts)
    thread.join(GENEROUS_SECONDS)
    assert (status, done) == (RunStatus.CANCELED, ["free"])
    (state,) = storage.pool_storage.get_pools()
    assert ([slot.run_id for slot in state.slots], state.waiting) == (["holder"], ())


def test_a_run_that_was_ended_meanwhile_stops_waiting(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    done: list[str] = []
    etl = a_job(done)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(execute, storage, etl, tmp_path)
        eventually(lambda: waits(storage), "the step waits")
        tell(storage, "r", EventType.RUN_CANCELED)
        assert ended.result(GENEROUS_SECONDS) is RunStatus.CANCELED
    assert done == ["free"]


def test_a_resumed_worker_takes_its_slots_over_and_frees_the_others(tmp_path: Path) -> None:
    storage, done, found = MemoryStorage(), list[str](), list[Pool]()
    storage.pool_storage.set_pool_limit("db", 2)
    launched_run(storage)
    tell(storage, "r", EventType.RUN_START)
    for step_key in ("query", "gone"):
        claim = SlotClaim(pool="db", run_id="r", step_key=step_key, epoch=1)
        storage.pool_storage.claim_slot(claim, default_limit=None, now=1.0)
    storage.pool_storage.set_pool_limit("db", 1)
    tell(storage, "r", EventType.RUN_WORKER_LOST, handover=True)
    record = storage.get_run_record("r")
    etl = a_job(done, lambda: found.extend(storage.pool_storage.get_pools()))
    status = execute_run(
        etl, record, storage, epoch=2, executor=InProcessExecutor(), io_base_dir=tmp_path
    )
    assert (status, done) == (RunStatus.SUCCESS, ["query", "free", "write"])
    assert [(slot.step_key, slot.epoch) for slot in found[0].slots] == [("query", 2)]


def test_who_lost_the_run_gets_no_slot(storage: MemoryStorage) -> None:
    tell(storage, "holder", EventType.RUN_FAILURE)
    with pytest.raises(RunFinishedError):
        storage.pool_storage.claim_slot(HELD, default_limit=None, now=1.0)


def test_many_runs_at_once_never_have_more_steps_than_slots(tmp_path: Path) -> None:
    storage, running, most = MemoryStorage(), list[int](), list[int]()
    storage.pool_storage.set_pool_limit("db", 2)
    lock = threading.Lock()

    @op(pool="db")
    def query() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        threading.Event().wait(0.01)
        with lock:
            running.pop()

    @job
    def etl() -> None:
        for _ in range(3):
            query()

    def one(number: int) -> RunStatus:
        record = launched_run(storage, run_id=f"r{number}")
        return execute_run(
            etl,
            record,
            storage,
            epoch=1,
            executor=InProcessExecutor(),
            io_base_dir=tmp_path,
        )

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(one, range(5))) == [RunStatus.SUCCESS] * 5
    assert max(most) == 2
    assert storage.pool_storage.get_pools() == [Pool(name="db", limit=2)]
