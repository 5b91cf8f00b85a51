"""The runner of daemons: loops, heartbeats, leases, and their end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runwire import clock
from runwire.daemons.daemon import Daemon
from runwire.daemons.runner import DaemonRunner
from runwire.errors import StorageUnavailableError
from runwire.instance import Instance
from runwire.storage import DaemonHeartbeat, DaemonLease

PATIENCE = 30.0

YAML = """
daemons:
  heartbeat_interval_seconds: 0.02
  heartbeat_tolerance_seconds: 5
  lease_seconds: 0.5
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    (tmp_path / "runwire.yaml").write_text(YAML)
    with Instance.from_home(tmp_path) as instance:
        yield instance


class Working(Daemon):
    """Does what it is given, again and again, and notes each time."""

    daemon_type = "MONITORING"

    def __init__(self, work: Callable[[Callable[[], bool]], object] = lambda _: None) -> None:
        self._work = work
        self._iterations: queue.Queue[None] = queue.Queue()

    @property
    def interval_seconds(self) -> float:
        return 0.01

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        self._iterations.put(None)
        self._work(should_stop)

    def wait_for_iteration(self) -> None:
        self._iterations.get(timeout=PATIENCE)

    def forget(self) -> None:
        while not self._iterations.empty():
            self._iterations.get_nowait()


def heartbeat(instance: Instance) -> DaemonHeartbeat:
    eventually(lambda: "MONITORING" in instance.get_daemon_heartbeats())
    return instance.get_daemon_heartbeats()["MONITORING"]


def lease(instance: Instance) -> DaemonLease:
    return instance.storage.run_storage.get_daemon_leases()["MONITORING"]


