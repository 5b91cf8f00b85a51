"""Ticks: the evaluations of schedules and sensors, and what is kept about what makes them."""

from runwire.ticks.evaluation import TickEvaluation
from runwire.ticks.source import (
    TickSourceOrigin,
    TickSourceState,
    TickSourceStatus,
    TickSourceType,
)
from runwire.ticks.tick import (
    RunRequest,
    Tick,
    TickPlace,
    TickStatus,
    may_follow,
)

__all__ = [
    "RunRequest",
    "Tick",
    "TickEvaluation",
    "TickPlace",
    "TickSourceOrigin",
    "TickSourceState",
    "TickSourceStatus",
    "TickSourceType",
    "TickStatus",
    "may_follow",
]
