"""Lanes: how asynchronous code calls synchronous storages, in one place.

A lane is a small pool of threads for calls of one kind. On one SQLite file more threads are slower, so there
are one or two readers and one writer; catch-up reads of streams have a lane of their own, so that they never
starve queries. `watches` is for what waits for news of a storage in its thread, which costs less than asking from
outside again and again: one for the logs of runs, one for the instance-wide log. `calls` is for what may wait
long on other processes, such as a code location; `loads` for what waits for user code to be loaded; `probes` for
looking whether all is well, whatever waits elsewhere.

What a lane calls runs in the context (`contextvars`) of who called, and is timed.
"""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from time import perf_counter
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LaneSizes:
    """How many threads each lane has."""

    readers: int = 2
    writers: int = 1
    catch_up: int = 1
    watches: int = 2
    calls: int = 8
    loads: int = 2
    probes: int = 2


TIME_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Where the classes of times end, in seconds; the last class has no end."""


@dataclass(slots=True)
class LaneTimes:
    """How long the calls of a lane took, the wait for a free thread included.

    Attributes:
        counts: how many took so long, by the classes of `TIME_BOUNDS`.
        seconds: how long all of them took.
        pending: how many wait or run now.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(TIME_BOUNDS) + 1))
    seconds: float = 0.0
    pending: int = 0

    def add(self, seconds: float) -> None:
        """Counts a call that has ended."""
        self.counts[bisect_left(TIME_BOUNDS, seconds)] += 1
        self.seconds += seconds


class Lanes:
    """The lanes of one server process. All of it belongs to one event loop, but what it calls."""

    def __init__(self, sizes: LaneSizes = LaneSizes()) -> None:
        self._readers = _Lane("reader", sizes.readers)
        self._writers = _Lane("writer", sizes.writers)
        self._catch_up = _Lane("catch-up", sizes.catch_up)
        self._watches = _Lane("watch", sizes.watches)
        self._calls = _Lane("call", sizes.calls)
        self._loads = _Lane("load", sizes.loads)
        self._probes = _Lane("probe", sizes.probes)

    @property
    def times(self) -> Mapping[str, LaneTimes]:
        """How long calls took, by the name of the lane. That of `watches` waits on purpose, and is left out."""
        lanes = self._readers, self._writers, self._catch_up, self._calls, self._loads, self._probes
        return {lane.name: lane.times for lane in lanes}

    async def read(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query of a storage."""
        return await self._readers.run(fn, *args, **kwargs)

    async def write(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a change of a storage."""
        return await self._writers.run(fn, *args, **kwargs)

    async def catch_up(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a read of a stream: heads, tails and pages of logs."""
        return await self._catch_up.run(fn, *args, **kwargs)

    async def watch(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what waits for news of a storage; a second at most, so that others get their turn."""
        return await self._watches.run(fn, *args, **kwargs)

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what may wait on another process."""
        return await self._calls.run(fn, *args, **kwargs)

    async def load(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what waits for user code to be loaded, which may take as long as it likes."""
        return await self._loads.run(fn, *args, **kwargs)

    async def probe(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what looks whether a storage answers, and how much it has."""
        return await self._probes.run(fn, *args, **kwargs)

    def close(self) -> None:
        """Lets what runs end, cancels what waits, and frees the threads. Harmless when called twice.

        Loads are not waited for: they end with the workspace.
        """
        self._loads.pool.shutdown(wait=False, cancel_futures=True)
        for lane in (
            self._readers,
            self._writers,
            self._catch_up,
            self._watches,
            self._calls,
            self._probes,
        ):
            lane.pool.shutdown(wait=True, cancel_futures=True)


class _Lane:
    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix=f"runwire-{name}")
        self.times = LaneTimes()
        self._lock = threading.Lock()

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        context, begun_at = copy_context(), perf_counter()
        future = self.pool.submit(lambda: context.run(fn, *args, **kwargs))
        with self._lock:
            self.times.pending += 1
        # A call that runs goes on when its caller leaves, and keeps its thread.
        future.add_done_callback(lambda _: self._ended(begun_at))
        return await asyncio.wrap_future(future)

    def _ended(self, begun_at: float) -> None:
        with self._lock:
            self.times.pending -= 1
            self.times.add(perf_counter() - begun_at)
