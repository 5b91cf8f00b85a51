"""Whoever resumes by the last cursor gets every position once, whatever dies in between."""

from __future__ import annotations

import multiprocessing
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runwire import clock
from tests.end_to_end.conftest import (
    STORAGES,
    Server,
    Subscriber,
    report,
    storage_setting,
    wait_until,
)
from tests.torture import FULL

pytestmark = [pytest.mark.torture, pytest.mark.timeout(600)]

EVENTS = 20_000 if FULL else 2_000
BATCH = 50
SUBSCRIBERS = 200 if FULL else 20
LIVE_EVENTS = 5_000 if FULL else 2_000
LIVE_PAUSE = 1.6 if FULL else 0.02
"""In full the eight writers report some 500 events a second together."""


@pytest.fixture(params=STORAGES)
def stored(request: pytest.FixtureRequest, server: Server) -> Server:
    """The server, on each storage."""
    (server.home / "runwire.yaml").write_text(storage_setting(request, request.param))
    return server


def events(first: int, count: int, writer: int) -> list[dict[str, str]]:
    """Log lines with names of their own, stamped a little before they are stored, as reports are."""
    stamp = clock.now() - timedelta(milliseconds=random.randrange(200))
    text = stamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return [{"message": f"{writer}-{first + i}", "timestamp": text} for i in range(count)]


def write(home: Path, port: int, run_id: str, writer: int, count: int, pause: float) -> None:
    """One external process that reports its share in small batches, with pauses of up to so many seconds."""
    server = Server(home, port)
    random.seed(writer)
    done = 0
    while done < count:
        size = min(random.randrange(1, 2 * BATCH), count - done)
        report(server, run_id, events(done, size, writer), f"{writer}-{done}")
        done += size
        time.sleep(random.random() * pause)


def end(server: Server, run_id: str) -> None:
    report(server, run_id, [{"eventType": "RUN_SUCCESS", "message": "done"}], "end")


def start_writers(
    server: Server, run_id: str, writers: int, events: int = EVENTS, pause: float = 0.02
) -> list[multiprocessing.Process]:
    spawn = multiprocessing.get_context("spawn")
    share = events // writers
    processes = [
        spawn.Process(target=write, args=(server.home, server.port, run_id, number, share, pause))
        for number in range(writers)
    ]
    for process in processes:
        process.start()
    return processes  # type: ignore[return-value]


def complaints(subscriber: Subscriber, writers: int, events: int = EVENTS) -> list[str]:
    """What is wrong with what a subscriber got; empty when it got everything once, in order."""
    expected = {f"{w}-{i}" for w in range(writers) for i in range(events // writers)} | {"done"}
    got = subscriber.messages
    found = {
        "the stream failed": subscriber.failure is not None,
        "positions are not 1..N": subscriber.positions != list(range(1, len(expected) + 1)),
        "events are missing": bool(expected - set(got)),
        "events came twice": len(set(got)) != len(got),
        "ranges are not contiguous": not subscriber.ranges_are_contiguous,
    }
    return [problem for problem, holds in found.items() if holds]


def test_a_client_that_loses_its_connection_and_its_server_gets_each_position_once(
    stored: Server,
) -> None:
    server = stored
    server.start()
    run_id = server.create_managed_run()
    drops = tuple(EVENTS * part // 10 for part in (2, 4, 8))
    subscriber = Subscriber(server, run_id, drop_at=drops)
    subscriber.start()
    [writer] = start_writers(server, run_id, 1)
    wait_until(lambda: len(subscriber.positions) > EVENTS * 6 // 10, "the middle of the run")
    server.kill()
    server.start()
    writer.join(200)
    end(server, run_id)
    subscriber.join(200)
    assert complaints(subscriber, writers=1) == []
    assert subscriber.connections >= 5  # at first, after each of three drops, after the kill
    assert subscriber.statuses[-1] == "SUCCESS"


def follow_while_eight_write(server: Server) -> list[Subscriber]:
    server.start()
    run_id = server.create_managed_run()
    writers = start_writers(server, run_id, 8, LIVE_EVENTS, LIVE_PAUSE)
    random.seed(7)
    subscribers = []
    for _ in range(SUBSCRIBERS):
        subscribers.append(Subscriber(server, run_id))
        subscribers[-1].start()
        time.sleep(random.random() * 0.08)
    for writer in writers:
        writer.join(200)
    end(server, run_id)
    for subscriber in subscribers:
        subscriber.join(200)
    return subscribers


def test_clients_that_join_while_eight_processes_write_get_each_position_once(
    stored: Server,
) -> None:
    for subscriber in follow_while_eight_write(stored):
        assert complaints(subscriber, writers=8, events=LIVE_EVENTS) == []


def test_the_harness_finds_what_a_time_ordered_read_loses(server: Server) -> None:
    """The control: without dense positions in commit order the same clients miss events."""
    (server.home / "runwire.yaml").write_text(
        "storage: {custom: {module: time_ordered, class: TimeOrderedStorage,"
        f" config: {{base_dir: {server.home}}}}}}}\n"
    )
    server.environ["PYTHONPATH"] = str(Path(__file__).parent)
    found = [
        complaints(one, writers=8, events=LIVE_EVENTS) for one in follow_while_eight_write(server)
    ]
    assert any("events are missing" in problems for problems in found)
    assert any("events came twice" in problems for problems in found)


def test_the_timestamps_of_the_harness_are_no_order_of_arrival() -> None:
    """What makes the control meaningful: stamps overlap between writers."""
    random.seed(1)
    stamps = [events(0, 1, 0)[0]["timestamp"] for _ in range(50)]
    assert stamps != sorted(stamps)
    assert all(datetime.fromisoformat(stamp).tzinfo == UTC for stamp in stamps)
