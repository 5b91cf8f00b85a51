"""Handing a run over, one that exists or one to make."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from runwire.api.context import ApiContext
from runwire.api.rows import given
from runwire.api.runs.inputs import NewRunInput, RunTarget
from runwire.api.user_errors import input_at
from runwire.errors import RunStateConflictError
from runwire.events.entry import storable_text
from runwire.runs.run import RunRecord
from runwire.workspace import Workspace

Handover = Callable[[str, Workspace], RunRecord]
"""Hands the run of an id over and returns it as it is then."""


class HandedOver(NamedTuple):
    """The run, and whether the request made it."""

    run: RunRecord
    created: bool


def hand_over(context: ApiContext, target: RunTarget, handover: Handover) -> HandedOver:
    """Hands over the run that a target names, or that it asks to make.

    A request that is repeated with its idempotency key hands the run over if that did not happen before,
    and is answered with the run as it is otherwise. Synchronous: runs in a lane.

    Raises:
        RunwireError: as making and handing over a run; paths are those of the mutation's input.
    """
    new_run = given(target.new_run)
    if new_run is None:
        return HandedOver(
            handover(storable_text(given(target.run_id) or ""), context.workspace), False
        )
    record, created = _create(context, new_run)
    if created and not given(new_run.idempotency_key):
        return HandedOver(handover(record.run_id, context.workspace), True)
    # One who repeats the request may be first.
    return HandedOver(_repeat(context, record, handover), created)


def _create(context: ApiContext, new_run: NewRunInput) -> tuple[RunRecord, bool]:
    with input_at("input", "target", "newRun"):
        request = new_run.to_new_run(requested_by=context.viewer.name)
        return context.instance.create_run(request, context.workspace)


def _repeat(context: ApiContext, record: RunRecord, handover: Handover) -> RunRecord:
    try:
        return handover(record.run_id, context.workspace)
    except RunStateConflictError:  # it happened before
        return context.instance.storage.get_run_record(record.run_id)
