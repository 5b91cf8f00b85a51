"""The runner of daemons: loops, heartbeats, leases, and their end."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runwire import clock
from runwire.daemons.daemon import Daemon
from runwire.daemons.loop import DaemonLoop
from runwire.daemons.runner import DaemonRunner
from runwire.errors import RunInterrupted, StorageUnavailableError
from runwire.instance import Instance
from runwire.storage import DaemonHeartbeat, DaemonLease

PATIENCE = 30.0

YAML = """
daemons:
  heartbeat_interval_seconds: 0.02
  lease_seconds: 600
"""
"""No lease ends here unless a test moves the clock."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    (tmp_path / "runwire.yaml").write_text(YAML)
    with Instance.from_home(tmp_path) as instance:
        yield instance


class Working(Daemon):
    """Does what it is given, again and again, and notes each time."""

    daemon_type = "MONITORING"

    def __init__(
        self,
        work: Callable[[Callable[[], bool]], object] = lambda _: None,
        interval_seconds: float = 0.01,
    ) -> None:
        self._work = work
        self._interval_seconds = interval_seconds
        self._iterations: queue.Queue[None] = queue.Queue()

    @property
    def interval_seconds(self) -> float:
        return self._interval_seconds

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


@pytest.mark.parametrize("interval_seconds", [1e300, float("inf")])
def test_an_interval_that_the_system_cannot_wait_for_ends_no_loop(
    interval_seconds: float,
) -> None:
    daemon = Working(interval_seconds=interval_seconds)
    loop = DaemonLoop(daemon, now=clock.timestamp, monotonic=time.monotonic)
    loop.start()
    loop.work_until(float("inf"))
    daemon.wait_for_iteration()
    assert not loop.join(0.2)
    loop.stop()
    assert loop.join(PATIENCE)


def test_stopping_gives_back_the_lease_and_tells_so(instance: Instance) -> None:
    daemon = Working()
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


def test_one_that_was_stopped_before_it_began_never_begins(instance: Instance) -> None:
    before = threading.active_count()
    runner = DaemonRunner(instance, [Working()])
    runner.stop()
    runner.start()
    assert threading.active_count() == before
    assert instance.get_daemon_heartbeats() == {}


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


def test_a_lease_that_has_expired_is_taken_over(instance: Instance) -> None:
    runs = instance.storage.run_storage
    runs.claim_daemon_lease("MONITORING", "dead", now=1000.0, lease_seconds=10.0)
    now = [1009.9]
    daemon = Working()
    with DaemonRunner(instance, [daemon], daemon_id="one", now=lambda: now[0]) as runner:
        eventually(lambda: [each.daemon_id for each in _heartbeats(instance)] == ["one"])
        now[0] = 1009.99
        eventually(lambda: _heartbeats(instance)[0].progress_at == 1009.99)
        assert (daemon._iterations.empty(), runner.is_working("MONITORING")) == (True, False)
        assert lease(instance).daemon_id == "dead"
        now[0] = 1010.0
        assert runner.wait_until_working("MONITORING", PATIENCE)
        daemon.wait_for_iteration()
        assert lease(instance).daemon_id == "one"


def test_a_daemon_that_waits_makes_progress(instance: Instance) -> None:
    """Else one with a long interval looked stuck."""
    daemon = Working(interval_seconds=1000)
    with DaemonRunner(instance, [daemon]):
        daemon.wait_for_iteration()
        later = clock.timestamp()
        eventually(lambda: heartbeat(instance).progress_at > later)


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


@pytest.mark.parametrize("raised", [SystemExit(1), RunInterrupted()])
def test_nothing_that_a_daemon_raises_ends_it(instance: Instance, raised: BaseException) -> None:
    def fail(_should_stop: Callable[[], bool]) -> None:
        raise raised

    daemon = Working(fail)
    with DaemonRunner(instance, [daemon]):
        for _ in range(3):
            daemon.wait_for_iteration()
        eventually(lambda: bool(heartbeat(instance).errors))
        assert heartbeat(instance).errors[0].class_name == type(raised).__name__


def test_what_is_reported_is_kept_and_the_pass_goes_on(instance: Instance) -> None:
    class Reporting(Working):
        def run_iteration(
            self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
        ) -> None:
            report(ValueError("one run"))
            super().run_iteration(report, should_stop)

    daemon = Reporting()
    with DaemonRunner(instance, [daemon]):
        daemon.wait_for_iteration()
        eventually(lambda: bool(heartbeat(instance).errors))
        assert heartbeat(instance).errors[0].message == "one run"


