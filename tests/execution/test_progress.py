"""The states of steps as a state machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwire.definitions import InputDefinition, OpDefinition, OutputDefinition, OutputRef
from runwire.execution import ExecutionPlan, ExecutionStep, Progress, StepState
from runwire.execution.plan import StepInput
from runwire.execution.progress import Dropped

P = StepState


def step(key: str, *inputs: str | list[str], priority: int = 0) -> ExecutionStep:
    """A step; each input is fed by an output such as ``load.rows``, or by a list of them."""
    made = []
    for index, source in enumerate(inputs):
        names = [source] if isinstance(source, str) else source
        refs = tuple(OutputRef(*name.split(".")) for name in names)
        definition = InputDefinition(f"in{index}", object, "Any")
        made.append(StepInput(definition, refs, isinstance(source, list)))
    upstream = sorted({ref.handle for each in made for ref in each.sources})
    outputs = {"a": OutputDefinition("a", object, "Any", is_required=False)}
    op = OpDefinition(key, lambda: None, {}, outputs)
    return ExecutionStep(key, op, tuple(made), None, tuple(upstream), priority)


def progress_of(*steps: ExecutionStep) -> Progress:
    return Progress(ExecutionPlan("etl", {each.key: each for each in steps}))


def states(progress: Progress) -> dict[str, StepState]:
    return {key: progress.state_of(key) for key in progress.steps_in(*StepState)}


def test_a_chain_goes_from_pending_to_success_step_by_step() -> None:
    progress = progress_of(step("load"), step("clean", "load.a"))
    assert states(progress) == {"load": P.EXECUTABLE, "clean": P.PENDING}
    assert progress.start_next() == "load"
    assert states(progress) == {"load": P.IN_FLIGHT, "clean": P.PENDING}
    assert progress.start_next() is None
    assert progress.succeed("load", {"a": 1}) == []
    assert states(progress) == {"load": P.SUCCESS, "clean": P.EXECUTABLE}
    assert not progress.is_complete
    assert progress.start_next() == "clean"
    assert progress.succeed("clean", {}) == []
    assert states(progress) == {"load": P.SUCCESS, "clean": P.SUCCESS}
    assert (progress.is_complete, progress.failed) == (True, ())


def test_a_step_waits_for_all_that_feed_it() -> None:
    progress = progress_of(step("a"), step("b"), step("c", "a.a", "b.a"))
    progress.start_next()
    progress.start_next()
    progress.succeed("b", {"a": 1})
    assert progress.state_of("c") is P.PENDING
    progress.succeed("a", {"a": 1})
    assert progress.state_of("c") is P.EXECUTABLE


def test_larger_priorities_go_first_and_equal_ones_in_the_order_of_the_plan() -> None:
    progress = progress_of(
        step("a"), step("b", priority=5), step("c", priority=-1), step("d", priority=5)
    )
    assert [progress.start_next() for _ in range(5)] == ["b", "d", "a", "c", None]


def test_a_step_that_misses_an_input_is_skipped_and_those_after_it() -> None:
    progress = progress_of(step("load"), step("clean", "load.b"), step("store", "clean.a"))
    progress.start_next()
    assert progress.succeed("load", {"a": 1}) == [
        Dropped("clean", P.SKIPPED, ("load.b",)),
        Dropped("store", P.SKIPPED, ("clean.a",)),
    ]
    assert progress.is_complete
    assert progress.failed == ()


def test_a_fan_in_runs_while_one_of_its_sources_was_given() -> None:
    progress = progress_of(step("load"), step("merge", ["load.a", "load.b"]))
    progress.start_next()
    assert progress.succeed("load", {"b": 1}) == []
    assert progress.state_of("merge") is P.EXECUTABLE
    assert [progress.has_output("load", name) for name in "ab"] == [False, True]


def test_a_fan_in_without_any_source_is_skipped_and_all_are_named() -> None:
    progress = progress_of(step("load"), step("merge", ["load.a", "load.b"]))
    progress.start_next()
    assert progress.succeed("load", {}) == [Dropped("merge", P.SKIPPED, ("load.a", "load.b"))]


def test_what_needs_a_step_that_failed_is_abandoned_at_once_and_those_after_it() -> None:
    progress = progress_of(
        step("a"), step("b"), step("c", "a.a", "b.a"), step("d", "c.a"), step("e", "b.a")
    )
    progress.start_next()
    progress.start_next()
    assert progress.fail("a") == [
        Dropped("c", P.ABANDONED, ("a",)),
        Dropped("d", P.ABANDONED, ("c",)),
    ]
    assert progress.succeed("b", {"a": 1}) == []
    assert states(progress) == {
        "a": P.FAILED,
        "b": P.SUCCESS,
        "c": P.ABANDONED,
        "d": P.ABANDONED,
        "e": P.EXECUTABLE,
    }
    assert progress.failed == ("a",)


def test_a_failure_upstream_weighs_more_than_a_missing_input() -> None:
    for first, second in (("a", "b"), ("b", "a")):
        progress = progress_of(step("a"), step("b"), step("c", "a.a", "b.a"))
        progress.start_next()
        progress.start_next()
        dropped = []
        for key in (first, second):
            dropped += progress.fail(key) if key == "a" else progress.succeed(key, {})
        assert dropped == [Dropped("c", P.ABANDONED, ("a",))]


@pytest.mark.parametrize("end", ["succeed", "fail"])
def test_only_a_step_in_flight_can_end(end: str) -> None:
    progress = progress_of(step("a"), step("b", "a.a"))

    def try_to_end(key: str) -> None:
        progress.fail(key) if end == "fail" else progress.succeed(key, {"a": 1})

    for key, state in (("a", "EXECUTABLE"), ("b", "PENDING")):
        with pytest.raises(ValueError, match=f"step '{key}' is {state}; only a step IN_FLIGHT"):
            try_to_end(key)
    assert states(progress) == {"a": P.EXECUTABLE, "b": P.PENDING}
    assert not progress.has_output("a", "a")
    progress.start_next()
    progress.fail("a")
    with pytest.raises(ValueError, match="step 'a' is FAILED"):
        try_to_end("a")


@st.composite
def graphs(draw: st.DrawFn) -> list[ExecutionStep]:
    steps: list[ExecutionStep] = []
    for index in range(draw(st.integers(1, 8))):
        keys = [each.key for each in steps]
        refs = [f"{key}.{name}" for key in keys for name in "ab"]
        inputs = draw(st.lists(st.sampled_from(refs), max_size=3)) if refs else []
        steps.append(step(f"s{index}", *inputs, priority=draw(st.integers(-1, 1))))
    return steps


@given(graphs(), st.data())
def test_every_step_ends_once_whatever_happens(
    steps: list[ExecutionStep], data: st.DataObject
) -> None:
    progress = progress_of(*steps)
    ended: list[str] = []
    while (key := progress.start_next()) is not None:
        outputs = data.draw(st.none() | st.sets(st.sampled_from("ab")))
        dropped = (
            progress.fail(key)
            if outputs is None
            else progress.succeed(key, dict.fromkeys(outputs, 1))
        )
        ended += [key, *(drop.step_key for drop in dropped)]
        for drop in dropped:
            assert progress.state_of(drop.step_key) is drop.state
    assert progress.is_complete
    assert sorted(ended) == sorted(each.key for each in steps)
    for each in steps:
        broken = any(progress.state_of(key) in {P.FAILED, P.ABANDONED} for key in each.upstream)
        assert (progress.state_of(each.key) is P.ABANDONED) == broken
