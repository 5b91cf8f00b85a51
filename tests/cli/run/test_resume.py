"""``run resume`` against a real server and real workers."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest

from runwire.client import RunwireClient
from runwire.runs.status import RunStatus
from tests.cli.conftest import Invoke
from tests.cli.served import Served


def submit_gated(client: RunwireClient, gate: Path) -> str:
    """A run whose worker waits at the gate, its first step done."""
    config = {"ops": {"gate": {"config": {"file": str(gate)}}}}
    run_id = client.submit_run("gated", config).run.run_id
    wait_for(client, run_id, "the gate is shut")
    return run_id


def wait_for(client: RunwireClient, run_id: str, text: str) -> None:
    """Waits until the log of a run holds a message or an event of a type."""
    for batch in client.follow_run(run_id):
        if any(text in {event.message, event.event_type} for event in batch.records):
            return
    raise AssertionError(f"{text!r} did not come")


def test_a_resumed_run_goes_on_where_it_was(
    at_server: Invoke, client: RunwireClient, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run_id = submit_gated(client, gate)
    result = at_server("run", "resume", run_id[:13], "--attempt", "1")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{run_id}\n", "")
    gate.touch()
    batches = list(client.follow_run(run_id))
    assert batches[-1].run.status is RunStatus.SUCCESS
    events = [event for batch in batches for event in batch.records if event.applied]
    starts = [event.step_key for event in events if event.event_type == "STEP_START"]
    assert starts.count("first") == 1
    assert starts[-1] == "last"
    shown = at_server("run", "show", run_id).stdout
    told = dict(re.split(r" {2,}", line, maxsplit=1) for line in shown.splitlines())
    assert told["resumed"] == "once"
    as_json = json.loads(at_server("run", "show", run_id, "--json").stdout)
    assert as_json["stats"]["resumeAttempts"] == 1


def test_follow_shows_its_events_to_the_end(
    at_server: Invoke, client: RunwireClient, shared_server: Served, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run_id = submit_gated(client, gate)

    def open_gate() -> None:
        with RunwireClient(shared_server.url) as other:
            wait_for(other, run_id, "RUN_WORKER_LOST")
        gate.touch()

    opener = threading.Thread(target=open_gate)
    opener.start()
    result = at_server("run", "resume", run_id, "--follow")
    opener.join()
    assert result.exit_code == 0
    assert result.stderr == f"run {run_id} is resumed\n"
    assert f"run {run_id} ended in SUCCESS after " in result.stdout.splitlines()[-1]


def test_a_run_whose_job_is_gone_is_refused_with_2_and_keeps_its_worker(
    server: Served, invoke: Invoke, tmp_path: Path
) -> None:
    gate, jobs = tmp_path / "gate", server.folder / "jobs.py"
    with RunwireClient(server.url) as client:
        run_id = submit_gated(client, gate)
        jobs.write_text(jobs.read_text(encoding="utf-8").replace("def gated()", "def renamed()"))
        client.execute("ReloadCodeLocation", {"input": {"name": "jobs"}})
        result = invoke("run", "resume", run_id, "--url", server.url)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("error: there is no job 'gated' in repository ")
        assert result.stderr.endswith(" of code location 'jobs'; there are: bad, good, renamed\n")
        gate.touch()
        list(client.follow_run(run_id))
        run = client.get_run(run_id)
    assert run is not None
    assert (run.status, run.stats.resume_attempts) == (RunStatus.SUCCESS, 0)


@pytest.mark.parametrize("attempt", ["2", "7"])
def test_an_attempt_that_is_not_the_next_is_refused_with_1(
    at_server: Invoke, client: RunwireClient, tmp_path: Path, attempt: str
) -> None:
    run_id = submit_gated(client, tmp_path / "gate")
    result = at_server("run", "resume", run_id, "--attempt", attempt)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(f"attempt {attempt} is not the next; the next attempt is 1\n")
    run = client.get_run(run_id)
    assert run is not None
    assert (run.status, run.stats.resume_attempts) == (RunStatus.STARTED, 0)
    client.terminate_run(run_id, force=True)


def test_a_run_that_has_ended_is_refused_with_1(at_server: Invoke, client: RunwireClient) -> None:
    run_id = client.submit_run("good").run.run_id
    list(client.follow_run(run_id))
    result = at_server("run", "resume", run_id)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: run '{run_id}' is SUCCESS, this needs ")


def test_an_attempt_below_1_is_bad_input(at_server: Invoke) -> None:
    assert at_server("run", "resume", "any", "--attempt", "0").exit_code == 2
