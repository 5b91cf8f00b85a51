"""The backfills daemon: which backfills it goes on with, and what delays what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runwire.control import NewBackfill
from runwire.daemons.backfills import BackfillsDaemon
from runwire.instance import Instance
from runwire.partitions import PartitionsKind, PartitionsSnapshot
from runwire.runs.filters import OLDEST_FIRST
from runwire.storage import BackfillStatus
from runwire.testing.left_behind import GENEROUS_SECONDS, eventually
from runwire.workspace import JobSelector
from tests.control.fakes import FakeLocation, FakeWorkspace

QUEUED = "run_coordinator: {module: runwire.coordinators.queued, class: QueuedRunCoordinator}"
REGIONS = PartitionsSnapshot(PartitionsKind.STATIC, keys=("eu", "us", "asia"), has_config=True)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    (tmp_path / "runwire.yaml").write_text(QUEUED)
    with Instance.from_home(tmp_path) as instance:
        yield instance


@pytest.fixture
def workspace() -> FakeWorkspace:
    made = FakeWorkspace(FakeLocation("here", "etl"), FakeLocation("there", "elt"))
    made.locations["here"].partition("etl", REGIONS)
    made.locations["there"].partition("elt", REGIONS)
    return made


def backfill(instance: Instance, workspace: FakeWorkspace, job_name: str) -> str:
    wanted = NewBackfill(job=JobSelector(job_name))
    return instance.create_backfill(wanted, workspace)[0].backfill_id


def work(daemon: BackfillsDaemon, reported: list[BaseException] | None = None) -> None:
    errors: list[BaseException] = [] if reported is None else reported
    daemon.run_iteration(errors.append, lambda: False)
    assert reported is not None or not errors


def told(instance: Instance) -> list[tuple[str, str, str]]:
    page = instance.storage.run_storage.get_run_records(order=OLDEST_FIRST, limit=99)
    return [
        (each.run.job_name, each.run.tags["runwire/partition"], each.status.value)
        for each in page.records
    ]


def test_it_goes_on_with_all_that_have_not_ended(
    instance: Instance, workspace: FakeWorkspace
) -> None:
    daemon = BackfillsDaemon(instance, workspace)
    work(daemon)
    ids = [backfill(instance, workspace, name) for name in ("etl", "elt")]
    for _ in range(2):
        work(daemon)
        daemon.wait_until_idle(GENEROUS_SECONDS)
    assert sorted(told(instance)) == [
        (name, key, "QUEUED") for name in ("elt", "etl") for key in ("asia", "eu", "us")
    ]
    instance.cancel_backfill(ids[0])
    work(daemon)
    daemon.wait_until_idle(GENEROUS_SECONDS)
    states = [instance.storage.backfill_storage.get_backfill(each).status for each in ids]
    assert states == [BackfillStatus.CANCELED, BackfillStatus.IN_PROGRESS]
    daemon.close()


def test_a_function_that_hangs_delays_no_other_code_location(
    instance: Instance, workspace: FakeWorkspace
) -> None:
    """Nor does an iteration wait for it, or begin the step a second time."""
    gate, asked = threading.Event(), threading.Event()

    def hang(key: str) -> dict[str, Any]:
        asked.set()
        assert gate.wait(GENEROUS_SECONDS)
        return {}

    workspace.locations["here"].configure = hang
    daemon = BackfillsDaemon(instance, workspace)
    hanging = backfill(instance, workspace, "etl")
    work(daemon)
    assert asked.wait(GENEROUS_SECONDS)
    backfill(instance, workspace, "elt")
    while len(told(instance)) < 3:
        work(daemon)
    assert {name for name, _, _ in told(instance)} == {"elt"}
    assert instance.storage.backfill_storage.get_backfill(hanging).position == 0
    gate.set()
    daemon.wait_until_idle(GENEROUS_SECONDS)
    assert len(told(instance)) == 6
    daemon.close()


def test_an_error_is_reported_and_the_step_is_done_again(
    instance: Instance, workspace: FakeWorkspace
) -> None:
    def broken(key: str) -> dict[str, Any]:
        raise ZeroDivisionError

    workspace.locations["here"].configure = broken
    daemon = BackfillsDaemon(instance, workspace)
    backfill(instance, workspace, "etl")
    reported: list[BaseException] = []
    work(daemon, reported)
    daemon.wait_until_idle(GENEROUS_SECONDS)
    assert [type(each) for each in reported] == [ZeroDivisionError]
    workspace.locations["here"].configure = lambda key: {}
    work(daemon)
    daemon.wait_until_idle(GENEROUS_SECONDS)
    assert len(told(instance)) == 3
    daemon.close()


def test_what_should_stop_leaves_the_rest_to_others(
    instance: Instance, workspace: FakeWorkspace
) -> None:
    stopping = threading.Event()

    def stop(key: str) -> dict[str, Any]:
        stopping.set()
        return {}

    workspace.locations["here"].configure = stop
    daemon = BackfillsDaemon(instance, workspace)
    backfill_id = backfill(instance, workspace, "etl")
    daemon.run_iteration(lambda error: None, stopping.is_set)
    daemon.wait_until_idle(GENEROUS_SECONDS)
    assert [key for _, key, _ in told(instance)] == ["eu"]
    assert instance.storage.backfill_storage.get_backfill(backfill_id).position == 1
    daemon.close()


def test_of_two_that_work_at_once_each_partition_has_one_run(
    tmp_path: Path, instance: Instance, workspace: FakeWorkspace
) -> None:
    """Both believe to have the lease, and go on with the same steps side by side."""
    keys = tuple(f"key-{number:02}" for number in range(30))
    workspace.locations["here"].partition("etl", PartitionsSnapshot(REGIONS.kind, keys=keys))
    with Instance.from_home(tmp_path) as other:
        daemons = [BackfillsDaemon(each, workspace) for each in (instance, other)]
        backfill(instance, workspace, "etl")
        reported: list[BaseException] = []

        def is_submitted() -> bool:
            for daemon in daemons:
                work(daemon, reported)
            return len(told(instance)) == 25

        eventually(is_submitted, "as many runs are submitted as may wait at once")
        for daemon in (*daemons, *daemons):
            daemon.wait_until_idle(GENEROUS_SECONDS)
            work(daemon, reported)
        for daemon in daemons:
            daemon.wait_until_idle(GENEROUS_SECONDS)
            daemon.close()
    assert [key for _, key, _ in told(instance)] == list(keys[:25])
    assert {status for _, _, status in told(instance)} == {"QUEUED"}
    assert reported == []
