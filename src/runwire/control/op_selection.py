"""Selections of ops, such as ``*load`` or ``clean++``, over the graph of a job. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from runwire.errors import InputInvalidError, StepNotFoundError
from runwire.snapshots import PlanSnapshot

Graph = Mapping[str, Collection[str]]
"""The steps that each step waits for, by key."""

_CLAUSE = re.compile(r"(\*|\++)?([^\s*+,]+)(\*|\++)?")


def graph_of_plan(plan: PlanSnapshot) -> Graph:
    """The graph of a plan, in its order."""
    return {step.step_key: step.upstream_step_keys for step in plan.steps}


def select_steps(job_name: str, graph: Graph, selection: Sequence[str]) -> frozenset[str]:
    """The steps that a selection names.

    ``a`` is the step itself, ``*a`` it and all above it, ``a*`` it and all below it, ``+a`` it and those one level
    above, ``a++`` it and those up to two levels below; ``*`` alone is every step. A text may hold several, joined by
    commas; what any of them names is chosen.

    Args:
        job_name: the name of the job.
        graph: its steps.
        selection: the texts.

    Raises:
        InputInvalidError: a text is no selection, or there is none; its path ends with the index of the text.
        StepNotFoundError: a text names steps that the graph does not have.
    """
    if not selection:
        raise InputInvalidError("no step is chosen; give a selection such as 'load*'", [])
    clauses = [
        (clause.strip(), index)
        for index, text in enumerate(selection)
        for clause in text.split(",")
    ]
    parsed = [_parse(clause, index) for clause, index in clauses if clause != "*"]
    unknown = list(dict.fromkeys(name for _, name, _ in parsed if name not in graph))
    if unknown:
        raise StepNotFoundError(job_name, unknown, graph)
    if len(parsed) < len(clauses):
        return frozenset(graph)
    below = _reversed(graph)
    chosen: set[str] = set()
    for up, name, down in parsed:
        chosen |= _within(graph, name, up) | _within(below, name, down)
    return frozenset(chosen)


def with_downstream(graph: Graph, step_keys: Iterable[str]) -> frozenset[str]:
    """Steps and all that depend on them."""
    below = _reversed(graph)
    return frozenset(found for key in step_keys for found in _within(below, key, None))


def _parse(clause: str, index: int) -> tuple[int | None, str, int | None]:
    """How many levels up, the name, how many levels down; None for all levels."""
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise InputInvalidError(
            f"{clause!r} is no selection; write 'load', '*load', 'load*', '+load' or 'load++', and commas"
            " between several",
            [str(index)],
        )
    up, name, down = match.groups()
    return _levels(up), name, _levels(down)


def _levels(sign: str | None) -> int | None:
    return None if sign == "*" else len(sign or "")


def _within(edges: Graph, start: str, levels: int | None) -> set[str]:
    """What is reached from a step in so many levels, itself included."""
    found, edge = {start}, {start}
    while edge and levels != 0:
        edge = {key for each in edge for key in edges[each]} - found
        found |= edge
        levels = None if levels is None else levels - 1
    return found


def _reversed(graph: Graph) -> dict[str, list[str]]:
    below: dict[str, list[str]] = {key: [] for key in graph}
    for key, upstream in graph.items():
        for each in upstream:
            below[each].append(key)
    return below
