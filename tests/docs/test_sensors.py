"""The page on sensors: its code is loaded and run by a real server, and its commands are executed there."""

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
from runwire.testing.left_behind import eventually
from tests.cli.served import Served, serving

PAGE = (Path(__file__).parents[2] / "docs" / "sensors.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("sensors")
    (folder / "inbox").mkdir()
    (folder / "inbox" / "first.csv").touch()
    (folder / "jobs.py").write_text(blocks("python")[0])
    with serving(folder, "-f", "jobs.py") as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[RunwireClient]:
    with RunwireClient(served.url) as connected:
        connected.wait_until_ready()
        yield connected


def test_its_commands_run(served: Served, client: RunwireClient) -> None:
    (lines,) = [block.splitlines() for block in blocks("sh")]
    listed, started, *others = lines
    for line in (listed, started):
        assert run(line, served)[0] == 0
    eventually(lambda: files_of(client) == ["first.csv"], "the file has its run")
    told = [run(line, served) for line in others]
    assert [(code, errors) for code, _, errors in told] == [(0, "")] * len(others)
    shown, tried, cursor, ticks, stopped = (output for _, output, _ in told)
    assert "watches   every 5 s" in shown
    assert re.match(r"it asks for no run: no new file\ncursor \d+\.", tried)
    assert cursor == "0\n"
    assert "SUCCESS" in ticks
    assert stopped == "sensor new_files is stopped\n"
    again = run("runwire sensor evaluate new_files", served)[1]
    assert "run key first.csv  is there: " in again
    assert files_of(client) == ["first.csv"]
    assert run("runwire sensor cursor new_files --delete", served)[1] == "\n"
    assert run("runwire sensor cursor new_files", served)[1] == "\n"
    code, _, errors = run("runwire sensor show gone", served)
    assert (code, "`runwire sensor list` lists" in errors) == (2, True)
    code, _, errors = run("runwire sensor cursor new_files --delete --set 1", served)
    assert (code, "give one of --set and --delete" in errors) == (2, True)
    code, _, errors = run("runwire sensor start gone", served)
    assert code == 2
    assert "there are: after_failure, fresh_sales, new_files" in errors


def run(line: str, served: Served) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [*shlex.split(line)[1:], "--url", served.url])
    return done.exit_code, done.stdout, done.stderr


def files_of(client: RunwireClient) -> list[str]:
    runs = client.list_runs(tags={"runwire/sensor_name": "new_files"}).runs
    return [{tag.key: tag.value for tag in run.tags}["file"] for run in runs]


def test_its_snippets_run(client: RunwireClient, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks("python")[1], "sensors.md", "exec"), {"client": client})
    assert re.fullmatch(r"(RUNNING|STOPPED) None\n", capsys.readouterr().out)
    (document,) = blocks("graphql")
    answer = client._connection.execute(document, "Start", {})["startSensor"]
    assert answer["sensor"]["kind"] == "RUN_STATUS"
    assert answer["sensor"]["cursor"]


def test_its_setting_is_the_default() -> None:
    (block,) = blocks("yaml")
    assert yaml.safe_load(block)["sensors"] == Settings().sensors.model_dump()
