"""Tags as the command line takes them."""

from __future__ import annotations

from collections.abc import Iterable

from runwire.errors import InputInvalidError


def tag_pairs(texts: Iterable[str]) -> list[tuple[str, str]]:
    """The (key, value) pairs of texts like ``key=value``; a value may hold ``=``.

    Raises:
        InputInvalidError: a text has no ``=``, or nothing before it.
    """
    pairs = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise InputInvalidError(f"--tag {text!r} is no tag; write it like key=value", ["tag"])
        pairs.append((key, value))
    return pairs
