"""Backfills in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count, islice

from runwire.errors import BackfillAlreadyExistsError, BackfillNotFoundError
from runwire.events.entry import storable_text
from runwire.storage.backfill_storage import (
    Backfill,
    BackfillFailure,
    BackfillFailuresPage,
    BackfillsFilter,
    BackfillsPage,
    BackfillStatus,
    BackfillStorage,
)
from runwire.storage.run_storage import RequestKey
from runwire.storages.stored_backfills import rewritten, stored_backfill, stored_failure


class MemoryBackfillStorage(BackfillStorage):
    """Keeps backfills behind one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backfills: dict[str, Backfill] = {}
        self._requests: dict[str, tuple[str, str]] = {}
        """Digest and backfill id by request key."""
        self._failures: dict[str, dict[int, BackfillFailure]] = {}
        self._numbers = count(1)

    def add_backfill(
        self, backfill: Backfill, request: RequestKey | None = None
    ) -> tuple[Backfill, bool]:
        with self._lock:
            if request is not None and request.key in self._requests:
                digest, backfill_id = self._requests[request.key]
                if digest != request.digest:
                    raise BackfillAlreadyExistsError(backfill_id, request.key)
                return self._backfills[backfill_id], False
            stored = replace(stored_backfill(backfill), number=next(self._numbers))
            self._backfills[stored.backfill_id] = stored
            if request is not None:
                self._requests[request.key] = request.digest, stored.backfill_id
            return stored, True

    def find_backfill(self, backfill_id: str) -> Backfill | None:
        with self._lock:
            return self._backfills.get(storable_text(backfill_id))

    def get_backfills(
        self, filter: BackfillsFilter | None = None, *, before: int | None = None, limit: int
    ) -> BackfillsPage:
        wanted = (
            backfill
            for backfill in self._matching(filter)
            if before is None or backfill.number < before
        )
        found = list(islice(wanted, limit + 1))
        return BackfillsPage(found[:limit], len(found) > limit)

    def get_backfills_count(self, filter: BackfillsFilter | None = None, *, limit: int) -> int:
        return min(limit, len(self._matching(filter)))

    def update_backfill(
        self,
        backfill: Backfill,
        *,
        failed: Sequence[BackfillFailure] = (),
        forget_failures: bool = False,
    ) -> Backfill:
        with self._lock:
            stored = self._backfills.get(storable_text(backfill.backfill_id))
            if stored is None:
                raise BackfillNotFoundError(backfill.backfill_id)
            changed = rewritten(stored, backfill)
            self._backfills[changed.backfill_id] = changed
            failures = self._failures.setdefault(changed.backfill_id, {})
            if forget_failures:
                failures.clear()
            failures.update({each.position: stored_failure(each) for each in failed})
            return changed

    def get_backfill_failures(
        self, backfill_id: str, *, after: int = -1, limit: int
    ) -> BackfillFailuresPage:
        with self._lock:
            failures = dict(self._failures.get(storable_text(backfill_id), {}))
        found = [failures[position] for position in sorted(failures) if position > after]
        return BackfillFailuresPage(found[:limit], len(found) > limit)

    def get_backfill_counts(self) -> Mapping[BackfillStatus, int]:
        statuses = [backfill.status for backfill in self._matching(None)]
        return Counter(status for status in statuses if not status.is_terminal)

    def wipe(self) -> None:
        with self._lock:
            self._backfills.clear()
            self._requests.clear()
            self._failures.clear()

    def _matching(self, filter: BackfillsFilter | None) -> list[Backfill]:
        """Those that match, newest first."""
        with self._lock:
            found = sorted(self._backfills.values(), key=lambda each: -each.number)
        return found if filter is None else [each for each in found if filter.matches(each)]
