"""The event log of the run that is executed, as the engine and user code write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from runwire.definitions import AssetMaterialization
from runwire.error_info import ErrorInfo
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.metadata import normalize_metadata
from runwire.events.payloads import AnyPayload, AssetEventData, EngineEventData
from runwire.events.types import EventType, LogLevel
from runwire.interrupts import current_interrupts

MAX_MESSAGE_CHARS = 100_000


class EntryWriter(Protocol):
    """Writes the entries of one run in the order in which they are given."""

    def write(self, entry: EventLogEntry, *, with_next: bool = False) -> EventLogRecord | None:
        """Writes an entry; a durable one is stored when this returns, unless it may be stored with the next.

        Returns:
            The stored record of a durable entry; None for others, and where another process stores them.
        """

    def flush(self) -> None:
        """Stores all that was written before."""


class RunLog:
    """Writes the events of one run. Thread-safe; raises what `EventWriter.write` raises.

    No interrupt is raised while it writes.
    """

    def __init__(self, run_id: str, writer: EntryWriter) -> None:
        self._run_id = run_id
        self._writer = writer

    def tell(
        self,
        event_type: EventType | None,
        message: str,
        *,
        step_key: str | None = None,
        level: LogLevel | None = None,
        error: ErrorInfo | None = None,
        data: AnyPayload | None = None,
        with_next: bool = False,
    ) -> EventLogRecord | None:
        """Writes an event, or a line of user code when it has no type; a very long message is cut.

        An event that is durable may be stored with the next one, where nothing of the user's runs in between.
        Returns the stored record of a durable event; None in a step process.
        """
        entry = EventLogEntry(
            run_id=self._run_id,
            event_type=event_type,
            message=_cut(message),
            step_key=step_key,
            level=level,
            error=error,
            data=data,
        )
        return self.write(entry, with_next=with_next)

    def write(self, entry: EventLogEntry, *, with_next: bool = False) -> EventLogRecord | None:
        """Writes an entry of the run as it is."""
        with current_interrupts().held():
            return self._writer.write(entry, with_next=with_next)

    def flush(self) -> None:
        """Stores all that was written before."""
        with current_interrupts().held():
            self._writer.flush()

    def tell_engine(
        self,
        message: str,
        *,
        step_key: str | None = None,
        error: ErrorInfo | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes an ENGINE_EVENT, at level ERROR when it has an error."""
        entries = normalize_metadata(metadata, "an engine event")
        self.tell(
            EventType.ENGINE_EVENT,
            message,
            step_key=step_key,
            level=None if error is None else LogLevel.ERROR,
            error=error,
            data=EngineEventData(metadata=entries) if entries else None,
        )

    def tell_asset(self, materialization: AssetMaterialization, step_key: str) -> None:
        """Writes an ASSET_MATERIALIZATION; it is stored when this returns."""
        data = AssetEventData(
            asset_key=materialization.asset_key,
            partition=materialization.partition,
            description=materialization.description,
            tags=dict(materialization.tags),
            metadata=materialization.metadata,
        )
        name = "/".join(materialization.asset_key)
        message = f"Asset {name} was materialized"
        self.tell(EventType.ASSET_MATERIALIZATION, message, step_key=step_key, data=data)


def _cut(message: str) -> str:
    if len(message) <= MAX_MESSAGE_CHARS:
        return message
    return f"{message[:MAX_MESSAGE_CHARS]} … ({len(message) - MAX_MESSAGE_CHARS} more characters)"
