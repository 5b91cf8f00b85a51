"""What is told of each operation, whatever transport it came by: to the metrics, to the log, to a trace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from time import perf_counter
from typing import Any, Protocol

from runwire.server.log_context import operation_name
from runwire.server.metrics import ANONYMOUS, INVALID, MAX_NAME_LENGTH, Metrics

logger = logging.getLogger("runwire.operations")


class Outcome(Enum):
    """What came of an operation."""

    OK = "ok"
    ERRORS = "errors"
    """There is an answer, with errors in it that the caller is told of."""
    REFUSED = "refused"
    """Nothing was executed."""
    CANCELED = "canceled"
    """Nobody waits for it any more."""
    FAILED = "failed"
    """What nobody expected happened; the log has it."""


class Subject(Protocol):
    """The operation that a request asks for."""

    @property
    def name(self) -> str | None:
        """Its name, if it has one."""

    @property
    def type(self) -> str | None:
        """query, mutation or subscription; None when the request has no such operation."""

    @property
    def is_valid(self) -> bool:
        """Whether its document was found to be valid; that is known once it was executed."""


class Span(Protocol):
    """An operation in a trace."""

    def end(self, attributes: Mapping[str, str], *, failed: bool) -> None:
        """Tells what it was, and that it has ended."""


class Tracer(Protocol):
    """Makes spans."""

    def enter_request(self, headers: Mapping[str, str]) -> None:
        """Takes from a request's headers which trace it belongs to."""

    def begin(self, subject: Subject) -> Span:
        """The span of an operation that begins now."""


@dataclass(slots=True)
class Observed:
    """An operation as it runs.

    Attributes:
        outcome: what came of it so far.
        points: what it cost its caller.
    """

    outcome: Outcome = Outcome.OK
    points: int = 0

    def answered(self, payload: Mapping[str, Any], *, was_executed: bool) -> None:
        """Takes note of an answer; of all its answers, the last one with errors tells what came of it."""
        errors = payload.get("errors")
        if errors:
            if any(error.get("extensions", {}).get("code") == "INTERNAL" for error in errors):
                self.outcome = Outcome.FAILED
            else:
                self.outcome = Outcome.ERRORS if was_executed else Outcome.REFUSED


class Telemetry:
    """Watches operations.

    Args:
        metrics: what counts them.
        tracer: what traces them; None for nothing.
    """

    def __init__(self, metrics: Metrics | None = None, tracer: Tracer | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.tracer = tracer

    @contextmanager
    def operation(self, subject: Subject) -> Iterator[Observed]:
        """Watches an operation from its beginning to its end."""
        began_as = subject.type or "unknown"
        operation_name.set(subject.name)
        span = None if self.tracer is None else self.tracer.begin(subject)
        self.metrics.operation_began(began_as)
        observed, begun_at = Observed(), perf_counter()
        try:
            yield observed
        except (GeneratorExit, asyncio.CancelledError):
            if (
                observed.outcome is Outcome.OK
            ):  # else it was told already, and that was the end of it
                observed.outcome = Outcome.CANCELED
            raise
        except Exception:
            observed.outcome = Outcome.FAILED
            raise
        finally:
            seconds = perf_counter() - begun_at
            outcome = observed.outcome.value
            # Before it was found to be valid, its name is anything that a caller likes.
            name = (subject.name or ANONYMOUS) if subject.is_valid else INVALID
            kind = began_as if subject.is_valid else "unknown"
            self.metrics.operation_ended(
                began_as,
                name,
                kind,
                outcome,
                seconds,
                observed.points,
                is_timed=began_as != "subscription",
            )
            logger.info(
                "%s %s: %s in %.1f ms",
                kind,
                name[:MAX_NAME_LENGTH],
                outcome,
                seconds * 1000,
                extra={"outcome": outcome, "duration_ms": round(seconds * 1000, 3)},
            )
            if span is not None:
                attributes = {"runwire.outcome": outcome}
                span.end(attributes, failed=observed.outcome is Outcome.FAILED)
