"""Resources: what ops share in a run, such as a connection, made before the first use and torn down after."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, overload

from pydantic import BaseModel

from runwire.definitions.contexts import ResourceContext
from runwire.definitions.naming import checked_keys, checked_name
from runwire.definitions.op import OpDefinition
from runwire.definitions.places import caller, caller_place, place_of, refusal
from runwire.definitions.signature import (
    CONFIG,
    CONTEXT,
    Reader,
    checked_function,
    description_of,
)
from runwire.definitions.wiring import OpNode


@dataclass(frozen=True, eq=False)
class ResourceDefinition:
    """A resource. Made by `@resource`.

    Attributes:
        name: the name of its function; jobs give it a key of their own.
        fn: the function; takes `context` (if `takes_context`) and `config` (if it has a model) by name, and
            returns the resource, or yields it once: what stands after the yield tears it down.
        config_model: the model of its config; None when it takes none.
        required_resource_keys: the resources that it uses.
        description: what it is, in its author's words.
        is_generator: whether the function yields the resource.
        takes_context: whether the function takes a context.
        source: where the function stands, as ``file:line``.
    """

    name: str
    fn: Callable[..., Any]
    config_model: type[BaseModel] | None = None
    required_resource_keys: frozenset[str] = frozenset()
    description: str | None = None
    is_generator: bool = False
    takes_context: bool = False
    source: str = ""


@overload
def resource(fn: Callable[..., Any], /) -> ResourceDefinition: ...


@overload
def resource(
    *, description: str | None = None, required_resource_keys: Iterable[str] = ()
) -> Callable[[Callable[..., Any]], ResourceDefinition]: ...


def resource(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    description: str | None = None,
    required_resource_keys: Iterable[str] = (),
) -> ResourceDefinition | Callable[[Callable[..., Any]], ResourceDefinition]:
    """Makes a resource of a function; also written bare, as ``@resource``.

    The function may take `context`, which is given the `ResourceContext`, and `config`, annotated with a
    Pydantic model. It returns the resource, or yields it once and tears it down after the yield.

    Args:
        fn: the function, where the decorator is written bare.
        description: what it is; the function's docstring when left out.
        required_resource_keys: the resources that it uses, as ``context.resources.<key>``.

    Raises:
        InvalidDefinitionError: this cannot be a resource; the message names place, resource and mend.
    """

    def define(fn: Callable[..., Any]) -> ResourceDefinition:
        function = checked_function(fn, "resource", caller_place())
        source = place_of(function)
        name = checked_name(function.__name__, source, "resource")
        subject = f"resource {name!r}"
        reader = Reader(function, source, subject, caller().f_locals)
        parameters = reader.parameters()
        others = [key for key in parameters if key not in (CONTEXT, CONFIG)]
        if others:
            raise reader.refusal(
                f"parameter {others[0]!r} is neither {CONTEXT!r} nor {CONFIG!r}",
                "make it a field of the config's model, or a resource that this one requires",
            )
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise reader.refusal("it is an async function", "write it with def")
        return ResourceDefinition(
            name=name,
            fn=function,
            config_model=reader.config_model(parameters),
            required_resource_keys=checked_keys(required_resource_keys, source, subject),
            description=description_of(function, description),
            is_generator=inspect.isgeneratorfunction(function),
            takes_context=reader.takes_context(parameters, ResourceContext),
            source=source,
        )

    return define if fn is None else define(fn)


def needed_resources(
    nodes: Iterable[OpNode], resource_defs: object, source: str, subject: str
) -> dict[str, ResourceDefinition]:
    """The resources that the ops of a job use, directly or through others, each after those that it uses.

    Raises:
        InvalidDefinitionError: a required resource is not defined, is no resource, or requires itself.
    """
    defined = _checked_defs({} if resource_defs is None else resource_defs, source, subject)
    needed: dict[str, ResourceDefinition] = {}

    def need(key: str, of: OpDefinition | ResourceDefinition, above: tuple[str, ...]) -> None:
        if key in needed:
            return
        if key in above:
            raise refusal(
                source,
                subject,
                f"resource {key!r} requires itself: {' -> '.join((*above, key))}",
                "take one of them out of required_resource_keys",
            )
        if key not in defined:
            kind = "op" if isinstance(of, OpDefinition) else "resource"
            raise refusal(
                source,
                subject,
                f"{kind} {of.name!r} requires resource {key!r}, which the job does not define",
                f"add it: @job(resource_defs={{{key!r}: ...}})",
            )
        definition = defined[key]
        for inner in sorted(definition.required_resource_keys):
            need(inner, definition, (*above, key))
        needed[key] = definition

    for node in nodes:
        for key in sorted(node.op.required_resource_keys):
            need(key, node.op, ())
    return needed


def _checked_defs(
    resource_defs: object, source: str, subject: str
) -> Mapping[str, ResourceDefinition]:
    if not isinstance(resource_defs, Mapping):
        raise refusal(
            source,
            subject,
            f"resource_defs is a {type(resource_defs).__name__}",
            'write resource_defs={"key": ...}',
        )
    for key, definition in resource_defs.items():
        checked_name(key, source, f"{subject}: resource key")
        if not isinstance(definition, ResourceDefinition):
            raise refusal(
                source,
                subject,
                f"resource {key!r} is a {type(definition).__name__}",
                "give what @resource makes; a function that returns the value is enough",
            )
    return resource_defs
