"""What the function of a schedule or sensor gave."""

from __future__ import annotations

from dataclasses import dataclass

from runwire.ticks.tick import RunRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class TickEvaluation:
    """What one evaluation asks for.

    Attributes:
        requests: the runs, in order.
        skip_reason: why there are none; None when no reason was given.
    """

    requests: tuple[RunRequest, ...] = ()
    skip_reason: str | None = None
