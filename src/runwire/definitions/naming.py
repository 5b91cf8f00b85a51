"""What users may name things: names, keys of resources, tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from runwire.definitions.places import refusal
from runwire.errors import InputInvalidError, InvalidDefinitionError
from runwire.runs.pools import POOL_NAME, POOL_NAME_RULE
from runwire.runs.tags import PRIORITY_TAG, check_tags

MAX_NAME_CHARS = 128

_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MAX_NAME_CHARS - 1}}}")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


def checked_name(name: object, source: str, kind: str) -> str:
    """A name that can be a key, an attribute and the name of a file.

    Raises:
        InvalidDefinitionError: it is none.
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise refusal(
        source,
        f"{kind} {name!r}",
        "this cannot be a name",
        f"use 1 to {MAX_NAME_CHARS} of the letters a-z, A-Z, digits and _, with no digit first",
    )


def checked_keys(keys: object, source: str, subject: str) -> frozenset[str]:
    """Keys of resources that a definition requires.

    Raises:
        InvalidDefinitionError: they are no list, or one cannot be a name.
    """
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        raise refusal(
            source,
            subject,
            f"required_resource_keys is {keys!r}",
            f"give a list of keys, such as [{keys!r}]",
        )
    return frozenset(checked_name(key, source, f"{subject}: resource key") for key in keys)


def checked_pool(pool: object, source: str, subject: str) -> str:
    """The name of a concurrency pool.

    Raises:
        InvalidDefinitionError: it is none.
    """
    if isinstance(pool, str) and POOL_NAME.fullmatch(pool):
        return pool
    raise refusal(source, subject, f"pool is {pool!r}", f"give {POOL_NAME_RULE}")


def checked_tags(tags: object, owner: str) -> dict[str, str]:
    """Tags as a mapping of texts.

    Args:
        tags: what the user gave; None is none.
        owner: what has the tags, with its place where there is one, for messages.

    Raises:
        InvalidDefinitionError: they are no mapping, or a tag is refused.
    """
    if tags is None:
        return {}
    if not isinstance(tags, Mapping):
        raise InvalidDefinitionError(
            f"{owner}: tags are a {type(tags).__name__}; give a mapping of texts to texts"
        )
    for key, value in tags.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidDefinitionError(
                f"{owner}: tag {key!r} is {value!r}, which is not text;"
                f" write {str(key)!r}: {str(value)!r}"
            )
    priority = tags.get(PRIORITY_TAG, "0")
    if not _WHOLE_NUMBER.fullmatch(priority):
        raise InvalidDefinitionError(
            f"{owner}: tag {PRIORITY_TAG!r} is {priority!r}; give a whole number, such as '10'"
        )
    try:
        return check_tags(tags.items(), ("tags",))
    except InputInvalidError as error:
        raise InvalidDefinitionError(f"{owner}: {error}") from None
