"""The rules of the queue."""

from __future__ import annotations

import pytest

from runwire.runs.queueing import MAX_PRIORITY, Limit, LimitKind, QueueSettings, priority_of
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.runs.tags import PRIORITY_TAG
from tests.runs.queue_cases import BAR, EACH, FOO


@pytest.mark.parametrize(
    ("written", "priority"),
    [
        (None, 0),
        ("3", 3),
        ("-7", -7),
        ("", 0),
        ("1.5", 0),
        ("high", 0),
        ("9" * 4000, 0),
        ("9" * 20, MAX_PRIORITY),
        ("-" + "9" * 20, -MAX_PRIORITY),
    ],
)
def test_a_priority_is_an_integer_or_0(written: str | None, priority: int) -> None:
    assert priority_of({} if written is None else {PRIORITY_TAG: written}) == priority


def test_a_run_falls_under_the_limits_of_its_tags_and_that_of_the_instance() -> None:
    settings = QueueSettings(max_concurrent_runs=7, tag_limits=(FOO, BAR, EACH))
    whole = Limit(LimitKind.INSTANCE, 7)
    key = Limit(LimitKind.KEY, 2, "foo")
    assert settings.limits_of({"other": "bar"}) == (whole,)
    assert settings.limits_of({"foo": "x"}) == (
        whole,
        key,
        Limit(LimitKind.EACH_VALUE, 1, "foo", "x"),
    )
    assert settings.limits_of({"foo": "bar"}) == (
        whole,
        key,
        Limit(LimitKind.VALUE, 1, "foo", "bar"),
        Limit(LimitKind.EACH_VALUE, 1, "foo", "bar"),
    )
    assert [limit.describe() for limit in settings.limits_of({"foo": "x"})] == [
        "the limit of 7 runs in progress",
        "the limit of 2 runs in progress with tag foo",
        "the limit of 1 runs in progress with tag foo=x",
    ]


def _record(number: int, enqueued_at: float, priority: int) -> RunRecord:
    return RunRecord(
        storage_id=number,
        run=Run(job_name="daily", tags={PRIORITY_TAG: str(priority)}),
        status=RunStatus.QUEUED,
        log_id="log",
        created_at=0.0,
        updated_at=0.0,
        enqueued_at=enqueued_at,
    )


def _sorted(settings: QueueSettings, *records: RunRecord) -> list[int]:
    return [each.storage_id for each in sorted(records, key=settings.order_of)]


def test_the_order_is_by_priority_then_by_queueing_then_by_making() -> None:
    settings = QueueSettings()
    records = _record(4, 5.0, 1), _record(3, 5.0, 1), _record(2, 4.0, 1), _record(1, 9.0, 2)
    assert _sorted(settings, *records) == [1, 2, 3, 4]


def test_a_run_that_waits_long_overtakes_newer_ones_of_a_higher_priority_when_runs_age() -> None:
    old, newer, newest = _record(1, 0.0, 0), _record(2, 19.0, 2), _record(3, 21.0, 2)
    assert _sorted(QueueSettings(), old, newer, newest) == [2, 3, 1]
    ageing = QueueSettings(priority_ageing_seconds=10.0)
    assert _sorted(ageing, old, newer, newest) == [2, 1, 3]
