"""Plans: which steps a run of a job has, and what each waits for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runwire.definitions.wiring import OpNode, OutputRef
from runwire.errors import InputInvalidError
from runwire.snapshots import PlanSnapshot, PlanStepSnapshot


def plan_of(
    job_name: str, nodes: Sequence[OpNode], step_keys: Sequence[str] | None
) -> PlanSnapshot:
    """The plan of a run: one step for each use of an op, its key the handle, by level and key.

    Args:
        job_name: the name of the job.
        nodes: its ops, sources before what they feed.
        step_keys: the steps to run; all when None. Steps that are left out are upstream of none.

    Raises:
        InputInvalidError: the list is empty or names steps that the job does not have.
    """
    handles = [node.handle for node in nodes]
    chosen = set(handles if step_keys is None else _checked_keys(job_name, handles, step_keys))
    steps: dict[str, PlanStepSnapshot] = {}
    for node in nodes:
        if node.handle in chosen:
            upstream = sorted({ref.handle for ref in refs_of(node)} & chosen)
            level = 1 + max((steps[key].level for key in upstream), default=-1)
            steps[node.handle] = PlanStepSnapshot(node.handle, node.handle, level, tuple(upstream))
    by_level = sorted(steps.values(), key=lambda step: (step.level, step.step_key))
    return PlanSnapshot(job_name, tuple(by_level))


def refs_of(node: OpNode) -> Iterable[OutputRef]:
    """The outputs that feed an op, input by input."""
    for source in node.sources.values():
        yield from (source,) if isinstance(source, OutputRef) else source


def _checked_keys(job_name: str, handles: Sequence[str], keys: Sequence[str]) -> Sequence[str]:
    unknown = sorted(set(keys) - set(handles))
    if unknown:
        raise InputInvalidError(
            f"job {job_name!r} has no step {', '.join(map(repr, unknown))};"
            f" its steps are: {', '.join(handles)}",
            ["stepKeys"],
        )
    if not keys:
        raise InputInvalidError("no step is chosen; name some, or leave the list out", ["stepKeys"])
    return keys
