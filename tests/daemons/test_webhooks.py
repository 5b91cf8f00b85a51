"""The webhooks daemon: every event arrives, in order for each run, whatever the receiver does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runwire.daemons.runner import DaemonRunner
from runwire.daemons.webhooks import WebhooksDaemon
from runwire.events.types import EventType
from runwire.instance import Instance
from runwire.runs.status import RunStatus
from runwire.storage import WebhookState, WebhookStatus
from runwire.testing.left_behind import GENEROUS_SECONDS
from runwire.testing.samples import add_run, add_run_in, an_error, report
from runwire.webhooks import delivery
from tests.control.fakes import FakeWorkspace
from tests.webhooks.receiver import SECRET, Got, Receiver, Reply, a_receiver

SOON = {"initial_seconds": 0.05, "max_seconds": 0.1}


class World:
    """An instance with webhooks, and daemons that deliver to them."""

    def __init__(self, home: Path, webhooks: list[dict[str, Any]]) -> None:
        given = [
            {"secret": SECRET, "allow_private_networks": True, "retry": SOON, **each}
            for each in webhooks
        ]
        config = {
            "webhooks": given,
            "daemons": {
                "heartbeat_interval_seconds": 0.2,
                "heartbeat_tolerance_seconds": 5,
                "lease_seconds": 1,
            },
        }
        (home / "runwire.yaml").write_text(json.dumps(config))
        self.instance = Instance.from_home(home)
        self.storage = self.instance.storage
        self.webhooks = self.storage.webhook_storage
        self.errors: list[BaseException] = []

    @contextmanager
    def delivering(self) -> Iterator[DaemonRunner]:
        daemon = WebhooksDaemon(self.instance, FakeWorkspace())
        runner = DaemonRunner(self.instance, [daemon])
        with runner:
            assert runner.wait_until_working("WEBHOOKS", GENEROUS_SECONDS)
            self.wait_for(lambda: len(self.webhooks.get_webhooks()) > 0)
            yield runner

    def state(self, name: str = "hook") -> WebhookState:
        return self.webhooks.get_webhook(name)

    def head(self) -> int:
        return self.storage.event_log_storage.get_instance_log_span().head

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + GENEROUS_SECONDS
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def wait_until_stored(self, name: str = "hook") -> None:
        """Waits until all that happened is delivered, and that is known."""
        self.wait_for(lambda: self.state(name).position >= self._last_event())

    def letters(self, name: str = "hook") -> list[str]:
        page = self.webhooks.get_dead_letters(name, limit=100)
        return [letter.event_type for letter in page.letters]

    def _last_event(self) -> int:
        logs = self.storage.event_log_storage
        purged = logs.get_instance_log_span().purged_position
        records = logs.get_event_records(after=purged, limit=1, descending=True)
        return records.records[0].position if records.records else 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


@pytest.fixture
def world(tmp_path: Path, receiver: Receiver) -> Iterator[World]:
    world = World(tmp_path, [{"name": "hook", "url": receiver.url}])
    yield world
    world.instance.dispose()


def in_order(receiver: Receiver) -> None:
    """Checks that the events of each run came in order, those that came again left out."""
    seen: dict[str, list[int]] = {}
    known: set[str] = set()
    for got in receiver.accepted:
        got.verify()
        data = got.event.data
        assert data is not None
        if got.event.id not in known:
            known.add(got.event.id)
            seen.setdefault(data.run_id, []).append(data.run_position)
    assert all(positions == sorted(positions) for positions in seen.values())


def test_it_sends_what_happens_from_its_beginning_on(world: World, receiver: Receiver) -> None:
    add_run_in(world.storage, RunStatus.SUCCESS)
    with world.delivering():
        assert world.state().position == world.head()
        run = add_run(world.storage, tags={"team": "data"})
        report(world.storage, run.run_id, EventType.RUN_STARTING, EventType.RUN_START)
        report(world.storage, run.run_id, EventType.STEP_FAILURE, step_key="a", error=an_error())
        report(world.storage, run.run_id, EventType.RUN_SUCCESS)
        receiver.wait_for_accepted(4)
        world.wait_until_stored()
    assert receiver.types() == ["RUN_STARTING", "RUN_START", "STEP_FAILURE", "RUN_SUCCESS"]
    in_order(receiver)
    starting, _, failure, success = (got.event.data for got in receiver.accepted)
    assert starting
    assert failure
    assert success
    assert (starting.status, failure.status) == (RunStatus.STARTING, None)
    assert success.status is RunStatus.SUCCESS
    assert failure.step_key == "a"
    assert failure.error
    assert (failure.error.message, failure.error.class_name) == (
        "no rows",
        "ValueError",
    )
    assert (success.run_id, success.job_name) == (run.run_id, "daily")
    assert success.tags == {"team": "data"}
    state = world.state()
    assert (state.delivered, state.failures, state.trouble) == (4, 0, None)
    assert state.last_attempt
    assert state.last_attempt.status_code == 200


def test_only_what_is_wanted_is_sent(tmp_path: Path, receiver: Receiver) -> None:
    wanted = {"events": ["RUN_FAILURE"], "jobs": ["daily"], "tags": {"team": "data"}}
    world = World(tmp_path, [{"name": "hook", "url": receiver.url, **wanted}])
    with world.delivering():
        fail = (EventType.RUN_STARTING, EventType.RUN_FAILURE)
        for fields in ({"job_name": "weekly", "tags": {"team": "data"}}, {"tags": {"team": "web"}}):
            report(world.storage, add_run(world.storage, **fields).run_id, *fail)
        report(world.storage, add_run(world.storage).run_id, *fail)
        run = add_run(world.storage, tags={"team": "data", "other": "x"})
        report(world.storage, run.run_id, *fail)
        receiver.wait_for_accepted(1)
        # An event that came too late for the status of its run is kept, and told to nobody.
        report(world.storage, run.run_id, EventType.RUN_FAILURE)
        last = add_run(world.storage, tags={"team": "data"})
        report(world.storage, last.run_id, EventType.RUN_FAILURE)
        receiver.wait_for_accepted(2)
    assert [got.run_id for got in receiver.accepted] == [run.run_id, last.run_id]
    world.instance.dispose()


def test_headers_and_both_signatures_are_sent(tmp_path: Path, receiver: Receiver) -> None:
    before = "whsec_" + "QUJD" * 10
    given = {
        "previous_secret": before,
        "headers": {"Authorization": "Bearer of bad news"},
        "url": receiver.url + "?token=%7Bx%7D",
    }
    world = World(tmp_path, [{"name": "hook", **given}])
    with world.delivering():
        add_run_in(world.storage, RunStatus.FAILURE)
        receiver.wait_for_accepted(1)
    (got,) = receiver.accepted
    got.verify()
    got.verify(b"ABC" * 10)
    assert got.path == "/hook?token=%7Bx%7D"
    assert got.headers["authorization"] == "Bearer of bad news"
    assert got.headers["content-type"] == "application/json"
    world.instance.dispose()


def test_events_of_a_run_follow_one_another_while_runs_go_side_by_side(
    world: World, receiver: Receiver
) -> None:
    receiver.reply = lambda got: Reply(after_seconds=0.02)
    with world.delivering():
        runs = [add_run(world.storage) for _ in range(8)]
        for event_type in (EventType.RUN_STARTING, EventType.RUN_START, EventType.RUN_SUCCESS):
            for run in runs:
                report(world.storage, run.run_id, event_type)
        receiver.wait_for_accepted(24)
    in_order(receiver)
    assert 2 <= receiver.most_at_once <= 4
    assert len(receiver.requests) == 24


def test_what_fails_is_sent_again_until_it_is_there(world: World, receiver: Receiver) -> None:
    answers = [500, 503, 302, 404, 200, 429, 200]
    receiver.reply = lambda got: Reply(answers.pop(0), {"Location": "/elsewhere"})
    with world.delivering():
        run = add_run(world.storage)
        report(world.storage, run.run_id, EventType.RUN_STARTING)
        receiver.wait_for_accepted(1)
        report(world.storage, run.run_id, EventType.RUN_START)
        receiver.wait_for_accepted(2)
        world.wait_until_stored()
    assert len(receiver.requests) == 7
    assert {got.path for got in receiver.requests} == {"/hook"}
    first = receiver.requests[0]
    assert all(got.body == first.body for got in receiver.requests[:5])
    state = world.state()
    assert (state.delivered, state.failures, state.trouble) == (2, 5, None)


def test_an_event_that_is_refused_again_and_again_becomes_a_dead_letter(
    tmp_path: Path, receiver: Receiver
) -> None:
    retry = {**SOON, "max_refusals": 3}
    world = World(tmp_path, [{"name": "hook", "url": receiver.url, "retry": retry}])
    refuses = {"RUN_START"}
    receiver.reply = lambda got: Reply(422 if got.event.type in refuses else 200)
    with world.delivering():
        run = add_run_in(world.storage, RunStatus.SUCCESS)
        receiver.wait_for_accepted(2)
        world.wait_until_stored()
        assert receiver.types() == ["RUN_STARTING", "RUN_SUCCESS"]
        assert world.letters() == ["RUN_START"]
        (letter,) = world.webhooks.get_dead_letters("hook", limit=1).letters
        assert (letter.failures, letter.status_code, letter.run_id) == (3, 422, run.run_id)
        assert letter.error == "it answered 422"
        # Sent again by request, it fails once more, and is kept.
        world.webhooks.request_redelivery("hook", [letter.event_id])
        world.wait_for(lambda: len(receiver.requests) == 6)
        world.wait_for(
            lambda: not world.webhooks.get_dead_letters("hook", limit=1, requested=True).letters
        )
        (kept,) = world.webhooks.get_dead_letters("hook", limit=1).letters
        assert (kept.failures, kept.letter_id) == (4, letter.letter_id)
        refuses.clear()
        world.webhooks.request_redelivery("hook")
        receiver.wait_for_accepted(3)
        world.wait_for(lambda: world.letters() == [])
    again = receiver.accepted[-1]
    again.verify()
    assert (again.event.id, again.body) == (letter.event_id, letter.body)
    world.instance.dispose()


def test_many_letters_are_sent_again_while_events_go_on(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LETTERS_AT_ONCE", 2)
    with world.delivering():
        world.wait_for(lambda: world.webhooks.find_webhook("hook") is not None)
    run = add_run_in(world.storage, RunStatus.SUCCESS)
    receiver.reply = lambda got: Reply(400)
    with world.delivering():
        world.wait_for(lambda: len(world.letters()) == 3)
    receiver.reply = lambda got: Reply(200)
    with world.delivering():
        world.webhooks.request_redelivery("hook")
        other = add_run_in(world.storage, RunStatus.SUCCESS)
        receiver.wait_for_accepted(6)
        world.wait_for(lambda: world.letters() == [])
    assert {got.run_id for got in receiver.accepted} == {run.run_id, other.run_id}


def test_an_event_is_given_up_when_it_has_failed_for_long(
    tmp_path: Path, receiver: Receiver
) -> None:
    retry = {**SOON, "give_up_after_seconds": 0.3}
    world = World(tmp_path, [{"name": "hook", "url": receiver.url, "retry": retry}])
    receiver.reply = lambda got: Reply(500 if got.event.type == "RUN_STARTING" else 200)
    with world.delivering():
        add_run_in(world.storage, RunStatus.STARTED)
        receiver.wait_for_accepted(1)
        world.wait_until_stored()
    assert receiver.types() == ["RUN_START"]
    assert world.letters() == ["RUN_STARTING"]
    world.instance.dispose()


def test_a_webhook_that_is_gone_is_disabled_and_goes_on_where_it_was(
    world: World, receiver: Receiver
) -> None:
    receiver.reply = lambda got: Reply(410)
    with world.delivering():
        add_run_in(world.storage, RunStatus.STARTED)
        world.wait_for(lambda: world.state().status is WebhookStatus.DISABLED)
        assert world.state().reason == "it answered 410: it wants nothing any more"
        assert len(receiver.requests) == 1
        receiver.reply = lambda got: Reply()
        world.instance.resume_webhook("hook")
        receiver.wait_for_accepted(2)
    assert receiver.types() == ["RUN_STARTING", "RUN_START"]


def test_a_webhook_with_too_many_letters_is_disabled(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_DEAD_LETTERS", 1)
    receiver.reply = lambda got: Reply(400)
    with world.delivering():
        add_run_in(world.storage, RunStatus.STARTED)
        world.wait_for(lambda: world.state().status is WebhookStatus.DISABLED)
    assert world.letters() == ["RUN_STARTING"]
    assert "dead letters" in (world.state().reason or "")


def test_a_paused_webhook_is_left_alone_and_misses_nothing(
    world: World, receiver: Receiver
) -> None:
    with world.delivering():
        world.instance.pause_webhook("hook")
        run = add_run_in(world.storage, RunStatus.STARTED)
        time.sleep(0.5)
        assert receiver.requests == []
        world.instance.resume_webhook("hook")
        receiver.wait_for_accepted(2)
        world.wait_until_stored()
        assert len(receiver.requests) == 2
        # What was under way when it was paused is not sent again.
        receiver.reply = lambda got: Reply(after_seconds=0.5)
        report(world.storage, run.run_id, EventType.RUN_SUCCESS)
        world.wait_for(lambda: len(receiver.requests) == 3)
        world.instance.pause_webhook("hook")
        world.wait_until_stored()
        world.instance.resume_webhook("hook")
        add_run_in(world.storage, RunStatus.FAILURE)
        receiver.wait_for_accepted(4)
    assert len(receiver.requests) == 4


def test_a_slow_receiver_and_a_dead_one_delay_no_other(tmp_path: Path, receiver: Receiver) -> None:
    with a_receiver() as slow, a_receiver() as dead:
        dead.down()
        slow.reply = lambda got: Reply(after_seconds=3.0)
        world = World(
            tmp_path,
            [
                {"name": "slow", "url": slow.url, "max_in_flight": 1},
                {"name": "dead", "url": dead.url},
                {"name": "hook", "url": receiver.url},
            ],
        )
        with world.delivering():
            world.wait_for(lambda: len(world.webhooks.get_webhooks()) == 3)
            for _ in range(10):
                add_run_in(world.storage, RunStatus.SUCCESS)
            receiver.wait_for_accepted(30)
            assert len(slow.accepted) < 10
            world.wait_for(lambda: world.state("dead").trouble is not None)
            trouble = world.state("dead").trouble
            assert trouble is not None
            assert trouble.refusals == 0
            attempt = world.state("dead").last_attempt
            assert attempt
            assert attempt.error
            assert "cannot be connected to" in attempt.error
        world.instance.dispose()


def test_it_goes_on_where_another_process_left_off(world: World, receiver: Receiver) -> None:
    with world.delivering():
        world.wait_for(lambda: world.webhooks.find_webhook("hook") is not None)
    add_run_in(world.storage, RunStatus.SUCCESS)
    with world.delivering():
        receiver.wait_for_accepted(3)
        world.wait_until_stored()
    add_run_in(world.storage, RunStatus.SUCCESS)
    with world.delivering():
        receiver.wait_for_accepted(6)
        world.wait_until_stored()
    assert len(receiver.requests) == 6
    in_order(receiver)


def test_two_daemons_send_everything_once(world: World, receiver: Receiver) -> None:
    with world.delivering() as first:
        daemon = WebhooksDaemon(world.instance, FakeWorkspace())
        with DaemonRunner(world.instance, [daemon]) as second:
            for _ in range(5):
                add_run_in(world.storage, RunStatus.SUCCESS)
            receiver.wait_for_accepted(15)
            world.wait_until_stored()
            assert not second.is_working("WEBHOOKS")
            first.stop()
            assert second.wait_until_working("WEBHOOKS", GENEROUS_SECONDS)
            add_run_in(world.storage, RunStatus.SUCCESS)
            receiver.wait_for_accepted(18)
    assert len(receiver.requests) == 18
    in_order(receiver)


def test_what_was_purged_is_told(world: World, receiver: Receiver) -> None:
    with world.delivering():
        world.wait_for(lambda: world.webhooks.find_webhook("hook") is not None)
    begin = world.state().position
    add_run_in(world.storage, RunStatus.SUCCESS)
    purged = world.head()
    world.storage.event_log_storage.purge_instance_log(purged)
    with world.delivering():
        add_run_in(world.storage, RunStatus.FAILURE)
        receiver.wait_for_accepted(1)
        world.wait_until_stored()
        assert world.state().missed == purged - begin
        heartbeats = world.storage.run_storage.get_daemon_heartbeats
        world.wait_for(lambda: any("missed" in e.message for e in heartbeats()["WEBHOOKS"].errors))
    assert receiver.types() == ["RUN_FAILURE"]


def test_a_trouble_is_remembered_by_the_next_process(tmp_path: Path, receiver: Receiver) -> None:
    retry = {**SOON, "max_refusals": 4}
    world = World(tmp_path, [{"name": "hook", "url": receiver.url, "retry": retry}])
    refused: list[Got] = []

    def refuse(got: Got) -> Reply:
        refused.append(got)
        return Reply(400, after_seconds=0.0 if len(refused) < 3 else 0.2)

    receiver.reply = refuse
    with world.delivering():
        add_run_in(world.storage, RunStatus.FAILURE)
        world.wait_for(lambda: (t := world.state().trouble) is not None and t.failures >= 2)
    trouble = world.state().trouble
    with world.delivering():
        world.wait_for(lambda: world.letters() == ["RUN_FAILURE"])
    assert len(refused) == 4 or (trouble is None and len(refused) <= 5)
    world.instance.dispose()


def test_a_receiver_may_ask_to_be_left_alone(world: World, receiver: Receiver) -> None:
    answers = [Reply(429, {"Retry-After": "1"}), Reply(503, {"Retry-After": "1"}), Reply()]
    receiver.reply = lambda got: answers.pop(0)
    with world.delivering():
        add_run_in(world.storage, RunStatus.FAILURE)
        receiver.wait_for_accepted(1)
    first, second, third = (got.at for got in receiver.requests)
    assert second - first >= 0.99
    assert third - second >= 0.99


def test_a_log_that_is_new_is_sent_from_its_beginning(world: World, receiver: Receiver) -> None:
    with world.delivering():
        add_run_in(world.storage, RunStatus.FAILURE)
        receiver.wait_for_accepted(1)
        world.wait_until_stored()
    world.storage.run_storage.wipe()
    add_run_in(world.storage, RunStatus.FAILURE)
    with world.delivering():
        receiver.wait_for_accepted(2)


def test_everything_may_be_wiped_while_it_works(world: World, receiver: Receiver) -> None:
    with world.delivering():
        add_run_in(world.storage, RunStatus.FAILURE)
        receiver.wait_for_accepted(1)
        world.wait_until_stored()
        world.storage.wipe()
        world.wait_for(lambda: world.webhooks.find_webhook("hook") is not None)
        add_run_in(world.storage, RunStatus.FAILURE)
        receiver.wait_for_accepted(2)
