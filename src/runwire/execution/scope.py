"""What the steps of a run share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runwire.definitions import RetryMode
from runwire.execution.io import IOManager
from runwire.execution.run_log import RunLog
from runwire.instance import Instance
from runwire.partitions import Partitions
from runwire.runs.run import Run


def no_instance() -> None:
    """Stands in where there is no instance."""


@dataclass(frozen=True)
class RunScope:
    """What the steps of a run share.

    Attributes:
        run: the run.
        log: its log.
        io_manager: where outputs are.
        resources: the values by key, set up.
        instance: gives what ops get as `context.instance`; in a step process it is opened by the first call.
        epoch: the epoch of the run's worker.
        partitions: the partitions of its job; None when it has none.
        process: whether this is the process of the run's worker, or that of one step.
        retries: whether its executor tries steps again.
    """

    run: Run
    log: RunLog
    io_manager: IOManager
    resources: Mapping[str, Any]
    instance: Callable[[], Instance | None] = no_instance
    epoch: int = 0
    partitions: Partitions | None = None
    process: Literal["worker", "step"] = "worker"
    retries: RetryMode = RetryMode.ENABLED


class ScopedResources:
    """The resources that somebody requires, as attributes."""

    def __init__(self, values: Mapping[str, Any], required: Iterable[str], owner: str) -> None:
        self._values = {key: values[key] for key in required}
        self._owner = owner

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        if key in self._values:
            return self._values[key]
        raise AttributeError(
            f"{self._owner} does not require resource {key!r}; add it to its required_resource_keys"
        )

    def __dir__(self) -> list[str]:
        return sorted(self._values)
