"""The page on backfills: its code is loaded and run by a real server, and its commands are executed there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from runwire.cli.app import app
from runwire.client import RunwireClient
from runwire.instance.settings import Settings
from runwire.runs.status import RunStatus
from runwire.storage import BackfillStatus
from runwire.testing.left_behind import eventually
from tests.cli.served import Served, serving

PAGE = (Path(__file__).parents[2] / "docs" / "backfills.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("backfills")
    (folder / "jobs.py").write_text(blocks("python")[0])
    with serving(folder, "-f", "jobs.py") as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[RunwireClient]:
    with RunwireClient(served.url) as connected:
        connected.wait_until_ready()
        yield connected


def test_its_commands_run(served: Served, client: RunwireClient) -> None:
    told = [
        CliRunner().invoke(app, [*shlex.split(line)[1:], "--url", served.url])
        for block in blocks("sh")
        for line in block.splitlines()
    ]
    assert [(each.exit_code, each.stderr) for each in told] == [(0, "")] * 5
    launched = [each.stdout.strip() for each in told[2:4]]

    def are_completed() -> bool:
        states = {each.backfill_id: each.status for each in client.list_backfills().backfills}
        return [states[each] for each in launched] == [BackfillStatus.COMPLETED] * 2

    eventually(are_completed, "the backfills have ended")
    january, regions = map(client.get_backfill, launched)
    assert january is not None
    assert regions is not None
    assert (january.partition_count, january.progress.succeeded) == (10, 10)
    assert (regions.partition_count, regions.progress.succeeded) == (2, 2)
    run = client.get_run(told[0].stdout.strip())
    assert run is not None
    assert {tag.key: tag.value for tag in run.tags}["runwire/partition"] == "2026-01-31"
    eventually(
        lambda: (client.get_run(run.run_id) or run).status is RunStatus.SUCCESS, "the run has ended"
    )


def test_its_snippets_run(client: RunwireClient, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks("python")[1], "backfills.md", "exec"), {"client": client})
    assert re.fullmatch(r"BackfillStatus\.\w+ \d of 2\n", capsys.readouterr().out)
    (document,) = blocks("graphql")
    answer = client._connection.execute(document, "Backfill", {})["createBackfill"]
    assert answer["backfill"]["status"] == "REQUESTED"


def test_its_setting_is_the_default() -> None:
    (block,) = blocks("yaml")
    assert yaml.safe_load(block)["backfills"] == Settings().backfills.model_dump()


def test_it_names_each_status() -> None:
    table = re.findall(r"^\| ([A-Z_, ]+) \|", PAGE, re.MULTILINE)
    assert {name for row in table for name in row.split(", ")} == set(BackfillStatus.__members__)
