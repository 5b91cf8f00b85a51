"""Reading what plan and log tell of the steps of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from runwire.api.context import ApiContext
from runwire.runs.run import RunRecord
from runwire.runs.steps import StepHistory, fold_steps, settle_steps
from runwire.snapshots import PlanSnapshot, PlanStepSnapshot
from runwire.storage import MAX_PAGE


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
    """All steps of a run, planned or named by its log, by level and key."""
    plan = await _plan(run, context)
    histories = await _histories(run, context)
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


async def _histories(run: RunRecord, context: ApiContext) -> Mapping[str, StepHistory]:
    histories: Mapping[str, StepHistory] = {}
    position, has_more = 0, True
    while has_more:
        # One lane call a page, so that other queries get in between.
        page = await context.lanes.read(
            context.event_log_storage.get_records, run, after=position, limit=MAX_PAGE
        )
        histories = fold_steps(histories, page.records)
        has_more = page.has_more
        position = page.records[-1].position if page.records else position
    return histories


async def find_step(context: ApiContext, key: list[str]) -> StepRow | None:
    """The step of a global id."""
    run_id, step_key = key
    run = await context.lanes.read(context.run_storage.find_run_record, run_id)
    if run is None:
        return None
    rows = await steps_of(run, context)
    return next((row for row in rows if row.plan.step_key == step_key), None)
