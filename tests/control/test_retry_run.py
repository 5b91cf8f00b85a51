"""Retrying a run that failed: whether there is a retry, which steps it has, and what the logs tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from runwire.control import NewRun, Reexecution, RetryRules, create_run, reexecute_run, retry_run
from runwire.errors import CodeLocationUnavailableError, LaunchFailedError, RunStateConflictError
from runwire.events import EventLogEntry, EventType
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.runs import RunRecord
from runwire.storages.memory import MemoryStorage
from runwire.workspace import CodeLocationStatus, JobSelector
from tests.control.fakes import FakeLocation, FakeWorkspace
from tests.control.ways import events_of, tell

T = EventType
REFUSED = "The run is not retried:"
TWICE = RetryRules(2, on_op_failure=True)


@dataclass
class Way:
    """What tests retry with."""

    storage: MemoryStorage = field(default_factory=MemoryStorage)
    here: FakeLocation = field(default_factory=lambda: FakeLocation("here", "etl"))
    submitted: list[str] = field(default_factory=list)
    dies_before_submit: bool = False
    submit_error: Exception | None = None

    def failed(
        self,
        *ways: EventType,
        reason: RunFailureReason = RunFailureReason.WORKER_LOST,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        new_run = NewRun(
            job=JobSelector("etl"),
            tags=[(f"runwire/{key}", value) for key, value in tags.items()],
            requested_by="ada",
        )
        record, _ = create_run(self.storage, FakeWorkspace(self.here), new_run)
        self.fail(record.run_id, *ways, reason=reason)
        return record.run_id

    def fail(
        self,
        run_id: str,
        *ways: EventType,
        reason: RunFailureReason = RunFailureReason.WORKER_LOST,
    ) -> None:
        for event_type in ways:
            tell(self.storage, run_id, event_type)
        entry = EventLogEntry(
            run_id=run_id, event_type=T.RUN_FAILURE, data=RunFailureData(reason), message="m"
        )
        self.storage.store_events(run_id, [entry])

    def retry(self, run_id: str, rules: RetryRules = TWICE) -> RunRecord | None:
        return retry_run(self.storage, run_id, rules, self._reexecute, self._submit)

    def told(self, run_id: str) -> list[str]:
        return [
            event.message
            for event in events_of(self.storage, run_id)
            if event.event_type is T.ENGINE_EVENT
        ]

    def runs(self) -> int:
        return self.storage.run_storage.get_runs_count()

    def _reexecute(self, wanted: Reexecution, submit: object) -> tuple[RunRecord, bool]:
        workspace = FakeWorkspace(self.here)
        return reexecute_run(self.storage, workspace, wanted, lambda *_: True, submit)  # type: ignore[arg-type]

    def _submit(self, run_id: str) -> RunRecord:
        if self.dies_before_submit:
            raise KeyboardInterrupt
        if run_id in self.submitted:
            raise RunStateConflictError(run_id, "STARTED", ["NOT_STARTED"])
        self.submitted.append(run_id)
        if self.submit_error is not None:
            raise self.submit_error
        return self.storage.get_run_record(run_id)


@pytest.fixture
def way() -> Way:
    return Way()


def test_a_retry_is_linked_numbered_submitted_and_told_in_both_logs(way: Way) -> None:
    first = way.failed(tags={"max_retries": "2", "retry_strategy": "ALL_STEPS"})
    retry = way.retry(first)
    assert retry is not None
    assert way.submitted == [retry.run_id]
    assert (retry.run.parent_run_id, retry.root_run_id) == (first, first)
    assert retry.run.tags["runwire/retry_number"] == "1"
    assert retry.run.tags["runwire/retry_strategy"] == "ALL_STEPS"
    assert retry.run.requested_by == "ada"
    assert way.told(first) == [f"Run {retry.run_id} is retry 1 of 2 of this run."]
    assert way.told(retry.run_id) == [
        f"The run is retry 1 of 2 of run {first}, with all steps.",
    ]


def test_as_many_retries_are_made_as_wanted(way: Way) -> None:
    run_id = first = way.failed()
    numbers = []
    for _ in range(2):
        retry = way.retry(run_id)
        assert retry is not None
        assert retry.run.parent_run_id == run_id
        assert retry.root_run_id == first
        numbers.append(retry.run.tags["runwire/retry_number"])
        run_id = retry.run_id
        way.fail(run_id)
    assert way.retry(run_id) is None
    assert numbers == ["1", "2"]
    assert way.told(run_id)[1:] == ["The run is not retried: it was the last retry of 2."]
    assert way.runs() == 3


def test_coming_again_changes_nothing(way: Way) -> None:
    run_id = way.failed()
    assert way.retry(run_id) is not None
    told = way.told(run_id)
    assert way.retry(run_id) is None
    assert (way.runs(), way.told(run_id), len(way.submitted)) == (2, told, 1)


@pytest.mark.parametrize("job", ["etl", "other"], ids=["job there", "job gone"])
def test_a_retry_that_was_made_and_not_submitted_is_submitted(way: Way, job: str) -> None:
    run_id = way.failed()
    way.dies_before_submit = True
    with pytest.raises(KeyboardInterrupt):
        way.retry(run_id)
    way.dies_before_submit = False
    way.here.load(main=[job])
    retry = way.retry(run_id)
    assert retry is not None
    assert (way.submitted, way.runs()) == ([retry.run_id], 2)
    assert len(way.told(retry.run_id)) == 1


@pytest.mark.parametrize(
    ("rules", "tags", "told"),
    [
        (RetryRules(0, on_op_failure=True), {}, []),
        (TWICE, {"max_retries": "0"}, []),
        (
            RetryRules(2, on_op_failure=False),
            {},
            ["The run is not retried: a step failed, and such failures are not retried."],
        ),
        (
            TWICE,
            {"retry_on_asset_or_op_failure": "false"},
            ["The run is not retried: a step failed, and such failures are not retried."],
        ),
        (
            TWICE,
            {"max_retries": "-1"},
            [
                f"{REFUSED} its tag runwire/max_retries is '-1'; it must be a whole number from 0 to 1000."
            ],
        ),
        (
            TWICE,
            {"retry_strategy": "SOME"},
            [
                f"{REFUSED} its tag runwire/retry_strategy is 'SOME'; it must be ALL_STEPS or FROM_FAILURE."
            ],
        ),
    ],
)
def test_why_there_is_none_is_told_once(
    way: Way, rules: RetryRules, tags: dict[str, str], told: list[str]
) -> None:
    run_id = way.failed(reason=RunFailureReason.STEP_FAILURE, tags=tags)
    for _ in range(2):
        assert way.retry(run_id, rules) is None
    assert (way.told(run_id), way.runs()) == (told, 1)


@pytest.mark.parametrize(
    ("rules", "tags"),
    [
        (RetryRules(0, on_op_failure=False), {"max_retries": "1"}),
        (RetryRules(1, on_op_failure=True), {"retry_on_asset_or_op_failure": "false"}),
    ],
)
def test_a_run_whose_steps_did_not_fail_is_retried_as_its_tags_say(
    way: Way, rules: RetryRules, tags: dict[str, str]
) -> None:
    assert way.retry(way.failed(tags=tags), rules) is not None


def test_who_was_asked_to_stop_is_not_retried(way: Way) -> None:
    run_id = way.failed(T.RUN_STARTING, T.RUN_START, T.RUN_CANCELING)
    assert way.retry(run_id) is None
    assert (way.told(run_id), way.runs()) == ([], 1)


def test_neither_a_run_that_did_not_fail_nor_a_managed_one_nor_one_that_is_gone_is_retried(
    way: Way,
) -> None:
    workspace = FakeWorkspace(way.here)
    canceled, _ = create_run(way.storage, workspace, NewRun(job=JobSelector("etl")))
    tell(way.storage, canceled.run_id, T.RUN_CANCELED)
    managed, _ = create_run(way.storage, workspace, NewRun(job=JobSelector("etl"), managed=True))
    way.fail(managed.run_id)
    for run_id in (canceled.run_id, managed.run_id, "gone"):
        assert way.retry(run_id) is None
    assert way.runs() == 2


def test_who_was_re_executed_by_hand_is_not_retried(way: Way) -> None:
    run_id = way.failed()
    by_hand, _ = way._reexecute(Reexecution(run_id=run_id, step_keys=["load"]), way._submit)
    assert way.retry(run_id) is None
    assert way.told(run_id) == [
        f"The run is not retried: run {by_hand.run_id} runs it again already."
    ]


def test_a_job_that_is_gone_is_told_once_with_its_error(way: Way) -> None:
    run_id = way.failed()
    way.here.load(main=["other"])
    assert way.retry(run_id) is None
    way.here.load(main=["etl"])
    assert way.retry(run_id) is None
    (event,) = [e for e in events_of(way.storage, run_id) if e.event_type is T.ENGINE_EVENT]
    assert event.message.startswith("The run is not retried: ")
    assert event.error is not None
    assert event.error.class_name == "JobNotFoundError"
    assert way.runs() == 1


def test_a_code_location_that_cannot_be_reached_leaves_all_open(way: Way) -> None:
    run_id = way.failed()
    way.here.turn(CodeLocationStatus.UNREACHABLE)
    with pytest.raises(CodeLocationUnavailableError):
        way.retry(run_id)
    assert way.told(run_id) == []
    way.here.turn(CodeLocationStatus.LOADED)
    assert way.retry(run_id) is not None


def test_a_retry_that_cannot_be_launched_is_one(way: Way) -> None:
    run_id = way.failed()
    way.submit_error = LaunchFailedError(run_id, "no process")
    retry = way.retry(run_id)
    assert retry is not None
    assert way.told(run_id) == [f"Run {retry.run_id} is retry 1 of 2 of this run."]