def eventually(holds: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(int(PATIENCE / 0.005)):
        if holds():
            return
        waiting.wait(0.005)
    raise AssertionError("it did not come about")


def test_it_works_again_and_again_and_beats(instance: Instance) -> None:
    daemon = Working()
    with DaemonRunner(instance, [daemon], daemon_id="one") as runner:
        for _ in range(3):
            daemon.wait_for_iteration()
        assert runner.wait_until_working("MONITORING", PATIENCE)
        first = heartbeat(instance)
        eventually(lambda: heartbeat(instance).timestamp > first.timestamp)
        eventually(lambda: heartbeat(instance).progress_at > first.progress_at)
        assert (first.daemon_id, first.errors, first.stopped) == ("one", (), False)
        assert lease(instance).daemon_id == "one"


def test_stopping_gives_back_the_lease_and_tells_so(instance: Instance) -> None:
    daemon = Working()
    runner = DaemonRunner(instance, [daemon], daemon_id="one")
    runner.stop()
    runner = DaemonRunner(instance, [daemon], daemon_id="one")
    runner.start()
    runner.start()
    daemon.wait_for_iteration()
    runner.stop()
    runner.stop()
    runner.start()
    daemon.forget()
    assert heartbeat(instance).stopped
    assert lease(instance) == DaemonLease(daemon_type="MONITORING", daemon_id="one", expires_at=0.0)
    with pytest.raises(queue.Empty):
        daemon._iterations.get(timeout=0.05)


def test_a_second_process_stands_by_and_takes_over(instance: Instance) -> None:
    first, second = Working(), Working()
    changes: queue.Queue[tuple[str, bool]] = queue.Queue()
    with DaemonRunner(instance, [first], daemon_id="one") as working:
        first.wait_for_iteration()
        standing_by = DaemonRunner(
            instance, [second], daemon_id="two", on_change=lambda *change: changes.put(change)
        )
        with standing_by:
            assert changes.get(timeout=PATIENCE) == ("MONITORING", False)
            assert {each.daemon_id for each in _heartbeats(instance)} == {"one", "two"}
            assert heartbeat(instance).daemon_id == "one"
            assert second._iterations.empty()
            working.stop()
            assert changes.get(timeout=PATIENCE) == ("MONITORING", True)
            second.wait_for_iteration()
            assert heartbeat(instance).daemon_id == "two"


def _heartbeats(instance: Instance) -> list[DaemonHeartbeat]:
    return instance.storage.run_storage.list_daemon_heartbeats()


def test_an_iteration_that_takes_long_still_beats_without_progress(instance: Instance) -> None:
    over = threading.Event()
    daemon = Working(lambda _: over.wait(PATIENCE))
    with DaemonRunner(instance, [daemon]):
        daemon.wait_for_iteration()
        begun_at = clock.timestamp()
        eventually(lambda: heartbeat(instance).timestamp > begun_at)
        first = heartbeat(instance)
        eventually(lambda: heartbeat(instance).timestamp > first.timestamp + 0.1)
        assert heartbeat(instance).progress_at == first.progress_at
        over.set()
        eventually(lambda: heartbeat(instance).progress_at > first.progress_at)


def test_at_most_five_errors_are_kept_newest_first_and_end_nothing(instance: Instance) -> None:
    numbers = iter(range(1000))

    def fail(_should_stop: Callable[[], bool]) -> None:
        raise ValueError(f"number {next(numbers)}")

    daemon = Working(fail)
    with DaemonRunner(instance, [daemon]):
        for _ in range(7):
            daemon.wait_for_iteration()
        eventually(lambda: len(heartbeat(instance).errors) == 5)
        told = [int(error.message.split()[-1]) for error in heartbeat(instance).errors]
        assert told == list(range(told[0], told[0] - 5, -1))
        assert {error.class_name for error in heartbeat(instance).errors} == {"ValueError"}


def test_errors_are_forgotten_after_a_while(instance: Instance) -> None:
    now = [1000.0]
    failing = [True]

    def fail(_should_stop: Callable[[], bool]) -> None:
        if failing:
            failing.clear()
            raise ValueError("once")

    with DaemonRunner(instance, [Working(fail)], now=lambda: now[0]):
        eventually(lambda: len(heartbeat(instance).errors) == 1)
        now[0] += 301
        eventually(lambda: not heartbeat(instance).errors)


def test_who_loses_the_lease_stops_and_goes_on_when_it_has_it_again(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that does not answer costs the lease, for somebody else may have it."""
    runs = instance.storage.run_storage
    was_told: queue.Queue[bool] = queue.Queue()
    claim = runs.claim_daemon_lease
    is_down = threading.Event()

    def claim_if_up(*args: Any, **kwargs: Any) -> DaemonLease:
        if is_down.is_set():
            raise StorageUnavailableError("locked")
        return claim(*args, **kwargs)

    def work(should_stop: Callable[[], bool]) -> None:
        if is_down.is_set():
            eventually(should_stop)
            was_told.put(True)

    monkeypatch.setattr(runs, "claim_daemon_lease", claim_if_up)
    daemon = Working(work)
    with DaemonRunner(instance, [daemon], daemon_id="one") as runner:
        daemon.wait_for_iteration()
        is_down.set()
        assert was_told.get(timeout=PATIENCE)
        assert not runner.is_working("MONITORING")
        is_down.clear()
        daemon.forget()
        daemon.wait_for_iteration()
        assert runner.is_working("MONITORING")
        assert heartbeat(instance).errors[-1].message == "locked"


def test_a_daemon_that_hangs_is_told_when_it_is_stopped(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    over = threading.Event()
    daemon = Working(lambda _: over.wait(PATIENCE))
    runner = DaemonRunner(instance, [daemon])
    runner.start()
    daemon.wait_for_iteration()
    runner.stop(timeout_seconds=0.1)
    assert "runwire-monitoring did not stop within 0.1 s" in caplog.text
    assert heartbeat(instance).stopped
    over.set()


def test_without_daemons_nothing_runs(instance: Instance) -> None:
    before = threading.active_count()
    with DaemonRunner(instance, []):
        assert threading.active_count() == before
    assert instance.get_daemon_heartbeats() == {}
