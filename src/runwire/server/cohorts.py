"""Streams that are executed once for all who ask for the same.

Subscriptions with the same document, operation, variables without the cursor, and role give the same
messages once they are at the same cursor. Such subscribers form a cohort: what follows is executed once, encoded
once, and sent to each under its own operation id. A subscriber begins with a stream of its own, from wherever it
wants; when that has caught up, its stream becomes the cohort's, or, where there is a cohort already, the
subscriber joins it as soon as both are at the same cursor. Nobody waits for anybody: the cohort keeps the messages
that a member has not taken yet, as far as they fit, and a member that falls behind them goes on with a stream of
its own, from its own cursor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runwire.api.access import Principal
from runwire.api.context import Covered
from runwire.server.callers import CROWDED_SECONDS, CallerSlots, caller_of
from runwire.server.operations import (
    Answer,
    Operations,
    RequestedOperation,
    StreamKey,
    error_of_fault,
    too_much,
)
from runwire.server.requests import GraphQLRequest
from runwire.server.settings import Limits
from runwire.server.slots import Slots
from runwire.server.telemetry import Outcome

MAX_BYTES = 1024 * 1024
"""What a cohort keeps at the most for members that have not taken it, beside the newest message."""

_KEPT = 16
"""How many messages a cohort keeps though everybody has taken them, so that others can join where they end."""

Answers = AsyncGenerator[Answer, None]


@dataclass(slots=True)
class StreamCounts:
    """What became of messages so far.

    Attributes:
        own: messages that were made for one subscriber.
        shared: messages that a cohort had for its members, counted for each of them.
        batches: what those were made of: executed and encoded once.
        fallen_behind: how often a member fell behind its cohort, and went on alone.
    """

    own: int = 0
    shared: int = 0
    batches: int = 0
    fallen_behind: int = 0


class Cohorts:
    """Has subscriptions that ask for the same share one execution. All of it belongs to one event loop.

    Args:
        operations: executes operations.
        limits: how many subscriptions there may be.
        max_bytes: what a cohort keeps for members that are behind.
    """

    def __init__(
        self,
        operations: Operations,
        limits: Limits | None = None,
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        limits = limits or Limits()
        self._subscriptions = Slots(limits.subscriptions)
        self._callers = CallerSlots(limits.subscriptions_per_caller)
        self._operations = operations
        self._max_bytes = max_bytes
        self._cohorts: dict[StreamKey, _Cohort] = {}
        self.counts = StreamCounts()

    def __len__(self) -> int:
        """How many cohorts there are."""
        return len(self._cohorts)

    @property
    def members(self) -> int:
        """How many subscribers are in cohorts."""
        return sum(len(cohort) for cohort in self._cohorts.values())

    @property
    def lag(self) -> int:
        """How many messages the member that is furthest behind has not taken yet."""
        return max((cohort.lag for cohort in self._cohorts.values()), default=0)

    async def stream(
        self, request: GraphQLRequest, principal: Principal, resume_after: str | None = None
    ) -> Answers:
        """The results of an operation, as `Operations.stream` gives them."""
        refusals = self._operations.refusals
        busy = await self._operations.learn(request, principal)
        if busy is not None:
            await refusals.hold_back(principal)
            yield busy
            return
        requested = self._operations.requested(request)
        with (
            self._operations.telemetry.operation(requested) as observed,
            self._slot(requested, principal) as problem,
        ):
            refusal = problem or self._operations.charge(requested, principal, observed)
            if refusal is not None:
                observed.answered(refusal.payload, was_executed=False)
                await refusals.hold_back(principal)
                yield refusal
                return
            key, cursor = self._operations.stream_key(request, principal), resume_after
            while True:
                own = self._operations.stream(request, principal, resume_after=cursor)
                member: _Member | None = None
                try:
                    async for answer in own:
                        observed.answered(answer.payload, was_executed=answer.was_executed)
                        self.counts.own += 1
                        if not answer.was_executed:
                            await refusals.hold_back(principal)
                        yield answer
                        if key is not None and answer.covered is not None:
                            member = await self._join(key, own, answer.covered)
                            if member is not None:
                                break
                    else:
                        return
                finally:
                    if member is None:
                        await own.aclose()
                cohort = member.cohort
                try:
                    if cohort.source is not own:
                        await own.aclose()
                    while (shared := await cohort.next(member)) is not None:
                        if not shared.was_executed:
                            observed.outcome = Outcome.FAILED
                        yield shared
                finally:
                    if cohort.leave(member):
                        self._forget(key, cohort)
                        await cohort.stop()
                if member.is_over:
                    return
                self.counts.fallen_behind += 1
                cursor = member.cursor

    @contextmanager
    def _slot(self, requested: RequestedOperation, principal: Principal) -> Iterator[Answer | None]:
        """Has a subscription count among all, and among those of its caller; gives what to answer if it may not."""
        if requested.type != "subscription":
            yield None
            return
        caller = caller_of(principal)
        if not self._callers.take(caller):
            yield _crowded(f"at most {self._callers.limit} subscriptions of one caller run at once")
            return
        try:
            if not self._subscriptions.take():
                yield _crowded("as many subscriptions run as may at once")
                return
            try:
                yield None
            finally:
                self._subscriptions.give_back()
        finally:
            self._callers.give_back(caller)

    async def _join(self, key: StreamKey, own: Answers, covered: Covered) -> _Member | None:
        """Enters the cohort that has what follows, begun with one's own stream if need be; None to go on alone."""
        cohort = self._cohorts.get(key)
        if cohort is not None:
            # It may be about to give what one's own stream was the first to give.
            await cohort.reach(covered.position)
            member = cohort.enter(covered)
            if member is not None:
                return member
        if key in self._cohorts or not covered.caught_up:
            return None
        begun = self._cohorts[key] = _Cohort(own, covered, self._max_bytes, self.counts)
        begun.start(lambda: self._forget(key, begun))
        return begun.enter(covered)

    def _forget(self, key: StreamKey, cohort: _Cohort) -> None:
        if self._cohorts.get(key) is cohort:
            del self._cohorts[key]


