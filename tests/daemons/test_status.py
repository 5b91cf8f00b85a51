"""What heartbeats and leases say of daemons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runwire.daemons.status import DaemonState, DaemonStatus, daemon_statuses
from runwire.error_info import ErrorInfo
from runwire.instance import Instance
from runwire.storage import DaemonHeartbeat
from tests.daemons.ticks_off import NO_TICKS


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """With a tolerance of 15 s, stuck after 60 s."""
    (tmp_path / "runwire.yaml").write_text(NO_TICKS)
    with Instance.from_home(tmp_path) as instance:
        yield instance


def beat(instance: Instance, daemon_id: str = "one", **changes: Any) -> DaemonHeartbeat:
    heartbeat = DaemonHeartbeat(
        **{
            "daemon_type": "MONITORING",
            "daemon_id": daemon_id,
            "hostname": "box",
            "timestamp": 1000.0,
            "progress_at": 1000.0,
            **changes,
        }
    )
    instance.add_daemon_heartbeat(heartbeat)
    return heartbeat


def status(instance: Instance, now: float = 1000.0) -> DaemonStatus:
    [only] = daemon_statuses(instance, now=now)
    return only


def test_a_required_daemon_that_never_beat_is_not_running(instance: Instance) -> None:
    assert status(instance) == DaemonStatus(
        daemon_type="MONITORING",
        required=True,
        healthy=False,
        state=DaemonState.NOT_RUNNING,
        last_heartbeat=None,
        standbys=(),
        lease_expires_at=None,
    )


@pytest.mark.parametrize(
    ("changes", "now", "state"),
    [
        ({}, 1015.0, DaemonState.RUNNING),
        ({}, 1015.1, DaemonState.STALE),
        ({"errors": (ErrorInfo("locked"),)}, 1000.0, DaemonState.ERRORING),
        ({"errors": (ErrorInfo("locked"),)}, 1015.1, DaemonState.STALE),
        ({"progress_at": 940.0}, 1000.0, DaemonState.RUNNING),
        ({"progress_at": 939.9}, 1000.0, DaemonState.STUCK),
        ({"progress_at": 939.9, "errors": (ErrorInfo("locked"),)}, 1000.0, DaemonState.STUCK),
        ({"stopped": True}, 1000.0, DaemonState.NOT_RUNNING),
    ],
)
def test_its_state_follows_from_its_heartbeat(
    instance: Instance, changes: dict[str, Any], now: float, state: DaemonState
) -> None:
    heartbeat = beat(instance, **changes)
    found = status(instance, now)
    assert (found.state, found.last_heartbeat) == (state, heartbeat)
    assert found.healthy is (state is DaemonState.RUNNING)


def test_stand_bys_are_those_that_live(instance: Instance) -> None:
    runs = instance.storage.run_storage
    runs.claim_daemon_lease("MONITORING", "one", now=1000.0, lease_seconds=10.0)
    one, two = beat(instance), beat(instance, "two", timestamp=1001.0)
    beat(instance, "three", stopped=True)
    beat(instance, "four", timestamp=980.0)
    found = status(instance, 1002.0)
    assert (found.last_heartbeat, found.standbys) == (one, (two,))
    assert found.lease_expires_at == 1010.0
    assert status(instance, 1010.0).lease_expires_at is None


def test_one_that_is_not_required_has_no_health_unless_it_beats(tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_text(f"run_monitoring: {{enabled: false}}{NO_TICKS}")
    with Instance.from_home(tmp_path) as instance:
        assert daemon_statuses(instance, now=1000.0) == []
        beat(instance)
        assert (status(instance).required, status(instance).healthy) == (False, True)
        assert status(instance, 2000.0).healthy is None


def test_types_that_this_version_does_not_know_are_left_out(instance: Instance) -> None:
    beat(instance, daemon_type="FORTUNE_TELLING")
    assert [each.daemon_type for each in daemon_statuses(instance, now=1000.0)] == ["MONITORING"]
