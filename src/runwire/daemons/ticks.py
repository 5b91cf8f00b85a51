"""What the daemons of schedules and of sensors have in common: which of them run, and threads to evaluate them in."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import ClassVar, Generic, TypeVar

from runwire import clock
from runwire.control import TickRunner, TickSourceRecord
from runwire.daemons.daemon import Daemon
from runwire.errors import NotFoundError, TickSourceNotFoundError, TickSourceStoppedError
from runwire.instance import Instance
from runwire.ticks import TickSourceOrigin, TickSourceState, TickSourceStatus, TickSourceType
from runwire.workspace import CodeLocationState, CodeLocationStatus, Workspace

IDLE_LOOK_SECONDS = 60.0
"""How often it is looked what was started, while no code location has any."""

EVALUATIONS_AT_ONCE = 4
"""How many functions of one code location are called at once; one that hangs delays no other location's."""

REST_SECONDS = 1.0
"""How long a schedule or sensor rests whose tick could not be stored."""

CLOSE_SECONDS = 5.0
"""How long ticks that have begun may take to end when the daemon does; others take up what is left of them."""

R = TypeVar("R", bound=TickSourceRecord)


class TicksDaemon(Daemon, Generic[R]):
    """Knows which schedules or sensors run, and works on them beside itself, in a few threads for each code location.

    Of each it works on one thing at a time. A workspace without any costs no look at the storage but one a minute.

    Args:
        instance: the instance; it outlives this.
        workspace: its code locations.
        now: tells the time, in epoch seconds.
        monotonic: tells the time that no change of the clock moves, in seconds.
    """

    source_type: ClassVar[TickSourceType]

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        now: Callable[[], float] = clock.timestamp,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = instance.storage
        self._schedules = instance.storage.schedule_storage
        self._workspace = workspace
        self._now = now
        self._monotonic = monotonic
        self._runner = TickRunner(
            instance.storage, workspace, lambda run_id: instance.submit_run(run_id, workspace), now
        )
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._busy: dict[str, Future[None]] = {}
        self._read: dict[str, tuple[CodeLocationState, dict[str, R]]] = {}
        self._rests_until: dict[str, float] = {}
        self._looked_at = float("-inf")

    @abstractmethod
    def _records_of(self, state: CodeLocationState) -> Mapping[str, R]:
        """What a code location has loaded, by id."""

    @abstractmethod
    def _missing(self, name: str) -> NotFoundError:
        """The error that tells that one which was started is defined no more."""

    def wait_until_idle(self, timeout_seconds: float | None = None) -> None:
        """Waits until what was started has ended."""
        for each in list(self._busy.values()):
            each.result(timeout_seconds)

    def close(self) -> None:
        """Waits for a while until the ticks that have begun have ended."""
        wait(self._busy.values(), timeout=CLOSE_SECONDS)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _running(self, report: Callable[[BaseException], None]) -> Mapping[str, R]:
        """Those that make ticks, by id; brings what is kept in line with the default statuses."""
        defined, loaded = self._defined()
        if not defined and self._monotonic() - self._looked_at < IDLE_LOOK_SECONDS:
            return {}
        kept = {
            state.source_id: state
            for state in self._schedules.get_tick_sources(source_type=self.source_type)
        }
        self._looked_at = self._monotonic()
        for source_id, record in defined.items():
            if source_id not in kept and record.default_status is TickSourceStatus.RUNNING:
                kept[source_id] = self._add(record)
        running: dict[str, R] = {}
        for source_id, state in kept.items():
            found = defined.get(source_id)
            if found is None:
                if state.is_running and state.origin.location_name in loaded:
                    self._miss(state, report)
                continue
            record = replace(found, state=state)
            if state.by_default and record.status is TickSourceStatus.STOPPED:
                self._drop(state)
            elif state.is_running:
                running[source_id] = record
        return running

    def _add(self, record: R) -> TickSourceState:
        """Begins with one that its definition starts."""
        state, _ = self._schedules.add_tick_source(
            record.origin, TickSourceStatus.RUNNING, at=self._now(), by_default=True
        )
        return state

    def _defined(self) -> tuple[dict[str, R], Collection[str]]:
        """Those of the loaded code locations, by id, and the names of these locations."""
        states = [location.state for location in self._workspace.list_locations()]
        loaded = {each.name: each for each in states if each.status is CodeLocationStatus.LOADED}
        self._read = {name: self._of_location(state) for name, state in loaded.items()}
        found: dict[str, R] = {}
        for _, of_location in self._read.values():
            found.update(of_location)
        return found, loaded

    def _of_location(self, state: CodeLocationState) -> tuple[CodeLocationState, dict[str, R]]:
        known = self._read.get(state.name)
        if known is not None and known[0] is state:
            return known
        return state, dict(self._records_of(state))

    def _miss(self, state: TickSourceState, report: Callable[[BaseException], None]) -> None:
        """Drops one that nobody started and whose definition is gone; tells of one that somebody did."""
        if state.by_default:
            self._drop(state)
        else:
            report(self._missing(state.origin.name))

    def _drop(self, state: TickSourceState) -> None:
        try:
            self._schedules.delete_tick_source(state.source_id)
        except TickSourceNotFoundError:  # another process has
            return

    def _submit(
        self,
        origin: TickSourceOrigin,
        work: Callable[[], object],
        report: Callable[[BaseException], None],
    ) -> None:
        pool = self._pools.get(origin.location_name)
        if pool is None:
            pool = self._pools[origin.location_name] = ThreadPoolExecutor(
                EVALUATIONS_AT_ONCE, thread_name_prefix=f"runwire-ticks-{origin.location_name}"
            )

        def told() -> None:
            try:
                work()
            except (TickSourceNotFoundError, TickSourceStoppedError):
                return  # it was stopped meanwhile
            except Exception as error:  # noqa: BLE001 - the tick stays as it is, and is taken up again
                self._rests_until[origin.source_id] = self._now() + REST_SECONDS
                report(error)

        self._busy[origin.source_id] = pool.submit(told)
