"""The life of a step, as the log tells it: whole lists of events."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from runwire.definitions import (
    AssetMaterialization,
    Failure,
    JobDefinition,
    OpContext,
    Out,
    Output,
    job,
    op,
)
from runwire.errors import InvalidDefinitionError
from runwire.events.entry import EventLogRecord
from runwire.events.metadata import JsonMetadata, MetadataEntry, NumberMetadata, TextMetadata
from runwire.events.payloads import (
    AssetEventData,
    HandledOutputData,
    LoadedInputData,
    StepErrorSource,
    StepFailureData,
    StepInputData,
    StepOutputData,
    StepSuccessData,
    TypeCheck,
)
from runwire.events.types import LogLevel
from runwire.runs.status import RunStatus
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import events, execute, told_of_steps


class Ran:
    """A job that was executed: its status, and what the log says of its steps."""

    def __init__(
        self, job: JobDefinition, folder: Path, run_config: Mapping[str, Any] | None = None
    ) -> None:
        storage = MemoryStorage()
        self.status = execute(storage, job, folder, run_config=run_config)
        self.records = [r for r in events(storage) if r.step_key is not None]
        self.told = told_of_steps(self.records)
        storage.dispose()

    def data(self, stored_type: str) -> list[Any]:
        return [r.data for r in self.records if r.stored_type == stored_type]

    def failure(self) -> EventLogRecord:
        (record,) = (r for r in self.records if r.stored_type == "STEP_FAILURE")
        return record


def job_of(*ops: Any) -> JobDefinition:
    """A job of ops that feed one another in a row."""

    @job
    def row() -> None:
        wire = ops[0]()
        for each in ops[1:]:
            wire = each(wire)

    return row


OK = TypeCheck(True, "int")


class Size(BaseModel):
    rows: int = 3


@op(out=Out(metadata={"unit": "rows"}))
def load(context: OpContext, config: Size, factor: int = 2) -> int:
    context.log.info("loading")
    context.add_output_metadata({"source": "disk"})
    context.log_event(
        AssetMaterialization(
            ["lake", "raw"],
            description="raw rows",
            metadata={"rows": config.rows},
            tags={"layer": "raw"},
            partition="2024",
        )
    )
    return config.rows * factor


@op
def double(rows: int) -> int:
    return rows * 2


def test_a_step_that_succeeds_tells_everything_in_order(tmp_path: Path) -> None:
    ran = Ran(job_of(load, double), tmp_path, {"ops": {"load": {"config": {"rows": 4}}}})
    assert ran.status is RunStatus.SUCCESS
    assert ran.told == [
        ("STEP_START", "load", "Step load started"),
        ("STEP_INPUT", "load", "Input factor of type int"),
        (None, "load", "loading"),
        ("ASSET_MATERIALIZATION", "load", "Asset lake/raw was materialized"),
        ("STEP_OUTPUT", "load", "Output result of type int"),
        ("HANDLED_OUTPUT", "load", "Output result was stored"),
        ("STEP_SUCCESS", "load", "Step load succeeded in N ms"),
        ("STEP_START", "double", "Step double started"),
        ("LOADED_INPUT", "double", "Input rows was loaded from load.result"),
        ("STEP_INPUT", "double", "Input rows of type int"),
        ("STEP_OUTPUT", "double", "Output result of type int"),
        ("HANDLED_OUTPUT", "double", "Output result was stored"),
        ("STEP_SUCCESS", "double", "Step double succeeded in N ms"),
    ]
    assert ran.data("STEP_INPUT") == [StepInputData("factor", OK), StepInputData("rows", OK)]
    assert ran.data("LOADED_INPUT") == [LoadedInputData("rows", "io_manager", "load", "result")]
    assert ran.data("ASSET_MATERIALIZATION") == [
        AssetEventData(
            ("lake", "raw"),
            partition="2024",
            description="raw rows",
            tags={"layer": "raw"},
            metadata=(MetadataEntry("rows", NumberMetadata("4")),),
        )
    ]
    unit, source = (
        MetadataEntry("unit", TextMetadata("rows")),
        MetadataEntry("source", TextMetadata("disk")),
    )
    assert ran.data("STEP_OUTPUT") == [
        StepOutputData("result", type_check=OK, metadata=(unit, source)),
        StepOutputData("result", type_check=OK),
    ]
    place = TextMetadata(str(tmp_path / "r" / "outputs" / "load,result.1"), "PATH")
    assert ran.data("HANDLED_OUTPUT")[0] == HandledOutputData(
        "result", "io_manager", (MetadataEntry("path", place),)
    )
    assert [type(data) for data in ran.data("STEP_SUCCESS")] == [StepSuccessData] * 2


@op
async def coroutine() -> int:
    await asyncio.sleep(0)
    return 1


@op
def generator() -> Iterator[Output[int] | AssetMaterialization]:
    yield AssetMaterialization("made")
    yield Output(1, metadata={"k": True})


@op
async def async_generator() -> AsyncIterator[Output[int] | AssetMaterialization]:
    async with asyncio.timeout(30):
        yield AssetMaterialization("made")
        await asyncio.sleep(0)
        yield Output(1, metadata={"k": True})


@op
def an_output() -> Output[int]:
    return Output(1)


@pytest.mark.parametrize("made", [coroutine, generator, async_generator, an_output])
def test_every_kind_of_function_gives_its_output(tmp_path: Path, made: Any) -> None:
    ran = Ran(job_of(made, double), tmp_path)
    assert ran.status is RunStatus.SUCCESS
    yields = "generator" in made.name
    entry = (MetadataEntry("k", JsonMetadata(True)),) if yields else ()
    assert ran.data("STEP_OUTPUT")[0] == StepOutputData("result", type_check=OK, metadata=entry)
    assert len(ran.data("ASSET_MATERIALIZATION")) == yields


@op(out={"a": Out(int), "b": Out(int)})
def as_tuple() -> Any:
    return 1, 2


@op(out={"a": Out(int), "b": Out(int)})
def as_tuple_of_outputs() -> Any:
    return Output(1, "a"), Output(2)


@op(out={"a": Out(int), "b": Out(int)})
def as_yields() -> Any:
    yield Output(2, "b")
    yield Output(1, "a")


@op
def pair(a: int, b: int) -> list[int]:
    return [a, b]


@pytest.mark.parametrize("split", [as_tuple, as_tuple_of_outputs, as_yields])
def test_several_outputs_reach_the_inputs_that_they_are_for(tmp_path: Path, split: Any) -> None:
    @op
    def check(values: list[int]) -> None:
        assert values == [1, 2]

    @job
    def both() -> None:
        a, b = split()
        check(pair(a, b))

    assert Ran(both, tmp_path).status is RunStatus.SUCCESS


@op(out={"a": Out(int, is_required=False), "b": Out(int, is_required=False)})
def maybe() -> Any:
    yield Output(1, "a")


@op(out={"a": Out(int, is_required=False), "b": Out(int, is_required=False)})
def nothing() -> None: ...


@op
def merge(parts: list[int]) -> int:
    return sum(parts)


@op
def count(rows: int) -> int:
    return rows


def test_what_is_not_given_skips_those_who_need_it_and_a_fan_in_takes_the_rest(
    tmp_path: Path,
) -> None:
    @job
    def partly() -> None:
        given = maybe()
        count(given.b)
        merge([given.b, given.a])
        count(count(nothing().a))

    ran = Ran(partly, tmp_path)
    assert ran.status is RunStatus.SUCCESS
    of_merge = [each for each in ran.told if each[1] == "merge"]
    assert of_merge[1:3] == [
        ("LOADED_INPUT", "merge", "Input parts was loaded from maybe.a"),
        ("STEP_INPUT", "merge", "Input parts of type list[int]"),
    ]
    assert [each for each in ran.told if (each[1] or "").startswith("count")] == [
        ("STEP_SKIPPED", "count", "Step count was skipped: maybe.b was not given"),
        ("STEP_SKIPPED", "count_2", "Step count_2 was skipped: nothing.a was not given"),
        ("STEP_SKIPPED", "count_3", "Step count_3 was skipped: count_2.result was not given"),
    ]


@op
def boom() -> int:
    raise ValueError("no rows\nat all")


def test_a_failing_op_tells_the_user_s_error_with_the_user_s_stack(tmp_path: Path) -> None:
    ran = Ran(job_of(boom, double, double), tmp_path)
    assert ran.status is RunStatus.FAILURE
    assert ran.told == [
        ("STEP_START", "boom", "Step boom started"),
        ("STEP_FAILURE", "boom", "Step boom failed: ValueError: no rows"),
        (
            "ENGINE_EVENT",
            "double",
            "Step double was abandoned: it needs boom, which did not succeed",
        ),
        (
            "ENGINE_EVENT",
            "double_2",
            "Step double_2 was abandoned: it needs double, which did not succeed",
        ),
    ]
    assert [record.level for record in ran.records] == [LogLevel.DEBUG, *[LogLevel.ERROR] * 3]
    error = ran.failure().error
    assert error is not None
    assert (error.class_name, error.message, error.causes) == ("ValueError", "no rows\nat all", ())
    (frame,) = error.stack
    assert __file__ in frame
    assert 'raise ValueError("no rows' in frame
    assert ran.failure().data == StepFailureData(StepErrorSource.USER_CODE_ERROR)


def deeper() -> None:
    raise KeyError("x")


@op
async def async_boom() -> int:
    await asyncio.sleep(0)
    try:
        deeper()
    except KeyError as error:
        raise OSError("disk") from error
    return 1


def test_the_stack_of_a_coroutine_has_no_event_loop_in_it(tmp_path: Path) -> None:
    error = Ran(job_of(async_boom), tmp_path).failure().error
    assert error is not None
    assert [cause.class_name for cause in error.causes] == ["KeyError"]
    for stack, frames in ((error.stack, 1), (error.causes[0].stack, 2)):
        assert len(stack) == frames
        assert all(__file__ in frame for frame in stack)


@op
def fails() -> int:
    raise Failure("the source is empty", {"rows": 0})


def test_an_intentional_failure_gives_its_description_and_metadata(tmp_path: Path) -> None:
    record = Ran(job_of(fails), tmp_path).failure()
    assert record.message == "Step fails failed: the source is empty"
    assert record.data == StepFailureData(
        StepErrorSource.USER_CODE_ERROR,
        label="intentional-failure",
        description="the source is empty",
        metadata=(MetadataEntry("rows", NumberMetadata("0")),),
    )
    assert record.error is not None
    assert record.error.class_name == "Failure"


@op
def exits() -> int:
    sys.exit(3)


@op
def cancels() -> int:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("leaves", "name"), [(exits, "SystemExit: 3"), (cancels, "CancelledError")]
)
def test_user_code_that_wants_to_leave_fails_its_step_not_the_worker(
    tmp_path: Path, leaves: Any, name: str
) -> None:
    @job
    def two() -> None:
        leaves()
        an_output.alias("later")()

    ran = Ran(two, tmp_path)
    assert ran.failure().message == f"Step {leaves.name} failed: {name}"
    assert ran.failure().data == StepFailureData(StepErrorSource.USER_CODE_ERROR)
    assert ran.told[-1] == ("STEP_SUCCESS", "later", "Step later succeeded in N ms")


@op
def wrong_type() -> int:
    return "three"  # type: ignore[return-value]


def test_an_output_of_another_type_is_told_and_not_stored(tmp_path: Path) -> None:
    ran = Ran(job_of(wrong_type), tmp_path)
    problem = "expected int, got 'three' of type str"
    assert ran.told == [
        ("STEP_START", "wrong_type", "Step wrong_type started"),
        (
            "STEP_OUTPUT",
            "wrong_type",
            f"Output result of type int did not pass its type check: {problem}",
        ),
        (
            "STEP_FAILURE",
            "wrong_type",
            (
                f"Step wrong_type failed: output 'result' of op 'wrong_type': {problem}; mend the"
                " value or the type of the output"
            ),
        ),
    ]
    assert ran.data("STEP_OUTPUT") == [
        StepOutputData("result", type_check=TypeCheck(False, "int", problem))
    ]
    assert ran.failure().data == StepFailureData(StepErrorSource.FRAMEWORK_ERROR)
    assert not (tmp_path / "r").exists()


@op
def text() -> str:
    return "three"


def test_an_input_of_another_type_is_told_and_the_op_does_not_run(tmp_path: Path) -> None:
    ran = Ran(job_of(text, double), tmp_path)
    problem = "expected int, got 'three' of type str"
    assert ran.told[-2:] == [
        ("STEP_INPUT", "double", f"Input rows of type int did not pass its type check: {problem}"),
        (
            "STEP_FAILURE",
            "double",
            (
                f"Step double failed: input 'rows' of op 'double': {problem}; mend the op that gives"
                " the value, or the type of the input"
            ),
        ),
    ]


@op
def never_yields() -> Iterator[Output[int]]:
    yield from ()


@op(out={"a": Out(), "b": Out()})
def half() -> Iterator[Any]:
    yield Output(1, "b")


@op(out={"a": Out(), "b": Out(is_required=False)})
def undeclared() -> Iterator[Any]:
    yield Output(1, "c")


@op
def twice() -> Iterator[Any]:
    yield Output(1)
    yield Output(2)


@op(out={"a": Out(), "b": Out()})
def short() -> Any:
    return (1,)


@op(out={"a": Out(), "b": Out()})
def listed() -> Any:
    return [1, 2]


@op(out={"a": Out(), "b": Out()})
def none() -> Any: ...


@op(out={"a": Out(), "b": Out()})
def swapped() -> Any:
    return Output(2, "b"), Output(1, "a")


@op
def yields_value() -> Iterator[Any]:
    yield 5


IN_ORDER = "return a tuple of its 2 outputs in order: a, b"
WRONG = [
    (
        never_yields,
        (
            "ended without its required output 'result'; yield Output(value, 'result'), or declare it"
            " Out(is_required=False)"
        ),
    ),
    (
        half,
        (
            "ended without its required output 'a'; yield Output(value, 'a'), or declare it"
            " Out(is_required=False)"
        ),
    ),
    (undeclared, "gives an output 'c', which it does not declare; its outputs are: a, b"),
    (twice, "gives its output 'result' twice; give each output once"),
    (short, f"returns a tuple of 1 values; {IN_ORDER}"),
    (listed, f"returns a list; {IN_ORDER}"),
    (none, f"returns None; {IN_ORDER}"),
    (swapped, f"returns an Output for 'b' in the place of 'a'; {IN_ORDER}"),
    (yields_value, "yields a int; yield Output(value, output_name) or an AssetMaterialization"),
]


@pytest.mark.parametrize(("wrong", "problem"), WRONG, ids=lambda value: getattr(value, "name", ""))
def test_outputs_that_do_not_fit_are_refused_with_op_output_and_mend(
    tmp_path: Path, wrong: Any, problem: str
) -> None:
    ran = Ran(job_of(wrong), tmp_path)
    assert ran.status is RunStatus.FAILURE
    assert ran.failure().message == f"Step {wrong.name} failed: op {wrong.name!r} {problem}"
    assert ran.failure().data == StepFailureData(StepErrorSource.FRAMEWORK_ERROR)
    assert ran.failure().error is not None


@op
def closes(context: OpContext) -> Iterator[Any]:
    try:
        yield 5
    finally:
        context.log.info("closed")


@op
async def async_closes(context: OpContext) -> AsyncIterator[Any]:
    try:
        yield 5
    finally:
        context.log.info("closed")


@pytest.mark.parametrize("made", [closes, async_closes])
def test_a_generator_is_closed_when_what_it_gave_is_refused(tmp_path: Path, made: Any) -> None:
    ran = Ran(job_of(made), tmp_path)
    types = [(each[0], each[2]) for each in ran.told]
    assert types[1] == (None, "closed")
    assert types[2][0] == "STEP_FAILURE"


@op(out={"rows": Out(int)})
def named() -> Any:
    return Output(1, metadata={"k": 1})


def test_an_op_with_one_output_need_not_name_it(tmp_path: Path) -> None:
    ran = Ran(job_of(named), tmp_path)
    assert [data.output_name for data in ran.data("STEP_OUTPUT")] == ["rows"]


@op
def lock() -> Any:
    return threading.Lock()


def test_an_output_that_cannot_be_stored_fails_the_step(tmp_path: Path) -> None:
    ran = Ran(job_of(lock), tmp_path)
    assert [each[0] for each in ran.told] == ["STEP_START", "STEP_OUTPUT", "STEP_FAILURE"]
    assert ran.failure().message.startswith(
        "Step lock failed: output 'result' of op 'lock' is a lock, which cannot be pickled:"
    )
    error = ran.failure().error
    assert error is not None
    assert (error.class_name, [cause.class_name for cause in error.causes]) == (
        "OutputHandleError",
        ["TypeError"],
    )


def test_an_input_that_cannot_be_loaded_fails_the_step_with_the_reason(tmp_path: Path) -> None:
    @op
    def damages() -> int:
        return 1

    @op
    def damage(context: OpContext, rows: int) -> int:
        (tmp_path / "r" / "outputs" / "damages,result.1").write_bytes(b"damaged")
        return rows

    @job
    def damaged() -> None:
        value = damages()
        damage(value)
        double.tag({"runwire/priority": "-1"})(value)

    message = Ran(damaged, tmp_path).failure().message
    assert message.startswith(
        "Step double failed: input 'rows' of op 'double' could not be loaded from output 'result' of"
        " step 'damages': UnpicklingError: "
    )


def test_metadata_for_an_output_that_is_not_to_come_is_refused_where_it_is_added(
    tmp_path: Path,
) -> None:
    problems = []

    @op
    def adds(context: OpContext) -> Iterator[Any]:
        for name in ("nope", "result"):
            if name == "result":
                yield Output(1)
            try:
                context.add_output_metadata({"k": 1}, name)
            except InvalidDefinitionError as error:
                problems.append(str(error))

    assert Ran(job_of(adds), tmp_path).status is RunStatus.SUCCESS
    assert problems == [
        "op 'adds' has no output 'nope' to add metadata to; its outputs are: result",
        "op 'adds' has given its output 'result' already; add metadata before that",
    ]


def test_the_context_tells_where_the_op_runs(tmp_path: Path) -> None:
    seen = []

    @op
    def look(context: OpContext, config: Size) -> None:
        seen.append(
            (
                context.run_id,
                context.job_name,
                context.step_key,
                context.op_name,
                context.op_config,
                context.run_tags,
                context.instance,
            )
        )

    assert Ran(job_of(look.alias("look_here")), tmp_path).status is RunStatus.SUCCESS
    assert seen == [("r", "row", "look_here", "look", Size(), {"team": "a"}, None)]


@op
def logs_wrong_event(context: OpContext) -> None:
    context.log_event("made it")  # type: ignore[arg-type]


@op
def uses_unrequired(context: OpContext) -> None:
    context.resources.disk  # noqa: B018 - the access is what is refused


def test_misuse_of_the_context_fails_the_step_with_the_mend(tmp_path: Path) -> None:
    assert Ran(job_of(logs_wrong_event), tmp_path).failure().message == (
        "Step logs_wrong_event failed: TypeError: log_event is given a str; give an"
        " AssetMaterialization"
    )
    assert Ran(job_of(uses_unrequired), tmp_path).failure().message == (
        "Step uses_unrequired failed: AttributeError: op 'uses_unrequired' does not require resource"
        " 'disk'; add it to its required_resource_keys"
    )
