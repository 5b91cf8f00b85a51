"""Which process one is, so that it is known again: a number alone is given to another sooner or later."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec

_PROC = Path("/proc")

_NEVER = -1
"""What no process began at."""


class ProcessIdentity(msgspec.Struct, frozen=True):
    """A process.

    Attributes:
        pid: its number.
        place: where its number counts: the host, since its last start, and within it the space of numbers.
        began: when it began, in ticks since the start of the host; None where that cannot be told.
    """

    pid: int
    place: str
    began: int | None = None

    @classmethod
    def of_this(cls) -> ProcessIdentity:
        """This process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The process that has a number here now. When there is none, one that has ended."""
        began = _look(pid)[1]
        if began is None and not _exists(pid):
            began = _NEVER
        return cls(pid, _place(), began)

    @property
    def is_here(self) -> bool:
        """Whether its number counts here, so that it can be looked at."""
        return self.place == _place()

    @property
    def lives(self) -> bool | None:
        """Whether it has not ended; None when that cannot be told for sure from here."""
        if not self.is_here or self.began is None:
            return None
        return _began(self.pid) == self.began

    def send_signal(self, number: int) -> None:
        """Sends it a signal, if it lives here."""
        if self._may_live():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def kill_group(self) -> None:
        """Kills it with the process group that it leads; or, when it has ended, what is left of its group.

        Nobody else gets the number of a group while the group has members. One whose leader lives, and is
        another process, is therefore another group.
        """
        if self.is_here and (self._has_its_number() or not _exists(self.pid)):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _has_its_number(self) -> bool:
        """Whether it has its number still, also when it has ended and nobody has waited for it."""
        return self.began is None or _look(self.pid)[1] == self.began

    def _may_live(self) -> bool:
        return self.is_here and self.lives is not False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _began(pid: int) -> int | None:
    """When a process began; None when it has ended, or nobody can tell."""
    state, began = _look(pid)
    return None if state in {"Z", "X"} else began


def _look(pid: int) -> tuple[str, int | None]:
    """The state of a process and when it began; nothing of one that is not there, or of which nobody can tell."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", None
    return fields[0], int(fields[19])


@cache
def _place() -> str:
    names = [socket.gethostname()]
    with suppress(OSError):
        names.append((_PROC / "sys/kernel/random/boot_id").read_text().strip())
        names.append(str((_PROC / "self/ns/pid").readlink()))
    return " ".join(names)
