"""The backfills daemon: has the runs of backfills made and submitted, step by step."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import ClassVar

from runwire import clock
from runwire.control import BackfillRunner
from runwire.daemons.daemon import Daemon
from runwire.instance import Instance
from runwire.storage import ACTIVE_BACKFILL, Backfill, BackfillsFilter
from runwire.workspace import Workspace

LOOK_SECONDS = 0.5
"""How often it is looked for backfills that were asked for, and for runs that have ended."""

STEPS_AT_ONCE = 2
"""How many backfills of one code location make runs at once; one that hangs delays no other location's."""

CLOSE_SECONDS = 5.0
"""How long steps that have begun may take to end when the daemon does; others do what is left of them."""

_ACTIVE = BackfillsFilter(statuses=ACTIVE_BACKFILL)
_PAGE = 100


class BackfillsDaemon(Daemon):
    """Goes on with each backfill that has not ended, the older ones first.

    Steps run beside it, in a few threads for each code location, for a step may call functions of the user's. What a
    process leaves undone when it ends, whichever way, the next one finds (`runwire.control.run_backfill`).

    Args:
        instance: the instance; it outlives this.
        workspace: its code locations.
        now: tells the time, in epoch seconds.
    """

    daemon_type: ClassVar[str] = "BACKFILLS"

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        now: Callable[[], float] = clock.timestamp,
    ) -> None:
        self._backfills = instance.storage.backfill_storage
        self._runner = BackfillRunner(
            instance.storage,
            workspace,
            submit=lambda run_id: instance.submit_run(run_id, workspace),
            terminate=lambda run_id: instance.terminate_run(run_id, workspace),
            now=now,
        )
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._busy: dict[str, Future[None]] = {}

    @property
    def interval_seconds(self) -> float:
        return LOOK_SECONDS

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        self._busy = {key: each for key, each in self._busy.items() if not each.done()}
        for backfill in self._active():
            if should_stop():
                return
            if backfill.backfill_id not in self._busy:
                self._start(backfill, report, should_stop)

    def wait_until_idle(self, timeout_seconds: float | None = None) -> None:
        """Waits until what was started has ended."""
        for each in list(self._busy.values()):
            each.result(timeout_seconds)

    def close(self) -> None:
        """Waits for a while until the steps that have begun have ended."""
        wait(self._busy.values(), timeout=CLOSE_SECONDS)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _active(self) -> list[Backfill]:
        """Those that have not ended, oldest first."""
        found: list[Backfill] = []
        before: int | None = None
        while True:
            page = self._backfills.get_backfills(_ACTIVE, before=before, limit=_PAGE)
            found += page.backfills
            if not page.has_more:
                return found[::-1]
            before = found[-1].number

    def _start(
        self,
        backfill: Backfill,
        report: Callable[[BaseException], None],
        should_stop: Callable[[], bool],
    ) -> None:
        name = backfill.location_name
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = ThreadPoolExecutor(
                STEPS_AT_ONCE, thread_name_prefix=f"runwire-backfills-{name}"
            )

        def told() -> None:
            try:
                self._runner.advance(backfill.backfill_id, should_stop)
            except Exception as error:  # noqa: BLE001 - the next iteration does the step again
                report(error)

        self._busy[backfill.backfill_id] = pool.submit(told)
