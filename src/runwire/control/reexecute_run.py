"""Re-executing a run that has ended: a new run of the same job, with all or some of its steps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec

from runwire import clock
from runwire.control.code_location import loaded_location
from runwire.control.create_run import check_steps, find_job, plain_config
from runwire.control.finished_steps import finished_steps
from runwire.control.new_run import check_idempotency_key
from runwire.control.op_selection import graph_of_plan, select_steps, with_downstream
from runwire.control.reused_outputs import OutputName, reused_outputs
from runwire.errors import (
    InputInvalidError,
    OutputNotFoundError,
    RunStateConflictError,
)
from runwire.fault_points import fault_point
from runwire.runs.run import Run, RunRecord, new_run_id
from runwire.runs.status import ALLOWED_STATUSES, RunAction, RunStatus
from runwire.runs.tags import PARTITION_TAG, SYSTEM_PREFIX, USER_SETTABLE_TAGS, check_tags, merged
from runwire.snapshots import JobSnapshot, PlanSnapshot
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.run_storage import RequestKey
from runwire.workspace import JobSelector, Workspace

IsStored = Callable[[str, str, str, int], bool]
"""Whether an output is stored, by run, step, name and epoch."""


class ReexecutionStrategy(Enum):
    """Which steps to run again, by how the run ended."""

    ALL_STEPS = "ALL_STEPS"
    FROM_FAILURE = "FROM_FAILURE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reexecution:
    """A run to run again. Of `strategy`, `step_keys` and `op_selection` one is given.

    Attributes:
        run_id: the run, which has ended.
        strategy: all of the steps that its group was begun with; or those of its own that failed, did not end or
            never began, with all that depend on them.
        step_keys: these steps of its job.
        op_selection: these steps of its job, as `runwire.control.op_selection` has them.
        run_config: the run config; that of the run when left out.
        tags: (key, value) pairs, over those of the run.
        idempotency_key: a text that makes the request safe to repeat.
        requested_by: the name of the principal that asks.
        system_tags: tags over all others, which nobody but the system may set.
        system_key: an idempotency key of the system, which begins with `runwire.runs.tags.SYSTEM_PREFIX`, so that
            no key of a user is ever the same.
    """

    run_id: str
    strategy: ReexecutionStrategy | None = None
    step_keys: Sequence[str] | None = None
    op_selection: Sequence[str] | None = None
    run_config: Mapping[str, Any] | None = None
    tags: Sequence[tuple[str, str]] = ()
    idempotency_key: str | None = None
    requested_by: str | None = None
    system_tags: Mapping[str, str] = field(default_factory=dict)
    system_key: str | None = None

    @property
    def action(self) -> RunAction:
        """What the status of the run must allow."""
        if self.strategy is ReexecutionStrategy.FROM_FAILURE:
            return RunAction.REEXECUTE_FROM_FAILURE
        return RunAction.REEXECUTE

    def request_key(self) -> RequestKey | None:
        """The idempotency key, or that of the system, with the digest of all that was asked for; None without."""
        key = self.idempotency_key if self.system_key is None else self.system_key
        if key is None:
            return None
        asked = [
            "reexecute",
            self.run_id,
            None if self.strategy is None else self.strategy.value,
            None if self.step_keys is None else list(self.step_keys),
            None if self.op_selection is None else list(self.op_selection),
            None if self.run_config is None else dict(self.run_config),
            sorted(self.tags),
        ]
        body = msgspec.json.encode(asked, order="deterministic")
        return RequestKey(key, hashlib.sha256(body).hexdigest())


def reexecute_run(
    storage: InstanceStorage,
    workspace: Workspace,
    wanted: Reexecution,
    is_stored: IsStored,
    submit: Callable[[str], RunRecord],
) -> tuple[RunRecord, bool]:
    """Makes a run that runs steps of another one again, and submits it.

    The new run is of the same job, as it is loaded now. It reads what its steps need of others from the run, and from
    those that the run itself re-executed. A request that is repeated with its idempotency key submits its run if that
    did not happen before.

    Args:
        storage: keeps the runs.
        workspace: the code locations.
        wanted: what is asked for.
        is_stored: tells whether an output is there.
        submit: hands the run of an id to the coordinator.

    Returns:
        The new run as it is then, and whether this call made it.

    Raises:
        InputInvalidError: a value is refused; its path is relative to the request.
        RunNotFoundError: there is no such run.
        RunStateConflictError: it has not ended; or from failure, it did not fail, or has nothing to run again.
        JobNotFoundError, JobAmbiguousError, CodeLocationUnavailableError, RunConfigInvalidError: as `create_run`.
        StepNotFoundError: the job has no such steps.
        OutputNotFoundError: the steps need an output that was never stored, or is gone.
        RunAlreadyExistsError: the idempotency key belongs to a run of another input.
        LaunchFailedError: as `submit_run`; the new run has ended.
    """
    check_idempotency_key(wanted.idempotency_key)
    tags = check_tags(wanted.tags, ("tags",))
    if wanted.run_config is not None:
        plain_config(wanted.run_config)
    request = wanted.request_key()
    # Who repeats a request is given the run, whatever has become of the job and the parent since.
    record = None if request is None else storage.run_storage.find_requested_run(request)
    created = False
    if record is None:
        parent = storage.get_run_record(wanted.run_id)
        _check_status(parent, wanted.action)
        run = _planned(storage, workspace, wanted, parent, tags, is_stored)
        record, created = storage.run_storage.add_run(
            run, created_at=clock.timestamp(), request=request
        )
    fault_point("reexecute.after_add")
    try:
        return submit(record.run_id), created
    except RunStateConflictError:
        if request is None:
            raise
        # Submitted before, or meanwhile by one who repeats the request.
        return storage.get_run_record(record.run_id), created


def _check_status(parent: RunRecord, action: RunAction) -> None:
    allowed = ALLOWED_STATUSES[action]
    if parent.status in allowed:
        return
    hint = (
        "nothing of it failed; ALL_STEPS runs it again"
        if parent.status is RunStatus.SUCCESS
        else "it can be run again once it has ended; terminateRun ends it"
    )
    raise _refusal(parent, action, hint)


def _refusal(parent: RunRecord, action: RunAction, hint: str) -> RunStateConflictError:
    expected = [status.value for status in RunStatus if status in ALLOWED_STATUSES[action]]
    return RunStateConflictError(parent.run_id, parent.status.value, expected, hint)


def _planned(
    storage: InstanceStorage,
    workspace: Workspace,
    wanted: Reexecution,
    parent: RunRecord,
    tags: Mapping[str, str],
    is_stored: IsStored,
) -> Run:
    before = parent.run
    ref = find_job(
        workspace, JobSelector(before.job_name, before.repository_name, before.location_name)
    )
    step_keys = _chosen_steps(storage, wanted, parent, ref.job)
    if step_keys is not None:
        _check_outputs(storage, parent.run_id, ref.job, frozenset(step_keys), is_stored)
    config = plain_config(before.run_config if wanted.run_config is None else wanted.run_config)
    location = loaded_location(workspace, ref.location_name)
    plan = location.plan_run(ref.repository_name, ref.job.name, config, step_keys)
    return Run(
        run_id=new_run_id(),
        job_name=ref.job.name,
        repository_name=ref.repository_name,
        location_name=ref.location_name,
        run_config=config,
        tags=merged(ref.job.tags, _inherited(before.tags), tags, wanted.system_tags),
        step_keys=step_keys,
        plan_snapshot_id=storage.run_storage.add_snapshot(plan),
        job_snapshot_id=storage.run_storage.add_snapshot(ref.job),
        steps_planned=len(plan.steps),
        parent_run_id=parent.run_id,
        root_run_id=parent.root_run_id,
        requested_by=wanted.requested_by,
    )


def _inherited(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a run that its re-execution gets: its partition, and all but what the system keeps for itself."""
    return {
        key: value
        for key, value in tags.items()
        if not key.startswith(SYSTEM_PREFIX) or key in USER_SETTABLE_TAGS or key == PARTITION_TAG
    }


