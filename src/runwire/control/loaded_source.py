"""Finding a schedule or sensor together with the code location that has it loaded."""

from __future__ import annotations

from typing import Any

from runwire.control.code_location import loaded_location
from runwire.control.tick_sources import R, TickSources, TickSourceSelector
from runwire.errors import CodeLocationNotFoundError, NotFoundError
from runwire.workspace import CodeLocation


def loaded_source(sources: TickSources, selector: TickSourceSelector[R]) -> tuple[R, CodeLocation]:
    """A schedule or sensor that is loaded, and its code location. One that may have it but is not loaded is a better
    answer than that there is none; one that is being loaded is waited for.

    Raises:
        ScheduleNotFoundError, SensorNotFoundError: there is none.
        ScheduleAmbiguousError, SensorAmbiguousError: there is more than one.
        CodeLocationUnavailableError: the code location that has it, or may have it, is not loaded.
    """
    found = _find(sources, selector)
    if found is None:
        for location in sources.workspace.list_locations():
            if selector.location_name in {None, location.state.name}:
                loaded_location(sources.workspace, location.state.name)
        found = sources.find(selector)
    try:
        location = loaded_location(sources.workspace, found.origin.location_name)
    except CodeLocationNotFoundError:
        raise _missing(sources, selector) from None
    found = sources.find(selector)  # the location may have been loaded anew meanwhile
    if not found.is_defined:
        raise _missing(sources, selector)
    return found, location


def _find(sources: TickSources, selector: TickSourceSelector[R]) -> R | None:
    try:
        return sources.find(selector)
    except NotFoundError:
        return None


def _missing(sources: TickSources, selector: TickSourceSelector[Any]) -> NotFoundError:
    return selector.missing(each.origin.name for each in sources.defined(selector.source_type))
