"""Runs that run steps of runs before them again: which steps run, and where what they read comes from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runwire.client import RequestRefusedError, RunwireClient, SubmittedRun
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from tests.end_to_end.conftest import STORAGES, Server, storage_setting
from tests.end_to_end.fleet import Fleet, fleet

JOBS = '''
import time
from pydantic import BaseModel
from runwire import Out, Output


class Flaky(BaseModel):
    fails: bool = False
    waits: bool = False


def read(context, *values):
    """Tells what a step has read."""
    tell(context)
    with open(HERE / "read", "a") as file:
        file.write(f"{context.run_id} {context.step_key} {' '.join(values)}\\n")


@op
def load(context: OpContext) -> str:
    tell(context)
    return "rows of " + context.run_id[:8]


@op(out={"some": Out(is_required=False), "none": Out(is_required=False)})
def split(context: OpContext, rows: str):
    read(context, rows)
    yield Output("split by " + context.run_id[:8], "some")


@op
def flaky(context: OpContext, config: Flaky, rows: str) -> str:
    read(context, rows)
    while config.waits:
        time.sleep(0.01)
    if config.fails:
        raise ValueError("told to fail")
    return "mended by " + context.run_id[:8]


@op
def never(context: OpContext, rows: str, mended: str) -> None:
    tell(context)


@op
def join(context: OpContext, parts: list[str], mended: str) -> str:
    read(context, *parts, mended)
    return "joined by " + context.run_id[:8]


@op
def report(context: OpContext, joined: str) -> None:
    read(context, joined)


def wire():
    rows = load()
    parts = split(rows)
    mended = flaky(rows)
    never(parts.none, mended)
    report(join([parts.some, parts.none], mended))


@job
def etl():
    wire()


@job(executor_def=multiprocess_executor)
def etl_in_processes():
    wire()
'''
FAILS = {"ops": {"flaky": {"config": {"fails": True}}}}
WAITS = {"ops": {"flaky": {"config": {"waits": True}}}}


class Runs:
    """Runs of a fleet by their client."""

    def __init__(self, made: Fleet, client: RunwireClient) -> None:
        self.made = made
        self.client = client

    def submit(self, job_name: str, run_config: dict[str, Any] | None = None) -> str:
        """The id of a run that has ended."""
        run_id = self.client.submit_run(job_name, run_config).run.run_id
        self.made.wait_for_end(run_id)
        return run_id

    def again(self, run_id: str, **wanted: Any) -> RunRecord:
        """The re-execution of a run, once it has ended."""
        made = self.client.reexecute_run(run_id, **wanted)
        assert made.created
        return self.made.wait_for_end(made.run.run_id)

    def steps(self, run_id: str) -> set[str]:
        """The steps that ran in a run; none ran twice."""
        ran = [line.step_key for line in self.made.lines(run_id)]
        assert len(ran) == len(set(ran))
        return set(ran)

    def read(self, run_id: str, step_key: str) -> str:
        """What a step of a run has read."""
        lines = (self.made.home / "read").read_text().splitlines()
        [found] = [line for line in lines if line.startswith(f"{run_id} {step_key} ")]
        return found.split(" ", 2)[2]

    def planned(self, run_id: str) -> set[str]:
        """The steps that the API tells of a run."""
        query = "query ($id: ID!) { run(runId: $id) { steps { nodes { stepKey } } } }"
        told = self.made.ask(query, id=run_id)["run"]["steps"]["nodes"]
        return {step["stepKey"] for step in told}


@contextmanager
def serving(home: Path, storage: str) -> Iterator[Runs]:
    with fleet(Server(home), JOBS, storage) as made:
        made.serve()
        with RunwireClient(made.server.url) as client:
            yield Runs(made, client)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, postgres_server: object) -> Iterator[Runs]:
    """The server of databases is begun before, for it is there still when these are gone."""
    with serving(tmp_path_factory.mktemp("runs"), STORAGES["sharded"]) as made:
        yield made


def short(run_id: str) -> str:
    return run_id[:8]


@pytest.mark.parametrize(
    ("job_name", "storage"),
    [
        ("etl", "sharded"),
        ("etl_in_processes", "sharded"),
        ("etl_in_processes", "consolidated"),
        ("etl", "postgres"),
    ],
)
def test_what_failed_runs_again_with_what_succeeded_before(
    request: pytest.FixtureRequest, tmp_path: Path, job_name: str, storage: str
) -> None:
    if storage == "sharded":
        check_what_runs_again(request.getfixturevalue("runs"), job_name)
    else:
        with serving(tmp_path, storage_setting(request, storage)) as runs:
            check_what_runs_again(runs, job_name)


def check_what_runs_again(runs: Runs, job_name: str) -> None:
    first = runs.submit(job_name, FAILS)
    assert runs.made.record(first).status is RunStatus.FAILURE
    assert runs.steps(first) == {"load", "split", "flaky"}

    second = runs.again(first, from_failure=True, run_config={})
    assert second.status is RunStatus.SUCCESS
    assert runs.steps(second.run_id) == {"flaky", "join", "report"}
    assert runs.read(second.run_id, "flaky") == f"rows of {short(first)}"
    joined = f"split by {short(first)} mended by {short(second.run_id)}"
    assert runs.read(second.run_id, "join") == joined
    again = {"flaky", "never", "join", "report"}
    assert runs.planned(second.run_id) == again
    assert second.run.steps_planned == second.counts.planned == len(again)
    assert (second.counts.succeeded, second.counts.skipped) == (3, 1)
    assert (second.run.parent_run_id, second.root_run_id) == (first, first)

    third = runs.again(second.run_id, op_selection=["join"])
    assert runs.steps(third.run_id) == {"join"}
    assert runs.read(third.run_id, "join") == joined
    assert (third.run.parent_run_id, third.root_run_id) == (second.run_id, first)
    group = runs.made.ask(
        "query ($id: ID!) { run(runId: $id) { group { runs { nodes { runId } } } } }",
        id=third.run_id,
    )["run"]["group"]["runs"]["nodes"]
    assert {run["runId"] for run in group} == {first, second.run_id, third.run_id}


def test_all_steps_of_the_first_run_run_again(runs: Runs) -> None:
    first = runs.submit("etl", FAILS)
    second = runs.again(first, from_failure=True)
    assert second.status is RunStatus.FAILURE
    assert second.run.run_config == FAILS
    third = runs.again(second.run_id, run_config={})
    assert third.status is RunStatus.SUCCESS
    assert runs.steps(third.run_id) == {"load", "split", "flaky", "join", "report"}
    assert third.run.step_keys is None


def test_what_a_canceled_run_did_not_end_runs_again(runs: Runs) -> None:
    first = runs.client.submit_run("etl", WAITS).run.run_id
    runs.made.wait_for_step(first, "flaky")
    runs.client.terminate_run(first)
    assert runs.made.wait_for_end(first).status is RunStatus.CANCELED
    second = runs.again(first, from_failure=True, run_config={})
    assert second.status is RunStatus.SUCCESS
    assert runs.steps(second.run_id) == {"split", "flaky", "join", "report"}
    assert runs.read(second.run_id, "flaky") == f"rows of {short(first)}"


def test_what_three_runs_gave_is_joined_and_a_deleted_one_is_missed(runs: Runs) -> None:
    first = runs.submit("etl")
    second = runs.again(first, step_keys=["split"])
    third = runs.again(second.run_id, step_keys=["flaky"])
    last = runs.again(third.run_id, op_selection=["join*"])
    assert runs.steps(last.run_id) == {"join", "report"}
    assert runs.read(last.run_id, "join") == (
        f"split by {short(second.run_id)} mended by {short(third.run_id)}"
    )
    runs.client.delete_run(second.run_id)
    with pytest.raises(RequestRefusedError, match=f"run '{second.run_id}' is deleted") as refused:
        runs.again(third.run_id, step_keys=["join"])
    assert refused.value.type_name == "OutputNotFound"


def test_a_step_whose_input_was_not_given_before_is_skipped_again(runs: Runs) -> None:
    first = runs.submit("etl")
    second = runs.again(first, step_keys=["never"])
    assert second.status is RunStatus.SUCCESS
    assert (second.counts.planned, second.counts.skipped) == (1, 1)
    assert runs.steps(second.run_id) == set()


def test_an_output_whose_file_is_gone_is_missed_before_anything_runs(runs: Runs) -> None:
    first = runs.submit("etl", FAILS)
    shutil.rmtree(runs.made.home / "storage" / first / "outputs")
    with pytest.raises(RequestRefusedError, match=f"what run '{first}' stored is gone") as refused:
        runs.again(first, from_failure=True)
    assert refused.value.type_name == "OutputNotFound"
    assert runs.client.list_runs().runs[0].run_id == first


def test_of_many_requests_with_one_key_one_makes_a_run(runs: Runs) -> None:
    first = runs.submit("etl", FAILS)

    def ask(_: int) -> SubmittedRun:
        with RunwireClient(runs.made.server.url) as client:
            return client.reexecute_run(
                first, from_failure=True, run_config={}, idempotency_key="k"
            )

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(ask, range(8)))
    assert sorted(each.created for each in made) == [False] * 7 + [True]
    [run_id] = {each.run.run_id for each in made}
    assert runs.made.wait_for_end(run_id).status is RunStatus.SUCCESS
    assert runs.steps(run_id) == {"flaky", "join", "report"}
