"""Which runs of a filter are dealt with, and what becomes of those that somebody else deals with meanwhile."""

from __future__ import annotations

import pytest

from runwire.control import bulk, for_each, select_to_delete, select_to_terminate
from runwire.control.bulk import narrows
from runwire.control.terminate_run import TerminatePolicy
from runwire.errors import RunNotFoundError, RunStateConflictError
from runwire.runs.filters import RunsFilter, TagFilter, TimeRange
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storages.sqlite import SqliteStorage
from runwire.workspace import Workspace
from tests.control.ways import run_in

S = RunStatus
_ALL = RunsFilter(job_names=frozenset({"etl"}))


def ids(records: list[RunRecord]) -> list[str]:
    return [record.run_id for record in records]


@pytest.mark.parametrize(
    "wanted",
    [
        RunsFilter(run_ids=frozenset()),
        RunsFilter(run_id_prefix="a"),
        RunsFilter(job_names=frozenset()),
        RunsFilter(location_name=""),
        RunsFilter(statuses=frozenset(RunStatus)),
        RunsFilter(tags=(TagFilter("k"),)),
        RunsFilter(created_at=TimeRange(after=0.0)),
        RunsFilter(updated_at=TimeRange(before=0.0)),
    ],
)
def test_a_filter_that_says_something_narrows(wanted: RunsFilter) -> None:
    assert narrows(wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        RunsFilter(),
        RunsFilter(run_id_prefix=""),
        RunsFilter(created_at=TimeRange()),
        RunsFilter(updated_at=TimeRange(), run_id_prefix=""),
    ],
)
def test_a_filter_that_only_looks_as_if_does_not(wanted: RunsFilter) -> None:
    assert not narrows(wanted)


def test_a_selection_goes_on_over_pages_and_counts_the_rest(
    sqlite_storage: SqliteStorage, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_PAGE", 2)
    made = [run_in(sqlite_storage, workspace, S.QUEUED) for _ in range(6)]
    policy = TerminatePolicy.SAFE_TERMINATE
    found = select_to_terminate(sqlite_storage.run_storage, _ALL, policy, 5)
    assert (ids(found.records), found.remaining_count) == (made[:5], 1)
    found = select_to_terminate(sqlite_storage.run_storage, _ALL, policy, 6)
    assert (ids(found.records), found.remaining_count) == (made, 0)


@pytest.mark.parametrize("status", RunStatus)
def test_statuses_of_the_filter_and_of_the_action_both_count(
    sqlite_storage: SqliteStorage, workspace: Workspace, status: RunStatus
) -> None:
    runs = sqlite_storage.run_storage
    run_id = run_in(sqlite_storage, workspace, status)
    wanted = RunsFilter(statuses=frozenset({status}))
    stopped = {
        policy: ids(select_to_terminate(runs, wanted, policy, 9).records)
        for policy in TerminatePolicy
    }
    live = not status.is_terminal
    assert stopped == {
        TerminatePolicy.SAFE_TERMINATE: [run_id] if live and status is not S.CANCELING else [],
        TerminatePolicy.MARK_AS_CANCELED_IMMEDIATELY: [run_id] if live else [],
    }
    assert ids(select_to_delete(runs, wanted, 9).records) == [run_id]
    others = RunsFilter(statuses=frozenset(RunStatus) - {status})
    assert select_to_delete(runs, others, 9).records == []


def test_what_somebody_else_has_done_meanwhile_is_passed_over(
    sqlite_storage: SqliteStorage, workspace: Workspace
) -> None:
    made = [run_in(sqlite_storage, workspace, S.QUEUED) for _ in range(3)]
    selected = select_to_delete(sqlite_storage.run_storage, _ALL, 9).records

    def act(record: RunRecord) -> RunRecord:
        run_id = record.run_id
        if run_id == made[0]:
            raise RunNotFoundError(run_id)
        if run_id == made[1]:
            raise RunStateConflictError(run_id, "QUEUED", ["SUCCESS"])
        return sqlite_storage.get_run_record(run_id)

    outcome = for_each(selected, act)
    assert ids(outcome.records) == [made[2]]
    assert [failure.run_id for failure in outcome.failures] == [made[1]]
    outcome = for_each(selected, act, passed_over=(RunNotFoundError, RunStateConflictError))
    assert (ids(outcome.records), outcome.failures) == ([made[2]], [])
