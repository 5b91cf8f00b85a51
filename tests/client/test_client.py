"""The client against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runwire.client import (
    CodeLocation,
    RequestFailedError,
    RequestRefusedError,
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
    with pytest.raises(RequestRefusedError) as refused:
        client.submit_run("bad", idempotency_key="once")
    assert refused.value.type_name == "RunAlreadyExists"


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
    with pytest.raises(RequestRefusedError) as refused:
        client.launch_run(run_id)
    assert refused.value.type_name == "RunStateConflict"
    assert refused.value.details["run"]["status"] == "SUCCESS"
    assert refused.value.details["expectedStatuses"] == ["NOT_STARTED", "QUEUED"]
    client.delete_run(run_id)
    assert client.get_run(run_id) is None
    assert client.get_planned_steps(run_id) == ()


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
    with pytest.raises(RequestRefusedError) as refused:
        client.submit_run("gated", {"ops": {"gate": {"config": {}}}})
    assert refused.value.type_name == "RunConfigInvalid"
    assert [error["path"] for error in refused.value.details["errors"]] == [
        ["ops", "gate", "config", "file"]
    ]
    with pytest.raises(RequestRefusedError) as refused:
        next(client.follow_run("nope"))
    assert refused.value.type_name == "RunNotFound"
    with pytest.raises(RequestFailedError) as failed:
        client.list_runs(limit=0)
    assert failed.value.code == "INVALID_ARGUMENT"
    with pytest.raises(LookupError, match="there is no operation 'Nope'"):
        client.execute("Nope")


def test_a_run_that_nobody_launched_is_not_resumed(client: RunwireClient) -> None:
    run_id = client.create_run("good").run.run_id
    with pytest.raises(RequestRefusedError, match="launchRun starts it") as refused:
        client.resume_run(run_id, attempt_number=1)
    assert refused.value.type_name == "RunStateConflict"
    run = client.get_run(run_id)
    assert run is not None
    assert (run.status, run.stats.resume_attempts) == (RunStatus.NOT_STARTED, 0)


def test_the_daemons_are_told(client: RunwireClient) -> None:
    (daemon,) = client.list_daemons()
    assert (daemon.daemon_type, daemon.required) == ("MONITORING", True)


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
