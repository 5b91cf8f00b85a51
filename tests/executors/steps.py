"""Steps that an executor is given, and what it did with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runwire.error_info import ErrorInfo
from runwire.errors import RunInterrupted
from runwire.run_steps import RunSteps


class Steps(RunSteps):
    """Steps that are taken in order, at most `free` of them before one has ended.

    Processes end in the order of their start. The run is asked to stop before the step `interrupted`, or when
    the executor waits for the step `stuck`.
    """

    def __init__(
        self,
        *step_keys: str,
        interrupted: str | None = None,
        stuck: str | None = None,
        free: int | None = None,
    ) -> None:
        self._keys = step_keys
        self._left = list(step_keys)
        self._interrupted = interrupted
        self._stuck = stuck
        self._free = len(step_keys) if free is None else free
        self._running: list[str] = []
        self.log: list[str] = []
        self.metadata: list[Mapping[str, Any] | None] = []

    @property
    def step_keys(self) -> tuple[str, ...]:
        return self._keys

    @property
    def is_complete(self) -> bool:
        return not self._left and not self._running

    def start_next(self) -> str | None:
        if self._left and self._left[0] == self._interrupted:
            raise RunInterrupted
        return self._left.pop(0) if self._left and len(self._running) < self._free else None

    def run_here(self, step_key: str) -> None:
        self.log.append(f"run {step_key}")

    def start_process(self, step_key: str) -> None:
        self._running.append(step_key)
        self.log.append(f"start {step_key}")

    def wait_for_process(self) -> str:
        if self._running[0] == self._stuck:
            raise RunInterrupted
        ended = self._running.pop(0)
        self.log.append(f"end {ended}")
        return ended

    def stop_processes(self) -> None:
        self.log.append(f"stop {', '.join(self._running)}")
        self._running.clear()

    def tell_engine(
        self,
        message: str,
        *,
        step_key: str | None = None,
        error: ErrorInfo | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.log.append(message.partition(" after ")[0])
        self.metadata.append(metadata)
