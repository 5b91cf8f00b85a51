"""How a stream is followed: everything once and in order, whatever happens to the connection.

This is the protocol without its I/O: it takes a function that opens the stream after a cursor, and a place that
knows what may come next.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from runwire.client.errors import (
    ProtocolViolatedError,
    ServerUnreachableError,
    TokenExpiredError,
    refusal,
)
from runwire.client.records import RunEventsBatch, StreamBatch

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
B = TypeVar("B", bound=StreamBatch)

OpenStream = Callable[[str | None], AsyncGenerator[Mapping[str, Any], None]]
"""Opens the stream after a cursor. It gives the payloads of the subscription's field and ends when the server
completes the stream; ConnectionLostError says that it went away before."""


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


class Place(Protocol[T_co]):
    """Where a follower is in a stream; what may not come next is refused.

    Attributes:
        cursor: where a new connection goes on.
        has_begun: whether anything came.
        is_over: whether the stream may complete now.
    """

    cursor: str | None
    has_begun: bool
    is_over: bool

    def advance(self, payload: Any) -> T_co:
        """Takes a payload of the subscription's field.

        Raises:
            RequestRefusedError: it is an error member.
            ProtocolViolatedError: it does not begin where the one before it ended, or has holes.
        """


class RunPlace:
    """A place in the log of a run: its batches have every position, and end with the run."""

    def __init__(self, after: str | None) -> None:
        self.cursor = after
        self.has_begun = self.is_over = False
        self._position = 0 if after is None else None

    def advance(self, payload: Mapping[str, Any]) -> RunEventsBatch:
        """Takes a payload of ``runEvents``."""
        batch = _batch(payload, "RunEventBatch", RunEventsBatch)
        begins = batch.from_position if self._position is None else self._position
        covered = list(range(begins + 1, batch.to_position + 1))
        if batch.from_position != begins or [r.position for r in batch.records] != covered:
            raise _gap(begins, batch, len(batch.records))
        self.cursor, self._position, self.has_begun = batch.end_cursor, batch.to_position, True
        self.is_over = batch.run.status.is_terminal
        return batch


class InstancePlace(Generic[B]):
    """A place in a stream over all runs, which has no end; its batches tell which positions they cover.

    Args:
        after: the cursor after which it starts.
        type_name: what the schema calls a batch of it.
        kind: the same here.
    """

    def __init__(self, after: str | None, type_name: str, kind: type[B]) -> None:
        self.cursor = after
        self.has_begun = self.is_over = False
        self._type_name, self._kind = type_name, kind
        self._position: int | None = None

    def advance(self, payload: Mapping[str, Any]) -> B:
        """Takes a payload of ``eventRecords`` or ``runs``."""
        batch = _batch(payload, self._type_name, self._kind)
        if self._position not in {None, batch.from_position}:
            raise _gap(self._position, batch)
        self.cursor, self._position, self.has_begun = batch.end_cursor, batch.to_position, True
        return batch


class PlainPlace:
    """A place in any stream: it goes on after the newest cursor, or anew where the stream has none."""

    def __init__(self, after: str | None) -> None:
        self.cursor = after
        self.has_begun, self.is_over = False, True

    def advance(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Takes the value of the subscription's field; of a union, only batches are no errors."""
        if not str(payload.get("__typename", "Batch")).endswith("Batch"):
            raise refusal(payload)
        self.cursor, self.has_begun = payload.get("endCursor", self.cursor), True
        return payload


async def follow(
    open_stream: OpenStream,
    url: str,
    place: Place[T],
    policy: ReconnectPolicy,
    on_outage: Callable[[Outage], None],
    *,
    renews_token: bool = False,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[T, None]:
    """What comes at a place until the stream completes, over as many connections as it takes.

    With `renews_token` each connection has a token of its own, so that one that expires is an outage as well.
    An outage is over when something new has come, or a connection has lasted longer than the longest delay; until
    then attempts are counted on, whatever a server says before it goes again.

    Raises:
        ServerUnreachableError: the first connection could not be made, or the server stayed away for longer
            than the policy waits.
        TokenExpiredError: the token expired and is not renewed, or the next one has expired too.
        RequestRefusedError, ProtocolViolatedError: see `Place.advance`.
    """
    attempt, away_since = 0, 0.0
    while True:
        begin, heard_at = place.cursor, math.inf
        try:
            async with aclosing(open_stream(begin)) as payloads:
                async for payload in payloads:
                    item = place.advance(payload)
                    heard_at = min(heard_at, now())
                    # A server greets whoever resumes with a batch: only what is new tells that it works.
                    if place.cursor != begin:
                        attempt = 0
                    yield item
            if place.is_over or not place.has_begun:
                return
            problem = "the server ended the stream before it was over"
        except ConnectionLostError as lost:
            problem = str(lost)
            if not place.has_begun and attempt == 0:
                raise ServerUnreachableError(url, problem) from None
        except TokenExpiredError as expired:
            problem = str(expired)
            if not renews_token or (attempt > 0 and heard_at == math.inf):
                raise
        if now() - heard_at >= policy.longest_delay_seconds:
            attempt = 0
        if attempt == 0:
            away_since = now()
        if now() - away_since > policy.give_up_after_seconds:
            raise ServerUnreachableError(url, problem)
        attempt += 1
        delay = policy.delay(attempt)
        on_outage(Outage(problem, attempt, delay))
        await sleep(delay)


def _batch(payload: Mapping[str, Any], type_name: str, kind: type[T]) -> T:
    if payload.get("__typename") != type_name:
        raise refusal(payload)
    return decode(payload, kind)


def _gap(
    position: int | None,
    batch: StreamBatch,
    count: int | None = None,
) -> ProtocolViolatedError:
    told = "" if count is None else f" with {count} events"
    return ProtocolViolatedError(
        f"after position {position} came a batch for {batch.from_position} to {batch.to_position}{told}"
    )


def decode(value: object, type: type[T]) -> T:
    """A part of an answer, decoded.

    Raises:
        ProtocolViolatedError: it does not have the shape that the schema promises.
    """
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise ProtocolViolatedError(f"an answer cannot be read: {error}") from None
