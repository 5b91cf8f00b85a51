"""The inputs and outputs of ops, as their functions declare them."""

from __future__ import annotations

import inspect
import types
import typing
from collections import abc
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Union

from runwire.definitions.naming import checked_name
from runwire.definitions.outputs import (
    DEFAULT_OUTPUT,
    UNSET,
    AssetMaterialization,
    In,
    Out,
    Output,
)
from runwire.definitions.signature import CONFIG, CONTEXT, Reader
from runwire.definitions.types import check_type, plain_type, type_name
from runwire.errors import InvalidDefinitionError
from runwire.events.metadata import MetadataEntry, normalize_metadata

_ITERATORS = (
    *(abc.Iterator, abc.Iterable, abc.Generator),
    *(abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator),
)


@dataclass(frozen=True)
class InputDefinition:
    """An input of an op. `default` means something only where `has_default`."""

    name: str
    type: Any
    type_name: str
    has_default: bool = False
    default: Any = None
    description: str | None = None


@dataclass(frozen=True)
class OutputDefinition:
    """An output of an op. `is_required` tells whether the op always gives it."""

    name: str
    type: Any
    type_name: str
    is_required: bool = True
    description: str | None = None
    metadata: tuple[MetadataEntry, ...] = ()


def inputs_of(
    reader: Reader, parameters: Mapping[str, Parameter], ins: object
) -> dict[str, InputDefinition]:
    """The inputs of an op by name, in the order of the parameters.

    Raises:
        InvalidDefinitionError: `ins` does not fit the parameters, or a default does not have its type.
    """
    wanted = {name: p for name, p in parameters.items() if name not in (CONTEXT, CONFIG)}
    given = _checked_ins(reader, wanted, ins)
    return {
        name: _input_of(reader, parameter, given.get(name, In()))
        for name, parameter in wanted.items()
    }


def _checked_ins(reader: Reader, wanted: Mapping[str, Parameter], ins: object) -> Mapping[str, In]:
    if ins is None:
        return {}
    if not isinstance(ins, Mapping):
        raise reader.refusal(f"ins is a {type(ins).__name__}", 'write ins={"name": In(...)}')
    for name, value in ins.items():
        if name in (CONTEXT, CONFIG):
            raise reader.refusal(
                f"ins names {name!r}, a parameter that is never an input",
                "give the input another name",
            )
        if name not in wanted:
            raise reader.refusal(
                f"ins names {name!r}, which is no parameter of the function",
                f"its inputs are: {', '.join(wanted) or 'none'}",
            )
        if not isinstance(value, In):
            raise reader.refusal(
                f"ins gives a {type(value).__name__} for {name!r}",
                "write In(...), such as In(type=int)",
            )
    return ins


def _input_of(reader: Reader, parameter: Parameter, given: In) -> InputDefinition:
    name = parameter.name
    what = f"input {name!r}"
    type_ = reader.type_of(parameter.annotation, what) if given.type is UNSET else given.type
    default = parameter.default if given.default is UNSET else given.default
    has_default = default is not Parameter.empty
    if has_default and (problem := check_type(default, type_).description):
        raise reader.refusal(
            f"the default of {what} does not have its type: {problem}",
            "change the default or the type",
        )
    return InputDefinition(
        name=name,
        type=_or_any(type_),
        type_name=type_name(type_),
        has_default=has_default,
        default=default if has_default else None,
        description=given.description,
    )


def outputs_of(reader: Reader, out: object) -> dict[str, OutputDefinition]:
    """The outputs of an op by name, in order.

    Raises:
        InvalidDefinitionError: `out` is none of what it may be, or a name cannot be one.
    """
    declared: Mapping[Any, Any]
    if out is None or isinstance(out, Out):
        declared = {DEFAULT_OUTPUT: out or Out()}
    elif isinstance(out, Mapping):
        declared = out
    else:
        raise reader.refusal(
            f"out is {_shown(out)}", 'write out=Out(...) or out={"name": Out(...)}'
        )
    if not declared:
        raise reader.refusal("out is empty", "leave it out for the one output 'result'")
    returned = _returned_types(reader, declared)
    return {name: _output_of(reader, name, value, returned) for name, value in declared.items()}


def _output_of(
    reader: Reader, name: Any, value: Any, returned: Mapping[str, Any]
) -> OutputDefinition:
    checked_name(name, reader.source, f"{reader.subject}: output")
    if not isinstance(value, Out):
        raise reader.refusal(
            f"out gives {_shown(value)} for {name!r}", "write Out(...), such as Out(type=int)"
        )
    type_ = returned.get(name, Any) if value.type is UNSET else value.type
    try:
        metadata = normalize_metadata(value.metadata, f"output {name!r}")
    except InvalidDefinitionError as error:
        raise InvalidDefinitionError(f"{reader.source}: {reader.subject}: {error}") from None
    return OutputDefinition(
        name=name,
        type=_or_any(type_),
        type_name=type_name(type_),
        is_required=value.is_required,
        description=value.description,
        metadata=metadata,
    )


def _returned_types(reader: Reader, declared: Mapping[Any, Any]) -> dict[str, Any]:
    """The types of outputs that the annotation of the return value tells; the others may be anything."""
    if all(isinstance(out, Out) and out.type is not UNSET for out in declared.values()):
        return {}
    annotation = inspect.signature(reader.fn).return_annotation
    returned = reader.type_of(annotation, "the return value")
    is_generator = inspect.isgeneratorfunction(reader.fn) or inspect.isasyncgenfunction(reader.fn)
    if len(declared) == 1:
        return {next(iter(declared)): _yielded(returned) if is_generator else _unwrapped(returned)}
    elements = typing.get_args(plain_type(returned))
    is_tuple = typing.get_origin(plain_type(returned)) is tuple and Ellipsis not in elements
    if is_generator or not is_tuple or len(elements) != len(declared):
        return {}
    return dict(zip(declared, map(_unwrapped, elements), strict=True))


def _yielded(returned: Any) -> Any:
    """The type of the one output of a generator: that of the Output which it yields."""
    if typing.get_origin(returned) not in _ITERATORS:
        return Any
    yielded = typing.get_args(returned)[0]
    is_union = typing.get_origin(yielded) in (Union, types.UnionType)
    members = typing.get_args(yielded) if is_union else (yielded,)
    outputs = [member for member in members if member is not AssetMaterialization]
    if len(outputs) != 1 or typing.get_origin(outputs[0]) is not Output:
        return Any
    return _unwrapped(outputs[0])


def _unwrapped(type_: Any) -> Any:
    """The type of the value: what an `Output[...]` holds, else the type itself."""
    if typing.get_origin(type_) is Output:
        return typing.get_args(type_)[0]
    return Any if type_ is Output else type_


def _or_any(type_: Any) -> Any:
    return Any if type_ is Parameter.empty else type_


def _shown(value: object) -> str:
    return value.__name__ if isinstance(value, type) else f"a {type(value).__name__}"
