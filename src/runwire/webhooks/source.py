"""The events that a webhook wants, read from the instance-wide log."""

from __future__ import annotations

from dataclasses import dataclass

from runwire.errors import CursorExpiredError
from runwire.events.filters import EventRecordsFilter
from runwire.events.types import EventType
from runwire.instance.webhook_settings import WebhookSettings
from runwire.runs.filters import RunsFilter
from runwire.runs.run import RunRecord
from runwire.storage import InstanceLogRecord, InstanceStorage
from runwire.webhooks.event import event_body, event_id


@dataclass(slots=True, kw_only=True, eq=False)
class Outgoing:
    """An event to be sent, and what became of it so far.

    Attributes:
        position: its position in the instance-wide log; 0 for a dead letter.
        event_id: its id.
        run_id: its run.
        event_type: its type.
        body: what is sent.
        failures: how often it has failed.
        refusals: how many of these were refusals of the event itself.
        failing_since: when it failed first, in epoch seconds; None when it has not.
    """

    position: int
    event_id: str
    run_id: str
    event_type: str
    body: bytes
    failures: int = 0
    refusals: int = 0
    failing_since: float | None = None


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Events in order.

    Attributes:
        events: those that are wanted.
        read_up_to: the position up to which there is no other one.
        missed: how many entries were purged before they were read.
    """

    events: list[Outgoing]
    read_up_to: int
    missed: int


class EventSource:
    """Reads the events that a webhook wants.

    Args:
        settings: the webhook.
        storage: has the instance-wide log, and the runs.
    """

    def __init__(self, settings: WebhookSettings, storage: InstanceStorage) -> None:
        self._logs = storage.event_log_storage
        self._runs = storage.run_storage
        self._tags = settings.tags
        self._filter = EventRecordsFilter(
            event_types=frozenset(map(EventType, settings.events)),
            job_names=None if settings.jobs is None else frozenset(settings.jobs),
        )

    def log_id(self) -> str:
        """The id of the instance-wide log."""
        return self._logs.get_instance_log_id()

    def read(self, log_id: str, after: int, limit: int) -> EventsPage:
        """The events after a position; what was purged is counted and passed over.

        Args:
            log_id: the id of the instance-wide log.
            after: the position.
            limit: how many events at most.
        """
        missed = 0
        while True:
            span = self._logs.get_instance_log_span()
            missed += max(0, span.purged_position - after)
            after = max(after, span.purged_position)
            try:
                page = self._logs.get_event_records(self._filter, after=after, limit=limit)
            except CursorExpiredError:  # purged just now
                continue
            read_up_to = page.records[-1].position if page.records else after
            if not page.has_more:
                read_up_to = max(read_up_to, span.head)
            return EventsPage(self._wanted(log_id, page.records), read_up_to, missed)

    def _wanted(self, log_id: str, entries: list[InstanceLogRecord]) -> list[Outgoing]:
        ids = frozenset(entry.run_id for entry in entries)
        runs: dict[str, RunRecord] = {}
        if ids:
            found = self._runs.get_run_records(RunsFilter(run_ids=ids), limit=len(ids))
            runs = {record.run_id: record for record in found.records}
        return [
            Outgoing(
                position=entry.position,
                event_id=event_id(log_id, entry.position),
                run_id=entry.run_id,
                event_type=entry.event.event_type.value,
                body=event_body(log_id, entry, runs.get(entry.run_id)),
            )
            for entry in entries
            if entry.event is not None
            and entry.event.event_type is not None
            and entry.event.applied
            and self._has_tags(runs.get(entry.run_id))
        ]

    def _has_tags(self, run: RunRecord | None) -> bool:
        if not self._tags:
            return True
        return run is not None and self._tags.items() <= run.run.tags.items()
