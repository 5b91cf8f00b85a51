"""The client against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runwire
from runwire.client import (
    CodeLocation,
    CodeLocationNotFoundError,
    CursorInvalidError,
    RequestFailedError,
    RunAlreadyExistsError,
    RunChange,
    RunConfigInvalidError,
    RunNotFoundError,
    RunStateConflictError,
    RunwireClient,
    ServerUnreachableError,
)
from runwire.errors import InputInvalidError
from runwire.runs.status import RunStatus
from runwire.workspace import CodeLocationStatus
from tests.cli.served import Served, free_port, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[RunwireClient]:
    with RunwireClient(served.url) as connected:
        yield connected


def line(message: str) -> dict[str, Any]:
    return {"message": message}


def test_a_submitted_run_is_followed_from_its_first_event_to_its_last(
    client: RunwireClient,
) -> None:
    submitted = client.submit_run("good", tags={"a": "1"})
    assert submitted.created
    batches = list(client.follow_run(submitted.run.run_id))
    events = [event for batch in batches for event in batch.records]
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert [event.message for event in events if event.event_type is None] == ["one", "got 1"]
    assert events[-1].event_type == "RUN_SUCCESS"
    assert batches[-1].run.status is RunStatus.SUCCESS
    assert batches[-1].end_cursor == batches[-1].head_cursor == events[-1].cursor


def test_the_same_idempotency_key_is_the_same_run(client: RunwireClient) -> None:
    first = client.submit_run("good", idempotency_key="once")
    second = client.submit_run("good", idempotency_key="once")
    assert (first.created, second.created) == (True, False)
    assert first.run.run_id == second.run.run_id
    with pytest.raises(RunAlreadyExistsError):
        client.submit_run("bad", idempotency_key="once")


def test_a_run_is_made_submitted_and_deleted_in_steps(client: RunwireClient) -> None:
    made = client.create_run(
        "good", tags=[("a", "1")], repository="__repository__", location="jobs"
    )
    run_id = made.run.run_id
    assert made.run.status is RunStatus.NOT_STARTED
    assert {t.key: t.value for t in client.add_run_tags(run_id, {"b": "2"}).tags} == {
        "a": "1",
        "b": "2",
    }
    assert client.get_planned_steps(run_id) == ("first", "last")
    client.submit_existing_run(run_id)
    assert [batch.run.status for batch in client.follow_run(run_id)][-1] is RunStatus.SUCCESS
    with pytest.raises(RunStateConflictError) as refused:
        client.launch_run(run_id)
    assert refused.value.status == "SUCCESS"
    assert refused.value.expected_statuses == ("NOT_STARTED", "QUEUED")
    client.delete_run(run_id)
    assert client.get_run(run_id) is None
    assert client.get_planned_steps(run_id) == ()


async def test_three_lines_do_in_a_notebook_where_an_event_loop_runs_already(
    served: Served,
) -> None:
    with runwire.connect(served.url) as client:
        run = client.submit("good", tags={"a": "1"})
        lines = [str(event) for event in client.follow(run)]
    assert [line.split()[0] for line in lines] == [str(n) for n in range(1, len(lines) + 1)]
    assert [line for line in lines if line.endswith(" [last] got 1")]


def test_a_page_of_runs_is_watched_on_from_where_it_ended(client: RunwireClient) -> None:
    page = client.list_runs(job_names=["watched"])
    assert page.runs == ()
    run_id = client.create_run("watched", managed=True).run.run_id
    client.create_run("another", managed=True)
    client.report_events(run_id, [{"eventType": "RUN_SUCCESS", "message": "done"}])
    client.delete_run(run_id)
    seen: list[RunChange] = []
    for batch in client.watch_runs(page.head_cursor, job_names=["watched"]):
        seen += batch.changes
        if seen and seen[-1].type == "DELETED":
            break
    assert {change.run_id for change in seen} == {run_id}
    assert seen[-1].run is None


def test_events_of_all_runs_are_watched(client: RunwireClient) -> None:
    begin = next(client.watch_events(["RUN_SUCCESS"], "HEAD")).end_cursor
    ids = [client.create_run(name, managed=True).run.run_id for name in ("watched", "other")]
    for run_id in ids:
        client.report_events(run_id, [{"eventType": "RUN_SUCCESS", "message": "done"}])
    seen = []
    for batch in client.watch_events(["RUN_SUCCESS"], begin):
        seen += [(event.run_id, event.message) for event in batch.records]
        if len(seen) == 2:
            break
    assert seen == [(run_id, "done") for run_id in ids]
    of_one = client.watch_events(["RUN_SUCCESS"], begin, job_names=["other"])
    assert [event.run_id for event in next(of_one).records] == ids[1:]
    with pytest.raises(CursorInvalidError):
        next(client.watch_events(["RUN_SUCCESS"], "nonsense"))


def test_any_subscription_is_run_by_its_name(client: RunwireClient) -> None:
    change = next(client.subscribe("WatchCodeLocations"))
    assert (change["type"], change["name"]) == ("CREATED", "jobs")
    run_id = client.create_run("outside", managed=True).run.run_id
    client.report_events(run_id, [{"eventType": "RUN_SUCCESS", "message": "done"}])
    batches = list(client.subscribe("FollowRun", {"runId": run_id}))
    assert [r["message"] for batch in batches for r in batch["records"]] == ["done"]


def test_a_code_location_is_loaded_anew(client: RunwireClient) -> None:
    loaded = CodeLocation(name="jobs", status=CodeLocationStatus.LOADED)
    assert client.reload_code_location("jobs") == loaded


def test_an_external_system_reports_events_once_and_ends_its_run(client: RunwireClient) -> None:
    run_id = client.create_run("outside", managed=True).run.run_id
    first = client.report_events(run_id, [line("a"), line("b")], idempotency_key="k")
    again = client.report_events(run_id, [line("a"), line("b")], idempotency_key="k")
    last = client.report_events(run_id, [{"eventType": "RUN_SUCCESS", "message": "done"}])
    assert [event.position for event in first] == [1, 2]
    assert again == first
    assert [(event.position, event.applied) for event in last] == [(3, True)]
    batches = list(client.follow_run(run_id))
    assert [e.message for batch in batches for e in batch.records] == ["a", "b", "done"]
    assert client.get_planned_steps(run_id) == ()


def test_a_follower_sees_what_is_reported_after_it_came(client: RunwireClient) -> None:
    run_id = client.create_run("outside", managed=True).run.run_id
    client.report_events(run_id, [line("before")])
    stream = client.follow_run(run_id)
    assert [event.message for event in next(stream).records] == ["before"]

    def report() -> None:
        client.report_events(run_id, [line("after")])
        client.report_events(run_id, [{"eventType": "RUN_CANCELED", "message": "stopped"}])

    reporter = threading.Thread(target=report)
    reporter.start()
    assert [e.message for batch in stream for e in batch.records] == ["after", "stopped"]
    reporter.join()


def test_refusals_carry_their_type_their_words_and_their_fields(client: RunwireClient) -> None:
    with pytest.raises(RunConfigInvalidError) as refused:
        client.submit_run("gated", {"ops": {"gate": {"config": {}}}})
    assert [problem.path for problem in refused.value.problems] == [
        ("ops", "gate", "config", "file")
    ]
    with pytest.raises(RunNotFoundError):
        next(client.follow_run("nope"))
    with pytest.raises(CodeLocationNotFoundError):
        client.reload_code_location("nope")
    with pytest.raises(RequestFailedError) as failed:
        client.list_runs(limit=0)
    assert failed.value.code == "INVALID_ARGUMENT"
    with pytest.raises(LookupError, match="there is no operation 'Nope'"):
        client.execute("Nope")


def test_a_run_that_nobody_launched_is_not_resumed(client: RunwireClient) -> None:
    run_id = client.create_run("good").run.run_id
    with pytest.raises(RunStateConflictError, match="launchRun starts it"):
        client.resume_run(run_id, attempt_number=1)
    run = client.get_run(run_id)
    assert run is not None
    assert (run.status, run.stats.resume_attempts) == (RunStatus.NOT_STARTED, 0)


def test_a_failed_run_is_run_again(client: RunwireClient) -> None:
    run_id = client.submit_run("bad").run.run_id
    assert [batch.run.status for batch in client.follow_run(run_id)][-1] is RunStatus.FAILURE
    again = client.reexecute_run(
        run_id, from_failure=True, tags={"why": "again"}, idempotency_key=run_id
    )
    assert again.created
    batches = list(client.follow_run(again.run.run_id))
    events = [event for batch in batches for event in batch.records]
    began = [event.step_key for event in events if event.event_type == "STEP_START"]
    assert (began, batches[-1].run.status) == (["fail"], RunStatus.FAILURE)
    repeated = client.reexecute_run(
        run_id, from_failure=True, tags={"why": "again"}, idempotency_key=run_id
    )
    assert (repeated.created, repeated.run.run_id) == (False, again.run.run_id)


def test_a_run_is_run_again_by_one_choice_of_steps(client: RunwireClient) -> None:
    with pytest.raises(ValueError, match="one of from_failure, step_keys and op_selection"):
        client.reexecute_run("r", from_failure=True, step_keys=["a"])
    with pytest.raises(RunNotFoundError):
        client.reexecute_run("r", op_selection=["a*"])


def test_the_daemons_are_told(client: RunwireClient) -> None:
    told = [(daemon.daemon_type, daemon.required) for daemon in client.list_daemons()]
    wanted = ("BACKFILLS", "MONITORING", "SCHEDULER", "SENSORS")
    assert told == [(each, True) for each in wanted]


def test_the_code_locations_are_told_once_they_are_loaded(client: RunwireClient) -> None:
    loaded = CodeLocation(name="jobs", status=CodeLocationStatus.LOADED)
    assert client.wait_until_ready() == (loaded,)


def test_waiting_for_a_server_that_does_not_come_ends() -> None:
    with (
        RunwireClient(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(ServerUnreachableError),
    ):
        client.wait_until_ready(0.1)


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(InputInvalidError, match="is no address of a server"):
        RunwireClient("localhost:3333")


def test_a_follower_outlives_its_server(tmp_path: Path) -> None:
    with serving(tmp_path) as server, RunwireClient(server.url) as client:
        run_id = client.create_run("outside", managed=True).run.run_id
        client.report_events(run_id, [line("before")])
        outages: list[str] = []
        stream = client.follow_run(run_id, on_outage=lambda outage: outages.append(outage.problem))
        received = [event.message for event in next(stream).records]
        server.kill()
        server.start()
        client.report_events(run_id, [line("after")])
        client.report_events(run_id, [{"eventType": "RUN_SUCCESS", "message": "done"}])
        received += [event.message for batch in stream for event in batch.records]
    assert received == ["before", "after", "done"]
    assert outages[0] == "the connection broke"