# ---------------------------------------------------------------- which steps


def _chosen_steps(
    storage: InstanceStorage, wanted: Reexecution, parent: RunRecord, job: JobSnapshot
) -> tuple[str, ...] | None:
    """The steps to run, in the order of the plan; None for all."""
    if wanted.strategy is ReexecutionStrategy.ALL_STEPS:
        root = storage.run_storage.find_run_record(parent.root_run_id)
        return None if root is None else root.run.step_keys
    if wanted.strategy is ReexecutionStrategy.FROM_FAILURE:
        chosen = _failed_steps(storage, parent, job)
    elif wanted.op_selection is not None:
        chosen = _selected(job, wanted.op_selection)
    else:
        chosen = frozenset(wanted.step_keys or ())
        if not chosen:
            raise InputInvalidError("no step is chosen; name some", ["scope", "stepKeys"])
    check_steps(job, chosen)
    return tuple(step.step_key for step in job.plan.steps if step.step_key in chosen)


def _selected(job: JobSnapshot, selection: Sequence[str]) -> frozenset[str]:
    try:
        return select_steps(job.name, graph_of_plan(job.plan), selection)
    except InputInvalidError as error:
        raise InputInvalidError(str(error), ["scope", "opSelection", *error.path]) from None


def _failed_steps(storage: InstanceStorage, parent: RunRecord, job: JobSnapshot) -> frozenset[str]:
    """The steps of a run that did not succeed, and those of its own that depend on them."""
    own = _own_steps(storage, parent, job)
    finished = finished_steps(storage.event_log_storage, parent)
    left = own - finished.succeeded.keys() - finished.dropped
    if not left:
        raise _refusal(
            parent,
            RunAction.REEXECUTE_FROM_FAILURE,
            "all of its steps have succeeded, so there is none to run from; ALL_STEPS runs it again",
        )
    graph = graph_of_plan(job.plan)
    return left | (with_downstream(graph, left.intersection(graph)) & own)


