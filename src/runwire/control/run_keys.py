"""The request keys of runs that schedules and sensors ask for with a run key."""

from __future__ import annotations

from runwire.runs.tags import SYSTEM_PREFIX
from runwire.ticks.source import TickSourceOrigin


def request_key_of(origin: TickSourceOrigin, run_key: str) -> str:
    """Under which request key the run of a run key is made; each schedule or sensor has run keys of its own."""
    return f"{SYSTEM_PREFIX}run_key/{origin.source_id}/{run_key}"
