"""Nodes: objects with a global id."""

from __future__ import annotations

import strawberry
from strawberry import ID

from runwire.api.opaque import pack, pack_numbered, shown, unpack
from runwire.api.rows import field
from runwire.errors import InputInvalidError
from runwire.events.entry import storable_text


@strawberry.interface(
    description="An object with a global id, which is for `node` and client caches; every other argument takes"
    " plain keys such as `runId` or a name."
)
class Node:
    """The interface of all types whose objects have a global id."""

    id: ID = field("The global id of the object.")


def global_id(type_name: str, *key: str) -> ID:
    """The global id of an object: opaque text of the name of its type and its key."""
    return ID(pack(type_name, *key))


def numbered_id(number: int, type_name: str, *key: str) -> ID:
    """The global id of an object whose key ends with a number."""
    return ID(pack_numbered(number, type_name, *key))


def parse_global_id(text: str) -> tuple[str, list[str]]:
    """The name of the type, and the key.

    Raises:
        InputInvalidError: the text is no global id.
    """
    parts = unpack(text)
    if parts and all(isinstance(part, str) for part in parts):
        # A text that no store takes is no key of anything.
        return parts[0], [storable_text(part) for part in parts[1:]]
    raise InputInvalidError(
        f"{shown(text)} is no global id; use an `id` that this API gave", ["id"]
    )
