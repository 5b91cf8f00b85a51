"""A server that knows two tokens, of which one ends while it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import runwire
from runwire import clock
from runwire.api.access import Role
from runwire.client import RunwireClient
from runwire.instance import Instance
from runwire.server.app import create_app
from runwire.server.auth import AcceptedToken
from runwire.server.settings import AppSettings, Limits
from tests.server.conftest import run_app
from tests.server.serving import EmptyWorkspace

LASTING = "a-token-that-lasts-as-long-as-the-test"
BRIEF = "a-token-that-ends-half-a-second-after-it-is-shown"


@dataclass(frozen=True)
class Guarded:
    """Where the server is, and somebody who may do everything there."""

    url: str
    admin: RunwireClient

    def create_run(self, *messages: str) -> str:
        """A managed run with such events."""
        run_id = self.admin.create_run("outside", managed=True).run.run_id
        self.report(run_id, *messages)
        return run_id

    def report(self, run_id: str, *messages: str, end: bool = False) -> None:
        """Adds events to it, of which the last may end it."""
        events = [{"message": message} for message in messages]
        if end:
            events.append({"message": "done", "eventType": "RUN_SUCCESS"})
        self.admin.report_events(run_id, events)


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    """Its clock stands still, so that the brief token is good whenever it is shown."""
    monkeypatch.setattr(clock, "timestamp", lambda: 1_800_000_000.0)
    tokens = (
        AcceptedToken("lasting", _digest(LASTING), Role.ADMIN),
        AcceptedToken("brief", _digest(BRIEF), Role.VIEWER, 1_800_000_000.5),
    )
    with Instance.ephemeral(tmp_path) as instance:
        app = create_app(
            instance, EmptyWorkspace(), settings=AppSettings(tokens=tokens, legacy_graphql_ws=True)
        )
        with run_app(app, Limits()) as url, runwire.connect(url, LASTING) as admin:
            yield Guarded(admin.url, admin)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
