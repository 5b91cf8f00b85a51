"""How a run is followed: every position once and in order, whatever happens to the connection.

This is the protocol without its I/O: it takes a function that opens the stream after a cursor.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from runwire.client.errors import (
    ProtocolViolatedError,
    RequestRefusedError,
    ServerUnreachableError,
)
from runwire.client.records import RunEventsBatch, RunSummary

T = TypeVar("T")

OpenStream = Callable[[str | None], AsyncGenerator[Mapping[str, Any], None]]
"""Opens the stream after a cursor. It gives the payloads of ``runEvents`` and ends when the server completes
the stream; ConnectionLostError says that it went away before."""


class ConnectionLostError(Exception):
    """The connection went away, or could not be made, for a reason that may pass."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A lost connection: why, how often it was tried since, and when it is tried next, in seconds."""

    problem: str
    attempt: int
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """How to wait for a server that went away. The delay doubles from the first to the longest one."""

    first_delay_seconds: float = 0.1
    longest_delay_seconds: float = 5.0
    give_up_after_seconds: float = 300.0

    def delay(self, attempt: int) -> float:
        """How long to wait before an attempt, the first being 1; spread, so that clients do not come at once."""
        longest = self.longest_delay_seconds
        delay = min(self.first_delay_seconds * 2.0 ** min(attempt - 1, 30), longest)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret


DEFAULT_POLICY = ReconnectPolicy()


class Place:
    """Where a follower is in a run's log; what is not the very next batch is refused."""

    def __init__(self, after: str | None) -> None:
        self.cursor = after
        self.run: RunSummary | None = None
        self._position = 0 if after is None else None

    def advance(self, payload: Mapping[str, Any]) -> RunEventsBatch:
        """Takes a payload of ``runEvents``.

        Raises:
            RequestRefusedError: it is an error member.
            ProtocolViolatedError: it does not begin where the one before it ended, or has holes.
        """
        if payload.get("__typename") != "RunEventBatch":
            raise refusal(payload)
        batch = decode(payload, RunEventsBatch)
        begins = batch.from_position if self._position is None else self._position
        covered = list(range(begins + 1, batch.to_position + 1))
        if batch.from_position != begins or [r.position for r in batch.records] != covered:
            raise ProtocolViolatedError(
                f"after position {begins} came a batch for {batch.from_position} to"
                f" {batch.to_position} with {len(batch.records)} events"
            )
        self.cursor, self.run, self._position = batch.end_cursor, batch.run, batch.to_position
        return batch


async def follow(
    open_stream: OpenStream,
    url: str,
    after: str | None,
    policy: ReconnectPolicy,
    on_outage: Callable[[Outage], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[RunEventsBatch, None]:
    """The batches after a cursor until the stream completes, over as many connections as it takes.

    Raises:
        ServerUnreachableError: the first connection could not be made, or the server stayed away for longer
            than the policy waits.
        RequestRefusedError, ProtocolViolatedError: see `Place.advance`.
    """
    place = Place(after)
    attempt, away_since = 0, 0.0
    while True:
        try:
            async with aclosing(open_stream(place.cursor)) as payloads:
                async for payload in payloads:
                    batch = place.advance(payload)
                    attempt = 0
                    yield batch
            if place.run is None or place.run.status.is_terminal:
                return
            problem = "the server ended the stream before the run had ended"
        except ConnectionLostError as lost:
            problem = str(lost)
        if attempt == 0:
            away_since = time.monotonic()
        away = time.monotonic() - away_since
        if place.run is None or away > policy.give_up_after_seconds:
            raise ServerUnreachableError(url, problem)
        attempt += 1
        delay = policy.delay(attempt)
        on_outage(Outage(problem, attempt, delay))
        await sleep(delay)


def refusal(payload: Mapping[str, Any]) -> RequestRefusedError:
    """An error member of a union as an exception."""
    details = {k: v for k, v in payload.items() if k not in {"__typename", "message"}}
    type_name = str(payload.get("__typename"))
    return RequestRefusedError(type_name, str(payload.get("message", type_name)), details)


def decode(value: object, type: type[T]) -> T:
    """A part of an answer, decoded.

    Raises:
        ProtocolViolatedError: it does not have the shape that the schema promises.
    """
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise ProtocolViolatedError(f"an answer cannot be read: {error}") from None
