"""Cursors: opaque places in a log. One type serves query, subscription, CLI and export.

The text is base64url, without padding, of ``version:scope:log_id:position``. The scope is ``run`` for the
log of one run and ``instance`` for the instance-wide log. The log id is new for each log that is created,
so that a cursor of a run that was deleted and made again under the same id is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Self

from runwire import base64url
from runwire.errors import CursorInvalidError

_VERSION = "1"

HEAD = "HEAD"
"""The text that stands for the newest position when given as `after`."""


class CursorScope(Enum):
    """Which log a cursor belongs to."""

    RUN = "run"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a log: after `position`, 0 being before the first event."""

    scope: CursorScope
    log_id: str
    position: int

    def __str__(self) -> str:
        return cursor_text(self.scope, self.log_id, self.position)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a cursor.

        Raises:
            CursorInvalidError: it is malformed or of another version.
        """
        try:
            version, scope, log_id, position = base64url.decode(text).decode("ascii").split(":")
            if version != _VERSION or not position.isascii() or not position.isdigit():
                raise ValueError(version)
            return cls(CursorScope(scope), log_id, int(position))
        except ValueError:  # so is UnicodeError
            shown = text if len(text) <= 60 else text[:60] + "…"
            raise CursorInvalidError(f"{shown!r} is not a cursor") from None

    @classmethod
    def position_in(cls, text: str, scope: CursorScope, log_id: str, head: int) -> int:
        """The position of a cursor in one log.

        Raises:
            CursorInvalidError: it is malformed, of another scope or log, or ahead of the log's head.
        """
        cursor = cls.parse(text)
        if cursor.scope is not scope:
            raise CursorInvalidError(
                f"the cursor belongs to the {cursor.scope.value} scope, not to the {scope.value} scope"
            )
        if cursor.log_id != log_id:
            raise CursorInvalidError(
                "the cursor belongs to another log, or to one that was deleted"
            )
        if cursor.position > head:
            raise CursorInvalidError(f"the cursor is at {cursor.position}, the log ends at {head}")
        return cursor.position


def cursor_text(scope: CursorScope, log_id: str, position: int) -> str:
    """The text of a cursor."""
    return _beginning(scope, log_id).encode_with(b"%d" % position)


@lru_cache(maxsize=1024)
def _beginning(scope: CursorScope, log_id: str) -> base64url.Beginning:
    return base64url.Beginning(f"{_VERSION}:{scope.value}:{log_id}:".encode())
