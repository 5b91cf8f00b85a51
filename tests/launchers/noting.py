"""A code location that notes what it is asked, and a workspace of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runwire.errors import CodeLocationNotFoundError, CodeLocationUnavailableError
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.snapshots import PlanSnapshot
from runwire.workspace import (
    CheckRunHealthResult,
    CodeLocation,
    CodeLocationState,
    CodeLocationStatus,
    CodeOrigin,
    WorkerRef,
    WorkerRequest,
    WorkerStatus,
    Workspace,
)

INSTANCE_REF = {"name": "test"}


def record(
    run_id: str = "run", *, location: str | None = "shop", repository: str | None = "main"
) -> RunRecord:
    """A run whose third worker is meant."""
    run = Run(job_name="sales", run_id=run_id, location_name=location, repository_name=repository)
    return RunRecord(
        storage_id=1,
        run=run,
        status=RunStatus.STARTING,
        log_id="log",
        created_at=1.0,
        updated_at=1.0,
        worker_epoch=3,
    )


class NotingLocation(CodeLocation):
    """Notes what it is asked, and tells one health of all workers; when that is UNKNOWN, it does not answer."""

    def __init__(
        self, health: WorkerStatus = WorkerStatus.RUNNING, origin: CodeOrigin | None = None
    ) -> None:
        self.asked: list[Any] = []
        self._health = health
        self._checks_until: int | None = None
        self._end = health
        self._origin = origin

    def end_after(self, checks: int, end: WorkerStatus) -> None:
        """Workers have another health after that many checks."""
        self._checks_until, self._end = checks, end

    @property
    def state(self) -> CodeLocationState:
        return CodeLocationState(name="shop", status=CodeLocationStatus.LOADED, updated_at=1.0)

    @property
    def origin(self) -> CodeOrigin | None:
        return self._origin

    def plan_run(
        self,
        repository_name: str,
        job_name: str,
        run_config: Mapping[str, Any],
        step_keys: Sequence[str] | None = None,
    ) -> PlanSnapshot:
        raise AssertionError("a launcher makes no plans")

    def start_worker(self, request: WorkerRequest) -> int:
        self._note(request)
        return 4711

    def check_worker(self, worker: WorkerRef) -> CheckRunHealthResult:
        if self._checks_until == 0:
            self._health, self._checks_until = self._end, None
        elif self._checks_until is not None:
            self._checks_until -= 1
        self._note(("check", worker))
        return CheckRunHealthResult(self._health, "as told")

    def stop_worker(self, worker: WorkerRef, *, force: bool = False) -> bool:
        self._note(("stop", worker, force))
        return self._health is WorkerStatus.RUNNING

    def reload(self) -> None:
        raise AssertionError("a launcher reloads nothing")

    def _note(self, call: object) -> None:
        if self._health is WorkerStatus.UNKNOWN:
            raise CodeLocationUnavailableError("shop", "it is UNREACHABLE")
        self.asked.append(call)


class OneLocation(Workspace):
    """A workspace of one location, ``shop``."""

    def __init__(self, location: NotingLocation) -> None:
        self.location = location

    def get_location(self, name: str) -> CodeLocation:
        if name != "shop":
            raise CodeLocationNotFoundError(name, ["shop"])
        return self.location

    def list_locations(self) -> list[CodeLocation]:
        return [self.location]
