"""Where the job of a run is, if it can be used now."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.control.code_location import LOADING_SECONDS, location_of_run
from runwire.errors import CodeLocationUnavailableError, JobNotFoundError
from runwire.runs import Run, RunRecord, RunStatus
from runwire.workspace import CodeLocationStatus
from tests.control.fakes import FakeWorkspace


def record(**values: Any) -> RunRecord:
    """A run of the job `etl` of repository `main` of code location `here`, unless values say otherwise."""
    named = {"job_name": "etl", "repository_name": "main", "location_name": "here", **values}
    return RunRecord(
        storage_id=1,
        run=Run(**named),
        status=RunStatus.NOT_STARTED,
        log_id="log",
        created_at=1.0,
        updated_at=1.0,
    )


def test_a_run_is_at_the_location_that_has_its_job(workspace: FakeWorkspace) -> None:
    assert location_of_run(workspace, record()) is workspace.get_location("here")
    both = record(job_name="both", location_name="there")
    assert location_of_run(workspace, both) is workspace.get_location("there")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"location_name": "gone"},
            "there is no job 'etl' in repository 'main' of code location 'gone'; no job is loaded there",
        ),
        (
            {"repository_name": "other"},
            "there is no job 'etl' in repository 'other' of code location 'here'; no job is loaded there",
        ),
        (
            {"job_name": "old"},
            "there is no job 'old' in repository 'main' of code location 'here'; there are: both, etl",
        ),
        (
            {"location_name": "there"},
            "there is no job 'etl' in repository 'main' of code location 'there'; there are: both",
        ),
    ],
    ids=["no location", "no repository", "no job", "job elsewhere"],
)
def test_a_job_that_is_not_where_the_run_says_is_told_with_its_place_and_what_is_there(
    workspace: FakeWorkspace, values: dict[str, str], told: str
) -> None:
    with pytest.raises(JobNotFoundError) as refused:
        location_of_run(workspace, record(**values))
    assert str(refused.value) == told


def test_a_job_that_moved_to_another_repository_is_another_job(workspace: FakeWorkspace) -> None:
    workspace.get_location("here").load(main=["both"], other=["etl"])
    with pytest.raises(JobNotFoundError, match=r"there are: both$"):
        location_of_run(workspace, record())


@pytest.mark.parametrize("missing", ["location_name", "repository_name"])
def test_a_run_that_does_not_say_where_its_job_is_has_none(
    workspace: FakeWorkspace, missing: str
) -> None:
    with pytest.raises(JobNotFoundError):
        location_of_run(workspace, record(**{missing: None}))


def test_a_location_that_is_being_loaded_is_asked_for_the_job_once_it_has_loaded(
    workspace: FakeWorkspace,
) -> None:
    location = workspace.get_location("here")
    location.turn(CodeLocationStatus.LOADING)
    assert location_of_run(workspace, record()) is location
    location.turn(CodeLocationStatus.LOADING)
    with pytest.raises(JobNotFoundError, match="there are: both, etl"):
        location_of_run(workspace, record(job_name="old"))
    assert location.waits == [LOADING_SECONDS, LOADING_SECONDS]


@pytest.mark.parametrize("job_name", ["etl", "old"])
def test_a_location_that_is_not_loaded_may_have_any_job(
    workspace: FakeWorkspace, job_name: str
) -> None:
    workspace.get_location("here").turn(CodeLocationStatus.UNREACHABLE)
    with pytest.raises(CodeLocationUnavailableError, match="UNREACHABLE"):
        location_of_run(workspace, record(job_name=job_name))
