"""How GraphQL types are declared over plain rows.

A resolver answers with rows as the layers below give them: a `RunRecord`, a payload, a snapshot. A GraphQL
type is a *view* of such a row; it is never instantiated. Its fields read attributes of the row, without a
resolver's overhead, which matters for pages of a thousand events. Because rows know nothing of GraphQL,
types that mention one another need no import cycle: `later` names a type by its module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from types import GenericAlias
from typing import Annotated, Any, ForwardRef, Self, TypeVar, cast, dataclass_transform

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info
from strawberry.types.unset import UNSET

T = TypeVar("T")


class RowCheck:
    """Whether a value is a row of one class or several."""

    def __init__(self, row: type[Any] | tuple[type[Any], ...]) -> None:
        self._row = row

    def __call__(self, value: Any, _info: object) -> bool:
        """What GraphQL asks of a type."""
        return isinstance(value, self._row)

    def is_row(self, value: Any) -> bool:
        """Whether it is."""
        return isinstance(value, self._row)


class ReadField(StrawberryField):
    """A field without a resolver that reads its value by a function of the row."""

    read: Callable[[Any], Any]

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.read = self.read
        return copied

    def get_result(
        self,
        source: Any,
        info: Info | None,
        args: list[Any],
        kwargs: Any,
    ) -> Any:
        return self.read(source)


class LoadedField(StrawberryField):
    """A field without arguments whose value is loaded, or may have to be."""

    load: Callable[[Any, Any], Awaitable[Any] | Any]

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.load = self.load
        return copied

    @property
    def is_basic_field(self) -> bool:
        """It needs what resolvers are told."""
        return False

    def get_result(
        self,
        source: Any,
        info: Info | None,
        args: list[Any],
        kwargs: Any,
    ) -> Any:
        return self.load(source, cast(Info, info).context)


def field(
    description: str,
    read: Callable[[Any], Any] | None = None,
    *,
    type: object = None,
    directives: Sequence[object] = (),
) -> Any:
    """A field of a view.

    Args:
        description: what it tells.
        read: how it is read from the row; its attribute of the same name when left out. Must be quick, and
            must not wait for anything.
        type: its GraphQL type, where the annotation does not tell it.
        directives: the directives of its definition.
    """
    annotation = None if type is None else StrawberryAnnotation.from_annotation(type)
    if read is None:
        return StrawberryField(
            description=description, type_annotation=annotation, directives=directives
        )
    declared = ReadField(description=description, type_annotation=annotation, directives=directives)
    declared.read = read
    return declared


def loaded(
    load: Callable[[Any, Any], Awaitable[Any] | Any], description: str, *, type: object
) -> Any:
    """A field of a view that takes no arguments and is loaded when it is asked for.

    Args:
        load: gives its value, or a coroutine or future of it, for a row and the `ApiContext` of the operation. What a
            loader of the context loads for many rows at once is best given as the future that the loader made.
        description: what it tells.
        type: its GraphQL type.
    """
    annotation = StrawberryAnnotation.from_annotation(type)
    declared = LoadedField(description=description, type_annotation=annotation)
    declared.load = load
    return declared


def resolved(resolver: Callable[..., Any], description: str, *, type: object = None) -> Any:
    """A field that is resolved by a function, for what takes arguments."""
    return strawberry.field(resolver=resolver, description=description, graphql_type=type)


def view(row: type[Any] | tuple[type[Any], ...], description: str) -> Callable[[type[T]], type[T]]:
    """Declares a class as the GraphQL type of the rows of one class or several."""

    def declare(cls: type[T]) -> type[T]:
        cls.is_type_of = RowCheck(row)  # type: ignore[attr-defined]
        return strawberry.type(cls, description=description)

    return declare


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def result(description: str) -> Callable[[type[T]], type[T]]:
    """Declares a class as a GraphQL type whose rows are its own instances."""
    return cast(Callable[[type[T]], type[T]], strawberry.type(description=description))


def later(name: str, module: str) -> Any:
    """The GraphQL type of a name in a module that is loaded later."""
    return Annotated[ForwardRef(name), strawberry.lazy(module)]


def list_of(type: object) -> object:
    """The GraphQL type of lists of what `later` names."""
    return GenericAlias(list, (type,))


def describe_enum(enum: type[Enum], description: str, values: Mapping[str, str]) -> None:
    """Publishes an enum, with a description for each of its values.

    Raises:
        KeyError: a value has no description.
    """
    strawberry.enum(enum, description=description)
    definition: StrawberryEnumDefinition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]


def given(value: T | None) -> T | None:
    """An optional argument: None when it was left out, as when it was null."""
    return None if value is UNSET else value