def _own_steps(storage: InstanceStorage, record: RunRecord, job: JobSnapshot) -> frozenset[str]:
    """The steps of a run; those of its job for a run of an external system."""
    plan_id = record.run.plan_snapshot_id
    plan = job.plan if plan_id is None else storage.run_storage.get_snapshot(plan_id)
    assert isinstance(plan, PlanSnapshot)  # noqa: S101 - for the type checker: it was added as one
    return frozenset(step.step_key for step in plan.steps)


# ---------------------------------------------------------------- what they need


def _check_outputs(
    storage: InstanceStorage,
    parent_run_id: str,
    job: JobSnapshot,
    step_keys: frozenset[str],
    is_stored: IsStored,
) -> None:
    """Checks that what steps need of others is there; raises OutputNotFoundError."""
    needed = {name: _is_required(job, name) for name in _outside_sources(job, step_keys)}
    found = reused_outputs(storage, parent_run_id, needed)
    for name, stored in sorted(found.items()):
        if not is_stored(stored.run_id, name.step_key, name.output_name, stored.epoch):
            problem = f"what run {stored.run_id!r} stored is gone"
            raise OutputNotFoundError(name.step_key, name.output_name, problem)


def _outside_sources(job: JobSnapshot, step_keys: frozenset[str]) -> Iterable[OutputName]:
    return (
        OutputName(*source)
        for node in job.graph
        if node.handle in step_keys
        for each in node.inputs
        for source in each.sources
        if source[0] not in step_keys
    )


def _is_required(job: JobSnapshot, name: OutputName) -> bool:
    return any(
        output.required
        for node in job.graph
        if node.handle == name.step_key
        for output in node.outputs
        if output.name == name.output_name
    )
