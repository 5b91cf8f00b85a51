"""What a storage of concurrency pools must do."""

from __future__ import annotations

from collections import Counter

import pytest

from runwire.errors import RunFinishedError, RunNotFoundError, StaleWorkerError
from runwire.events.types import EventType
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.pool_storage import (
    FRESH_SECONDS,
    REFRESH_SECONDS,
    Pool,
    PoolSlot,
    PoolStorage,
    SlotAnswer,
    SlotClaim,
)
from runwire.testing.samples import add_run, event, in_threads, report

_ENDS = (EventType.RUN_SUCCESS, EventType.RUN_FAILURE, EventType.RUN_CANCELED)


class PoolStorageConformance:
    """Limits, claims, who waits, and what frees a slot.

    A backend that keeps things beyond its process also overrides the fixture `another`.
    """

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    @pytest.fixture
    def another(self, storage: InstanceStorage) -> InstanceStorage:
        """The same data, opened once more, as in another process; by default the same storage."""
        return storage

    @pytest.fixture
    def pools(self, storage: InstanceStorage) -> PoolStorage:
        return storage.pool_storage

    @pytest.fixture(autouse=True)
    def two_runs(self, storage: InstanceStorage) -> None:
        for run_id in ("run-1", "run-2"):
            _start(storage, run_id)

    def test_limits_are_set_changed_and_deleted(self, pools: PoolStorage) -> None:
        assert pools.get_pools() == []
        pools.set_pool_limit("db", 3)
        pools.set_pool_limit("api", 0)
        pools.set_pool_limit("db", 2)
        assert pools.get_pools() == [Pool(name="api", limit=0), Pool(name="db", limit=2)]
        assert pools.get_pools(["db", "none"]) == [Pool(name="db", limit=2)]
        assert (pools.delete_pool_limit("db"), pools.delete_pool_limit("db")) == (True, False)
        assert pools.get_pools() == [Pool(name="api", limit=0)]

    def test_slots_are_taken_up_to_the_limit_and_others_wait(self, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 2)
        assert _claim(pools, "run-1", "a", at=1.0) == SlotAnswer(True, 2, 1)
        assert _claim(pools, "run-1", "b", at=2.0) == SlotAnswer(True, 2, 2)
        assert _claim(pools, "run-2", "a", at=3.0) == SlotAnswer(False, 2, 2)
        assert _claim(pools, "run-2", "b", at=4.0) == SlotAnswer(False, 2, 2, 1)
        (pool,) = pools.get_pools()
        assert pool.slots == (_slot("run-1", "a", 1.0), _slot("run-1", "b", 2.0))
        assert pool.waiting == (_slot("run-2", "a", 3.0), _slot("run-2", "b", 4.0))

    def test_another_process_sees_them(self, pools: PoolStorage, another: InstanceStorage) -> None:
        pools.set_pool_limit("db", 1)
        _claim(pools, "run-1", "a", at=1.0)
        assert not _claim(another.pool_storage, "run-2", "a", at=2.0).is_held
        assert another.pool_storage.get_pools() == pools.get_pools()

    def test_who_has_a_slot_has_it_still(self, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 1)
        for at in (1.0, 2.0):
            assert _claim(pools, "run-1", "a", at=at) == SlotAnswer(True, 1, 1)
        (pool,) = pools.get_pools()
        assert pool.slots == (_slot("run-1", "a", 1.0),)

    def test_pools_are_apart(self, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 1)
        pools.set_pool_limit("api", 1)
        assert _claim(pools, "run-1", "a").is_held
        assert _claim(pools, "run-1", "b", pool="api").is_held

    @pytest.mark.parametrize(("default", "held"), [(None, True), (1, False), (0, False), (2, True)])
    def test_the_default_limit_holds_where_none_is_set(
        self, pools: PoolStorage, default: int | None, held: bool
    ) -> None:
        pools.set_pool_limit("other", 5)
        _claim(pools, "run-1", "a", default=2)
        answer = _claim(pools, "run-2", "a", default=default)
        assert (answer.is_held, answer.limit) == (held, default)
        pools.set_pool_limit("db", 9)
        assert _claim(pools, "run-2", "a", default=default) == SlotAnswer(True, 9, 2)

    def test_a_smaller_limit_takes_no_slot_away(self, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 2)
        for key in ("a", "b"):
            _claim(pools, "run-1", key)
        pools.set_pool_limit("db", 1)
        assert _claim(pools, "run-1", "a").is_held
        _release(pools, "run-1", "b")
        assert not _claim(pools, "run-2", "a").is_held

    def test_a_released_slot_is_free(self, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 1)
        _claim(pools, "run-1", "a")
        assert not _claim(pools, "run-2", "a").is_held
        for _ in range(2):
            _release(pools, "run-1", "a")
        assert _claim(pools, "run-2", "a") == SlotAnswer(True, 1, 1)
        (pool,) = pools.get_pools()
        assert [slot.run_id for slot in pool.slots] == ["run-2"]

    def test_who_waits_longer_goes_first(self, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 1)
        _claim(pools, "run-1", "a", at=1.0)
        _claim(pools, "run-2", "a", at=2.0)
        _claim(pools, "run-2", "b", at=3.0)
        _release(pools, "run-1", "a")
        assert _claim(pools, "run-2", "b", at=4.0) == SlotAnswer(False, 1, 0, 1)
        assert _claim(pools, "run-2", "a", at=4.0).is_held

    def test_who_does_not_ask_any_more_is_passed_by(self, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 1)
        _claim(pools, "run-1", "a", at=1.0)
        _claim(pools, "run-2", "a", at=2.0)
        _claim(pools, "run-2", "b", at=3.0)
        _release(pools, "run-1", "a")
        assert _claim(pools, "run-2", "b", at=2.0 + FRESH_SECONDS).is_held

    def test_who_asks_again_keeps_the_place(self, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 0)
        _claim(pools, "run-1", "a", at=1.0)
        _claim(pools, "run-2", "a", at=2.0)
        for number in range(1, 9):
            _claim(pools, "run-1", "a", at=1.0 + number * REFRESH_SECONDS)
        pools.set_pool_limit("db", 1)
        assert not _claim(pools, "run-2", "a", at=2.0 + 8 * REFRESH_SECONDS).is_held
        assert _claim(pools, "run-1", "a", at=2.0 + 8 * REFRESH_SECONDS).is_held

    def test_who_stops_waiting_is_gone(self, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 0)
        _claim(pools, "run-1", "a")
        _release(pools, "run-1", "a")
        assert pools.get_pools() == [Pool(name="db", limit=0)]

    @pytest.mark.parametrize("end", [*_ENDS, None], ids=lambda end: end.value if end else "deleted")
    def test_the_end_of_a_run_frees_its_slots(
        self, storage: InstanceStorage, pools: PoolStorage, end: EventType | None
    ) -> None:
        pools.set_pool_limit("db", 1)
        _claim(pools, "run-1", "a")
        _claim(pools, "run-1", "b")
        if end is None:
            storage.delete_run("run-1")
            _start(storage, "run-1")
        else:
            report(storage, "run-1", end)
        assert pools.get_pools() == [Pool(name="db", limit=1)]
        assert _claim(pools, "run-2", "a") == SlotAnswer(True, 1, 1)

    def test_claims_of_runs_that_cannot_have_slots_are_refused(
        self, storage: InstanceStorage, pools: PoolStorage
    ) -> None:
        report(storage, "run-1", EventType.RUN_FAILURE)
        with pytest.raises(RunFinishedError):
            _claim(pools, "run-1", "a")
        with pytest.raises(RunNotFoundError):
            _claim(pools, "none", "a")
        with pytest.raises(RunNotFoundError):
            pools.adopt_slots("none", 1, ["a"])
        with pytest.raises(StaleWorkerError):
            _claim(pools, "run-2", "a", epoch=0)
        with pytest.raises(StaleWorkerError):
            pools.adopt_slots("run-2", 0, ["a"])
        assert pools.get_pools() == []

    def test_a_resumed_run_takes_its_slots_over(
        self, storage: InstanceStorage, pools: PoolStorage
    ) -> None:
        pools.set_pool_limit("db", 3)
        for key in ("runs", "ended", "left"):
            _claim(pools, "run-1", key)
        _claim(pools, "run-1", "waits")
        _hand_over(storage, "run-1")
        assert not _claim(pools, "run-2", "a").is_held
        pools.adopt_slots("run-1", 2, ["runs", "left", "waits"])
        (pool,) = pools.get_pools()
        assert sorted((slot.step_key, slot.epoch) for slot in pool.slots) == [
            ("left", 2),
            ("runs", 2),
        ]
        assert [slot.run_id for slot in pool.waiting] == ["run-2"]
        assert _claim(pools, "run-1", "runs", epoch=2).is_held
        assert _claim(pools, "run-2", "a").is_held

    def test_a_worker_that_was_replaced_changes_nothing(
        self, storage: InstanceStorage, pools: PoolStorage
    ) -> None:
        pools.set_pool_limit("db", 1)
        _claim(pools, "run-1", "a")
        _hand_over(storage, "run-1")
        assert _claim(pools, "run-1", "a", epoch=2).is_held
        _release(pools, "run-1", "a", epoch=1)
        with pytest.raises(StaleWorkerError):
            _claim(pools, "run-1", "a", epoch=1)
        assert not _claim(pools, "run-2", "a").is_held

    def test_the_wait_of_a_dead_worker_holds_nobody_up(
        self, storage: InstanceStorage, pools: PoolStorage
    ) -> None:
        pools.set_pool_limit("db", 0)
        _claim(pools, "run-1", "a", at=1.0)
        _claim(pools, "run-2", "a", at=2.0)
        _hand_over(storage, "run-1")
        pools.set_pool_limit("db", 1)
        (pool,) = pools.get_pools()
        assert [slot.run_id for slot in pool.waiting] == ["run-2"]
        assert _claim(pools, "run-2", "a", at=2.5).is_held

    def test_of_many_claims_at_once_as_many_as_the_limit_get_a_slot(
        self, pools: PoolStorage, another: InstanceStorage
    ) -> None:
        pools.set_pool_limit("db", 3)
        doors = (pools, another.pool_storage)
        held: Counter[bool] = Counter()

        def claim(index: int) -> None:
            held[_claim(doors[index % 2], f"run-{1 + index % 2}", str(index)).is_held] += 1

        in_threads(8, claim)
        (pool,) = pools.get_pools()
        assert held == {True: 3, False: 5}
        assert (len(pool.slots), len(pool.waiting)) == (3, 5)

    def test_wiping_deletes_them(self, storage: InstanceStorage, pools: PoolStorage) -> None:
        pools.set_pool_limit("db", 1)
        _claim(pools, "run-1", "a")
        storage.wipe()
        assert pools.get_pools() == []


def _start(storage: InstanceStorage, run_id: str) -> None:
    add_run(storage, run_id=run_id)
    storage.store_events(run_id, [event(run_id, EventType.RUN_STARTING)], handover=True)
    report(storage, run_id, EventType.RUN_START)


def _hand_over(storage: InstanceStorage, run_id: str) -> None:
    storage.store_events(run_id, [event(run_id, EventType.RUN_WORKER_LOST)], handover=True)


def _claim(
    pools: PoolStorage,
    run_id: str,
    step_key: str,
    *,
    at: float = 1.0,
    pool: str = "db",
    epoch: int = 1,
    default: int | None = None,
) -> SlotAnswer:
    claim = SlotClaim(pool=pool, run_id=run_id, step_key=step_key, epoch=epoch)
    return pools.claim_slot(claim, default_limit=default, now=at)


def _release(pools: PoolStorage, run_id: str, step_key: str, epoch: int = 1) -> None:
    pools.release_slot(SlotClaim(pool="db", run_id=run_id, step_key=step_key, epoch=epoch))


def _slot(run_id: str, step_key: str, since: float) -> PoolSlot:
    return PoolSlot(run_id=run_id, step_key=step_key, epoch=1, since=since)
