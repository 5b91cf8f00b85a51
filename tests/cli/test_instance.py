from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runwire import __version__
from runwire.cli.instance import _daemon_row
from runwire.cli.run.words import local_time
from runwire.client import DaemonHeartbeat, DaemonStatus, ErrorInfo, RunwireClient
from runwire.events import EventLogEntry, EventType
from runwire.events.payloads import AssetEventData
from runwire.instance import Instance
from runwire.runs import Run
from runwire.storages.migrations import HEAD_REVISION
from tests.cli.conftest import Invoke
from tests.cli.served import PATIENCE_SECONDS, Served, serving
from tests.storages.sqlite.places import change, runs_path

DAEMONS = ["BACKFILLS", "MONITORING", "SCHEDULER", "SENSORS"]

STORAGE = f"runwire.storages.sqlite.SqliteStorage, revision {HEAD_REVISION}, newest {HEAD_REVISION}"


def test_info_tells_the_components_and_the_code_locations(at_server: Invoke) -> None:
    result = at_server("instance", "info")
    assert result.exit_code == 0
    assert [re.split(r" {2,}", line) for line in result.stdout.splitlines()] == [
        ["instance", "runwire"],
        ["version", __version__],
        ["run coordinator", "runwire.coordinators.default.DefaultRunCoordinator"],
        ["run launcher", "runwire.launchers.default.DefaultRunLauncher"],
        ["storage of runs", STORAGE],
        ["storage of event log", STORAGE],
        ["storage of schedules", STORAGE],
        ["location jobs", "LOADED"],
    ]


def test_info_as_json_is_the_answer_of_the_api(
    at_server: Invoke, invoke: Invoke, shared_server: Served
) -> None:
    health = json.loads(at_server("instance", "info", "--json").stdout)
    assert health["instance"]["name"] == "runwire"
    assert [place["name"] for place in health["codeLocations"]] == ["jobs"]
    # An address without a path means the endpoint.
    short = invoke("instance", "info", "--json", "--url", f"http://127.0.0.1:{shared_server.port}")
    assert steady(json.loads(short.stdout)) == steady(health)


def steady(health: Any) -> Any:
    """What does not change from heartbeat to heartbeat."""
    daemons = [daemon["daemonType"] for daemon in health["instance"].pop("daemons")]
    assert daemons == DAEMONS
    return health


def test_health_tells_of_the_daemons_and_the_code_locations(
    at_server: Invoke, client: RunwireClient
) -> None:
    wait_for_daemons(client)
    result = at_server("instance", "health")
    assert (result.exit_code, result.stderr) == (0, "")
    *daemons, location = [re.split(r" {2,}", line) for line in result.stdout.splitlines()]
    for daemon, name in zip(daemons, DAEMONS, strict=True):
        assert daemon[:2] == [f"daemon {name}", "RUNNING"]
        assert daemon[2].startswith("last heartbeat 2")
    assert location == ["location jobs", "LOADED"]


def test_health_as_json_has_both(at_server: Invoke, client: RunwireClient) -> None:
    wait_for_daemons(client)
    health = json.loads(at_server("instance", "health", "--json").stdout)
    for daemon, name in zip(health["daemons"], DAEMONS, strict=True):
        told = daemon["daemonType"], daemon["required"], daemon["healthy"], daemon["state"]
        assert told == (name, True, True, "RUNNING")
    assert health["codeLocations"] == [{"name": "jobs", "status": "LOADED", "loadError": None}]


def wait_for_daemons(client: RunwireClient) -> None:
    """Waits until the daemons, which start with the server, have beaten."""
    end = time.monotonic() + PATIENCE_SECONDS
    while [daemon.state for daemon in client.list_daemons()] != ["RUNNING"] * len(DAEMONS):
        assert time.monotonic() < end, "the daemons do not beat"
        time.sleep(0.02)


def test_health_exits_with_1_when_code_cannot_be_used(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise ValueError('broken\\non purpose')")
    with serving(tmp_path, "-f", "broken.py") as server:
        result = invoke("instance", "health", "--url", server.url)
        assert (result.exit_code, result.stderr) == (1, "")
        row = re.split(r" {2,}", result.stdout.splitlines()[-1])
        assert row[:2] == ["location broken", "FAILED"]
        as_json = invoke("instance", "health", "--json", "--url", server.url)
        assert as_json.exit_code == 1
        assert json.loads(as_json.stdout)["codeLocations"][0]["status"] == "FAILED"


NOW = datetime(2026, 11, 22, 17, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "row"),
    [
        (
            DaemonStatus(daemon_type="MONITORING", required=True, state="NOT_RUNNING"),
            "",
        ),
        (
            DaemonStatus(
                daemon_type="MONITORING",
                required=False,
                state="ERRORING",
                last_heartbeat=DaemonHeartbeat("a", "here", NOW, NOW, (ErrorInfo("it\nbroke"),)),
                standbys=(DaemonHeartbeat("b", "there", NOW, NOW),) * 2,
            ),
            f"not required, last heartbeat {local_time(NOW)} on here, 2 standing by, latest error: it",
        ),
    ],
)
def test_a_daemon_is_told_in_a_line(status: DaemonStatus, row: str) -> None:
    assert _daemon_row(status) == ("daemon MONITORING", status.state, row)


def test_reindex_makes_the_asset_index_anew(tmp_path: Path, invoke: Invoke) -> None:
    with Instance.from_home(tmp_path) as instance:
        storage = instance.storage
        storage.run_storage.add_run(Run(run_id="r1", job_name="etl", managed=True), created_at=1.0)
        data = AssetEventData(("sales",))
        made = EventLogEntry(
            run_id="r1", message="made", event_type=EventType.ASSET_MATERIALIZATION, data=data
        )
        storage.store_events("r1", [made])
        change(runs_path(tmp_path), "DELETE FROM assets")
        index = storage.event_log_storage.asset_index
        assert not index.has_asset_key(("sales",))
        result = invoke("instance", "reindex", "--home", str(tmp_path))
        assert (result.exit_code, result.output) == (0, "assets in the index: 1\n")
        assert index.has_asset_key(("sales",))


def test_reindex_needs_a_home(invoke: Invoke) -> None:
    result = invoke("instance", "reindex")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--home or RUNWIRE_HOME" in result.stderr
