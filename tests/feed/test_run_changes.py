"""What a stream of runs tells, by filter: what came, changed, left and went."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from runwire.events.entry import EventLogRecord
from runwire.events.types import EventType, LogLevel
from runwire.feed import ChangeType, InstanceTailBatch, RunChange, RunChanges
from runwire.feed import run_changes as module
from runwire.runs.filters import RunsFilter, TagFilter, TimeRange
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage import InstanceEventKind, InstanceLogRecord
from tests.feed.records import run_record

K = InstanceEventKind
QUEUED = RunsFilter(statuses=frozenset({RunStatus.QUEUED}))


def run(status: RunStatus = RunStatus.QUEUED, run_id: str = "r1", **tags: str) -> RunRecord:
    record = run_record(run_id)
    return replace(record, status=status, run=replace(record.run, tags=tags), applied_position=9)


def entry(kind: InstanceEventKind, run_id: str = "r1", **event: Any) -> InstanceLogRecord:
    values = {"stored_type": EventType.RUN_ENQUEUED.value, **event}
    told = EventLogRecord(
        run_id=run_id, position=1, timestamp=1.0, level=LogLevel.INFO, message="", **values
    )
    return InstanceLogRecord(
        position=1,
        kind=kind,
        run_id=run_id,
        job_name="job",
        timestamp=1.0,
        event=told if kind is K.EVENT else None,
    )


STARTING, START = (entry(K.EVENT, stored_type=each) for each in ("RUN_STARTING", "RUN_START"))


def tell(
    changes: RunChanges, entries: Iterable[InstanceLogRecord], *runs: RunRecord
) -> list[tuple[str, str, bool]]:
    """What the changes tell of a batch: type, run and whether it matches."""
    found = tell_all(changes, entries, *runs)
    return [(change.type.value, change.run_id, change.matches) for change in found]


def tell_all(
    changes: RunChanges, entries: Iterable[InstanceLogRecord], *runs: RunRecord
) -> list[RunChange]:
    told = list(entries)
    by_id = {record.run_id: record for record in runs}
    return changes.of(InstanceTailBatch.of("log", told, by_id, (0, len(told)), len(told)))


def test_without_a_filter_every_change_is_told_with_the_run_and_its_event() -> None:
    entries = [entry(K.RUN_CREATED), entry(K.RUN_TAGGED), entry(K.EVENT)]
    found = tell_all(RunChanges(None), entries, run())
    assert found == [
        RunChange(ChangeType.CREATED, "r1", run(), True, entries[0]),
        RunChange(ChangeType.UPDATED, "r1", run(), True, entries[1]),
        RunChange(ChangeType.UPDATED, "r1", run(), True, entries[2]),
    ]


def test_a_run_that_is_deleted_is_told_once_without_what_was_before() -> None:
    entries = [entry(K.RUN_CREATED), entry(K.EVENT), entry(K.RUN_DELETED)]
    assert tell(RunChanges(None), entries) == [("DELETED", "r1", False)]


@pytest.mark.parametrize(
    "event",
    [
        {"applied": False},
        {"stored_type": EventType.STEP_FAILURE.value},
        {"stored_type": EventType.ASSET_MATERIALIZATION.value},
        {"stored_type": "RUN_OF_A_NEWER_VERSION"},
    ],
    ids=["late", "step", "asset", "unknown"],
)
def test_an_event_that_did_nothing_to_its_run_is_no_change(event: dict[str, Any]) -> None:
    assert tell(RunChanges(None), [entry(K.EVENT, **event)], run()) == []


def test_a_run_that_ceases_to_match_is_told_once_as_such() -> None:
    changes = RunChanges(QUEUED)
    assert tell(changes, [entry(K.EVENT)], run()) == [("UPDATED", "r1", True)]
    started = run(RunStatus.STARTED)
    assert tell(changes, [STARTING], started) == [("UPDATED", "r1", False)]
    assert tell(changes, [START, entry(K.RUN_TAGGED), START], started) == []
    assert tell(changes, [entry(K.RUN_DELETED)]) == []


def test_what_is_told_does_not_depend_on_how_new_the_row_is() -> None:
    """Somebody's page may have the run as it was between an entry and the row that was read for it."""
    changes = RunChanges(QUEUED)
    started = run(RunStatus.STARTED)
    assert tell(changes, [STARTING], started) == [("UPDATED", "r1", False)]
    # It was put back, and no longer is when the row is read: whoever saw it so has to be told.
    told = tell(changes, [entry(K.EVENT), STARTING, START], started)
    assert told == [("UPDATED", "r1", False)] * 2


