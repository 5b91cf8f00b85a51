"""The contract of a daemon: work that is done again and again, by one process at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar


class Daemon(ABC):
    """One kind of work. It is told when to do it; it neither loops nor sleeps.

    Attributes:
        daemon_type: names it in heartbeats and leases.
    """

    daemon_type: ClassVar[str]

    @property
    @abstractmethod
    def interval_seconds(self) -> float:
        """How long to wait between two iterations."""

    @abstractmethod
    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        """Does the work once.

        Args:
            report: takes an error that does not end the iteration.
            should_stop: whether the iteration should end soon, the rest of its work undone.
        """

    def close(self) -> None:
        """Ends what the iterations began. Called by the loop, after its last one."""
