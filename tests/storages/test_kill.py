"""Writers that are killed lose nothing that was acknowledged, and leave nothing that repair cannot mend."""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runwire.config import ConfigurableClassData
from runwire.instance.settings import composed_storage, sqlite_storage
from runwire.runs.projection import project
from runwire.runs.run import RunRecord, StepCounts, new_run_id
from runwire.runs.status import RunStatus
from runwire.storage import InstanceEventKind, InstanceStorage
from runwire.testing.samples import lines, positions, read_log
from tests.torture import FULL

pytestmark = [pytest.mark.torture, pytest.mark.timeout(600)]

KILLS = 200 if FULL else 15
KILLS_AT_A_POINT = 12 if FULL else 2

POINTS = (
    "before the link of a new log",
    "after the making of a log",
    "before the row is written",
    "after the row is written",
    "before a commit",
    "after a commit",
)

Event = tuple[int, str | None, bool]
"""Position, stored type, and whether it is applied."""


@dataclass
class Acknowledged:
    """What writers were told to have been stored."""

    runs: list[str] = field(default_factory=list)
    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))

    def note(self, told: list[Any]) -> None:
        match told:
            case ["run", run_id]:
                self.runs.append(run_id)
            case ["event", run_id, position, stored_type, applied]:
                self.events[run_id].append((position, stored_type, applied))
            case _:
                raise AssertionError(told)


class Writers:
    """Starts writers, one at a time."""

    def __init__(self, place: ConfigurableClassData) -> None:
        self._place = place
        script = Path(__file__).with_name("doomed_writer.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, seed: int, point: str) -> int:
        """Starts a writer; returns its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([seed, point, self._place.to_dict()]) + "\n")
        self._process.stdin.flush()
        told = self.listen()
        assert told[0] == "writer"
        return int(told[1])

    def listen(self) -> list[Any]:
        """The next thing that is told."""
        assert self._process.stdout is not None
        told: list[Any] = json.loads(self._process.stdout.readline())
        return told

    def listen_to_the_end(self, acknowledged: Acknowledged) -> None:
        """Notes what is told until the writer is dead."""
        while (told := self.listen()) != ["dead"]:
            acknowledged.note(told)

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(params=["sharded", "composed"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> ConfigurableClassData:
    """The storage that is written to: one, or one for runs and another one for their logs."""
    sharded = sqlite_storage(tmp_path, {})
    if request.param == "sharded":
        return sharded
    apart = sqlite_storage(tmp_path / "runs", {"layout": "consolidated"})
    return composed_storage(
        {"run_storage": apart, "event_log_storage": sharded, "schedule_storage": apart}
    )


@pytest.fixture
def writers(place: ConfigurableClassData) -> Iterator[Writers]:
    writers = Writers(place)
    yield writers
    writers.close()


def test_killed_at_random(place: ConfigurableClassData, writers: Writers) -> None:
    acknowledged = Acknowledged()
    chance, checked = random.Random(20240611), 0
    for turn in range(KILLS):
        pid = writers.start(turn, "none")
        for _ in range(chance.randrange(1, 60)):
            acknowledged.note(writers.listen())
        # Anywhere inside of what follows the last thing told; not to make time pass.
        time.sleep(chance.uniform(0.0, 0.004))
        os.kill(pid, signal.SIGKILL)
        writers.listen_to_the_end(acknowledged)
        check(place, acknowledged, acknowledged.runs[checked:])
        checked = len(acknowledged.runs)
    check(place, acknowledged, acknowledged.runs)
    assert checked >= KILLS


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point(place: ConfigurableClassData, writers: Writers, point: str) -> None:
    acknowledged, repaired = Acknowledged(), 0
    for turn in range(KILLS_AT_A_POINT):
        writers.start(turn, point)
        writers.listen_to_the_end(acknowledged)
        repaired += check(place, acknowledged, acknowledged.runs)
    assert acknowledged.runs
    if "the row is written" in point:  # each time, the log was ahead
        assert repaired == KILLS_AT_A_POINT


def check(place: ConfigurableClassData, acknowledged: Acknowledged, run_ids: list[str]) -> int:
    """Checks runs before and after repair; returns how many were repaired."""
    storage = place.rehydrate(InstanceStorage)
    for run_id in run_ids:
        check_log(storage, run_id, acknowledged.events[run_id])
    repaired = storage.repair() + sum(wake(storage, run_id) for run_id in run_ids)
    for run_id in run_ids:
        check_row(storage, storage.get_run_record(run_id))
    check_instance_log(storage, set(run_ids))
    assert storage.repair() == 0
    storage.dispose()
    return repaired


def wake(storage: InstanceStorage, run_id: str) -> bool:
    """Writes to a run whose row is behind, though it has ended, which makes the row reflect the log.

    Repair leaves such a run alone, for what its row lacks is without effect on it.
    """
    record = storage.get_run_record(run_id)
    logs = storage.event_log_storage
    missing = logs.get_mirrored_records(record, record.applied_position)
    if missing:
        assert record.is_finished
        assert not any(each.applied for each in missing)
        storage.store_events(run_id, lines(run_id, 1), idempotency_key=new_run_id())
    return bool(missing)


def check_log(storage: InstanceStorage, run_id: str, acknowledged: list[Event]) -> None:
    log = read_log(storage, storage.get_run_record(run_id))
    assert positions(log) == list(range(1, len(log) + 1))
    stored = [(record.position, record.stored_type, record.applied) for record in log]
    assert stored[: len(acknowledged)] == acknowledged


def check_row(storage: InstanceStorage, record: RunRecord) -> None:
    """The row is what its log makes of a new run."""
    new = RunRecord(
        storage_id=record.storage_id,
        run=record.run,
        status=RunStatus.NOT_STARTED,
        log_id=record.log_id,
        created_at=record.created_at,
        updated_at=record.created_at,
    )
    logs = storage.event_log_storage
    expected = functools.reduce(project, logs.get_mirrored_records(record, 0), new)
    counts = logs.get_run_stats(record) if expected.is_finished else StepCounts()
    # Tags move the one, and events that are stored together with a mirrored one the other.
    assert record.updated_at >= expected.updated_at
    assert record.applied_position >= expected.applied_position
    assert record == replace(
        expected,
        counts=counts,
        updated_at=record.updated_at,
        applied_position=record.applied_position,
    )


def check_instance_log(storage: InstanceStorage, run_ids: set[str]) -> None:
    """Its positions have no hole, and it has each mirrored event once, in order."""
    after, mirrored = 0, defaultdict(list)
    while True:
        page = storage.event_log_storage.get_event_records(
            after=after, kinds=tuple(InstanceEventKind)
        )
        found = [entry.position for entry in page.records]
        assert found == list(range(after + 1, after + len(found) + 1))
        for entry in page.records:
            if entry.event is not None and entry.run_id in run_ids:
                mirrored[entry.run_id].append(entry.event)
        if not page.has_more:
            break
        after = found[-1]
    for run_id in run_ids:
        record = storage.get_run_record(run_id)
        assert mirrored[run_id] == storage.event_log_storage.get_mirrored_records(record, 0)
