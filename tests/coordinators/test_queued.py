"""The run coordinator with a queue: its configuration, and what it does with a run."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.config import ConfigurableClassData
from runwire.coordinator import RunCoordinator, SubmitRunContext
from runwire.coordinators.queued import QueuedRunCoordinator
from runwire.errors import InvalidConfigurationError
from runwire.runs.queueing import QueueSettings, TagLimit
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus


def _coordinator(**config: Any) -> RunCoordinator:
    data = ConfigurableClassData("runwire.coordinators.queued", "QueuedRunCoordinator", config)
    return data.rehydrate(RunCoordinator)


def test_a_submitted_run_is_put_into_the_queue() -> None:
    record = RunRecord(
        storage_id=1,
        run=Run(job_name="sales", run_id="run"),
        status=RunStatus.NOT_STARTED,
        log_id="log",
        created_at=1.0,
        updated_at=1.0,
    )

    def launch() -> RunRecord:
        raise AssertionError

    context = SubmitRunContext(record, launch, lambda: record)
    assert QueuedRunCoordinator().submit_run(context) is record


def test_without_config_ten_runs_may_be_in_progress() -> None:
    assert _coordinator().queue == QueueSettings(max_concurrent_runs=10)


def test_its_config_is_what_the_queue_heeds() -> None:
    coordinator = _coordinator(
        max_concurrent_runs=25,
        tag_concurrency_limits=[
            {"key": "a", "limit": 1},
            {"key": "a", "value": "x", "limit": 2},
            {"key": "a", "value": "y", "limit": 0},
            {"key": "a", "value": {"applyLimitPerUniqueValue": True}, "limit": 3},
            {"key": "b", "value": {"applyLimitPerUniqueValue": False}, "limit": 4},
        ],
        dequeue_interval_seconds=2,
        dequeue_num_workers=8,
        max_user_code_failure_retries=1,
        user_code_failure_retry_delay=0,
        priority_ageing_seconds=60,
    )
    assert coordinator.queue == QueueSettings(
        max_concurrent_runs=25,
        tag_limits=(
            TagLimit(key="a", max=1),
            TagLimit(key="a", max=2, value="x"),
            TagLimit(key="a", max=0, value="y"),
            TagLimit(key="a", max=3, is_per_value=True),
            TagLimit(key="b", max=4),
        ),
        dequeue_interval_seconds=2,
        dequeue_num_workers=8,
        max_user_code_failure_retries=1,
        user_code_failure_retry_delay=0,
        priority_ageing_seconds=60,
    )


@pytest.mark.parametrize(
    ("written", "maximum", "is_paused"), [(-1, None, False), (0, 0, True), (1, 1, False)]
)
def test_minus_one_is_no_limit_and_0_pauses(
    written: int, maximum: int | None, is_paused: bool
) -> None:
    settings = _coordinator(max_concurrent_runs=written).queue
    assert settings is not None
    assert (settings.max_concurrent_runs, settings.is_paused) == (maximum, is_paused)


EACH = {"applyLimitPerUniqueValue": True}
TWICE: list[tuple[dict[str, Any], str]] = [
    ({"key": "a"}, "two limits of one kind for tag 'a'"),
    ({"key": "a", "value": "x"}, "two limits of one kind for tag 'a=x'"),
    ({"key": "a", "value": EACH}, "two limits of one kind for tag 'a'"),
]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"max_concurrent_runs": -2}, r"max_concurrent_runs"),
        ({"max_concurrent_runs": True}, r"max_concurrent_runs"),
        ({"max_concurent_runs": 1}, r"max_concurent_runs"),
        ({"dequeue_num_workers": 0}, r"dequeue_num_workers"),
        ({"dequeue_interval_seconds": 0}, r"dequeue_interval_seconds"),
        ({"priority_ageing_seconds": 0}, r"priority_ageing_seconds"),
        ({"tag_concurrency_limits": [{"key": "a"}]}, r"tag_concurrency_limits\.0\.limit"),
        ({"tag_concurrency_limits": [{"key": "", "limit": 1}]}, r"\.0\.key"),
        ({"tag_concurrency_limits": [{"key": "a", "limit": -1}]}, r"\.0\.limit"),
        ({"tag_concurrency_limits": [{"key": "a", "limit": 1, "max": 2}]}, r"\.0\.max"),
        *(
            ({"tag_concurrency_limits": [{**limit, "limit": 1}, {**limit, "limit": 2}]}, told)
            for limit, told in TWICE
        ),
    ],
)
def test_config_that_does_not_fit_is_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidConfigurationError, match=told):
        _coordinator(**config)
