"""How long a workspace waits for its code locations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationTimeouts:
    """All in seconds.

    Attributes:
        start_seconds: for a code server to load its definitions.
        call_seconds: for a code server to answer.
        evaluate_seconds: for the function of a schedule; after it, its process is killed.
        settle_seconds: for how long a call waits for a location that is LOADING.
        stop_grace_seconds: for a run worker that is asked to stop, until it is killed.
        end_grace_seconds: for a code server that is told to end, until it is made to.
    """

    start_seconds: float = 60.0
    call_seconds: float = 30.0
    evaluate_seconds: float = 60.0
    settle_seconds: float = 10.0
    stop_grace_seconds: float = 10.0
    end_grace_seconds: float = 5.0
