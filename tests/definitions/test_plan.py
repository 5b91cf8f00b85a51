"""Plans: the steps of a run, by level and key."""

from __future__ import annotations

import pytest

from runwire import Out, job, op
from runwire.errors import InputInvalidError
from runwire.snapshots import PlanSnapshot, PlanStepSnapshot


@op(out={"even": Out(), "odd": Out()})
def split() -> None: ...


@op
def clean(rows: list[int]) -> list[int]:
    return rows


@op
def merge(parts: list[list[int]], more: int = 0) -> int:
    return more


@job
def etl() -> None:
    parts = split()
    cleaned = clean.alias("clean_even")(parts.even)
    merge([clean.alias("again")(cleaned), parts.odd, parts.even])
    split.alias("alone")()


def _step(key: str, level: int, *upstream: str) -> PlanStepSnapshot:
    return PlanStepSnapshot(key, key, level, upstream)


def test_a_plan_has_a_step_for_each_use_by_level_and_key() -> None:
    assert etl.plan() == PlanSnapshot(
        "etl",
        (
            _step("alone", 0),
            _step("split", 0),
            _step("clean_even", 1, "split"),
            _step("again", 2, "clean_even"),
            _step("merge", 3, "again", "split"),
        ),
    )


def test_a_plan_of_some_steps_has_no_others_above_them() -> None:
    assert etl.plan(["merge", "again", "split", "merge"]) == PlanSnapshot(
        "etl",
        (_step("again", 0), _step("split", 0), _step("merge", 1, "again", "split")),
    )


def test_unknown_steps_and_an_empty_choice_are_refused() -> None:
    with pytest.raises(InputInvalidError) as caught:
        etl.plan(["merge", "clean", "nope"])
    assert caught.value.path == ("stepKeys",)
    assert str(caught.value) == (
        "job 'etl' has no step 'clean', 'nope'; its steps are: split, clean_even, again, merge,"
        " alone"
    )
    with pytest.raises(InputInvalidError, match=r"^no step is chosen; name some, or leave"):
        etl.plan([])