def _crowded(problem: str) -> Answer:
    return too_much(f"{problem}; end one, or try later", "TOO_MANY_REQUESTS", CROWDED_SECONDS)


@dataclass(slots=True, eq=False)
class _Member:
    """Where a subscriber is in the messages of its cohort.

    Attributes:
        cohort: that which it belongs to.
        number: that of the next message that it takes.
        cursor: that of the last item which it has.
        is_over: whether the stream has ended, and it has everything.
    """

    cohort: _Cohort
    number: int
    cursor: str
    is_over: bool = False


class _Cohort:
    """The messages that follow a cursor, and those who take them.

    Args:
        source: the stream.
        covered: how far it has come.
        max_bytes: what is kept at the most, beside the newest message.
        counts: counts what it gives.
    """

    def __init__(
        self, source: Answers, covered: Covered, max_bytes: int, counts: StreamCounts
    ) -> None:
        self.source = source
        self._counts = counts
        self._max_bytes = max_bytes
        self._members: set[_Member] = set()
        self._messages: deque[Answer] = deque()
        self._start, self._bytes = 0, 0
        self._start_cursor: str | None = covered.cursor
        self._position = covered.position
        self._has_ended = self._has_stopped = False
        self._waiting: list[asyncio.Future[None]] = []
        self._leading: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many members it has."""
        return len(self._members)

    @property
    def lag(self) -> int:
        """How many messages the member that is furthest behind has not taken yet."""
        end = self._start + len(self._messages)
        return max((end - member.number for member in self._members), default=0)

    def start(self, ended: Callable[[], object]) -> None:
        """Begins to read the stream; `ended` is called when it has ended."""
        self._leading = asyncio.create_task(self._lead(ended), name="cohort of a stream")

    async def stop(self) -> None:
        """Ends without anybody left."""
        if self._leading is not None:
            self._leading.cancel()
            # Whoever waits may be cancelled too, and must notice.
            await asyncio.wait({self._leading})

    async def reach(self, position: int) -> None:
        """Waits until it has come to a position, or has ended."""
        while self._position < position and not self._has_stopped:
            await self._change()

    def enter(self, covered: Covered) -> _Member | None:
        """Has a subscriber take what follows; None where no message of the cohort begins there."""
        number = self._number_after(covered)
        if self._has_stopped or number is None:
            return None
        member = _Member(self, number, covered.cursor)
        self._members.add(member)
        return member

    def leave(self, member: _Member) -> bool:
        """Has a subscriber go; whether it was the last one."""
        self._members.discard(member)
        return not self._members

    async def next(self, member: _Member) -> Answer | None:
        """The next message for a member; None when there is none here, because the stream is over or it is behind."""
        while True:
            index = member.number - self._start
            if index < 0:
                return None
            if index < len(self._messages):
                answer = self._messages[index]
                member.number += 1
                if answer.covered is not None:
                    member.cursor = answer.covered.cursor
                return answer
            if self._has_stopped:
                member.is_over = self._has_ended
                return None
            await self._change()

    async def _lead(self, ended: Callable[[], object]) -> None:
        try:
            async for answer in self.source:
                self._append(answer)
            self._has_ended = True
        except Exception as fault:  # noqa: BLE001 - it is logged with its id
            self._append(Answer({"errors": [error_of_fault(fault)]}, was_executed=False))
            self._has_ended = True
        finally:
            self._has_stopped = True
            ended()
            self._wake()
            await self.source.aclose()

    def _append(self, answer: Answer) -> None:
        self._messages.append(answer)
        if answer.covered is not None:
            self._position = answer.covered.position
        self._bytes += len(answer.encoded)
        self._counts.batches += 1
        self._counts.shared += len(self._members)
        taken = min(member.number for member in self._members) if self._members else 0
        while len(self._messages) > 1 and (
            self._bytes > self._max_bytes or (self._start < taken and len(self._messages) > _KEPT)
        ):
            gone = self._messages.popleft()
            self._bytes -= len(gone.encoded)
            self._start += 1
            self._start_cursor = None if gone.covered is None else gone.covered.cursor
        self._wake()

    def _change(self) -> asyncio.Future[None]:
        """Is done when something has changed. (To begin to wait for an event would take a lock each time.)"""
        if len(self._waiting) > 2 * len(self._members) + _KEPT:
            # Those who left while nothing changed are of no use.
            self._waiting = [each for each in self._waiting if not each.done()]
        change = asyncio.get_running_loop().create_future()
        self._waiting.append(change)
        return change

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if not change.done():  # as it is when its member was cancelled
                change.set_result(None)

    def _number_after(self, covered: Covered) -> int | None:
        """The number of the message that follows; None where no message ends there."""
        for index in range(len(self._messages) - 1, -1, -1):
            told = self._messages[index].covered
            if told is not None and told.cursor == covered.cursor:
                return self._start + index + 1
        return self._start if covered.cursor == self._start_cursor else None
