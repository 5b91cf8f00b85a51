"""``run list``, ``show``, ``terminate`` and ``delete``, and how a run is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from runwire.client import RunwireClient
from tests.cli.conftest import Invoke


@pytest.fixture
def run_id(client: RunwireClient) -> Iterator[str]:
    """A run of an external system, in MANAGED."""
    made = client.create_run("outside", tags={"owner": "me"}, managed=True).run.run_id
    yield made
    if client.get_run(made) is not None:
        client.delete_run(made, force=True)


def test_list_filters_by_status_job_and_tag_newest_first(
    at_server: Invoke, client: RunwireClient
) -> None:
    made = [
        client.create_run(job, tags=tags, managed=True).run.run_id
        for job, tags in [("one", {"a": "1"}), ("one", {"a": "2"}), ("two", {"a": "1"})]
    ]

    def listed(*options: str) -> list[str]:
        result = at_server("run", "list", "--json", *options)
        assert (result.exit_code, result.stderr) == (0, "")
        runs = [json.loads(line)["runId"] for line in result.stdout.splitlines()]
        return [run for run in runs if run in made]

    assert listed("--status", "MANAGED") == made[::-1]
    assert listed("--status", "SUCCESS", "--status", "FAILURE") == []
    assert listed("--job", "one") == [made[1], made[0]]
    assert listed("--tag", "a=1", "--job", "one", "--job", "two") == [made[2], made[0]]
    assert listed("--tag", "a=1", "--tag", "a=2", "--limit", "2") == [made[2], made[1]]
    client.terminate_run(made[0], force=True)
    assert listed("--status", "CANCELED", "--job", "one") == [made[0]]
    for run in made:
        client.delete_run(run, force=True)


def test_list_goes_on_over_pages(
    at_server: Invoke, client: RunwireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.cli.run.list._PAGE", 2)
    made = [client.create_run("paged", managed=True).run.run_id for _ in range(5)]
    result = at_server("run", "list", "--job", "paged", "--limit", "4", "--json")
    assert [json.loads(line)["runId"] for line in result.stdout.splitlines()] == made[:0:-1]


def test_list_for_people_has_headings_and_a_line_a_run(at_server: Invoke, run_id: str) -> None:
    result = at_server("run", "list", "--job", "outside")
    head, line = result.stdout.splitlines()
    assert head.split("  ")[0] == "RUN ID"
    cells = line.split()
    assert [*cells[:3], cells[-1]] == [run_id, "outside", "MANAGED", "owner=me"]


@pytest.mark.parametrize(
    "options", [["--status", "NOPE"], ["--limit", "0"], ["--limit", "x"], ["--nope"], ["extra"]]
)
def test_wrong_options_are_refused_with_2(at_server: Invoke, options: list[str]) -> None:
    result = at_server("run", "list", *options)
    assert (result.exit_code, result.stdout) == (2, "")


def test_show_tells_of_a_run_by_the_beginning_of_its_id(at_server: Invoke, run_id: str) -> None:
    result = at_server("run", "show", run_id[:13])
    shown = dict(re.split(r" {2,}", line, maxsplit=1) for line in result.stdout.splitlines())
    assert result.exit_code == 0
    assert shown["run"] == run_id
    assert (shown["job"], shown["status"], shown["tags"]) == ("outside", "MANAGED", "owner=me")
    as_json = json.loads(at_server("run", "show", run_id, "--json").stdout)
    assert (as_json["runId"], as_json["runConfig"]) == (run_id, {})


@pytest.mark.parametrize("command", ["show", "tail", "resume", "terminate", "delete"])
@pytest.mark.parametrize("text", ["nope", ""])
def test_an_unknown_run_is_refused_with_2_and_one_line(
    at_server: Invoke, command: str, text: str
) -> None:
    result = at_server("run", command, text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: there is no run {text!r}; list runs to see what there is\n"


def test_a_beginning_that_fits_several_runs_is_refused_but_a_whole_id_is_not(
    at_server: Invoke, client: RunwireClient
) -> None:
    ids = ["twin", "twin.1", "twin.2", "twin.3", "twin.4", "twin.5"]
    for made in ids:
        client.create_run("outside", run_id=made, managed=True)
    result = at_server("run", "show", "twi")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: several runs begin with 'twi': twin.5, twin.4, twin.3, twin.2, twin.1, …;"
        " give more of the id\n"
    )
    shown = at_server("run", "show", "twin", "--json")
    assert json.loads(shown.stdout)["runId"] == "twin"
    for made in ids:
        client.delete_run(made, force=True)


def test_terminate_ends_a_run_and_a_second_time_is_a_conflict(
    at_server: Invoke, client: RunwireClient, run_id: str
) -> None:
    first = at_server("run", "terminate", run_id)
    assert (first.exit_code, first.stdout) == (0, f"run {run_id} is CANCELED\n")
    ended = client.get_run(run_id)
    second = at_server("run", "terminate", run_id, "--force")
    assert (second.exit_code, second.stdout) == (1, "")
    assert second.stderr.startswith(f"error: run '{run_id}' is CANCELED, this needs ")
    assert second.stderr.count("\n") == 1
    assert client.get_run(run_id) == ended


def test_delete_wants_a_run_that_has_ended_or_force(
    at_server: Invoke, client: RunwireClient, run_id: str
) -> None:
    refused = at_server("run", "delete", run_id, "--yes")
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"error: run '{run_id}' is MANAGED, this needs ")
    assert client.get_run(run_id) is not None
    done = at_server("run", "delete", run_id, "--yes", "--force")
    assert (done.exit_code, done.stdout) == (0, f"run {run_id} is deleted\n")
    assert client.get_run(run_id) is None


def test_delete_asks_and_without_anybody_to_ask_refuses(
    at_server: Invoke, client: RunwireClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = at_server("run", "delete", run_id, "--force")
    assert nobody.exit_code == 2
    assert nobody.stderr == "error: nobody is there to confirm; say --yes to go on\n"

    monkeypatch.setattr("runwire.cli.run.bulk.somebody_is_there", lambda: True)
    no = at_server("run", "delete", run_id, "--force", stdin="n\n")
    assert (no.exit_code, no.stderr) == (1, "nothing was deleted\n")
    assert client.get_run(run_id) is not None
    yes = at_server("run", "delete", run_id, "--force", stdin="y\n")
    assert yes.exit_code == 0
    assert client.get_run(run_id) is None
