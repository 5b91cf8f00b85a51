"""What a step process and its run's worker say to one another. No I/O.

Each message is a frame: four bytes of length, then JSON. The step process tells entries of the log and, when it
has nothing more to tell, `Done`. The worker answers each durable entry with one `Stored` once it is stored, in
the order in which they came. It is JSON, as the log is: the numbers in it may have any size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from runwire.error_info import ErrorInfo
from runwire.errors import InputInvalidError
from runwire.events.entry import EventLogEntry, encode_storable
from runwire.events.payloads import AnyPayload
from runwire.events.types import RUN_EVENTS, EventType, LogLevel


class BrokenPipeMessageError(Exception):
    """What came over the pipe is no message."""


class Told(msgspec.Struct, frozen=True, omit_defaults=True, tag="told"):
    """An entry of the log; as `EventLogEntry`, its run being known."""

    message: str
    timestamp: float
    event_type: EventType | None = None
    level: LogLevel | None = None
    step_key: str | None = None
    error: ErrorInfo | None = None
    data: AnyPayload | None = None

    @classmethod
    def of(cls, entry: EventLogEntry) -> Told:
        """The message of an entry."""
        return cls(
            entry.message,
            entry.timestamp,
            entry.event_type,
            entry.level,
            entry.step_key,
            entry.error,
            entry.data,
        )

    def entry(self, run_id: str) -> EventLogEntry:
        """The entry of the message.

        Raises:
            BrokenPipeMessageError: no step can tell such an entry.
        """
        if self.event_type in RUN_EVENTS:
            raise BrokenPipeMessageError(f"a step cannot tell {self.event_type.value}")
        try:
            return EventLogEntry(
                run_id=run_id,
                message=self.message,
                event_type=self.event_type,
                level=self.level,
                timestamp=self.timestamp,
                step_key=self.step_key,
                error=self.error,
                data=self.data,
            )
        except InputInvalidError as error:
            raise BrokenPipeMessageError(str(error)) from None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The step process has nothing more to tell and is about to end."""


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """The next durable entry is stored."""


FromStep = Told | Done
ToStep = Stored

_LENGTH = struct.Struct("!I")
_encoder = msgspec.json.Encoder(enc_hook=repr)

Message = TypeVar("Message")


def encode_frame(message: FromStep | ToStep) -> bytes:
    """A message as a frame. No text in it can make this fail."""
    body = encode_storable(_encoder, message)
    return _LENGTH.pack(len(body)) + body


@dataclass
class FrameReader(Generic[Message]):
    """Makes messages of bytes as they come."""

    _decoder: msgspec.json.Decoder[Message]
    _held: bytearray = field(default_factory=bytearray)

    def messages(self, data: bytes) -> Iterator[Message]:
        """Takes what came, and gives the messages that are complete.

        Raises:
            BrokenPipeMessageError: something is no message.
        """
        self._held += data
        begin = 0
        try:
            while len(self._held) >= begin + _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._held, begin)
                end = begin + _LENGTH.size + length
                if len(self._held) < end:
                    return
                body = bytes(self._held[begin + _LENGTH.size : end])
                begin = end
                yield self._decoded(body)
        finally:
            del self._held[:begin]

    def _decoded(self, body: bytes) -> Message:
        try:
            return self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BrokenPipeMessageError(str(error)) from None


_from_step: Any = msgspec.json.Decoder(FromStep)
_to_step: Any = msgspec.json.Decoder(ToStep)


def reader_of_step() -> FrameReader[FromStep]:
    """Reads, in the worker, what a step process says."""
    return FrameReader(_from_step)


def reader_of_worker() -> FrameReader[ToStep]:
    """Reads, in a step process, what the worker says."""
    return FrameReader(_to_step)
