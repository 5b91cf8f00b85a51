"""An event as it is written (`EventLogEntry`) and as it is read (`EventLogRecord`).

Stored are columns (the envelope: position, timestamp, level, type, step, message, applied, epoch) and a
raw JSON body that holds error and data. The body is encoded once, when the entry is written, and decoded
only when somebody asks for it; it is never encoded again, so an older version passes on what a newer one
wrote. No text can make encoding fail: lone surrogates are escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from runwire import clock
from runwire.error_info import ErrorInfo
from runwire.errors import InputInvalidError
from runwire.events.payloads import (
    PAYLOAD_CLASSES,
    REQUIRED_PAYLOADS,
    AnyPayload,
    UnreadableEventData,
)
from runwire.events.types import (
    DURABLE_EVENTS,
    MIRRORED_EVENTS,
    RUN_EVENTS,
    EventType,
    LogLevel,
    usual_level,
)

MAX_EVENT_BYTES = 1024 * 1024
"""The most that one event may have, its message in UTF-8 and its error and data as JSON."""

_SURELY_FITS = MAX_EVENT_BYTES // 4
"""No character takes more than four bytes."""


class _Body(msgspec.Struct, omit_defaults=True):
    error: ErrorInfo | None = None
    data: AnyPayload | None = None


class _BodyError(msgspec.Struct):
    """Reads the error alone, whatever the data is."""

    error: ErrorInfo | None = None


_encoder = msgspec.json.Encoder(enc_hook=repr)
_decode_body = msgspec.json.Decoder(_Body).decode
_decode_error = msgspec.json.Decoder(_BodyError).decode


def storable_text(text: str) -> str:
    r"""The text with lone surrogates and NUL escaped (``\udc80``, ``\x00``): every store and wire takes it."""
    return encodable_text(text.replace("\0", "\\x00"))


def encodable_text(text: str) -> str:
    r"""The text with lone surrogates escaped (``\udc80``): JSON takes it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def encode_storable(encoder: msgspec.json.Encoder, value: Any) -> bytes:
    """A value as JSON in UTF-8; lone surrogates in its texts are escaped, as `encodable_text` does.

    Raises:
        TypeError, ValueError: a value in it is not JSON.
    """
    try:
        return encoder.encode(value)
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(value, enc_hook=encoder.enc_hook)
        return encoder.encode(_without_surrogates(plain))


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return encodable_text(value)
        case dict():
            return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
        case list() | tuple():
            return [_without_surrogates(v) for v in value]
        case _:
            return value


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogEntry:
    """One event of a run, as it is written.

    Attributes:
        run_id: the run that it belongs to.
        message: what happened, for people.
        event_type: its type; None for a line that user code logged.
        level: how severe it is; as usual for its type when left out.
        timestamp: when it happened, by the writer's clock, in epoch seconds; now when left out.
        step_key: the step that it belongs to.
        error: the error that it tells of.
        data: what its type adds; must be of the type's payload class.

    Raises:
        InputInvalidError: the data does not belong to the type, the type cannot be without data, or all of it
            together is larger than `MAX_EVENT_BYTES`.
    """

    run_id: str
    message: str
    event_type: EventType | None = None
    level: LogLevel | None = None
    timestamp: float = field(default_factory=clock.timestamp)
    step_key: str | None = None
    error: ErrorInfo | None = None
    data: AnyPayload | None = None

    def __post_init__(self) -> None:
        self._check_data()
        if self.data is not None or self.error is not None or len(self.message) > _SURELY_FITS:
            self._check_size()

    def _check_size(self) -> None:
        size = len(self.message.encode(errors="surrogatepass")) + len(self.encode_body() or b"")
        if size > MAX_EVENT_BYTES:
            what = (
                "message" if self.data is None and self.error is None else "message, error and data"
            )
            raise InputInvalidError(
                f"an event may have {MAX_EVENT_BYTES:,} bytes of {what}, and this has {size:,}; keep what is"
                " large elsewhere, and tell where",
                ["message" if self.data is None else "data"],
            )

    def _check_data(self) -> None:
        if self.data is None:
            if self.event_type in REQUIRED_PAYLOADS:
                raise InputInvalidError(
                    f"an event of type {self.event_type.value} needs data", ["data"]
                )
            return
        wanted = PAYLOAD_CLASSES.get(self.event_type) if self.event_type else None
        if wanted is None or not isinstance(self.data, wanted):
            name = self.event_type.value if self.event_type else "(log line)"
            takes = wanted.__name__ if wanted else "no data"
            raise InputInvalidError(
                f"an event of type {name} takes {takes}, not {type(self.data).__name__}", ["data"]
            )

    @property
    def severity(self) -> LogLevel:
        """Its level, the usual one of its type filled in."""
        return usual_level(self.event_type) if self.level is None else self.level

    @property
    def is_durable(self) -> bool:
        """Whether it is synced to disk before the call that stores it returns."""
        return self.event_type in DURABLE_EVENTS

    @property
    def is_mirrored(self) -> bool:
        """Whether it goes to the instance-wide log as well."""
        return self.event_type in MIRRORED_EVENTS

    @property
    def is_run_event(self) -> bool:
        """Whether it is an event of the run itself, which may change its status."""
        return self.event_type in RUN_EVENTS

    def encode_body(self) -> bytes | None:
        """Error and data as JSON in UTF-8; None when there is neither. Never raises for a text."""
        if self.error is None and self.data is None:
            return None
        return encode_storable(_encoder, _Body(self.error, self.data))


