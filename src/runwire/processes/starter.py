"""The contract of what starts child processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRequest:
    """A child process to start.

    Attributes:
        entry: the dotted name of the module that it runs: its function ``main(payload, channel)``.
        payload: what it is handed.
        title: a word for people who list processes, such as a run id.
        directory: the directory that it runs in.
        stdout, stderr: descriptors for what it prints; they stay the caller's.
        channel: a descriptor that it gets a copy of, and `main` the number of; the caller's copy stays open.
        group: the process group that it joins; None when it leads one of its own, by its pid.
        bound: whether it is killed when whoever started it is gone.
    """

    entry: str
    payload: bytes
    title: str
    directory: str
    stdout: int
    stderr: int
    channel: int | None = None
    group: int | None = None
    bound: bool = False


class Child(ABC):
    """A child process. One thread uses it, `pid` and `send_signal` aside."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """Its process id."""

    @abstractmethod
    def fileno(self) -> int:
        """A descriptor that becomes readable when the child has ended; for selectors."""

    @abstractmethod
    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Waits for its end: the exit code as `subprocess` tells it, negative for a signal.

        None when the time is up; `UNKNOWN_EXIT` when whoever could tell how it ended is gone, or does not answer.
        """

    @abstractmethod
    def send_signal(self, number: int) -> None:
        """Sends it a signal; harmless when it has ended."""

    @abstractmethod
    def close(self) -> None:
        """Frees what this holds. A bound child that lives is killed by it. Harmless when called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ChildStarter(ABC):
    """Starts child processes. Thread-safe."""

    @abstractmethod
    def start(self, request: ChildRequest) -> Child:
        """Starts a child.

        Raises:
            OSError: it cannot be started.
        """
