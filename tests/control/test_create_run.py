"""Making runs: found, checked, planned, once."""

from dataclasses import replace
from typing import Any

import pytest

from runwire.control import NewRun, create_run
from runwire.control.code_location import LOADING_SECONDS
from runwire.errors import (
    CodeLocationUnavailableError,
    InputInvalidError,
    JobAmbiguousError,
    JobNotFoundError,
    RunAlreadyExistsError,
    RunConfigInvalidError,
)
from runwire.runs import RunStatus
from runwire.storages.memory import MemoryStorage
from runwire.workspace import CodeLocationStatus, JobSelector, Workspace
from tests.control.fakes import FakeWorkspace

ETL = JobSelector("etl")


def test_a_run_is_made_with_its_plan_and_the_tags_of_its_job(
    storage: MemoryStorage, workspace: Workspace
) -> None:
    new_run = NewRun(job=ETL, run_id="r1", tags=[("kind", "mine")], run_config={"a": 1})
    record, created = create_run(storage, workspace, new_run)
    assert created
    assert record == storage.get_run_record("r1")
    assert (record.status, record.run.location_name) == (RunStatus.NOT_STARTED, "here")
    assert record.run.tags == {"team": "a", "kind": "mine"}
    assert record.run.steps_planned == 1
    assert record.run.plan_snapshot_id is not None
    plan = storage.run_storage.get_snapshot(record.run.plan_snapshot_id)
    assert plan == workspace.find_job(ETL).job.plan


def test_a_managed_run_needs_no_job_that_is_loaded(
    storage: MemoryStorage, workspace: Workspace
) -> None:
    new_run = NewRun(job=JobSelector("a shell script"), managed=True)
    record, _ = create_run(storage, workspace, new_run)
    assert (record.status, record.run.location_name) == (RunStatus.MANAGED, None)


@pytest.mark.parametrize(
    ("new_run", "error"),
    [
        (NewRun(job=JobSelector("nope", location_name="here")), JobNotFoundError),
        (NewRun(job=JobSelector("nope")), CodeLocationUnavailableError),
        (NewRun(job=JobSelector("etl", location_name="nowhere")), JobNotFoundError),
        (NewRun(job=JobSelector("both")), JobAmbiguousError),
        (NewRun(job=JobSelector("both", location_name="down")), CodeLocationUnavailableError),
        (NewRun(job=ETL, run_config={"bad": 1}), RunConfigInvalidError),
    ],
)
def test_a_job_that_cannot_run_is_refused_and_nothing_is_made(
    storage: MemoryStorage, workspace: Any, new_run: NewRun, error: type[Exception]
) -> None:
    down = type(workspace.locations["here"])("down", "both")
    down.turn(CodeLocationStatus.FAILED)
    workspace.locations["down"] = down
    with pytest.raises(error):
        create_run(storage, workspace, new_run)
    assert storage.run_storage.get_runs_count() == 0


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"run_id": "../../etc"}, ("runId",)),
        ({"run_id": ""}, ("runId",)),
        ({"run_id": ".hidden"}, ("runId",)),
        ({"run_id": "x" * 129}, ("runId",)),
        ({"job": JobSelector("")}, ("job", "jobName")),
        ({"job": JobSelector("\udc80")}, ("job", "jobName")),
        ({"run_config": [1]}, ("runConfig",)),
        ({"tags": [("runwire/x", "1")]}, ("tags", "0", "key")),
        ({"idempotency_key": ""}, ("idempotencyKey",)),
        ({"idempotency_key": "k" * 257}, ("idempotencyKey",)),
    ],
)
def test_a_bad_value_is_refused_with_its_path(
    storage: MemoryStorage, workspace: Workspace, changes: dict[str, Any], path: tuple[str, ...]
) -> None:
    with pytest.raises(InputInvalidError) as refused:
        create_run(storage, workspace, NewRun(**{"job": ETL, "managed": True, **changes}))
    assert refused.value.path == path
    assert storage.run_storage.get_runs_count() == 0


def test_the_same_key_and_input_give_the_same_run(
    storage: MemoryStorage, workspace: Workspace
) -> None:
    new_run = NewRun(job=ETL, idempotency_key="k", tags=[("a", "1"), ("b", "2")])
    first, created = create_run(storage, workspace, new_run)
    again = NewRun(job=ETL, idempotency_key="k", tags=[("b", "2"), ("a", "1")])
    second, created_again = create_run(storage, workspace, again)
    assert (created, created_again) == (True, False)
    assert first == second
    assert storage.run_storage.get_runs_count() == 1


def test_the_same_key_with_another_input_is_refused(
    storage: MemoryStorage, workspace: Workspace
) -> None:
    first, _ = create_run(storage, workspace, NewRun(job=ETL, idempotency_key="k"))
    with pytest.raises(RunAlreadyExistsError) as refused:
        create_run(storage, workspace, NewRun(job=ETL, idempotency_key="k", run_config={"a": 1}))
    assert refused.value.run_id == first.run_id
    assert storage.run_storage.get_runs_count() == 1


def test_a_taken_id_is_refused(storage: MemoryStorage, workspace: Workspace) -> None:
    create_run(storage, workspace, NewRun(job=ETL, run_id="r"))
    with pytest.raises(RunAlreadyExistsError):
        create_run(storage, workspace, NewRun(job=ETL, run_id="r"))
    assert storage.run_storage.get_runs_count() == 1


def test_a_job_of_a_location_that_is_being_loaded_is_waited_for(
    storage: MemoryStorage, workspace: Any
) -> None:
    location = workspace.get_location("here")
    location.turn(CodeLocationStatus.LOADING)
    record, created = create_run(storage, workspace, NewRun(job=ETL))
    assert created
    assert record.run.location_name == "here"
    assert location.waits == [LOADING_SECONDS]


def test_who_repeats_a_request_is_given_the_run_whatever_became_of_its_job(
    storage: MemoryStorage, workspace: FakeWorkspace
) -> None:
    asked = NewRun(job=ETL, idempotency_key="k")
    made, _ = create_run(storage, workspace, asked)
    workspace.get_location("here").turn(CodeLocationStatus.UNREACHABLE)
    assert create_run(storage, workspace, asked) == (made, False)
    with pytest.raises(RunAlreadyExistsError):
        create_run(storage, workspace, replace(asked, tags=[("a", "b")]))
    with pytest.raises(CodeLocationUnavailableError):
        create_run(storage, workspace, replace(asked, idempotency_key="other"))


def test_a_key_of_the_system_is_none_that_a_user_can_give(
    storage: MemoryStorage, workspace: Workspace
) -> None:
    key = "runwire/tick/nightly/1"
    made, _ = create_run(storage, workspace, NewRun(job=ETL), system_key=key)
    again, created = create_run(storage, workspace, NewRun(job=ETL), system_key=key)
    assert (again, created) == (made, False)
    with pytest.raises(InputInvalidError, match="begin with runwire/ are the system's") as refused:
        create_run(storage, workspace, NewRun(job=ETL, idempotency_key=key))
    assert refused.value.path == ("idempotencyKey",)
    assert storage.run_storage.get_runs_count() == 1
