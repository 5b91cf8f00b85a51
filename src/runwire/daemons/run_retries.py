"""The run retries daemon: follows the instance-wide log, and has each run that fails retried once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from runwire import control
from runwire.control import Reexecution, RetryRules
from runwire.daemons.daemon import Daemon
from runwire.errors import CodeLocationUnavailableError, CursorExpiredError
from runwire.events.filters import EventRecordsFilter
from runwire.events.types import EventType
from runwire.fault_points import fault_point
from runwire.instance import Instance
from runwire.runs.run import RunRecord
from runwire.workspace import CodeLocationStatus, Workspace

LOOK_SECONDS = 0.25
"""How often it looks whether the instance-wide log has grown."""

REST_SECONDS = 2.0
"""How long a run rests whose retry could not be made."""

PATIENCE_SECONDS = 600.0
"""For how long a retry is tried that cannot be made, as while a code location cannot be reached; then no more."""

MAX_WAITING = 1000
"""How many runs may rest at once; until there are fewer, no further ones are looked at."""

_PAGE = 100

NOTED_AFTER = 1000
"""How far the noted position may lag behind where nothing failed."""

_FAILURES = EventRecordsFilter(event_types=frozenset({EventType.RUN_FAILURE}))


@dataclass
class _Waiting:
    """A run whose retry could not be made yet. Instants are those of the monotonic clock."""

    run_id: str
    since: float
    next_at: float = 0.0


class RunRetriesDaemon(Daemon):
    """Has runs retried that fail, in the order of their failures.

    It begins with what fails after it was first turned on. Its position in the instance-wide log is kept by the
    storage, and moves past a failure when all is done about it; what was done before a crash is found done
    (`runwire.control.retry_run`). A run whose code location cannot be reached rests, and delays no other.

    Args:
        instance: the instance; it outlives this.
        workspace: its code locations.
        monotonic: tells the time that no change of the clock moves, in seconds.
    """

    daemon_type: ClassVar[str] = "RUN_RETRIES"

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = instance.settings.run_retries
        self._rules = RetryRules(settings.max_retries, settings.retry_on_asset_or_op_failure)
        self._instance = instance
        self._workspace = workspace
        self._storage = instance.storage
        self._monotonic = monotonic
        self._consumer = ""
        self._position: int | None = None
        self._noted = 0
        self._waiting: dict[int, _Waiting] = {}
        self._has_more = False
        self._is_to_be_noted = False

    @property
    def interval_seconds(self) -> float:
        return 0.0 if self._has_more else LOOK_SECONDS

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        position = self._known_position()
        now = self._monotonic()
        for place, waiting in list(self._waiting.items()):
            if should_stop():
                return
            if waiting.next_at <= now:
                self._try(place, waiting, report)
        if len(self._waiting) < MAX_WAITING:
            self._read(position, report, should_stop)
        self._note()

    def _known_position(self) -> int:
        """Up to where failures were read; of a log that is new since the last look, up to where it is noted."""
        logs, runs = self._storage.event_log_storage, self._storage.run_storage
        consumer = f"{self.daemon_type} {logs.get_instance_log_id()}"
        span = logs.get_instance_log_span()
        if self._position is None or consumer != self._consumer:
            noted = runs.find_consumer_position(consumer)
            if noted is None:
                noted = runs.move_consumer(consumer, span.head)
            self._consumer = consumer
            self._position = self._noted = noted
            self._waiting.clear()
        # What is gone for its age is not retried.
        self._position = max(self._position, span.purged_position)
        return self._position

    def _read(
        self,
        position: int,
        report: Callable[[BaseException], None],
        should_stop: Callable[[], bool],
    ) -> None:
        logs = self._storage.event_log_storage
        head = logs.get_instance_log_span().head
        self._has_more = False
        if head == position:
            return
        try:
            page = logs.get_event_records(_FAILURES, after=position, limit=_PAGE)
        except CursorExpiredError:
            return  # purged meanwhile: the next iteration begins after it
        for entry in page.records:
            if should_stop():
                return
            if entry.event is not None and entry.event.applied:
                self._try(entry.position, _Waiting(entry.run_id, self._monotonic()), report)
            self._position = entry.position
        self._has_more = page.has_more
        if not page.has_more:
            self._position = max(head, self._position or 0)

    def _try(self, place: int, waiting: _Waiting, report: Callable[[BaseException], None]) -> None:
        """Has a run retried; if that cannot be done it rests, or is given up at last."""
        self._is_to_be_noted = True
        try:
            self._retry(waiting.run_id)
        except Exception as error:  # noqa: BLE001 - the other runs are retried all the same
            now = self._monotonic()
            if now - waiting.since < PATIENCE_SECONDS:
                waiting.next_at = now + REST_SECONDS
                self._waiting[place] = waiting
                report(error)
                return
            control.tell_refusal(self._storage, waiting.run_id, str(error), error)
        self._waiting.pop(place, None)

    def _retry(self, run_id: str) -> None:
        submit = partial(self._instance.submit_run, workspace=self._workspace)
        control.retry_run(self._storage, run_id, self._rules, self._reexecute, submit)

    def _reexecute(
        self, wanted: Reexecution, submit: Callable[[str], RunRecord]
    ) -> tuple[RunRecord, bool]:
        name = self._storage.get_run_record(wanted.run_id).run.location_name
        if name is not None:
            state = self._workspace.get_location(name).state
            if state.status is CodeLocationStatus.LOADING:  # `reexecute_run` would wait for it
                raise CodeLocationUnavailableError(name, f"it is {state.status.value}")
        return control.reexecute_run(
            self._storage,
            self._workspace,
            wanted,
            self._instance.local_artifact_storage.has_output,
            submit,
        )

    def _note(self) -> None:
        """Keeps up to where all is done: at once after a failure, else now and then."""
        done = min(self._waiting, default=(self._position or 0) + 1) - 1
        lag = done - self._noted
        if lag > 0 and (self._is_to_be_noted or lag >= NOTED_AFTER):
            fault_point("retry.before_move")
            self._noted = self._storage.run_storage.move_consumer(self._consumer, done)
        self._is_to_be_noted = False
