"""Whether the server can do its work: `/readyz`.

Anybody may ask, so nothing is told but words of a fixed list and numbers, and asking often costs nothing: what was
found is told again for a while, and at most one look at the storage is under way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from starlette.requests import Request
from starlette.responses import Response

from runwire.errors import StorageUnavailableError
from runwire.lanes import Lanes
from runwire.server.encoding import encode_json
from runwire.server.http.negotiation import JSON
from runwire.storage import InstanceStorage
from runwire.workspace import CodeLocationStatus, Workspace

ANSWER_SECONDS = 2.0
"""How long a storage may take to answer."""

KEPT_SECONDS = 1.0
"""For how long what was found of the storage is told again."""


class CheckStatus(Enum):
    """What came of a check. A warning does not make the server unready."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a check.

    Attributes:
        status: whether it went well.
        reason: why not, in one word.
        counts: of how many things it tells, by word.
    """

    status: CheckStatus = CheckStatus.OK
    reason: str | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """The same as JSON has it."""
        told: dict[str, object] = {"status": self.status.value}
        if self.reason is not None:
            told["reason"] = self.reason
        return {**told, **self.counts}


_OK = Check()


def _failed(reason: str) -> Check:
    return Check(CheckStatus.FAILED, reason)


class Readiness:
    """Answers whether the server is ready: 200 when no check failed, else 503; with each check as JSON.

    A code location that did not load is a warning: the server answers for all others, tells the error itself,
    and another server with the same definitions would do no better. One that is loading for the first time
    fails the check, for its jobs cannot be run yet.

    Args:
        storage: must answer in time, with the newest revision of its schema.
        workspace: its code locations must have been tried.
        lanes: where the storage is asked.
        stopping: is set when the server is about to stop.
        answer_seconds: how long the storage may take.
    """

    def __init__(
        self,
        storage: InstanceStorage,
        workspace: Workspace,
        lanes: Lanes,
        stopping: asyncio.Event,
        *,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._storage = storage
        self._workspace = workspace
        self._lanes = lanes
        self._stopping = stopping
        self._answer_seconds = answer_seconds
        self._probe: asyncio.Task[tuple[Check, Check]] | None = None
        self._fresh_until = 0.0

    async def answer(self, _: Request) -> Response:
        """Answers a request."""
        checks = await self.checks()
        is_ready = all(check.status is not CheckStatus.FAILED for check in checks.values())
        body = {
            "ready": is_ready,
            "checks": {name: check.to_dict() for name, check in checks.items()},
        }
        headers = {"Cache-Control": "no-store"}
        return Response(encode_json(body), 200 if is_ready else 503, headers, media_type=JSON)

    async def checks(self) -> dict[str, Check]:
        """Every check by name."""
        storage, schema = await self._storage_checks()
        return {
            "server": _failed("stopping") if self._stopping.is_set() else _OK,
            "storage": storage,
            "schema": schema,
            "codeLocations": self._location_check(),
        }

    async def _storage_checks(self) -> tuple[Check, Check]:
        now = asyncio.get_running_loop().time
        if self._probe is None or (self._probe.done() and now() >= self._fresh_until):
            self._probe = asyncio.create_task(self._look_at_storage(), name="look at the storage")
        done, _ = await asyncio.wait({self._probe}, timeout=self._answer_seconds)
        return self._probe.result() if done else (_failed("timeout"), _failed("unknown"))

    async def _look_at_storage(self) -> tuple[Check, Check]:
        try:
            return await self._lanes.probe(_look_at, self._storage)
        except StorageUnavailableError:
            return _failed("unavailable"), _failed("unknown")
        except Exception:  # noqa: BLE001 - whatever it is, the storage does not answer as it should
            return _failed("error"), _failed("unknown")
        finally:
            self._fresh_until = asyncio.get_running_loop().time() + KEPT_SECONDS

    def _location_check(self) -> Check:
        states = [location.state for location in self._workspace.list_locations()]
        found = Counter(state.status for state in states)
        counts = {status.value.lower(): found[status] for status in CodeLocationStatus}
        # While one is loaded anew, its jobs are there all the same.
        if any(
            state.status is CodeLocationStatus.LOADING and not state.repositories
            for state in states
        ):
            return Check(CheckStatus.FAILED, "loading", counts)
        for status in (CodeLocationStatus.FAILED, CodeLocationStatus.UNREACHABLE):
            if found[status]:
                return Check(CheckStatus.WARNING, status.value.lower(), counts)
        return Check(counts=counts)


def _look_at(storage: InstanceStorage) -> tuple[Check, Check]:
    """Whether a storage answers, and whether its schema is the newest."""
    current = all(part.schema_revision() == part.head_revision() for part in _parts(storage))
    return _OK, _OK if current else _failed("revision")


def _parts(storage: InstanceStorage) -> Iterator[InstanceStorage]:
    """The storages that a storage joins, each once."""
    parts = (storage.runs_part, storage.event_logs_part, storage.schedules_part)
    yield from {id(part): part for part in parts}.values()