def test_a_run_whose_tags_do_not_match_is_told_once_until_they_change() -> None:
    changes = RunChanges(RunsFilter(tags=(TagFilter("team", frozenset({"a"})),)))
    other = run(team="b")
    assert tell(changes, [STARTING, START], other) == [("UPDATED", "r1", False)]
    assert tell(changes, [entry(K.RUN_TAGGED), START], other) == [("UPDATED", "r1", False)]


def test_a_run_that_is_excluded_by_time_is_always_told() -> None:
    """Its row may have been excluded later than by the entry."""
    changes = RunChanges(RunsFilter(updated_at=TimeRange(before=0.0)))
    told = tell(changes, [STARTING, START, entry(K.RUN_TAGGED)], run())
    assert told == [("UPDATED", "r1", False)] * 3


def test_a_run_that_matches_again_is_told_again() -> None:
    changes = RunChanges(RunsFilter(tags=(TagFilter("team", frozenset({"a"})),)))
    batches = [run(team="b"), run(team="a"), run(team="b")]
    told = [tell(changes, [entry(K.RUN_TAGGED)], each) for each in batches]
    matching = [matches for ((_, _, matches),) in told]
    assert matching == [False, True, False]


def test_a_run_of_which_a_page_may_know_is_told_when_it_does_not_match() -> None:
    """The stream begins before the page, so the page may have a run of whose making the stream tells."""
    changes = RunChanges(QUEUED)
    started = run(RunStatus.STARTED)
    assert tell(changes, [entry(K.RUN_CREATED)], started) == []
    assert tell(changes, [entry(K.EVENT)], started) == [("UPDATED", "r1", False)]


def test_a_deletion_is_told_unless_the_run_never_matched() -> None:
    gone = [entry(K.RUN_DELETED)]
    assert tell(RunChanges(QUEUED), gone) == [("DELETED", "r1", False)]
    for never in (
        RunsFilter(run_ids=frozenset({"r2"})),
        RunsFilter(run_id_prefix="x"),
        RunsFilter(job_names=frozenset({"other"})),
    ):
        assert tell(RunChanges(never), gone) == []
    for maybe in (
        RunsFilter(run_ids=frozenset({"r1"})),
        RunsFilter(run_id_prefix="r"),
        RunsFilter(job_names=frozenset({"job"})),
    ):
        assert tell(RunChanges(maybe), gone) == [("DELETED", "r1", False)]


@pytest.mark.parametrize(
    "never",
    [
        RunsFilter(job_names=frozenset({"other"})),
        RunsFilter(location_name="elsewhere"),
        RunsFilter(created_at=TimeRange(after=5.0)),
    ],
    ids=["job", "location", "time"],
)
def test_a_run_that_can_never_match_is_not_told(never: RunsFilter) -> None:
    entries = [entry(K.RUN_CREATED), entry(K.EVENT), entry(K.RUN_TAGGED)]
    assert tell(RunChanges(never), entries, run()) == []


def test_what_is_remembered_is_bounded_and_what_is_forgotten_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    changes = RunChanges(QUEUED)
    for run_id in ("r1", "r2", "r3"):
        started = run(RunStatus.STARTED, run_id)
        assert tell(changes, [replace(START, run_id=run_id)], started) == [
            ("UPDATED", run_id, False)
        ]
    third, first = run(RunStatus.STARTED, "r3"), run(RunStatus.STARTED, "r1")
    assert tell(changes, [replace(START, run_id="r3")], third) == []
    assert tell(changes, [replace(START, run_id="r1")], first) == [("UPDATED", "r1", False)]
    assert len(changes._outside) == 2
