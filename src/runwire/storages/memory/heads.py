"""Heads of logs in memory."""

from __future__ import annotations

from runwire.storage.event_log_storage import HeadsWatch, LogHead
from runwire.storages.memory.state import State

_NOTHING = LogHead(0, None)


class MemoryHeadsWatch(HeadsWatch):
    """Compares the ends of logs with those of the last poll."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._told: dict[str, tuple[str | None, LogHead]] = {}
        self._told_instance_head: int | None = None

    def watch(self, run_id: str) -> None:
        self._told.setdefault(run_id, (None, _NOTHING))

    def unwatch(self, run_id: str) -> None:
        self._told.pop(run_id, None)

    def poll(self) -> dict[str, LogHead]:
        moved = {}
        for run_id, (log_id, told) in self._told.items():
            now_id, head = self._look(run_id)
            if log_id is not None and now_id != log_id:
                now_id, head = None, _NOTHING  # the next poll tells of another log, if there is one
            if (now_id, head) != (log_id, told):
                self._told[run_id] = (now_id, head)
                moved[run_id] = head
        return moved

    def poll_instance_log(self) -> int | None:
        with self._state.lock:
            head = self._state.instance_head
        if head == self._told_instance_head:
            return None
        self._told_instance_head = head
        return head

    def close(self) -> None:
        self._told.clear()

    def _look(self, run_id: str) -> tuple[str | None, LogHead]:
        with self._state.lock:
            record = self._state.runs.get(run_id)
            log = None if record is None else self._state.log_of(record)
            if record is None or log is None:
                return None, _NOTHING
            return record.log_id, log.end
