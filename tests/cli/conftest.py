from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runwire.cli.app import app
from runwire.client import RunwireClient
from tests.cli.served import Served, serving

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNWIRE_URL", "RUNWIRE_TOKEN", "RUNWIRE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests that leave it as it is; their runs stay in it."""
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """A server of the test's own."""
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def invoke() -> Invoke:
    """Runs a command in this process."""

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, arguments, input=stdin)

    return run


@pytest.fixture
def at_server(shared_server: Served, invoke: Invoke) -> Invoke:
    """Runs a command in this process, with the address of the shared server."""

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return invoke(*arguments, "--url", shared_server.url, stdin=stdin)

    return run


@pytest.fixture
def client(shared_server: Served) -> Iterator[RunwireClient]:
    """A client of the shared server."""
    with RunwireClient(shared_server.url) as connected:
        yield connected
