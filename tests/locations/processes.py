"""Looking at the processes that a test of locations started."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from runwire.locations.local_location import LocalCodeLocation
from runwire.testing.left_behind import is_alive
from runwire.workspace import CodeLocation

MARK = "RUNWIRE_TEST_MARK"
"""The environment variable by which a test knows the processes that it started, directly or not."""


def _marked() -> list[tuple[int, str]]:
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0") and is_alive(
                int(folder.name)
            ):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append((int(folder.name), command))
        except OSError:
            continue
    return found


def marked_processes() -> list[str]:
    """The command lines of the live processes that this test started, directly or not."""
    return [command for _, command in _marked()]


def code_servers() -> set[int]:
    """The pids of the live processes of this test that were started as code servers."""
    found = {pid for pid, command in _marked() if "runwire.locations.code_server" in command}
    return {pid for pid in found if _parent(pid) not in found and not _is_forked(pid)}


def _is_forked(pid: int) -> bool:
    """Whether it was forked from a code server, whose command line it has."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("rw:")
    return True


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def server_pid(location: CodeLocation) -> int:
    """The pid of the process of ours that serves a location."""
    assert isinstance(location, LocalCodeLocation)
    assert location._current is not None
    return location._current.process.pid
