"""Where the outputs are that a re-execution takes over from the runs before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from runwire.control.finished_steps import finished_steps
from runwire.errors import OutputNotFoundError
from runwire.runs.run import Run, RunRecord
from runwire.storage.instance_storage import InstanceStorage


class OutputName(NamedTuple):
    """Names an output of a step."""

    step_key: str
    output_name: str


class StoredOutput(NamedTuple):
    """Where an output is: the run that stored it, and the epoch of its worker then."""

    run_id: str
    epoch: int


def reused_outputs(
    storage: InstanceStorage, parent_run_id: str | None, needed: Mapping[OutputName, bool]
) -> dict[OutputName, StoredOutput]:
    """Where outputs are that the re-execution of a run needs.

    A step counts by the newest run that had it: the parent, or the nearest of its own parents. What a step did not
    give there though it succeeded, or because it was skipped, is not given here either.

    Args:
        storage: keeps the runs and their logs.
        parent_run_id: the run that is re-executed; None when there is none.
        needed: the outputs, with whether their steps give them always.

    Returns:
        Those of them that were given.

    Raises:
        OutputNotFoundError: a step did not succeed in the run that had it last, no run had it, or that run is deleted.
    """
    found: dict[OutputName, StoredOutput] = {}
    left, run_id = dict(needed), parent_run_id
    while left:
        record = None if run_id is None else storage.run_storage.find_run_record(run_id)
        if record is None:
            first = min(left)
            problem = (
                "no run before this one had the step"
                if run_id is None
                else f"run {run_id!r} is deleted"
            )
            raise OutputNotFoundError(*first, problem)
        own = {name: left[name] for name in left if _has_step(record.run, name.step_key)}
        found |= _given_in(storage, record, own)
        left = {name: required for name, required in left.items() if name not in own}
        run_id = record.run.parent_run_id
    return found


def _has_step(run: Run, step_key: str) -> bool:
    return run.step_keys is None or step_key in run.step_keys


def _given_in(
    storage: InstanceStorage, record: RunRecord, wanted: Mapping[OutputName, bool]
) -> dict[OutputName, StoredOutput]:
    """Those of some outputs that a run's own steps gave; raises as `reused_outputs`."""
    if not wanted:
        return {}
    keys = {name.step_key for name in wanted}
    finished = finished_steps(storage.event_log_storage, record, keys)
    found = {}
    for name, is_required in sorted(wanted.items()):
        given = finished.succeeded.get(name.step_key)
        if given is None and name.step_key not in finished.dropped:
            raise OutputNotFoundError(*name, f"the step did not succeed in run {record.run_id!r}")
        if given is not None and name.output_name in given:
            found[name] = StoredOutput(record.run_id, given[name.output_name])
        elif given is not None and is_required:
            raise OutputNotFoundError(*name, f"the step did not give it in run {record.run_id!r}")
    return found