@dataclass(frozen=True, kw_only=True)
class EventLogRecord:
    """One event of a run, as it is stored and read.

    Attributes:
        run_id: the run that it belongs to.
        position: its position in the run's log: 1, 2, 3, without holes.
        timestamp: when it happened, in epoch seconds, by its writer's clock.
        level: how severe it is.
        stored_type: its type as it is stored, which this version may not know; None for a log line.
        message: what happened, for people.
        step_key: the step that it belongs to.
        applied: False for a status event that came too late and is kept for the record.
        epoch: the worker epoch that wrote it, or that it hands the run to (RUN_STARTING); None for
            an outsider's.
        body: error and data as JSON, as stored.
    """

    run_id: str
    position: int
    timestamp: float
    level: LogLevel
    stored_type: str | None
    message: str
    step_key: str | None = None
    applied: bool = True
    epoch: int | None = None
    body: bytes | None = None

    @property
    def storage_id(self) -> int:
        """The reference's name of the position."""
        return self.position

    @property
    def event_type(self) -> EventType | None:
        """Its type; None for a log line and for a type that this version does not know."""
        return _TYPES_BY_VALUE.get(self.stored_type)

    @property
    def error(self) -> ErrorInfo | None:
        """The error that it tells of; None also when the body cannot be read (see `data`)."""
        return None if self.body is None else self._error  # the usual case costs next to nothing

    @property
    def data(self) -> AnyPayload | UnreadableEventData | None:
        """What its type adds, or what stands in for it when this version cannot read it."""
        is_empty = self.body is None and (self.stored_type is None or self.event_type is not None)
        return None if is_empty else self._data

    @cached_property
    def _error(self) -> ErrorInfo | None:
        if self.body is None:
            return None
        try:
            return _decode_error(self.body).error
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    @cached_property
    def _data(self) -> AnyPayload | UnreadableEventData | None:
        if self.stored_type is not None and self.event_type is None:
            return self._unreadable(f"this version does not know events of type {self.stored_type}")
        if self.body is None:
            return None
        try:
            return _decode_body(self.body).data
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return self._unreadable(str(error))

    def _unreadable(self, problem: str) -> UnreadableEventData:
        try:
            body = None if self.body is None else self.body.decode()
        except UnicodeDecodeError:
            body = None
        return UnreadableEventData(self.stored_type, problem, body)


_TYPES_BY_VALUE: Mapping[str | None, EventType] = {
    event_type.value: event_type for event_type in EventType
}
