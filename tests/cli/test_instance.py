from __future__ import annotations

import json
import re

from runwire import __version__
from tests.cli.conftest import Invoke
from tests.cli.served import Served


def test_info_tells_the_components_and_the_code_locations(at_server: Invoke) -> None:
    result = at_server("instance", "info")
    assert result.exit_code == 0
    assert [re.split(r" {2,}", line) for line in result.stdout.splitlines()] == [
        ["instance", "runwire"],
        ["version", __version__],
        ["run coordinator", "runwire.coordinators.default.DefaultRunCoordinator"],
        ["run launcher", "runwire.launchers.default.DefaultRunLauncher"],
        ["storage of runs", "runwire.storages.sqlite.SqliteStorage, revision 0001"],
        ["storage of event log", "runwire.storages.sqlite.SqliteStorage, revision 0001"],
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
    assert json.loads(short.stdout) == health
