"""Expected refusals told as data: what all of them share, and the refusal of an input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import strawberry

from runwire.api.rows import result
from runwire.errors import InputInvalidError
from runwire.events.entry import storable_text

MESSAGE = "What went wrong and what would mend it."


@strawberry.interface(
    description="An expected refusal, told as data; its type name is its code. Select"
    " `... on UserError { message }`, so that members added later are handled too."
)
class UserError:
    """The interface of all expected refusals."""

    message: str = strawberry.field(
        description="What went wrong and what would mend it, for people."
    )


@result("A value of the input is refused; nothing was changed.")
class InputInvalid(UserError):
    """The refusal of a value of an input."""

    message: str = strawberry.field(description=MESSAGE)
    path: list[str] = strawberry.field(
        description='The fields on the way to the value, such as `["input", "tags", "0", "key"]`.'
    )

    @classmethod
    def of(cls, error: InputInvalidError) -> Self:
        """Tells of an error."""
        return cls(message=storable_text(str(error)), path=list(error.path))


@contextmanager
def input_at(*place: str) -> Iterator[None]:
    """Puts the place of a part of an input before the path of what is refused in it."""
    try:
        yield
    except InputInvalidError as error:
        raise InputInvalidError(str(error), (*place, *error.path)) from error


def check_text(text: str, path: tuple[str, ...]) -> str:
    """The text.

    Raises:
        InputInvalidError: it holds a lone surrogate, which no store and no wire takes.
    """
    if storable_text(text) != text:
        raise InputInvalidError("the text is not valid Unicode", path)
    return text


def check_texts(texts: list[str], path: tuple[str, ...]) -> frozenset[str]:
    """The texts as a set; raises as `check_text`, the path ending with the index."""
    return frozenset(check_text(text, (*path, str(i))) for i, text in enumerate(texts))
