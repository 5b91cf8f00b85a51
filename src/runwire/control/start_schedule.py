"""Starting a schedule."""

from __future__ import annotations

from dataclasses import replace

from runwire.control.loaded_source import loaded_source
from runwire.control.tick_sources import ScheduleRecord, ScheduleSelector, TickSources
from runwire.scheduler import Scheduler
from runwire.storage.schedule_storage import ScheduleStorage
from runwire.workspace import Workspace


def start_schedule(
    storage: ScheduleStorage,
    scheduler: Scheduler,
    workspace: Workspace,
    selector: ScheduleSelector,
    *,
    at: float,
) -> ScheduleRecord:
    """Starts a schedule that is loaded; nothing changes when it runs already.

    Args:
        storage: where schedules are kept.
        scheduler: starts it.
        workspace: where schedules are defined.
        selector: which schedule.
        at: when that is, in epoch seconds.

    Raises:
        ScheduleNotFoundError: there is no such schedule.
        ScheduleAmbiguousError: there is more than one.
        CodeLocationUnavailableError: the code location that has it, or may have it, is not loaded.
    """
    record, _ = loaded_source(TickSources(storage, workspace), selector)
    return replace(record, state=scheduler.start_schedule(storage, record.origin, at=at))
