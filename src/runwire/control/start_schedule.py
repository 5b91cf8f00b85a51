"""Starting a schedule."""

from __future__ import annotations

from dataclasses import replace

from runwire.control.code_location import loaded_location
from runwire.control.tick_sources import ScheduleRecord, ScheduleSelector, TickSources
from runwire.errors import CodeLocationNotFoundError, ScheduleNotFoundError
from runwire.scheduler import Scheduler
from runwire.storage.schedule_storage import ScheduleStorage
from runwire.workspace import CodeLocation, Workspace


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
    record, _ = loaded_schedule(TickSources(storage, workspace), selector)
    return replace(record, state=scheduler.start_schedule(storage, record.origin, at=at))


def loaded_schedule(
    sources: TickSources, selector: ScheduleSelector
) -> tuple[ScheduleRecord, CodeLocation]:
    """A schedule that is loaded, and its code location. One that may have it but is not loaded is a better answer
    than a schedule not found; one that is being loaded is waited for.

    Raises:
        ScheduleNotFoundError, ScheduleAmbiguousError, CodeLocationUnavailableError: as `start_schedule`.
    """
    found = _find(sources, selector)
    if found is None:
        for location in sources.workspace.list_locations():
            if selector.location_name in {None, location.state.name}:
                loaded_location(sources.workspace, location.state.name)
        found = sources.find_schedule(selector)
    try:
        location = loaded_location(sources.workspace, found.origin.location_name)
    except CodeLocationNotFoundError:
        raise _missing(sources, selector) from None
    found = sources.find_schedule(selector)  # the location may have been loaded anew meanwhile
    if not found.is_defined:
        raise _missing(sources, selector)
    return found, location


def _find(sources: TickSources, selector: ScheduleSelector) -> ScheduleRecord | None:
    try:
        return sources.find_schedule(selector)
    except ScheduleNotFoundError:
        return None


def _missing(sources: TickSources, selector: ScheduleSelector) -> ScheduleNotFoundError:
    known = (each.origin.name for each in sources.defined_schedules())
    return ScheduleNotFoundError(selector.schedule_name, known)
