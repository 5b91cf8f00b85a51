"""``runwire queue``: what waits, for what, and the limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.client import RunwireClient
from runwire.runs.status import RunStatus
from tests.cli.conftest import Invoke
from tests.cli.served import Served, serving

CONFIG = """
run_coordinator:
  module: runwire.coordinators.queued
  class: QueuedRunCoordinator
  config:
    max_concurrent_runs: 0
    tag_concurrency_limits: [{key: team, value: {applyLimitPerUniqueValue: true}, limit: 1}]
"""


@pytest.fixture(scope="module")
def paused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose queue is paused, with three runs in it."""
    folder: Path = tmp_path_factory.mktemp("paused")
    home = folder / "home"
    home.mkdir()
    (home / "runwire.yaml").write_text(CONFIG)
    with serving(folder) as running:
        with RunwireClient(running.url) as client:
            for priority in ("0", "2", "1"):
                tags = {"runwire/priority": priority, "team": f"team {priority}"}
                client.submit_run("good", tags=tags)
        yield running


def test_the_queue_is_listed_in_its_order_with_what_each_run_waits_for(
    paused: Served, invoke: Invoke
) -> None:
    result = invoke("queue", "list", "--url", paused.url)
    assert (result.exit_code, result.stderr) == (0, "")
    first, head, *lines = result.stdout.splitlines()
    assert first == "3 waiting, 0 in progress"
    assert head.split("  ")[0] == "#"
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert [line.split()[3] for line in lines] == ["2", "1", "0"]
    assert all("The queue is paused" in line for line in lines)


def test_the_list_goes_on_over_pages_up_to_the_limit(
    paused: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.cli.queue._PAGE", 1)
    result = invoke("queue", "list", "--json", "--limit", "2", "--url", paused.url)
    runs = [json.loads(line) for line in result.stdout.splitlines()]
    assert [run["queue"]["priority"] for run in runs] == [2, 1]
    assert [run["queue"]["position"] for run in runs] == [1, 2]


def test_the_limits_are_listed_with_their_use(paused: Served, invoke: Invoke) -> None:
    result = invoke("queue", "limits", "--url", paused.url)
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["all", "runs", "0", "0", "3"],
        *(["tag", "team=team", str(number), "1", "0", "0"] for number in range(3)),
    ]
    result = invoke("queue", "limits", "--json", "--url", paused.url)
    assert [json.loads(line)["max"] for line in result.stdout.splitlines()] == [0, 1, 1, 1]


def test_a_run_shows_what_it_waits_for(paused: Served, invoke: Invoke) -> None:
    with RunwireClient(paused.url) as client:
        (run, *_) = client.list_runs(statuses=[RunStatus.QUEUED], limit=1).runs
    result = invoke("run", "show", run.run_id, "--url", paused.url)
    assert "place 2 in the queue: The queue is paused" in result.stdout


@pytest.mark.parametrize("command", ["list", "limits"])
def test_an_instance_that_does_not_queue_says_so(at_server: Invoke, command: str) -> None:
    result = at_server("queue", command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "set run_coordinator" in result.stderr
