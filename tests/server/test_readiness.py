"""`/readyz`: what makes the server unready, what only warns, and that nothing is told but words and numbers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from runwire.error_info import ErrorInfo
from runwire.errors import CodeLocationNotFoundError, StorageUnavailableError
from runwire.instance import Instance
from runwire.lanes import Lanes
from runwire.server.app import create_app
from runwire.server.auth import AcceptedToken
from runwire.server.readiness import Check, CheckStatus, Readiness
from runwire.server.settings import AppSettings, Limits
from runwire.snapshots import RepositorySnapshot
from runwire.storage import InstanceStorage
from runwire.workspace import (
    CheckRunHealthResult,
    CodeLocation,
    CodeLocationState,
    CodeLocationStatus,
    WorkerRef,
    WorkerRequest,
    Workspace,
)
from tests.server.conftest import LiveServer, run_app

SECRET = "postgresql://user:secret@host/database"
OK = Check()


class StillLocation(CodeLocation):
    """Is in one state for ever."""

    def __init__(self, state: CodeLocationState) -> None:
        self._state = state

    @property
    def state(self) -> CodeLocationState:
        return self._state

    def plan_run(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def start_worker(self, request: WorkerRequest) -> int:
        raise NotImplementedError

    def check_worker(self, worker: WorkerRef) -> CheckRunHealthResult:
        raise NotImplementedError

    def stop_worker(self, worker: WorkerRef, *, force: bool = False) -> bool:
        raise NotImplementedError

    def reload(self) -> None:
        raise NotImplementedError


class StillWorkspace(Workspace):
    """Has locations in these states."""

    def __init__(self, *states: CodeLocationState) -> None:
        self._locations = [StillLocation(state) for state in states]

    def get_location(self, name: str) -> CodeLocation:
        raise CodeLocationNotFoundError(name)

    def list_locations(self) -> list[CodeLocation]:
        return list(self._locations)


def state(status: CodeLocationStatus, **more: Any) -> CodeLocationState:
    return CodeLocationState(name="a secret name", status=status, updated_at=0.0, **more)


@pytest.fixture(params=["memory", "sqlite"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Instance]:
    in_memory = request.param == "memory"
    with Instance.ephemeral(tmp_path) if in_memory else Instance.from_home(tmp_path) as made:
        yield made


@pytest.fixture
async def lanes() -> AsyncIterator[Lanes]:
    made = Lanes()
    yield made
    await asyncio.to_thread(made.close)


def readiness(
    storage: InstanceStorage, lanes: Lanes, *states: CodeLocationState, seconds: float = 30
) -> Readiness:
    workspace = StillWorkspace(*states)
    return Readiness(storage, workspace, lanes, asyncio.Event(), answer_seconds=seconds)


async def test_a_failure_of_the_storage_is_one_word(
    instance: Instance, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, reason in (
        (StorageUnavailableError(SECRET), "unavailable"),
        (ZeroDivisionError(SECRET), "error"),
    ):

        def fail(error: Exception = error) -> str:
            raise error

        monkeypatch.setattr(instance.storage, "schema_revision", fail)
        checks = await readiness(instance.storage, lanes).checks()
        assert checks["storage"] == Check(CheckStatus.FAILED, reason)
        assert checks["schema"] == Check(CheckStatus.FAILED, "unknown")


async def test_a_storage_that_does_not_answer_is_asked_once_whoever_waits(
    instance: Instance, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers = SimpleQueue[None](), threading.Event()
    revision = instance.storage.schema_revision()

    def hang() -> str | None:
        asked.put(None)
        answers.wait(60)
        return revision

    monkeypatch.setattr(instance.storage, "schema_revision", hang)
    patient = readiness(instance.storage, lanes, seconds=0.05)
    found = await asyncio.gather(*(patient.checks() for _ in range(5)))
    found.append(await patient.checks())
    answers.set()
    assert [checks["storage"] for checks in found] == [Check(CheckStatus.FAILED, "timeout")] * 6
    assert asked.qsize() == 1


async def test_another_revision_of_the_schema_is_not_ready(
    instance: Instance, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await readiness(instance.storage, lanes).checks())["schema"] == OK
    monkeypatch.setattr(instance.storage, "schema_revision", lambda: "0000")
    checks = await readiness(instance.storage, lanes).checks()
    assert checks["storage"] == OK
    assert checks["schema"] == Check(CheckStatus.FAILED, "revision")


async def test_what_is_loaded_for_the_first_time_is_waited_for_and_what_failed_is_told(
    instance: Instance, lanes: Lanes
) -> None:
    loaded, failed = state(CodeLocationStatus.LOADED), state(CodeLocationStatus.FAILED)
    loading, lost = state(CodeLocationStatus.LOADING), state(CodeLocationStatus.UNREACHABLE)
    again = state(CodeLocationStatus.LOADING, repositories=(RepositorySnapshot(name="r", jobs=()),))
    for states, status, reason in (
        ((), CheckStatus.OK, None),
        ((loaded,), CheckStatus.OK, None),
        ((loaded, again), CheckStatus.OK, None),
        ((loaded, failed, lost), CheckStatus.WARNING, "failed"),
        ((lost,), CheckStatus.WARNING, "unreachable"),
        ((loaded, failed, loading), CheckStatus.FAILED, "loading"),
    ):
        checks = await readiness(instance.storage, lanes, *states).checks()
        check = checks["codeLocations"]
        assert (check.status, check.reason) == (status, reason)
        assert sum(check.counts.values()) == len(states)


def test_anybody_is_answered_and_learns_no_names(instance: Instance) -> None:
    error = ErrorInfo(message=SECRET)
    workspace = StillWorkspace(
        state(CodeLocationStatus.LOADED), state(CodeLocationStatus.FAILED, load_error=error)
    )
    settings = AppSettings(tokens=(AcceptedToken.of("a-token-of-16-or-more"),))
    app = create_app(instance, workspace, settings=settings)
    with run_app(app, Limits()) as url:
        server = LiveServer(url, [], SimpleQueue())
        ready = server.request("GET", "/readyz", headers={"Host": "probe.example"})
        # The application waits before it stops: whoever spreads requests learns that in time.
        app.state.draining.set()
        stopping = server.request("GET", "/readyz")
    assert (ready.status_code, ready.headers["content-type"]) == (200, "application/json")
    assert ready.headers["cache-control"] == "no-store"
    assert ready.json() == {
        "ready": True,
        "checks": {
            "server": {"status": "ok"},
            "storage": {"status": "ok"},
            "schema": {"status": "ok"},
            "codeLocations": {
                "status": "warning",
                "reason": "failed",
                "loading": 0,
                "loaded": 1,
                "failed": 1,
                "unreachable": 0,
            },
        },
    }
    assert stopping.status_code == 503
    assert stopping.json()["ready"] is False
    assert stopping.json()["checks"]["server"] == {"status": "failed", "reason": "stopping"}
