"""``run submit`` against a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runwire.client import RunwireClient
from runwire.runs.status import RunStatus
from runwire.workspace import CodeLocationStatus
from tests.cli.conftest import Invoke
from tests.cli.served import JOBS, Served


def runs_of(client: RunwireClient) -> list[str]:
    return [run.run_id for run in client.list_runs(limit=100).runs]


def test_without_follow_stdout_is_the_run_id_alone(
    at_server: Invoke, client: RunwireClient
) -> None:
    result = at_server("run", "submit", "good", "--tag", "a=1", "--tag", "b=x=y")
    assert (result.exit_code, result.stderr) == (0, "")
    run = client.get_run(result.stdout.strip())
    assert run is not None
    assert run.job_name == "good"
    assert {tag.key: tag.value for tag in run.tags} == {"a": "1", "b": "x=y"}


def test_follow_shows_the_log_and_the_steps_and_exits_0_for_success(at_server: Invoke) -> None:
    result = at_server("run", "submit", "good", "--follow")
    assert result.exit_code == 0
    shown = result.stdout.splitlines()
    messages = [line.split(maxsplit=3)[3] for line in shown if " INFO     first " in line]
    assert "one" in messages
    assert [line for line in shown if line.endswith(" got 1")] != []
    steps = [line.partition(",")[0].split() for line in shown[-3:-1]]
    assert steps == [["first", "succeeded"], ["last", "succeeded"]]
    assert " ended in SUCCESS after " in shown[-1]
    assert result.stderr.endswith(" of good is submitted\n")


def test_follow_exits_1_for_failure_and_tells_why(at_server: Invoke) -> None:
    result = at_server("run", "submit", "bad", "--follow")
    assert result.exit_code == 1
    shown = result.stdout.splitlines()
    assert "    ValueError: broken on purpose" in shown
    steps = [line.partition(",")[0].split(maxsplit=1) for line in shown[-4:-1]]
    assert steps == [["first", "succeeded"], ["fail", "failed"], ["last", "did not run"]]
    assert " ended in FAILURE after " in shown[-1]


@pytest.mark.parametrize("way", ["--config", "stdin", "--config-json"])
def test_a_run_config_comes_from_a_file_from_stdin_or_from_the_command_line(
    at_server: Invoke, client: RunwireClient, tmp_path: Path, way: str
) -> None:
    (tmp_path / "open").touch()
    config = {"ops": {"gate": {"config": {"file": str(tmp_path / "open")}}}}
    text = json.dumps(config)
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    options = {
        "--config": ["--config", str(tmp_path / "config.yaml")],
        "stdin": ["--config", "-"],
        "--config-json": ["--config-json", text],
    }
    result = at_server("run", "submit", "gated", "--follow", *options[way], stdin=text)
    assert result.exit_code == 0, result.output
    run = client.list_runs(job_names=["gated"], limit=1).runs[0]
    detail = client.get_run(run.run_id)
    assert detail is not None
    assert (detail.run_config, detail.status) == (config, RunStatus.SUCCESS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nope"],
            "error: there is no job 'nope' in a loaded code location; there are: bad, gated, good\n",
        ),
        (["good", "--location", "nope"], "error: there is no job 'good' in code location 'nope'; "),
        (["good", "--tag", "a"], "error: --tag 'a' is no tag; write it like key=value\n"),
        (["good", "--tag", "runwire/x=1"], "error: tag 'runwire/x' is the system's"),
        (
            ["good", "--config", "no.yaml"],
            "error: no.yaml cannot be read: No such file or directory\n",
        ),
        (
            ["good", "--config-json", "[1]"],
            "error: --config-json must be a mapping of keys to values",
        ),
    ],
)
def test_bad_input_exits_2_with_one_line_and_makes_no_run(
    at_server: Invoke, client: RunwireClient, arguments: list[str], message: str
) -> None:
    before = runs_of(client)
    result = at_server("run", "submit", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert runs_of(client) == before


def test_an_invalid_run_config_is_told_with_every_path(
    at_server: Invoke, client: RunwireClient
) -> None:
    before = runs_of(client)
    config = {"ops": {"gate": {"config": {"file": 1, "more": 2}}, "nope": {}}}
    result = at_server("run", "submit", "gated", "--config-json", json.dumps(config))
    assert (result.exit_code, result.stdout) == (2, "")
    head, *problems = result.stderr.splitlines()
    assert head == "error: the run config does not fit job 'gated':"
    assert sorted(line.partition(": ")[0] for line in problems) == [
        "  ops.gate.config.file",
        "  ops.gate.config.more",
        "  ops.nope",
    ]
    assert runs_of(client) == before


def test_a_job_of_a_location_that_is_still_loading_is_waited_for(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = f"while not Path({str(tmp_path / 'loaded')!r}).exists(): time.sleep(0.01)\n"
    (tmp_path / "jobs.py").write_text(JOBS + slow, encoding="utf-8")
    served = Served(tmp_path, ("-f", "jobs.py"))
    wait_until_ready = RunwireClient.wait_until_ready
    served.launch()
    try:
        [location] = served.wait_for_an_answer()
        assert location.status is CodeLocationStatus.LOADING

        def load_and_wait(client: RunwireClient) -> None:
            (tmp_path / "loaded").touch()
            wait_until_ready(client)

        monkeypatch.setattr(RunwireClient, "wait_until_ready", load_and_wait)
        result = invoke("run", "submit", "good", "--follow", "--url", served.url)
    finally:
        served.stop()
    assert result.exit_code == 0
