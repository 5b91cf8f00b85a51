"""A receiver that is down and slow after, and a daemon that is killed meanwhile: every event, in order, verified."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.events.types import EventType
from runwire.fault_points import WEBHOOK_FAULT_POINTS
from runwire.instance import Instance
from runwire.testing.left_behind import eventually
from runwire.testing.samples import add_run, report
from tests.end_to_end.conftest import StartDaemon
from tests.torture import only_in_full
from tests.webhooks.receiver import SECRET, Got, Receiver, Reply, a_receiver

PATIENCE = 120.0
LIFE = (
    EventType.RUN_ENQUEUED,
    EventType.RUN_STARTING,
    EventType.RUN_START,
    EventType.STEP_FAILURE,
    EventType.RUN_FAILURE,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


@pytest.fixture
def home(tmp_path: Path, receiver: Receiver) -> Path:
    webhook = {
        "name": "hook",
        "url": receiver.url,
        "secret": SECRET,
        "allow_private_networks": True,
        "retry": {"initial_seconds": 0.1, "max_seconds": 1.0},
    }
    beats = {
        "lease_seconds": 1,
        "heartbeat_interval_seconds": 0.2,
        "heartbeat_tolerance_seconds": 2,
    }
    config = {"webhooks": [webhook], "daemons": beats, "run_monitoring": {"enabled": False}}
    (tmp_path / "runwire.yaml").write_text(json.dumps(config))
    return tmp_path


def produce(instance: Instance, runs: int, pause: float) -> list[str]:
    """Runs that live side by side, their events in a random order across runs; their ids."""
    chance = random.Random(6)
    living = {add_run(instance.storage).run_id: list(LIFE) for _ in range(runs)}
    ids = list(living)
    while living:
        run_id = chance.choice(list(living))
        step = {"step_key": "load"} if living[run_id][0] is EventType.STEP_FAILURE else {}
        report(instance.storage, run_id, living[run_id].pop(0), **step)
        if not living[run_id]:
            del living[run_id]
        time.sleep(pause)
    return ids


def check(receiver: Receiver, run_ids: list[str]) -> int:
    """Checks that each event came, in order for its run, verified; returns how many came again."""
    first: dict[str, Got] = {}
    for got in receiver.accepted:
        got.verify()
        known = first.setdefault(got.event.id, got)
        assert known.body == got.body
    of_runs: dict[str, list[str]] = {run_id: [] for run_id in run_ids}
    for got in first.values():
        of_runs[got.run_id].append(got.event.type)
    wanted = [event_type.value for event_type in LIFE]
    assert of_runs == dict.fromkeys(run_ids, wanted)
    return len(receiver.accepted) - len(first)


def wait_until_begun(instance: Instance) -> None:
    webhooks = instance.storage.webhook_storage
    eventually(lambda: webhooks.find_webhook("hook"), "a daemon has begun with it")


def go_down_and_be_slow_after(
    home: Path, start_daemon: StartDaemon, receiver: Receiver, *, runs: int, down_seconds: float
) -> None:
    with Instance.from_home(home) as instance:
        first, standby = start_daemon(), start_daemon()
        wait_until_begun(instance)
        ids: list[str] = []
        pause = down_seconds / 4 / (runs * len(LIFE))
        producing = threading.Thread(target=lambda: ids.extend(produce(instance, runs, pause)))
        producing.start()
        time.sleep(down_seconds / 10)
        receiver.down()
        time.sleep(down_seconds / 2)
        first.kill()
        time.sleep(down_seconds / 2)
        chance = random.Random(7)
        receiver.reply = lambda got: Reply(after_seconds=chance.uniform(0.0, 0.05))
        receiver.up()
        producing.join(PATIENCE)
        events = runs * len(LIFE)
        receiver.wait_for(lambda: len({got.event.id for got in receiver.accepted}) > events // 2)
        standby.kill()
        start_daemon()
        receiver.wait_for_accepted(events, PATIENCE)
        head = instance.storage.event_log_storage.get_instance_log_span().head
        webhooks = instance.storage.webhook_storage
        eventually(lambda: webhooks.get_webhook("hook").position >= head, "its place is stored")
        again = check(receiver, ids)
        assert again <= 100
        state = webhooks.get_webhook("hook")
        assert (state.missed, webhooks.get_dead_letter_counts()) == (0, {})


def test_a_receiver_that_is_down_for_seconds_gets_every_event_in_order(
    home: Path, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    go_down_and_be_slow_after(home, start_daemon, receiver, runs=20, down_seconds=3.0)


@pytest.mark.torture
@only_in_full
def test_a_receiver_that_is_down_for_a_minute_gets_every_event_in_order(
    home: Path, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    go_down_and_be_slow_after(home, start_daemon, receiver, runs=300, down_seconds=60.0)


@pytest.mark.parametrize("point", WEBHOOK_FAULT_POINTS)
def test_a_daemon_that_is_killed_as_it_stores_its_place_loses_nothing(
    point: str, home: Path, start_daemon: StartDaemon, receiver: Receiver, tmp_path: Path
) -> None:
    with Instance.from_home(home) as instance:
        doomed = start_daemon(f"{point}:{tmp_path / 'died'}")
        wait_until_begun(instance)
        ids = produce(instance, 4, 0.01)
        doomed.wait(PATIENCE)
        assert doomed.returncode == -signal.SIGKILL
        start_daemon()
        receiver.wait_for_accepted(4 * len(LIFE), PATIENCE)
        again = check(receiver, ids)
        assert again > 0 or point == "webhook.after_save"
