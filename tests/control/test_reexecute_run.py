"""Re-executing: which runs, which steps, and what the new run is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from runwire.control import Reexecution, ReexecutionStrategy, reexecute_run
from runwire.errors import (
    InputInvalidError,
    OutputNotFoundError,
    RunAlreadyExistsError,
    RunNotFoundError,
    RunStateConflictError,
    StepNotFoundError,
)
from runwire.events import EventLogEntry, EventType
from runwire.events.payloads import HandledOutputData
from runwire.runs import Run, RunRecord, RunStatus
from runwire.runs.status import TERMINAL_STATUSES
from runwire.snapshots import (
    InputSnapshot,
    JobSnapshot,
    OpNodeSnapshot,
    OutputSnapshot,
    PlanSnapshot,
    PlanStepSnapshot,
)
from runwire.storages.memory import MemoryStorage
from runwire.workspace import CodeLocationState
from tests.control.fakes import FakeLocation, FakeWorkspace
from tests.control.ways import run_in, tell

T = EventType
ALL, FROM_FAILURE = ReexecutionStrategy.ALL_STEPS, ReexecutionStrategy.FROM_FAILURE
UPSTREAM = {"a": (), "b": ("a",), "c": ("b",), "d": ("a",), "e": ("c", "d")}
TAGS = {"team": "a", "kind": "etl"}


def plan(step_keys: Iterable[str] | None = None) -> PlanSnapshot:
    chosen = set(UPSTREAM if step_keys is None else step_keys)
    return PlanSnapshot(
        "etl",
        tuple(
            PlanStepSnapshot(key, key, 0, tuple(chosen.intersection(upstream)))
            for key, upstream in UPSTREAM.items()
            if key in chosen
        ),
    )


def node(key: str) -> OpNodeSnapshot:
    inputs = tuple(InputSnapshot(up, "Any", ((up, "result"),)) for up in UPSTREAM[key])
    return OpNodeSnapshot(key, key, inputs, (OutputSnapshot("result", "Any"),))


ETL = JobSnapshot("etl", tuple(map(node, UPSTREAM)), plan(), {}, {}, tags=TAGS)


class Location(FakeLocation):
    """Has the job `etl` of five steps: a, b and d after it, c after b, e after c and d."""

    @property
    def state(self) -> CodeLocationState:
        [repository] = super().state.repositories
        return replace(super().state, repositories=(replace_jobs(repository),))

    def plan_run(
        self,
        repository_name: str,
        job_name: str,
        run_config: Any,
        step_keys: Sequence[str] | None = None,
    ) -> PlanSnapshot:
        super().plan_run(repository_name, job_name, run_config)
        return plan(step_keys)


def replace_jobs(repository: Any) -> Any:
    return type(repository)(repository.name, (ETL,))


@dataclass
class Way:
    """What tests re-execute with."""

    storage: MemoryStorage
    workspace: FakeWorkspace
    submitted: list[str]
    gone: set[tuple[str, str]]

    def again(self, run_id: str, **wanted: Any) -> RunRecord:
        """The re-execution of a run; of all steps, if nothing else is asked."""
        return self.ask(run_id, **wanted)[0]

    def ask(self, run_id: str, **wanted: Any) -> tuple[RunRecord, bool]:
        if not {"step_keys", "op_selection"} & wanted.keys():
            wanted.setdefault("strategy", ALL)
        return reexecute_run(
            self.storage,
            self.workspace,
            Reexecution(run_id=run_id, **wanted),
            lambda run, step, output, epoch: (run, step) not in self.gone,
            self.submit,
        )

    def submit(self, run_id: str) -> RunRecord:
        if run_id in self.submitted:
            raise RunStateConflictError(run_id, "STARTED", ["NOT_STARTED"])
        self.submitted.append(run_id)
        return self.storage.get_run_record(run_id)

    def ended(
        self,
        run_id: str,
        done: str = "",
        failed: str = "",
        end: EventType = T.RUN_FAILURE,
        begun: str = "",
        skipped: str = "",
        **values: Any,
    ) -> str:
        """Lets a run end in which steps succeeded, failed, were skipped, or began only."""
        if self.storage.run_storage.find_run_record(run_id) is None:
            snapshot = self.storage.run_storage.add_snapshot(plan(values.get("step_keys")))
            run = Run(
                run_id=run_id,
                **{
                    "job_name": "etl",
                    "location_name": "here",
                    "repository_name": "main",
                    "plan_snapshot_id": snapshot,
                    **values,
                },
            )
            self.storage.run_storage.add_run(run, created_at=1.0)
        tell(self.storage, run_id, T.RUN_STARTING)
        tell(self.storage, run_id, T.RUN_START, 1)
        for key in done + failed + begun:
            self.tell(run_id, T.STEP_START, key)
        for key in done:
            self.tell(run_id, T.HANDLED_OUTPUT, key)
            self.tell(run_id, T.STEP_SUCCESS, key)
        for key in failed:
            self.tell(run_id, T.STEP_FAILURE, key)
        for key in skipped:
            self.tell(run_id, T.STEP_SKIPPED, key)
        tell(self.storage, run_id, end, 1)
        return run_id

    def tell(self, run_id: str, event_type: EventType, key: str) -> None:
        data = HandledOutputData("result", "io_manager") if event_type is T.HANDLED_OUTPUT else None
        entry = EventLogEntry(
            run_id=run_id, event_type=event_type, message="m", step_key=key, data=data
        )
        self.storage.store_events(run_id, [entry], epoch=1)


@pytest.fixture
def way(storage: MemoryStorage) -> Way:
    return Way(storage, FakeWorkspace(Location("here", "etl")), [], set())


# ---------------------------------------------------------------- what it is made of


def test_the_new_run_is_made_of_the_old_one(way: Way) -> None:
    tags = {"team": "b", "runwire/priority": "3", "runwire/of_the_system": "x", "run": "old"}
    way.ended("r", run_config={"x": 1}, tags=tags, requested_by="ada")
    record = way.again("r", tags=[("run", "new")], requested_by="eve")
    run = record.run
    assert (run.parent_run_id, run.root_run_id, run.requested_by) == ("r", "r", "eve")
    assert (run.run_config, run.step_keys, run.steps_planned) == ({"x": 1}, None, 5)
    assert run.tags == {
        "team": "b",
        "kind": "etl",
        "run": "new",
        "runwire/priority": "3",
        "runwire/parent_run_id": "r",
        "runwire/root_run_id": "r",
    }
    assert way.submitted == [record.run_id]
    way.ended(record.run_id)
    child = way.again(record.run_id, run_config={}).run
    assert (child.parent_run_id, child.root_run_id, child.run_config) == (record.run_id, "r", {})
    assert child.tags["runwire/parent_run_id"] == record.run_id


def test_the_same_request_gives_the_same_run(way: Way) -> None:
    way.ended("r", "ab", "d")
    record, created = way.ask("r", strategy=FROM_FAILURE, idempotency_key="k")
    assert created
    assert way.ask("r", strategy=FROM_FAILURE, idempotency_key="k") == (record, False)
    assert way.submitted == [record.run_id]
    for other in ({"strategy": ALL}, {"step_keys": ["a"]}, {"op_selection": ["a"]}):
        with pytest.raises(RunAlreadyExistsError):
            way.ask("r", idempotency_key="k", **other)


def test_a_key_is_for_one_choice_of_steps_config_and_tags(way: Way) -> None:
    way.ended("r", "abcde", end=T.RUN_SUCCESS)
    way.again("r", step_keys=["a"], idempotency_key="k")
    others: list[dict[str, Any]] = [
        {"run_config": {}},
        {"tags": [("x", "y")]},
        {"step_keys": ["b"]},
    ]
    for other in others:
        with pytest.raises(RunAlreadyExistsError):
            way.ask("r", idempotency_key="k", **{"step_keys": ["a"], **other})


def test_a_run_that_was_made_and_not_submitted_is_submitted_by_the_repeat(way: Way) -> None:
    """Whoever made it died before it was submitted."""
    way.ended("r")
    record = way.again("r", idempotency_key="k")
    way.submitted.clear()
    assert way.ask("r", idempotency_key="k")[1] is False
    assert way.submitted == [record.run_id]


def test_a_run_that_is_submitted_by_a_repeat_before_its_maker_does_is_made(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    way.ended("r")

    def submit(run_id: str) -> RunRecord:
        raise RunStateConflictError(run_id, "STARTING", ["NOT_STARTED"])

    monkeypatch.setattr(way, "submit", submit)
    record, created = way.ask("r", idempotency_key="k")
    assert created
    assert way.storage.get_run_record(record.run_id) == record
    with pytest.raises(RunStateConflictError):
        way.ask("r")


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ({"tags": [("runwire/root_run_id", "x")]}, ("tags", "0", "key")),
        ({"idempotency_key": ""}, ("idempotencyKey",)),
        ({"run_config": [["x", 1]]}, ("runConfig",)),
        ({"run_config": {"x": int}}, ("runConfig",)),
        ({"step_keys": []}, ("scope", "stepKeys")),
        ({"op_selection": []}, ("scope", "opSelection")),
        ({"op_selection": ["a", "b c"]}, ("scope", "opSelection", "1")),
    ],
    ids=str,
)
def test_bad_input_is_refused_where_it_stands(
    way: Way, wanted: dict[str, Any], path: tuple[str, ...]
) -> None:
    way.ended("r")
    with pytest.raises(InputInvalidError) as refused:
        way.again("r", **wanted)
    assert refused.value.path == path
    assert way.submitted == []


# ---------------------------------------------------------------- which runs


@pytest.mark.parametrize("status", sorted(set(RunStatus) - TERMINAL_STATUSES, key=str), ids=str)
@pytest.mark.parametrize("strategy", [ALL, FROM_FAILURE])
def test_a_run_that_has_not_ended_is_not_run_again(
    way: Way, status: RunStatus, strategy: ReexecutionStrategy
) -> None:
    run_id = run_in(way.storage, way.workspace, status)
    with pytest.raises(RunStateConflictError, match="once it has ended") as refused:
        way.again(run_id, strategy=strategy)
    assert refused.value.status == status.value


def test_nothing_is_run_from_the_failure_of_a_run_that_succeeded(way: Way) -> None:
    way.ended("r", "abcde", end=T.RUN_SUCCESS)
    with pytest.raises(RunStateConflictError, match="nothing of it failed; ALL_STEPS") as refused:
        way.again("r", strategy=FROM_FAILURE)
    assert refused.value.expected == ("FAILURE", "CANCELED")
    assert way.again("r").run.step_keys is None


def test_nothing_is_run_from_the_failure_of_a_run_whose_steps_all_succeeded(way: Way) -> None:
    way.ended("r", "abcde", end=T.RUN_CANCELED)
    with pytest.raises(RunStateConflictError, match="all of its steps have succeeded"):
        way.again("r", strategy=FROM_FAILURE)


def test_a_run_that_is_not_there(way: Way) -> None:
    with pytest.raises(RunNotFoundError):
        way.again("gone")


# ---------------------------------------------------------------- which steps


def steps(record: RunRecord) -> str:
    return "".join(record.run.step_keys or ())


@pytest.mark.parametrize(
    ("done", "failed", "begun", "again"),
    [
        ("", "", "", "abcde"),
        ("a", "b", "", "bcde"),
        ("ab", "d", "", "cde"),
        ("abc", "d", "", "de"),
        ("abd", "", "c", "ce"),
        ("abcd", "e", "", "e"),
    ],
)
@pytest.mark.parametrize("end", [T.RUN_FAILURE, T.RUN_CANCELED], ids=str)
def test_from_failure_runs_what_did_not_succeed(
    way: Way, done: str, failed: str, begun: str, again: str, end: EventType
) -> None:
    way.ended("r", done, failed, end, begun)
    assert steps(way.again("r", strategy=FROM_FAILURE)) == again


def test_skipped_steps_run_again_only_below_what_failed(way: Way) -> None:
    way.ended("r", "a", "d", skipped="bce")
    assert steps(way.again("r", strategy=FROM_FAILURE)) == "de"


def test_from_failure_stays_within_the_steps_of_the_run(way: Way) -> None:
    way.ended("r", "abd", "c")
    second = way.again("r", step_keys=["c"])
    way.ended(second.run_id, failed="c")
    assert steps(way.again(second.run_id, strategy=FROM_FAILURE)) == "c"


def test_all_steps_are_those_of_the_first_run(way: Way) -> None:
    way.ended("r", "a", "b", step_keys=("a", "b"))
    second = way.again("r", strategy=FROM_FAILURE)
    assert steps(second) == "b"
    way.ended(second.run_id, "b", end=T.RUN_SUCCESS)
    assert steps(way.again(second.run_id)) == "ab"
    with way.storage.run_storage.hold_run("r") as held:
        held.delete()
    assert way.again(second.run_id).run.step_keys is None


@pytest.mark.parametrize(
    ("wanted", "again"),
    [
        ({"step_keys": ["e", "c", "e"]}, "ce"),
        ({"op_selection": ["c*"]}, "ce"),
        ({"op_selection": ["*c", "d"]}, "abcd"),
    ],
    ids=str,
)
def test_chosen_steps_are_in_the_order_of_the_plan(
    way: Way, wanted: dict[str, Any], again: str
) -> None:
    way.ended("r", "abcde", end=T.RUN_SUCCESS)
    record = way.again("r", **wanted)
    assert (steps(record), record.run.steps_planned) == (again, len(again))


@pytest.mark.parametrize("wanted", [{"step_keys": ["a", "x"]}, {"op_selection": ["*x"]}], ids=str)
def test_a_step_that_the_job_does_not_have(way: Way, wanted: dict[str, Any]) -> None:
    way.ended("r")
    with pytest.raises(StepNotFoundError) as refused:
        way.again("r", **wanted)
    assert refused.value.step_keys == ("x",)


# ---------------------------------------------------------------- what they need


Prepare = Callable[[Way], str]


def never_done(way: Way) -> str:
    return way.ended("r", "a", "b")


def gone(way: Way) -> str:
    way.gone.add(("r", "b"))
    return way.ended("r", "abcde", end=T.RUN_SUCCESS)


def failed_since(way: Way) -> str:
    way.ended("r", "abcde", end=T.RUN_SUCCESS)
    return way.ended(way.again("r", step_keys=["b"]).run_id, failed="b")


def deleted(way: Way) -> str:
    way.ended("r", "abcde", end=T.RUN_SUCCESS)
    run_id = way.ended(way.again("r", step_keys=["d"]).run_id, "d", end=T.RUN_SUCCESS)
    with way.storage.run_storage.hold_run("r") as held:
        held.delete()
    return run_id


def of_nobody(way: Way) -> str:
    return way.ended("r", failed="c", step_keys=("c", "d"))


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (never_done, "the step did not succeed in run 'r'"),
        (gone, "what run 'r' stored is gone"),
        (failed_since, "the step did not succeed in run"),
        (deleted, "run 'r' is deleted"),
        (of_nobody, "no run before this one had the step"),
    ],
)
def test_an_output_that_is_not_there_is_missed_before_a_run_is_made(
    way: Way, prepare: Prepare, why: str
) -> None:
    run_id = prepare(way)
    before = len(way.submitted)
    with pytest.raises(OutputNotFoundError, match=why) as refused:
        way.again(run_id, step_keys=["c"])
    assert (refused.value.step_key, refused.value.output_name) == ("b", "result")
    assert len(way.submitted) == before
