"""Executes what is only read from rows by functions that are compiled once a document.

Most of what is asked for are fields of views (`runwire.api.rows.field`): quick, synchronous, without arguments.
To interpret them one by one, as the GraphQL algorithms are written, costs some ten microseconds each; a field
whose whole selection is of that kind is therefore read by one function, which is composed of those of its parts.
Where it comes upon fields that are loaded (`runwire.api.rows.loaded`), it leaves their places empty and goes on; they
are filled when all of them are there.

Such a function gives what the algorithms give, or raises. Whatever it raises, the field is executed again by the
algorithms, which tell where in the result an error lies and what becomes null for it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from operator import attrgetter
from types import CoroutineType
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLString,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    is_abstract_type,
)
from graphql.execution.collect_fields import FieldDetails
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from runwire.api.access import required_permission
from runwire.api.context import ApiContext
from runwire.api.rows import LoadedField, ReadField, RowCheck

Get: TypeAlias = Callable[[Any], Any]
"""Gives the value of a field of a row."""

_REMEMBERED = 256
"""Operations whose functions are kept; beyond them all are forgotten."""

_DECLARED = "strawberry-definition"
_MIN_INT, _MAX_INT = -(2**31), 2**31 - 1


class _Loads:
    """What is loaded for one execution of a field."""

    def __init__(self, context: ApiContext) -> None:
        self.context = context
        self.waiting: list[tuple[dict[str, Any], str, Read, Awaitable[Any]]] = []

    async def fill(self) -> None:
        """Waits for all that is loaded, and puts it into its places."""
        while self.waiting:
            # What is loaded may have fields that are loaded in turn.
            waiting, self.waiting = self.waiting, []
            values = await asyncio.gather(*(loading for *_, loading in waiting))
            for (target, name, complete, _), value in zip(waiting, values, strict=True):
                target[name] = complete(value, self)


Read: TypeAlias = Callable[[Any, _Loads], Any]
"""Gives the value of a response for a row, or for a value of one."""


class _Load(NamedTuple):
    """How a field is loaded, and what completes what was loaded."""

    load: Callable[[Any, ApiContext], Any]
    complete: Read


class NotCompiledError(Exception):
    """A value that has no compiled function, or is not what it was compiled for."""


class _Operation:
    """What was compiled of an operation; keeps alive whose identities the keys are."""

    def __init__(self, *parts: object) -> None:
        self.parts = parts
        self.reads: dict[tuple[object, ...], Read | None] = {}


_operations: dict[int, _Operation] = {}


class CompilingExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes an operation, what is only read by compiled functions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._compiled = _compiled_of(self.operation, self.schema, self.fragments).reads
        self._root_fields: dict[str, dict[str, list[FieldDetails]]] = {}
        manager = self.middleware_manager
        self._has_middleware = manager is not None and bool(manager.middlewares)

    def execute_root_grouped_field_set(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: dict[str, list[FieldDetails]],
        serially: bool,
        position_context: Any,
    ) -> Any:
        """Executes the root fields.

        Each event of a subscription is executed by a copy, which shares what was collected below the root fields,
        by their identity. They are collected anew for each, so that it would be collected anew as well, and kept.
        """
        kept = self._root_fields.setdefault(root_type.name, grouped_field_set)
        return super().execute_root_grouped_field_set(
            root_type, root_value, kept, serially, position_context
        )

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: list[FieldDetails],
        path: Path,
        position_context: Any,
    ) -> Any:
        """Executes a field of an object."""
        if not self._has_middleware:
            key = (parent_type, *map(_identity, field_details_list))
            try:
                read = self._compiled[key]
            except KeyError:
                found = self._compile_field(parent_type, field_details_list)
                read = self._compiled[key] = None if isinstance(found, _Load) else found
            if read is not None:
                loads = _Loads(self.context_value)
                try:
                    data = read(source, loads)
                except NotCompiledError:
                    self._compiled[key] = None
                except Exception:  # noqa: BLE001, S110 - it comes again, and is told in its place
                    pass
                else:
                    place = parent_type, source, field_details_list, path, position_context
                    return self._filled(data, loads, key, place) if loads.waiting else data
        return super().execute_field(
            parent_type, source, field_details_list, path, position_context
        )

    async def _filled(
        self, data: Any, loads: _Loads, key: tuple[object, ...], place: tuple[Any, ...]
    ) -> Any:
        """What was read, once all that is loaded is there."""
        try:
            await loads.fill()
        except NotCompiledError:
            self._compiled[key] = None
        except Exception:  # noqa: BLE001, S110 - it comes again, and is told in its place
            pass
        else:
            return data
        result: Any = super().execute_field(*place)
        return await result if self.is_awaitable(result) else result

    def _compile_field(
        self, parent_type: GraphQLObjectType, details: list[FieldDetails]
    ) -> Read | _Load | None:
        """What reads or loads a field of the rows of a type; None where it takes more than that."""
        if any(each.node.directives or each.fragment_variable_values for each in details):
            return None
        name = details[0].node.name.value
        if name == "__typename":
            type_name = parent_type.name
            return lambda _row, _loads: type_name
        field = parent_type.fields.get(name)
        get = None if field is None else _getter(field)
        if field is None or get is None:
            return None
        complete = self._compile_value(field.type, details)
        if complete is None:
            return None
        if isinstance(get, LoadedField):
            return _Load(get.load, complete)
        return _composed(complete, get)

    def _compile_value(
        self, value_type: GraphQLOutputType, details: list[FieldDetails]
    ) -> Read | None:
        if isinstance(value_type, GraphQLNonNull):
            return self._compile_present(value_type.of_type, details)
        complete = self._compile_present(value_type, details)
        return None if complete is None else _nullable(complete)

    def _compile_present(
        self, value_type: GraphQLOutputType, details: list[FieldDetails]
    ) -> Read | None:
        """What completes a value that is not None; it raises when it is."""
        if isinstance(value_type, GraphQLList):
            complete = self._compile_value(value_type.of_type, details)
            return None if complete is None else _list_of(complete)
        if isinstance(value_type, GraphQLObjectType):
            return self._compile_object(value_type, details)
        if isinstance(value_type, GraphQLScalarType | GraphQLEnumType):
            return _leaf(value_type)
        if is_abstract_type(value_type):
            return self._compile_abstract(self.schema.get_possible_types(value_type), details)
        return None

    def _compile_object(
        self, object_type: GraphQLObjectType, details: list[FieldDetails]
    ) -> Read | None:
        is_row = _row_check(object_type)
        if is_row is None or not self._is_the_same_always(details):
            return None
        fields = self.collect_subfields(object_type, details).grouped_field_set
        reads, loads = [], []
        for name, of_name in fields.items():
            read = self._compile_field(object_type, of_name)
            if read is None:
                return None
            if isinstance(read, _Load):
                loads.append((name, read))
                read = _nothing
            reads.append((name, read))
        return _object(is_row, reads, loads)

    def _compile_abstract(
        self, possible_types: Iterable[GraphQLObjectType], details: list[FieldDetails]
    ) -> Read | None:
        """What completes values of several types: compiled for each class of rows as it comes first."""
        checks = [(_row_check(possible), possible) for possible in possible_types]
        by_class: dict[type, Read] = {}

        def compile_for(value: Any) -> Read:
            for is_row, possible in checks:
                if is_row is None:
                    break
                if is_row(value):
                    read = self._compile_object(possible, details)
                    if read is not None:
                        return read
                    break
            raise NotCompiledError

        def complete(value: Any, loads: _Loads) -> Any:
            read = by_class.get(value.__class__)
            if read is None:
                read = by_class[value.__class__] = compile_for(value)
            return read(value, loads)

        return complete

    def _is_the_same_always(self, details: list[FieldDetails]) -> bool:
        """Whether what is selected depends on nothing, so that no directive stands at it."""
        seen: set[str] = set()
        left = [each.node.selection_set for each in details]
        while left:
            selected = left.pop()
            for selection in () if selected is None else selected.selections:
                if selection.directives:
                    return False
                if not isinstance(selection, FieldNode):
                    left.append(self._selected_by(selection, seen))
        return True

    def _selected_by(self, fragment: Any, seen: set[str]) -> SelectionSetNode | None:
        if not isinstance(fragment, FragmentSpreadNode):
            selected: SelectionSetNode = fragment.selection_set
            return selected
        name = fragment.name.value
        if name in seen:
            return None
        seen.add(name)
        return self.fragments[name].definition.selection_set


def _compiled_of(operation: OperationDefinitionNode, *parts: object) -> _Operation:
    """What was compiled of an operation of a schema."""
    found = _operations.get(id(operation))
    if found is None or found.parts[0] is not operation or found.parts[1] is not parts[0]:
        if len(_operations) >= _REMEMBERED:
            _operations.clear()
        found = _operations[id(operation)] = _Operation(operation, *parts)
    return found


def _identity(details: FieldDetails) -> int:
    return id(details.node)


def _getter(field: GraphQLField) -> Get | LoadedField | None:
    """How a field is read or loaded; None where it takes more than that."""
    declared = field.extensions.get(_DECLARED)
    if field.args or declared is None or required_permission(declared) is not None:
        return None
    if isinstance(declared, LoadedField):
        return None if declared.extensions else declared
    if isinstance(declared, ReadField):
        return declared.read
    is_attribute = type(declared) is StrawberryField and declared.base_resolver is None
    return attrgetter(declared.python_name) if is_attribute and not declared.extensions else None


def _row_check(object_type: GraphQLObjectType) -> Callable[[Any], bool] | None:
    """What tells whether a value is a row of a type, by its class alone; None where that is not known."""
    declared = object_type.extensions.get(_DECLARED)
    if isinstance(declared, StrawberryObjectDefinition):
        if isinstance(declared.is_type_of, RowCheck):
            return declared.is_type_of.is_row
        if declared.is_type_of is None and declared.concrete_of is None:
            origin = declared.origin
            return lambda value: type(value) is origin
    return None


def _composed(complete: Read, get: Get) -> Read:
    return lambda row, loads: complete(get(row), loads)


def _nullable(complete: Read) -> Read:
    return lambda value, loads: None if value is None else complete(value, loads)


def _list_of(complete: Read) -> Read:
    def read(value: Any, loads: _Loads) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise NotCompiledError
        return [complete(item, loads) for item in value]

    return read


def _nothing(_row: Any, _loads: _Loads) -> None:
    """Holds the place of what is loaded."""


def _object(
    is_row: Callable[[Any], bool], reads: list[tuple[str, Read]], loaded: list[tuple[str, _Load]]
) -> Read:
    classes: set[type] = set()

    def read(value: Any, loads: _Loads) -> dict[str, Any]:
        if value.__class__ not in classes:
            if not is_row(value):
                raise NotCompiledError
            classes.add(value.__class__)
        data = {name: read(value, loads) for name, read in reads}
        for name, (load, complete) in loaded:
            found = load(value, loads.context)
            if isinstance(found, asyncio.Future | CoroutineType):
                loads.waiting.append((data, name, complete, found))
            else:
                data[name] = complete(found, loads)
        return data

    return read


def _leaf(leaf_type: GraphQLLeafType) -> Read:
    coerce = leaf_type.coerce_output_value

    def read(value: Any, _loads: _Loads) -> Any:
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise TypeError
        return coerced

    if isinstance(leaf_type, GraphQLEnumType):
        return _enum(read)
    fast = _FAST.get(leaf_type.name)
    return read if fast is None or fast[0] is not leaf_type else fast[1](read)


def _enum(coerce: Read) -> Read:
    names: dict[Any, Any] = {}

    def read(value: Any, loads: _Loads) -> Any:
        if not isinstance(value, Enum):
            return coerce(value, loads)
        name = names.get(value)
        if name is None:
            name = names[value] = coerce(value, loads)
        return name

    return read


def _string(coerce: Read) -> Read:
    return lambda value, loads: value if type(value) is str else coerce(value, loads)


def _boolean(coerce: Read) -> Read:
    return lambda value, loads: value if value is True or value is False else coerce(value, loads)


def _int(coerce: Read) -> Read:
    return lambda value, loads: (
        value if type(value) is int and _MIN_INT <= value <= _MAX_INT else coerce(value, loads)
    )


def _float(coerce: Read) -> Read:
    return lambda value, loads: (
        value if type(value) is float and math.isfinite(value) else coerce(value, loads)
    )


_FAST: dict[str, tuple[GraphQLScalarType, Callable[[Read], Read]]] = {
    each.name: (each, fast)
    for each, fast in (
        (GraphQLString, _string),
        (GraphQLID, _string),
        (GraphQLBoolean, _boolean),
        (GraphQLInt, _int),
        (GraphQLFloat, _float),
    )
}
"""What is to be done with the usual values of the scalars of GraphQL."""
