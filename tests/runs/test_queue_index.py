"""The queue in memory: it finds the same next run as a plain look at all of them, at once."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runwire.runs.queue_index import QueueIndex
from runwire.runs.queueing import Limit, LimitKind, QueueSettings, TagLimit
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, RunStatus
from runwire.runs.tags import PRIORITY_TAG
from tests.runs.queue_cases import CASES, EACH, FOO, Case, Tags

S = RunStatus


def _record(number: int, tags: Tags, status: RunStatus = S.QUEUED, place: str = "a") -> RunRecord:
    return RunRecord(
        storage_id=number,
        run=Run(run_id=f"run-{number}", job_name="daily", tags=tags, location_name=place),
        status=status,
        log_id="log",
        created_at=0.0,
        updated_at=0.0,
        enqueued_at=float(number),
    )


def _never(name: str | None) -> bool:
    return False


def _pass(index: QueueIndex) -> list[str]:
    taken = []
    while (run := index.take_next(_never)) is not None:
        taken.append(run.run_id)
    return taken


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_pass_launches(case: Case, loaded: bool) -> None:
    index = QueueIndex(case.settings)
    queue = [_record(number, tags) for number, tags in enumerate(case.queue)]
    if loaded:
        index.load(queue)
    for number, (status, tags) in enumerate(case.in_progress):
        index.put(_record(100 + number, tags, status))
    if not loaded:
        for record in queue:
            index.put(record)
    assert _pass(index) == [f"run-{number}" for number in case.launched]


def test_a_freed_place_lets_the_next_of_its_limit_go() -> None:
    index = QueueIndex(QueueSettings(tag_limits=(EACH,)))
    for number, value in enumerate(["x", "x", "y", "x", "y"]):
        index.put(_record(number, {"foo": value}))
    assert _pass(index) == ["run-0", "run-2"]
    index.put(_record(0, {"foo": "x"}, S.STARTED))
    assert _pass(index) == []
    index.put(_record(0, {"foo": "x"}, S.SUCCESS))
    assert _pass(index) == ["run-1"]
    index.remove("run-4")
    index.remove("run-2")
    assert _pass(index) == []
    index.remove("run-1")
    assert _pass(index) == ["run-3"]


def test_a_run_that_could_not_be_taken_goes_next_again() -> None:
    index = QueueIndex(QueueSettings(max_concurrent_runs=1))
    index.put(_record(1, {}))
    index.put(_record(2, {}))
    assert _pass(index) == ["run-1"]
    index.put(_record(1, {}))
    assert _pass(index) == ["run-1"]


def test_runs_of_a_code_location_that_is_waited_for_are_passed_by_and_go_later() -> None:
    index = QueueIndex(QueueSettings(max_concurrent_runs=2))
    for number, place in enumerate(["gone", "gone", "here", "gone"]):
        index.put(_record(number, {}, place=place))
    first, second = index.take_next("gone".__eq__), index.take_next("gone".__eq__)
    assert first is not None
    assert (first.run_id, second) == ("run-2", None)
    assert _pass(index) == ["run-0"]


def test_places_pages_and_limits_are_told() -> None:
    index = QueueIndex(QueueSettings(max_concurrent_runs=3, tag_limits=(FOO, EACH)))
    index.put(_record(9, {"foo": "x"}, S.STARTED))
    for number, tags in enumerate([{"foo": "x"}, {}, {"foo": "y", PRIORITY_TAG: "1"}]):
        index.put(_record(number, tags))
    assert [run.run_id for run in index.page(None, 10)] == ["run-2", "run-0", "run-1"]
    first = index.page(None, 1)[0]
    assert [run.run_id for run in index.page(first.order, 1)] == ["run-0"]
    assert [index.position(run) for run in index.page(None, 10)] == [1, 2, 3]
    assert (len(index), index.in_progress, index.has_room) == (3, 1, True)
    whole = Limit(LimitKind.INSTANCE, 3)
    key = Limit(LimitKind.KEY, 2, "foo")
    x, y = (Limit(LimitKind.EACH_VALUE, 1, "foo", value) for value in "xy")
    assert index.limits(9) == [whole, key, x, y]
    assert [index.used(limit) for limit in index.limits(9)] == [1, 1, 1, 0]
    assert [index.blocked_by(limit) for limit in index.limits(9)] == [0, 0, 1, 0]
    assert [index.holders(limit, 9) for limit in (x, key, whole, y)] == [["run-9"]] * 3 + [[]]
    assert index.limits(2) == [whole, key, x]


class _Plain:
    """The rules without any cleverness."""

    def __init__(self, settings: QueueSettings) -> None:
        self.settings = settings
        self.runs: dict[str, RunRecord] = {}

    def take_next(self) -> str | None:
        in_progress = [r for r in self.runs.values() if r.status in IN_PROGRESS_STATUSES]
        queued = [r for r in self.runs.values() if r.status is S.QUEUED]
        for record in sorted(queued, key=self.settings.order_of):
            limits = self.settings.limits_of(record.run.tags)
            if all(self._used(in_progress, limit) < limit.max for limit in limits):
                self.runs[record.run_id] = replace(record, status=S.STARTING)
                return record.run_id
        return None

    def _used(self, runs: Sequence[RunRecord], limit: Limit) -> int:
        return sum(limit in self.settings.limits_of(record.run.tags) for record in runs)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_it_is_the_same_run_that_a_plain_look_finds(seed: int) -> None:
    chance = random.Random(seed)
    settings = QueueSettings(
        max_concurrent_runs=chance.choice([3, 8, None]),
        tag_limits=(
            TagLimit(key="a", max=3),
            TagLimit(key="b", is_per_value=True, max=2),
            TagLimit(key="b", value="1", max=1),
        ),
        priority_ageing_seconds=chance.choice([None, 5.0]),
    )
    index, plain = QueueIndex(settings), _Plain(settings)

    def tags() -> Tags:
        wanted = {"a": "1", "b": str(chance.randrange(3)), PRIORITY_TAG: str(chance.randrange(3))}
        return {key: value for key, value in wanted.items() if chance.random() < 0.6}

    for number in range(400):
        if chance.random() < 0.4 or not plain.runs:
            record = _record(number, tags())
        else:
            record = plain.runs[chance.choice(sorted(plain.runs))]
            status = chance.choice([S.STARTED, S.SUCCESS, S.CANCELED, S.QUEUED, record.status])
            record = replace(record, status=status)
            if chance.random() < 0.1:
                record = replace(record, run=replace(record.run, tags=tags()))
        plain.runs[record.run_id] = record
        index.put(record)
        if chance.random() < 0.1:
            plain.runs.pop(record.run_id)
            index.remove(record.run_id)
        if chance.random() < 0.5:
            found = index.take_next(_never)
            assert (None if found is None else found.run_id) == plain.take_next()
    queued = [r for r in plain.runs.values() if r.status is S.QUEUED]
    in_order = [record.run_id for record in sorted(queued, key=settings.order_of)]
    assert [run.run_id for run in index.page(None, 1000)] == in_order


def test_a_look_past_a_hundred_thousand_runs_that_wait_for_limits_reads_few_of_them() -> None:
    settings = QueueSettings(max_concurrent_runs=None, tag_limits=(EACH,))
    index = QueueIndex(settings)
    index.load(_record(number, {"foo": f"v{number % 1000}"}) for number in range(100_000))
    assert len(_pass(index)) == 1000
    began = time.perf_counter()
    index.put(_record(0, {"foo": "v0"}, S.SUCCESS))
    assert _pass(index) == ["run-1000"]
    assert (
        time.perf_counter() - began < 1.0
    )  # a look at all of them would take longer by far: see benchmarks
