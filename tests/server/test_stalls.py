"""Clients that take nothing, against clients that take little."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from runwire.server.stalls import StallWatch


class Pipe:
    """A transport from which bytes leave, or do not."""

    waiting = 0

    def get_write_buffer_size(self) -> int:
        return self.waiting


class Clock:
    """A loop that calls later when it is told to."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        self.timers.append(Timer(self, delay, lambda: callback(*args)))
        return self.timers[-1]

    def ring(self) -> float:
        (timer,) = self.timers
        self.timers.clear()
        timer.callback()
        return timer.delay


class Timer:
    """A call that can be taken back."""

    def __init__(self, clock: Clock, delay: float, callback: Callable[[], object]) -> None:
        self.clock, self.delay, self.callback = clock, delay, callback

    def cancel(self) -> None:
        self.clock.timers = [timer for timer in self.clock.timers if timer is not self]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watch(clock: Clock, stalls: list[str]) -> StallWatch:
    loop = cast(asyncio.AbstractEventLoop, clock)
    return StallWatch(loop, 7.0, lambda: stalls.append("stalled"))


def pipe_with(waiting: int) -> Any:
    pipe = Pipe()
    pipe.waiting = waiting
    return pipe


def test_a_client_that_takes_some_is_waited_for(clock: Clock) -> None:
    stalls: list[str] = []
    watched, pipe = watch(clock, stalls), pipe_with(100)
    watched.begin(pipe)
    for waiting in (99, 50):
        pipe.waiting = waiting
        assert clock.ring() == 7.0
    assert not stalls
    assert clock.ring() == 7.0
    assert stalls == ["stalled"]
    assert not clock.timers


def test_a_client_that_took_enough_is_watched_no_more(clock: Clock) -> None:
    stalls: list[str] = []
    watched = watch(clock, stalls)
    watched.begin(pipe_with(100))
    watched.end()
    assert not clock.timers
    watched.end()


def test_there_is_one_watch_at_a_time(clock: Clock) -> None:
    stalls: list[str] = []
    watched = watch(clock, stalls)
    watched.begin(pipe_with(100))
    watched.begin(pipe_with(200))
    assert len(clock.timers) == 1
