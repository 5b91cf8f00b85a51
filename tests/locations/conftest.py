"""Workspaces of real code servers, ended after each test, and a look at what they leave behind."""

from __future__ import annotations

import shutil
import tempfile
import textwrap
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from runwire.locations.target import LocationTarget
from runwire.locations.timeouts import LocationTimeouts
from runwire.locations.workspace import LocalWorkspace
from runwire.locations.workspace_file import Target
from runwire.testing.left_behind import GENEROUS_SECONDS, eventually
from tests.locations.processes import MARK, marked_processes


class Write(Protocol):
    """Writes a file of definitions and returns its path."""

    def __call__(self, text: str, name: str = "jobs.py") -> Path: ...


class Open(Protocol):
    """Opens a workspace, waits until its locations are loaded or failed, and ends it after the test."""

    def __call__(self, *targets: Target | Path, **timeouts: float) -> LocalWorkspace: ...


@pytest.fixture
def socket_root(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Where the workspaces of a test keep their sockets: a folder with a short path."""
    tmp_path_factory.getbasetemp()  # made now, so that it is not made in there
    root = Path(tempfile.mkdtemp(prefix="rw-test-"))
    monkeypatch.setattr(tempfile, "tempdir", str(root))
    monkeypatch.setenv("TMPDIR", str(root))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_left(socket_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test leaves a process or a socket behind."""
    monkeypatch.setenv(MARK, str(uuid.uuid4()))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    yield
    if Path("/proc/self/environ").exists():
        eventually(lambda: not marked_processes(), f"no process is left of {marked_processes()}")
    assert list(socket_root.iterdir()) == []


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "jobs.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def open_workspace(nothing_left: None) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_workspace(*targets: Target | Path, **timeouts: float) -> LocalWorkspace:
            workspace = LocalWorkspace(
                [
                    LocationTarget(python_file=target) if isinstance(target, Path) else target
                    for target in targets
                ],
                LocationTimeouts(**timeouts),
            )
            stack.callback(workspace.dispose)
            assert workspace.wait_until_loaded(GENEROUS_SECONDS)
            return workspace

        yield open_workspace
