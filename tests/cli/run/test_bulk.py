"""``run terminate`` and ``run delete`` of all runs that match."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runwire.client import RunwireClient
from runwire.runs.status import RunStatus
from tests.cli.conftest import Invoke

JOB = "bulk"


@pytest.fixture
def made(client: RunwireClient) -> Iterator[list[str]]:
    """Runs of external systems in MANAGED, oldest first; every other one has a tag."""
    run_ids = [
        client.create_run(JOB, tags={"odd": "yes"} if number % 2 else {}, managed=True).run.run_id
        for number in range(5)
    ]
    yield run_ids
    for run_id in left(client):
        client.delete_run(run_id, force=True)


def left(client: RunwireClient) -> list[str]:
    page = client.list_runs(job_names=[JOB], limit=100)
    return [run.run_id for run in page.runs][::-1]


def statuses(client: RunwireClient, run_ids: list[str]) -> set[RunStatus]:
    return {run.status for run in map(client.get_run, run_ids) if run is not None}


def test_all_runs_that_match_are_stopped_in_calls_that_end_soon(
    at_server: Invoke,
    client: RunwireClient,
    made: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runwire.cli.run.terminate.BATCH", 2)
    dry = at_server("run", "terminate", "--job", JOB, "--dry-run")
    assert (dry.exit_code, dry.stdout.split()) == (0, made)
    assert statuses(client, made) == {RunStatus.MANAGED}
    some = at_server("run", "terminate", "--job", JOB, "--tag", "odd=yes")
    assert (some.exit_code, some.stdout) == (0, "2 runs stopped or about to stop\n")
    assert statuses(client, made[1::2]) == {RunStatus.CANCELED}
    assert statuses(client, made[::2]) == {RunStatus.MANAGED}
    rest = at_server("run", "terminate", "--job", JOB, "--status", "MANAGED")
    assert rest.stdout == "3 runs stopped or about to stop\n"
    assert statuses(client, made) == {RunStatus.CANCELED}


def test_all_runs_that_match_are_deleted_and_those_that_live_told(
    at_server: Invoke,
    client: RunwireClient,
    made: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runwire.cli.run.delete.BATCH", 2)
    for run_id in made[1:]:
        client.terminate_run(run_id)
    dry = at_server("run", "delete", "--job", JOB, "--dry-run")
    assert (dry.exit_code, dry.stdout.split(), left(client)) == (0, made[1:], made)
    result = at_server("run", "delete", "--job", JOB, "--yes")
    assert (result.exit_code, result.stdout) == (1, "4 runs deleted\n")
    assert result.stderr.startswith(f"error: run '{made[0]}' is MANAGED, this needs ")
    assert result.stderr.count("\n") == 1
    assert left(client) == made[:1]


def test_the_age_of_a_run_chooses_too(
    at_server: Invoke, client: RunwireClient, made: list[str]
) -> None:
    for days, number in (("1", "0 runs"), ("0", "5 runs")):
        result = at_server("run", "terminate", "--job", JOB, "--older-than-days", days)
        assert (result.exit_code, result.stdout) == (0, f"{number} stopped or about to stop\n")
    assert statuses(client, made) == {RunStatus.CANCELED}


def test_delete_asks_how_many_and_without_anybody_to_ask_refuses(
    at_server: Invoke, client: RunwireClient, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.terminate_runs(job_names=[JOB], force=True)
    nobody = at_server("run", "delete", "--job", JOB)
    assert (nobody.exit_code, left(client)) == (2, made)
    monkeypatch.setattr("runwire.cli.run.bulk.somebody_is_there", lambda: True)
    no = at_server("run", "delete", "--job", JOB, stdin="n\n")
    assert (no.exit_code, no.stderr, left(client)) == (1, "nothing was deleted\n", made)
    assert no.stdout.startswith("Delete 5 runs with their event logs?")
    yes = at_server("run", "delete", "--job", JOB, stdin="y\n")
    assert (yes.exit_code, left(client)) == (0, [])


@pytest.mark.parametrize("command", ["terminate", "delete"])
def test_one_run_or_a_choice_is_named_and_not_both(
    at_server: Invoke, client: RunwireClient, made: list[str], command: str
) -> None:
    for arguments in ([], [made[0], "--job", JOB]):
        result = at_server("run", command, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("error: name one run by its id, or say which runs by ")
    assert statuses(client, made) == {RunStatus.MANAGED}


def test_many_runs_are_not_deleted_by_force(
    at_server: Invoke, client: RunwireClient, made: list[str]
) -> None:
    result = at_server("run", "delete", "--job", JOB, "--force", "--yes")
    assert (result.exit_code, left(client)) == (2, made)
    assert "`runwire run terminate`" in result.stderr


@pytest.mark.parametrize("command", ["terminate", "delete"])
def test_a_dry_run_of_one_changes_nothing(
    at_server: Invoke, client: RunwireClient, made: list[str], command: str
) -> None:
    result = at_server("run", command, made[0], "--dry-run")
    assert (result.exit_code, result.stdout) == (0, f"{made[0]}\n")
    assert statuses(client, made[:1]) == {RunStatus.MANAGED}
