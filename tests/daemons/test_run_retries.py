"""The run retries daemon: which failures it sees, what it remembers, and that it gives each failed run one retry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from runwire.control import NewRun
from runwire.daemons.run_retries import PATIENCE_SECONDS, REST_SECONDS, RunRetriesDaemon
from runwire.events import EventLogEntry, EventType
from runwire.instance import Instance
from runwire.runs import RunRecord
from runwire.runs.filters import OLDEST_FIRST
from runwire.workspace import CodeLocationStatus, JobSelector
from tests.control.fakes import FakeLocation, FakeWorkspace
from tests.control.ways import events_of, tell

STORAGES: dict[str, Callable[[pytest.FixtureRequest], dict[str, Any]]] = {
    "sharded": lambda request: {"sqlite": {}},
    "consolidated": lambda request: {"sqlite": {"layout": "consolidated"}},
    "postgres": lambda request: {
        "postgres": {"postgres_url": request.getfixturevalue("postgres_url")}
    },
}


@dataclass
class World:
    instance: Instance
    here: FakeLocation = field(default_factory=lambda: FakeLocation("here", "etl"))
    there: FakeLocation = field(default_factory=lambda: FakeLocation("there", "report"))
    time: float = 0.0
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = self.instance.storage
        self.workspace = FakeWorkspace(self.here, self.there)
        self.daemon = self.other_daemon()

    def other_daemon(self) -> RunRetriesDaemon:
        return RunRetriesDaemon(self.instance, self.workspace, lambda: self.time)

    def look(self, after: float = 0.0) -> None:
        self.time += after
        self.daemon.run_iteration(self.errors.append, lambda: False)

    def failed(self, job: str = "etl") -> str:
        record, _ = self.instance.create_run(NewRun(job=JobSelector(job)), self.workspace)
        self.fail(record.run_id)
        return record.run_id

    def fail(self, run_id: str) -> None:
        tell(self.storage, run_id, EventType.RUN_FAILURE)

    def runs(self) -> list[RunRecord]:
        page = self.storage.run_storage.get_run_records(order=OLDEST_FIRST, limit=1000)
        return page.records

    def retries_of(self, run_id: str) -> list[RunRecord]:
        return [each for each in self.runs() if each.run.parent_run_id == run_id]

    def told(self, run_id: str) -> list[str]:
        return [
            event.message
            for event in events_of(self.storage, run_id)
            if event.message.startswith("The run is not retried")
        ]


@pytest.fixture(params=STORAGES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    settings = {
        "storage": STORAGES[request.param](request),
        "run_retries": {"enabled": True, "max_retries": 2},
        # Runs wait, so that a test says when they fail.
        "run_coordinator": {
            "module": "runwire.coordinators.queued",
            "class": "QueuedRunCoordinator",
        },
    }
    (tmp_path / "runwire.yaml").write_text(yaml.safe_dump(settings))
    with Instance.from_home(tmp_path) as instance:
        yield World(instance)


def test_what_fails_is_retried_as_often_as_wanted(world: World) -> None:
    world.look()
    first = world.failed()
    for number in (1, 2):
        world.look()
        assert [each.status.value for each in world.runs()][number:] == ["QUEUED"]
        world.fail(world.runs()[-1].run_id)
    world.look()
    parents = [each.run.parent_run_id for each in world.runs()]
    assert parents == [None, *(each.run_id for each in world.runs()[:2])]
    assert {each.root_run_id for each in world.runs()} == {first}
    assert world.told(world.runs()[-1].run_id) == [
        "The run is not retried: it was the last retry of 2."
    ]
    assert world.errors == []


def test_what_failed_before_it_was_there_is_left(world: World) -> None:
    world.failed()
    world.look()
    world.look()
    assert len(world.runs()) == 1


def test_what_fails_while_none_works_is_retried_by_the_next(world: World) -> None:
    world.look()
    run_id = world.failed()
    world.daemon = world.other_daemon()
    world.look()
    assert len(world.retries_of(run_id)) == 1


def test_any_number_of_daemons_from_any_position_give_one_retry(world: World) -> None:
    world.look()
    behind = [world.other_daemon() for _ in range(2)]
    for daemon in behind:
        daemon.run_iteration(world.errors.append, lambda: False)
    runs = [world.failed() for _ in range(5)]
    for daemon in [world.daemon, *behind, world.other_daemon()]:
        daemon.run_iteration(world.errors.append, lambda: False)
    assert [len(world.retries_of(run_id)) for run_id in runs] == [1] * 5
    assert len(world.runs()) == 10
    assert world.errors == []


def test_its_position_is_kept_past_what_is_done_only(world: World) -> None:
    world.look()
    waits = world.failed("report")
    world.there.turn(CodeLocationStatus.UNREACHABLE)
    done = world.failed()
    world.look()
    assert (len(world.retries_of(waits)), len(world.retries_of(done))) == (0, 1)
    assert len(world.errors) == 1
    world.daemon = world.other_daemon()
    world.there.turn(CodeLocationStatus.LOADED)
    world.look()
    assert (len(world.retries_of(waits)), len(world.retries_of(done))) == (1, 1)


def test_a_location_that_is_loading_is_not_waited_for(world: World) -> None:
    world.look()
    waits = world.failed("report")
    world.there.turn(CodeLocationStatus.LOADING)
    world.look()
    assert (world.retries_of(waits), world.there.waits) == ([], [])
    world.there.turn(CodeLocationStatus.LOADED)
    world.look(REST_SECONDS / 2)
    assert world.retries_of(waits) == []
    world.look(REST_SECONDS / 2)
    assert len(world.retries_of(waits)) == 1


def test_a_retry_is_given_up_at_last_and_told_once(world: World) -> None:
    world.look()
    waits = world.failed("report")
    world.there.turn(CodeLocationStatus.UNREACHABLE)
    world.look()
    world.look(PATIENCE_SECONDS)
    world.there.turn(CodeLocationStatus.LOADED)
    world.look(REST_SECONDS)
    world.daemon = world.other_daemon()
    world.look()
    assert world.retries_of(waits) == []
    (told,) = world.told(waits)
    assert "UNREACHABLE" in told


def test_a_wiped_instance_is_begun_anew(world: World) -> None:
    world.look()
    for _ in range(4):
        world.failed()
    world.look()
    world.storage.wipe()
    world.look()
    run_id = world.failed()
    world.look()
    assert len(world.retries_of(run_id)) == 1


def test_what_was_purged_is_passed_over(world: World) -> None:
    world.look()
    old = world.failed()
    logs = world.storage.event_log_storage
    logs.purge_instance_log(logs.get_instance_log_span().head)
    new = world.failed()
    world.look()
    assert (len(world.retries_of(old)), len(world.retries_of(new))) == (0, 1)


def test_a_failure_that_did_not_apply_is_none(world: World) -> None:
    world.look()
    record, _ = world.instance.create_run(NewRun(job=JobSelector("etl")), world.workspace)
    tell(world.storage, record.run_id, EventType.RUN_CANCELED)
    entry = EventLogEntry(run_id=record.run_id, event_type=EventType.RUN_FAILURE, message="late")
    world.storage.store_events(record.run_id, [entry])
    world.look()
    assert len(world.runs()) == 1
