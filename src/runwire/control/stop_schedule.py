"""Stopping a schedule."""

from __future__ import annotations

from dataclasses import replace

from runwire.control.tick_sources import ScheduleRecord, ScheduleSelector, TickSources
from runwire.scheduler import Scheduler
from runwire.storage.schedule_storage import ScheduleStorage
from runwire.workspace import Workspace


def stop_schedule(
    storage: ScheduleStorage,
    scheduler: Scheduler,
    workspace: Workspace,
    selector: ScheduleSelector,
    *,
    at: float,
) -> ScheduleRecord:
    """Stops a schedule, be it loaded or not; nothing changes when it is stopped already.

    Args:
        storage: where schedules are kept.
        scheduler: stops it.
        workspace: where schedules are defined.
        selector: which schedule.
        at: when that is, in epoch seconds.

    Raises:
        ScheduleNotFoundError: there is no such schedule, and none is kept.
        ScheduleAmbiguousError: there is more than one.
    """
    record = TickSources(storage, workspace).find(selector)
    return replace(record, state=scheduler.stop_schedule(storage, record.origin, at=at))
