"""The entries of the instance-wide log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runwire.events.entry import EventLogRecord

MAX_PAGE = 1000
"""The most event records, or assets, that one read returns."""


class InstanceEventKind(Enum):
    """What an entry of the instance-wide log tells."""

    EVENT = "EVENT"
    RUN_CREATED = "RUN_CREATED"
    RUN_TAGGED = "RUN_TAGGED"
    RUN_DELETED = "RUN_DELETED"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceLogRecord:
    """An entry of the instance-wide log: its position there, and the event, unless it is a run change."""

    position: int
    kind: InstanceEventKind
    run_id: str
    job_name: str
    timestamp: float
    event: EventLogRecord | None = None
