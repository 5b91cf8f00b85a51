"""Queries that are the same, and come at the same time, are executed as one.

A query never joins an execution that began before it came: that may have read what was changed since, and what its
client knows already. Those that come while one like them is executed wait until it ends, a moment at the most,
and are executed together then. So everybody's answer is as new as if it had been executed alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 0.05
"""How long queries wait for one like them to end, so that a slow one keeps nobody waiting."""


@dataclass(slots=True)
class _Execution(Generic[T]):
    """An execution, and how many wait for what comes of it."""

    task: asyncio.Task[T]
    waiters: int = 0


class SharedQueries(Generic[T]):
    """Executes queries. All of it belongs to one event loop.

    Attributes:
        joined: how many queries were not executed on their own so far.
    """

    def __init__(self) -> None:
        self.joined = 0
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._next: dict[Hashable, _Execution[T]] = {}

    def __len__(self) -> int:
        """How many different queries are executed or wait."""
        return len(self._running.keys() | self._next.keys())

    async def execute(self, key: Hashable, execute: Callable[[], Awaitable[T]]) -> T:
        """What comes of a query.

        It ends when nobody waits for it any more.

        Args:
            key: what queries have in common that are the same.
            execute: executes it.
        """
        execution = self._next.get(key)
        if execution is None:
            task = asyncio.create_task(self._run(key, execute), name="query")
            execution = self._next[key] = _Execution(task)
        else:
            self.joined += 1
        execution.waiters += 1
        try:
            return await asyncio.shield(execution.task)
        finally:
            execution.waiters -= 1
            if not execution.waiters:
                execution.task.cancel()
                if self._next.get(key) is execution:
                    del self._next[key]

    async def _run(self, key: Hashable, execute: Callable[[], Awaitable[T]]) -> T:
        before = self._running.get(key)
        if before is not None:
            await asyncio.wait([before], timeout=PATIENCE_SECONDS)
        # Whoever comes from here on comes too late for this execution.
        del self._next[key]
        task = self._running[key] = _current_task()
        try:
            return await execute()
        finally:
            if self._running.get(key) is task:
                del self._running[key]


def _current_task() -> asyncio.Task[T]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no task")
    return task
