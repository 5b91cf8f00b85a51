"""``run reexecute`` against a real server and real workers."""

from __future__ import annotations

from runwire.client import RunwireClient
from runwire.runs.status import RunStatus
from tests.cli.conftest import Invoke


def ended(client: RunwireClient, job: str) -> str:
    """A run of a job, ended."""
    run_id = client.submit_run(job).run.run_id
    for _ in client.follow_run(run_id):
        pass
    return run_id


def steps_of(client: RunwireClient, run_id: str) -> set[str | None]:
    """The steps that began in a run, which succeeds."""
    batches = list(client.follow_run(run_id))
    assert batches[-1].run.status is RunStatus.SUCCESS
    events = [event for batch in batches for event in batch.records]
    return {event.step_key for event in events if event.event_type == "STEP_START"}


def test_a_run_is_run_again_whole_or_in_part(at_server: Invoke, client: RunwireClient) -> None:
    run_id = ended(client, "good")
    whole = at_server("run", "reexecute", run_id[:13], "--tag", "why=again")
    assert (whole.exit_code, whole.stderr) == (0, "")
    assert steps_of(client, whole.stdout.strip()) == {"first", "last"}
    told = client.get_run(whole.stdout.strip())
    assert told is not None
    assert ("why", "again") in {(tag.key, tag.value) for tag in told.tags}
    part = at_server("run", "reexecute", run_id, "--select", "last*", "--follow")
    assert part.exit_code == 0
    one = at_server("run", "reexecute", run_id, "--step", "last")
    assert steps_of(client, one.stdout.strip()) == {"last"}


def test_what_is_refused_is_told(at_server: Invoke, client: RunwireClient) -> None:
    run_id = ended(client, "good")
    two = at_server("run", "reexecute", run_id, "--from-failure", "--step", "last")
    assert two.exit_code == 2
    assert "one of --from-failure, --step and --select" in two.stderr
    success = at_server("run", "reexecute", run_id, "--from-failure")
    assert success.exit_code != 0
    assert "nothing of it failed; ALL_STEPS runs it again" in success.stderr
