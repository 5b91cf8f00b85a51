"""``run tail`` against a real server, through its death and return."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runwire.client import RunwireClient
from tests.cli.conftest import Invoke
from tests.cli.served import PATIENCE_SECONDS, Served, command, environment


def submit_gated(client: RunwireClient, gate: Path) -> str:
    config = {"ops": {"gate": {"config": {"file": str(gate)}}}}
    return client.submit_run("gated", config).run.run_id


def finished(client: RunwireClient, job: str) -> tuple[str, list[str]]:
    """A run that has ended, and the cursors of its events."""
    run_id = client.submit_run(job).run.run_id
    batches = client.follow_run(run_id)
    return run_id, [event.cursor for batch in batches for event in batch.records]


def test_json_is_one_event_a_line_and_its_cursor_resumes(
    at_server: Invoke, client: RunwireClient
) -> None:
    run_id, cursors = finished(client, "good")
    result = at_server("run", "tail", run_id, "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert (result.exit_code, result.stderr) == (0, "")
    assert [event["position"] for event in events] == list(range(1, len(cursors) + 1))
    assert events[-1]["eventType"] == "RUN_SUCCESS"

    rest = at_server("run", "tail", run_id, "--json", "--after", events[4]["cursor"])
    assert [json.loads(line) for line in rest.stdout.splitlines()] == events[5:]
    assert rest.exit_code == 0


def test_after_the_last_event_there_is_nothing_to_show_but_the_end(
    at_server: Invoke, client: RunwireClient
) -> None:
    run_id, cursors = finished(client, "bad")
    result = at_server("run", "tail", run_id, "--json", "--after", cursors[-1])
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_run_that_is_canceled_meanwhile_exits_3(
    at_server: Invoke, client: RunwireClient, tmp_path: Path, shared_server: Served
) -> None:
    run_id = submit_gated(client, tmp_path / "never")
    with tailing(shared_server, run_id) as tail:
        wait_for_the_gate(tail)
        stopped = at_server("run", "terminate", run_id[:8])
        tail.communicate(timeout=PATIENCE_SECONDS)
        assert tail.returncode == 3
    assert (stopped.exit_code, stopped.stderr) == (0, "")
    assert stopped.stdout in {f"run {run_id} is {status}\n" for status in ("CANCELING", "CANCELED")}


def test_a_cursor_of_another_run_is_refused(at_server: Invoke, client: RunwireClient) -> None:
    _, cursors = finished(client, "good")
    run_id, _ = finished(client, "good")
    result = at_server("run", "tail", run_id, "--after", cursors[0])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: the cursor belongs to another log")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("cursor", ["x", "\u00e4", "head", ""])
def test_a_malformed_cursor_is_refused(
    at_server: Invoke, client: RunwireClient, cursor: str
) -> None:
    run_id, _ = finished(client, "good")
    result = at_server("run", "tail", run_id, "--after", cursor)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {cursor!r} is not a cursor; ")
    assert result.stderr.count("\n") == 1


@contextmanager
def tailing(server: Served, run_id: str) -> Iterator[subprocess.Popen[str]]:
    """`run tail --json` in a process of its own."""
    process = subprocess.Popen(
        command("run", "tail", run_id, "--json", "--url", server.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_the_gate(tail: subprocess.Popen[str]) -> list[str]:
    """What a tail shows up to the moment in which the run waits for its gate."""
    assert tail.stdout is not None
    shown = []
    for line in tail.stdout:
        shown.append(line)
        if "the gate is shut" in line:
            return shown
    raise AssertionError(f"the tail ended: {shown}")


def test_each_event_once_though_the_server_is_killed_and_restarted_in_mid_run(
    server: Served, tmp_path: Path
) -> None:
    with RunwireClient(server.url) as client:
        run_id = submit_gated(client, tmp_path / "gate")
    with tailing(server, run_id) as tail:
        shown = wait_for_the_gate(tail)
        server.kill()
        server.start()
        (tmp_path / "gate").touch()
        rest, complaints = tail.communicate(timeout=PATIENCE_SECONDS)
    events = [json.loads(line) for line in [*shown, *rest.splitlines()]]
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["eventType"] == "RUN_SUCCESS"
    assert len(shown) < len(events)
    assert tail.returncode == 0
    assert complaints.splitlines()[0].startswith("connection lost (")


def test_an_interrupt_leaves_the_run_alone_and_tells_how_to_go_on(
    at_server: Invoke, client: RunwireClient, shared_server: Served
) -> None:
    run_id = client.create_run("outside", managed=True).run.run_id
    client.report_events(run_id, [{"message": "the gate is shut"}])
    with tailing(shared_server, run_id) as tail:
        cursor = json.loads(wait_for_the_gate(tail)[-1])["cursor"]
        tail.send_signal(signal.SIGINT)
        _, said = tail.communicate(timeout=PATIENCE_SECONDS)
    assert tail.returncode == 130
    # Interrupted while it shows the event, it cannot know whether that was seen, and starts before it.
    again = f"runwire run tail {run_id}"
    after_the_event = f"{again} --after {cursor}"
    beginning, _, told = said.rstrip("\n").partition(": ")
    assert beginning == "the run goes on; follow it with"
    assert told in {again, after_the_event}
    client.report_events(run_id, [{"eventType": "RUN_SUCCESS", "message": "done"}])
    rest = at_server(*told.split()[1:], "--json")
    positions = [json.loads(line)["position"] for line in rest.stdout.splitlines()]
    assert positions == ([2] if told == after_the_event else [1, 2])
    assert rest.exit_code == 0
