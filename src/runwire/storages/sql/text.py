"""Conditions on texts."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, true

from runwire.events.entry import storable_text

_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def begins_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Whether a text begins with a prefix, as a range, which an index in code point order can serve."""
    prefix = storable_text(prefix)
    if not prefix:
        return true()
    bound = _successor(prefix)
    return column >= prefix if bound is None else and_(column >= prefix, column < bound)


def _successor(prefix: str) -> str | None:
    """The smallest text that is larger than all that begin with the prefix; None when there is none."""
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
