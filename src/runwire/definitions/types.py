"""Types of inputs and outputs: their names for people, and whether a value has one.

A check looks at a value and, where it is short, at its elements: it finds a wrong wire early and costs
next to nothing on large data. It is no proof.
"""

from __future__ import annotations

import collections
import inspect
import reprlib
import types
import typing
from collections import abc
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union

from runwire.events.payloads import TypeCheck

MAX_CHECKED_ELEMENTS: Final = 100
"""Elements are looked at up to this many; a longer value is judged by its own class."""

MAX_SHOWN_CHARS: Final = 80

_UNIONS: Final = (Union, types.UnionType)
_MAPPINGS: Final = (
    dict,
    collections.OrderedDict,
    collections.defaultdict,
    abc.Mapping,
    abc.MutableMapping,
)
_COLLECTIONS: Final = (
    *(list, set, frozenset, collections.deque),
    *(abc.Iterable, abc.Collection, abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet),
)
_WIDER: Final[dict[type, tuple[type, ...]]] = {float: (float, int), complex: (complex, float, int)}


def type_name(type_: Any) -> str:
    """The name of a type for people, such as ``list[int]`` or ``str | None``; ``Any`` where none is told."""
    type_ = plain_type(type_)
    if _is_anything(type_):
        return "Any"
    if type_ is None or type_ is types.NoneType:
        return "None"
    if type_ is Ellipsis:
        return "..."
    if isinstance(type_, list):  # the parameters of a Callable
        return f"[{', '.join(map(type_name, type_))}]"
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin in _UNIONS:
        return " | ".join(dict.fromkeys(map(type_name, args)))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin is None:
        return _bare_name(type_)
    return f"{_bare_name(origin)}[{', '.join(map(type_name, args)) or '()'}]"


def plain_type(type_: Any) -> Any:
    """The type without annotations and other names: what a value is checked against."""
    while True:
        if typing.get_origin(type_) is Annotated:
            type_ = typing.get_args(type_)[0]
        elif isinstance(type_, NewType):
            type_ = type_.__supertype__
        elif (
            type(type_).__name__ == "TypeAliasType"
        ):  # of typing from 3.12 on, or of typing_extensions
            type_ = type_.__value__
        elif isinstance(type_, TypeVar):
            type_ = type_.__bound__ or Any
        else:
            return type_


def check_type(value: Any, type_: Any) -> TypeCheck:
    """Checks whether a value has a type.

    A bool is no int, an int is a float, a model is an instance of its class. The elements of lists,
    tuples, sets and dicts are looked at, not those of elements, and only of up to 100.

    Args:
        value: the value.
        type_: a class, a generic alias, a union, None, Any, or another annotation; what cannot be checked
            passes.

    Returns:
        How it ended; on failure `description` says what was expected and what came.
    """
    name = type_name(type_)
    problem = _problem(value, type_, elements=True)
    return TypeCheck(problem is None, name, problem and f"expected {name}, {problem}")


def _problem(value: Any, type_: Any, *, elements: bool) -> str | None:
    """What came instead of the type; None when the value has it."""
    type_ = plain_type(type_)
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if _is_anything(type_):
        return None
    if origin in _UNIONS:
        fits = any(_problem(value, arg, elements=elements) is None for arg in args)
        return None if fits else _came(value)
    if origin is Literal:
        fits = any(type(value) is type(arg) and value == arg for arg in args)
        return None if fits else _came(value)
    if origin is type:
        return None if isinstance(value, type) and _is_subclass(value, args) else _came(value)
    if not _has_class(value, origin or type_):
        return _came(value)
    return _problem_of_elements(value, origin, args) if elements and args else None


def _has_class(value: Any, type_: Any) -> bool:
    if type_ is None:
        return value is None
    if not isinstance(type_, type) or _is_unchecked_protocol(type_):
        return True
    if hasattr(type_, "__required_keys__"):  # a TypedDict
        return isinstance(value, abc.Mapping)
    if isinstance(value, bool) and type_ in (int, float, complex):
        return False
    try:
        return isinstance(value, _WIDER.get(type_, type_))
    except Exception:  # noqa: BLE001 - a metaclass of the user's may raise anything
        return True


def _problem_of_elements(value: Any, origin: Any, args: tuple[Any, ...]) -> str | None:
    if not isinstance(value, list | tuple | dict | set | frozenset):
        return None
    if len(value) > MAX_CHECKED_ELEMENTS:
        return None
    if isinstance(value, dict):
        return _problem_of_items(value, args) if origin in _MAPPINGS else None
    if origin is tuple and args[-1] is not Ellipsis:
        wanted = args
    elif origin is tuple or origin in _COLLECTIONS:
        wanted = args[:1] * len(value)
    else:
        return None
    if len(wanted) != len(value):
        return f"got {_count(value)}"
    for index, (element, arg) in enumerate(zip(value, wanted, strict=True)):
        if problem := _problem(element, arg, elements=False):
            return f"{problem} at element {index}"
    return None


def _problem_of_items(value: dict[Any, Any], args: tuple[Any, ...]) -> str | None:
    for key, element in value.items():
        if problem := _problem(key, args[0], elements=False):
            return f"{problem} as a key"
        if problem := _problem(element, args[1], elements=False):
            return f"{problem} at key {_shown(key)}"
    return None


def _came(value: Any) -> str:
    if value is None:
        return "got None"
    return f"got {_shown(value)} of type {type(value).__name__}"


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = MAX_SHOWN_CHARS


def _shown(value: Any) -> str:
    if isinstance(value, abc.Collection) and not isinstance(value, str | bytes):
        return _count(value)
    return _repr.repr(value)


def _count(value: abc.Collection[Any]) -> str:
    return "1 element" if len(value) == 1 else f"{len(value)} elements"


def _is_subclass(value: type, args: tuple[Any, ...]) -> bool:
    wanted = [arg for arg in map(plain_type, args) if isinstance(arg, type)]
    return not wanted or issubclass(value, tuple(wanted))


def _is_anything(type_: Any) -> bool:
    return type_ is Any or type_ is object or type_ is inspect.Parameter.empty


def _is_unchecked_protocol(type_: type) -> bool:
    is_protocol = getattr(type_, "_is_protocol", False)
    return bool(is_protocol) and not getattr(type_, "_is_runtime_protocol", False)


def _bare_name(type_: Any) -> str:
    name = getattr(type_, "__qualname__", None) or getattr(type_, "__name__", None)
    if name is None:
        return str(type_).removeprefix("typing.")
    return str(name).rpartition("<locals>.")[2]
