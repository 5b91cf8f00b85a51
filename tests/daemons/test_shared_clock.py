"""Time that all processes agree on, whatever the clock of a host says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runwire import clock
from runwire.daemons.daemon import Daemon
from runwire.daemons.runner import DaemonRunner
from runwire.daemons.shared_clock import SharedClock
from runwire.daemons.status import DaemonState, daemon_statuses
from runwire.errors import StorageUnavailableError
from runwire.instance import Instance

PATIENCE = 30.0
DAY = 86_400.0

YAML = """
daemons:
  heartbeat_interval_seconds: 0.02
  lease_seconds: 600
storage:
  postgres:
    postgres_url: {env: TEST_POSTGRES_URL}
"""


class Idle(Daemon):
    """Has nothing to do."""

    daemon_type = "MONITORING"

    @property
    def interval_seconds(self) -> float:
        return 0.01

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        pass


@pytest.fixture
def instance(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Instance]:
    monkeypatch.setenv("TEST_POSTGRES_URL", postgres_url)
    (tmp_path / "runwire.yaml").write_text(YAML)
    with Instance.from_home(tmp_path) as made:
        yield made


def put_the_clock(monkeypatch: pytest.MonkeyPatch, by: float) -> None:
    """Puts the clock of this host forward or back."""
    usual = clock.timestamp
    monkeypatch.setattr(clock, "timestamp", lambda: usual() + by)


def eventually(holds: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(int(PATIENCE / 0.005)):
        if holds():
            return
        waiting.wait(0.005)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("by", [DAY, -DAY])
def test_a_host_whose_clock_is_wrong_takes_no_lease_and_is_seen_alive(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, by: float
) -> None:
    runs = instance.storage.run_storage
    with DaemonRunner(instance, [Idle()], daemon_id="one") as first:
        assert first.wait_until_working("MONITORING", PATIENCE)
        put_the_clock(monkeypatch, by)
        with DaemonRunner(instance, [Idle()], daemon_id="two") as second:
            eventually(lambda: len(runs.list_daemon_heartbeats()) == 2)
            beaten = {each.daemon_id: each.timestamp for each in runs.list_daemon_heartbeats()}
            assert abs(beaten["one"] - beaten["two"]) < DAY / 2
            assert runs.get_daemon_leases()["MONITORING"].daemon_id == "one"
            assert not second.is_working("MONITORING")
            [status] = [
                each for each in daemon_statuses(instance) if each.daemon_type == "MONITORING"
            ]
            assert status.state is DaemonState.RUNNING
            assert status.lease_expires_at is not None
            assert [each.daemon_id for each in status.standbys] == ["two"]


@pytest.mark.parametrize("by", [DAY, -DAY])
def test_a_clock_that_is_put_while_it_holds_the_lease_changes_nothing(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, by: float
) -> None:
    runs = instance.storage.run_storage
    with DaemonRunner(instance, [Idle()], daemon_id="one") as runner:
        assert runner.wait_until_working("MONITORING", PATIENCE)
        put_the_clock(monkeypatch, by)
        before = runs.get_daemon_leases()["MONITORING"].expires_at
        eventually(lambda: runs.get_daemon_leases()["MONITORING"].expires_at > before)
        assert runs.get_daemon_leases()["MONITORING"].expires_at < before + DAY / 2
        [beat] = runs.list_daemon_heartbeats()
        assert abs(beat.timestamp - beat.progress_at) < DAY / 2


def test_the_database_tells_the_time(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    before = instance.storage.run_storage.now()
    put_the_clock(monkeypatch, DAY)
    assert before <= instance.storage.run_storage.now() < before + DAY / 2


def test_time_goes_on_between_answers() -> None:
    told, ticks = [5000.0], [10.0]
    shared = SharedClock(lambda: told[0], 1000.0, monotonic=lambda: ticks[0])
    ticks[0] += 2
    assert shared.now() == 1002.0
    shared.agree()
    assert shared.now() == 5000.0
    ticks[0] += 3
    told[0] = 9000.0
    assert shared.now() == 5003.0


def test_time_goes_on_without_an_answer() -> None:
    def ask() -> float:
        raise StorageUnavailableError("it is down")

    ticks = [10.0]
    shared = SharedClock(ask, 1000.0, monotonic=lambda: ticks[0])
    ticks[0] += 1
    with pytest.raises(StorageUnavailableError):
        shared.agree()
    assert shared.now() == 1001.0