def test_what_fails_again_and_again_is_logged_once_a_minute(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]

    def fail(_should_stop: Callable[[], bool]) -> None:
        raise ValueError("the same")

    daemon = Working(fail)

    def fail_three_times() -> int:
        daemon.forget()
        for _ in range(3):
            daemon.wait_for_iteration()
        return [record.getMessage() for record in caplog.records].count("MONITORING: the same")

    with DaemonRunner(instance, [daemon], now=lambda: now[0]):
        assert fail_three_times() == 1
        now[0] += 61
        eventually(lambda: fail_three_times() == 2)


def test_who_loses_the_lease_stops_and_goes_on_when_it_has_it_again(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that does not answer costs the lease, for somebody else may have it."""
    runs = instance.storage.run_storage
    was_told: queue.Queue[bool] = queue.Queue()
    claim = runs.claim_daemon_lease
    is_down, is_at_work = threading.Event(), threading.Event()
    passed = [0.0]

    def claim_if_up(*args: Any, **kwargs: Any) -> DaemonLease:
        if is_down.is_set():
            raise StorageUnavailableError("locked")
        return claim(*args, **kwargs)

    def work(should_stop: Callable[[], bool]) -> None:
        if is_down.is_set():
            is_at_work.set()
            eventually(should_stop)
            was_told.put(True)

    monkeypatch.setattr(runs, "claim_daemon_lease", claim_if_up)
    daemon = Working(work)
    changes: queue.Queue[bool] = queue.Queue()
    with DaemonRunner(
        instance,
        [daemon],
        daemon_id="one",
        on_change=lambda _, is_working: changes.put(is_working),
        monotonic=lambda: time.monotonic() + passed[0],
    ) as runner:
        daemon.wait_for_iteration()
        assert changes.get(timeout=PATIENCE) is True
        is_down.set()
        assert is_at_work.wait(PATIENCE)
        passed[0] = 601.0
        assert was_told.get(timeout=PATIENCE)
        assert changes.get(timeout=PATIENCE) is False
        assert not runner.is_working("MONITORING")
        is_down.clear()
        daemon.forget()
        daemon.wait_for_iteration()
        assert changes.get(timeout=PATIENCE) is True
        assert runner.is_working("MONITORING")
        assert heartbeat(instance).errors[-1].message == "locked"


def test_who_was_told_of_a_change_may_fail(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    """As when its output is closed: the daemon works and beats on."""

    def fail(_daemon_type: str, _is_working: bool) -> None:
        raise BrokenPipeError

    daemon = Working()
    with DaemonRunner(instance, [daemon], on_change=fail):
        daemon.wait_for_iteration()
        first = heartbeat(instance)
        eventually(lambda: heartbeat(instance).timestamp > first.timestamp)
    assert "that MONITORING changed could not be told" in caplog.text


def test_a_daemon_that_hangs_is_told_when_it_is_stopped(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    over = threading.Event()
    daemon = Working(lambda _: over.wait(PATIENCE))
    runner = DaemonRunner(instance, [daemon], daemon_id="one", now=lambda: 1000.0)
    runner.start()
    daemon.wait_for_iteration()
    runner.stop(timeout_seconds=0.1)
    over.set()
    assert "runwire-monitoring did not stop within 0.1 s" in caplog.text
    assert heartbeat(instance).stopped
    # It works still, so nobody may take over before the lease ends by itself.
    assert lease(instance) == DaemonLease(
        daemon_type="MONITORING", daemon_id="one", expires_at=1600.0
    )


def test_a_storage_that_hangs_does_not_keep_it_from_stopping(
    instance: Instance, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.daemons.runner.FAREWELL_SECONDS", 0.1)
    hangs, over = threading.Event(), threading.Event()

    def hang(_heartbeat: DaemonHeartbeat) -> None:
        hangs.set()
        over.wait(PATIENCE)

    monkeypatch.setattr(instance.storage.run_storage, "add_daemon_heartbeat", hang)
    runner = DaemonRunner(instance, [Working()])
    runner.start()
    assert hangs.wait(PATIENCE)
    runner.stop()
    assert "the storage took no last heartbeats within 0.1 s" in caplog.text
    over.set()


def test_it_may_die_when_it_has_first_taken_the_lease(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []
    monkeypatch.setattr("runwire.daemons.runner.fault_point", reached.append)
    daemon = Working()
    with DaemonRunner(instance, [daemon]):
        first = heartbeat(instance)
        eventually(lambda: heartbeat(instance).timestamp > first.timestamp)
        daemon.wait_for_iteration()
    assert reached == ["daemon.after_lease"]


def test_without_daemons_nothing_runs(instance: Instance) -> None:
    before = threading.active_count()
    with DaemonRunner(instance, []):
        assert threading.active_count() == before
    assert instance.get_daemon_heartbeats() == {}
