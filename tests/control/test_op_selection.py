"""Selections of ops over the graph of a job."""

from __future__ import annotations

import pytest

from runwire.control.op_selection import graph_of_plan, select_steps, with_downstream
from runwire.errors import InputInvalidError, StepNotFoundError
from runwire.snapshots import PlanSnapshot, PlanStepSnapshot

#   load -> clean -> join -> report -> send
#           other -> join            audit (alone)
GRAPH = {
    "audit": (),
    "load": (),
    "other": (),
    "clean": ("load",),
    "join": ("clean", "other"),
    "report": ("join",),
    "send": ("report",),
}
ALL = " ".join(GRAPH)


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (["join"], "join"),
        (["*join"], "load clean other join"),
        (["join*"], "join report send"),
        (["*join*"], "load clean other join report send"),
        (["+join"], "clean other join"),
        (["++join"], "load clean other join"),
        (["+++++join"], "load clean other join"),
        (["join+"], "join report"),
        (["join++"], "join report send"),
        (["+join+"], "clean other join report"),
        (["*clean+"], "load clean join"),
        (["+clean*"], "load clean join report send"),
        (["*load"], "load"),
        (["send*"], "send"),
        (["audit"], "audit"),
        (["load", "send"], "load send"),
        (["load,send"], "load send"),
        ([" load , +send ", "audit"], "load report send audit"),
        (["load", "load*", "load"], "load clean join report send"),
        (["*"], ALL),
        (["load", "*"], ALL),
        (["load,*"], ALL),
    ],
    ids=str,
)
def test_what_is_chosen(selection: list[str], chosen: str) -> None:
    assert select_steps("etl", GRAPH, selection) == set(chosen.split())


@pytest.mark.parametrize(
    ("selection", "path"),
    [
        ([], []),
        ([""], ["0"]),
        (["load", " "], ["1"]),
        (["load,"], ["0"]),
        (["load", "a b"], ["1"]),
        (["**load"], ["0"]),
        (["load+*"], ["0"]),
        (["+"], ["0"]),
        (["load*clean"], ["0"]),
    ],
    ids=str,
)
def test_what_is_no_selection_is_refused_where_it_stands(
    selection: list[str], path: list[str]
) -> None:
    with pytest.raises(InputInvalidError) as refused:
        select_steps("etl", GRAPH, selection)
    assert list(refused.value.path) == path


def test_unknown_names_are_all_told_with_the_nearest() -> None:
    with pytest.raises(StepNotFoundError) as refused:
        select_steps("etl", GRAPH, ["*repot", "load", "xyz*", "repot"])
    assert refused.value.step_keys == ("repot", "xyz")
    assert str(refused.value) == (
        "job 'etl' has no step 'repot' (did you mean 'report'?), 'xyz';"
        " its steps are: audit, clean, join, load, other, report, send"
    )


def test_steps_with_all_that_depend_on_them() -> None:
    assert with_downstream(GRAPH, ["other", "audit"]) == {
        "other",
        "join",
        "report",
        "send",
        "audit",
    }
    assert with_downstream(GRAPH, []) == frozenset()


def test_the_graph_of_a_plan() -> None:
    steps = (PlanStepSnapshot("a", "a", 0), PlanStepSnapshot("b", "b", 1, ("a",)))
    assert graph_of_plan(PlanSnapshot("etl", steps)) == {"a": (), "b": ("a",)}


def test_a_long_chain_needs_no_stack() -> None:
    chain: dict[str, tuple[str, ...]] = {"s0": ()}
    chain |= {f"s{i}": (f"s{i - 1}",) for i in range(1, 5000)}
    assert len(select_steps("etl", chain, ["*s4999"])) == 5000
