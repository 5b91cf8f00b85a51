"""Lanes: how asynchronous code calls synchronous storages, in one place.

A lane is a small pool of threads for calls of one kind. On one SQLite file more threads are slower, so there
are one or two readers and one writer; catch-up reads of streams have a lane of their own, so that they never
starve queries. `watches` is for what waits for news of a storage in its thread, which costs less than asking from
outside again and again. `calls` is for what may wait long on other processes, such as a code location; `loads`
for what waits for user code to be loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LaneSizes:
    """How many threads each lane has."""

    readers: int = 2
    writers: int = 1
    catch_up: int = 1
    watches: int = 1
    calls: int = 8
    loads: int = 2


class Lanes:
    """The lanes of one server process."""

    def __init__(self, sizes: LaneSizes = LaneSizes()) -> None:
        self._readers = _pool("reader", sizes.readers)
        self._writers = _pool("writer", sizes.writers)
        self._catch_up = _pool("catch-up", sizes.catch_up)
        self._watches = _pool("watch", sizes.watches)
        self._calls = _pool("call", sizes.calls)
        self._loads = _pool("load", sizes.loads)

    async def read(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query of a storage."""
        return await _run(self._readers, fn, *args, **kwargs)

    async def write(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a change of a storage."""
        return await _run(self._writers, fn, *args, **kwargs)

    async def catch_up(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a read of a stream: heads, tails and pages of logs."""
        return await _run(self._catch_up, fn, *args, **kwargs)

    async def watch(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what waits for news of a storage; a second at most, so that others get their turn."""
        return await _run(self._watches, fn, *args, **kwargs)

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what may wait on another process."""
        return await _run(self._calls, fn, *args, **kwargs)

    async def load(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what waits for user code to be loaded, which may take as long as it likes."""
        return await _run(self._loads, fn, *args, **kwargs)

    def close(self) -> None:
        """Lets what runs end, cancels what waits, and frees the threads. Harmless when called twice.

        Loads are not waited for: they end with the workspace.
        """
        self._loads.shutdown(wait=False, cancel_futures=True)
        for pool in self._readers, self._writers, self._catch_up, self._watches, self._calls:
            pool.shutdown(wait=True, cancel_futures=True)


def _pool(name: str, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=threads, thread_name_prefix=f"runwire-{name}")


async def _run(
    pool: ThreadPoolExecutor, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, lambda: fn(*args, **kwargs))
