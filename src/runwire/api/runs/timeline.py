"""Reading what plan and log tell of the steps of a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from runwire.api.context import ApiContext
from runwire.runs.run import RunRecord
from runwire.runs.steps import StepHistory, settle_steps
from runwire.snapshots import PlanSnapshot, PlanStepSnapshot


class StepRow(NamedTuple):
    """A step of a run: where it stands in the plan, and what the log tells of it."""

    run_id: str
    plan: PlanStepSnapshot
    history: StepHistory

    @property
    def place(self) -> tuple[int, str]:
        """Its place among the steps of the run."""
        return self.plan.level, self.plan.step_key


async def steps_of(run: RunRecord, context: ApiContext) -> list[StepRow]:
    """All steps of a run, planned or named by an event of its log, by level and key."""
    return await _rows(run, context, await _plan(run, context), None)


async def _rows(
    run: RunRecord,
    context: ApiContext,
    plan: Sequence[PlanStepSnapshot],
    step_keys: Collection[str] | None,
) -> list[StepRow]:
    """The steps of a plan and those that the log names, of these keys; all when None."""
    read_stats = context.event_log_storage.get_step_stats
    histories = await context.lanes.read(read_stats, run, step_keys)
    # A step that no plan names, as in a run of an external system, stands alone.
    planned = {step.step_key: step for step in plan}
    named = [key for key in histories if key not in planned]
    planned |= {key: PlanStepSnapshot(key, key, 0) for key in named}
    upstream = {key: step.upstream_step_keys for key, step in planned.items()}
    settled = settle_steps(histories, upstream, run_ended=run.is_finished)
    rows = [StepRow(run.run_id, planned[key], history) for key, history in settled.items()]
    return sorted(rows, key=lambda row: row.place)


async def _plan(run: RunRecord, context: ApiContext) -> list[PlanStepSnapshot]:
    snapshot_id = run.run.plan_snapshot_id
    if snapshot_id is None:
        return []
    plan = await context.lanes.read(context.run_storage.get_snapshot, snapshot_id)
    if not isinstance(plan, PlanSnapshot):
        raise TypeError(f"snapshot {snapshot_id} of run {run.run_id!r} is not a plan")
    return sorted(plan.steps, key=lambda step: step.level)


def _down_to(step_key: str, plan: Sequence[PlanStepSnapshot]) -> list[PlanStepSnapshot]:
    """A step of a plan and all that are above it, by level; none when the plan has no such step."""
    wanted, found = {step_key}, []
    for step in reversed(plan):
        if step.step_key in wanted:
            wanted.update(step.upstream_step_keys)
            found.append(step)
    return found[::-1]


async def find_step(context: ApiContext, key: list[str]) -> StepRow | None:
    """The step of a global id."""
    run_id, step_key = key
    run = await context.lanes.read(context.run_storage.find_run_record, run_id)
    if run is None:
        return None
    # What it says of itself, and what becomes of it: a step above that failed keeps it from ever beginning.
    plan = _down_to(step_key, await _plan(run, context))
    rows = await _rows(run, context, plan, {step_key, *(step.step_key for step in plan)})
    return next((row for row in rows if row.plan.step_key == step_key), None)
