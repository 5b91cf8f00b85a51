"""Tags of runs, jobs and asset events."""

from __future__ import annotations

from collections.abc import Mapping

import strawberry

from runwire.api.rows import result


@result("A key and a value on a run, job or asset event.")
class Tag:
    """A tag."""

    key: str = strawberry.field(
        description="The key of the tag; keys that begin with `runwire/` belong to the system."
    )
    value: str = strawberry.field(description="The value of the tag.")


def tags_of(tags: Mapping[str, str]) -> list[Tag]:
    """Tags as rows, by key."""
    return [Tag(key=key, value=tags[key]) for key in sorted(tags)]


@strawberry.input(description="A key and a value to put on a run or asset event.")
class TagInput:
    """A tag to put on something."""

    key: str = strawberry.field(
        description="The key of the tag; `runwire/` is reserved, its documented keys aside."
    )
    value: str = strawberry.field(description="The value of the tag.")


def pairs(tags: list[TagInput] | None) -> list[tuple[str, str]]:
    """Tags of an input as pairs, in the order given."""
    return [(tag.key, tag.value) for tag in tags or ()]
