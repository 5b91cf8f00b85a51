"""Ops: functions with typed inputs, outputs and config, which jobs wire together."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, overload

from pydantic import BaseModel

from runwire.definitions.contexts import OpContext
from runwire.definitions.naming import checked_keys, checked_name, checked_pool, checked_tags
from runwire.definitions.op_io import (
    InputDefinition,
    OutputDefinition,
    inputs_of,
    outputs_of,
)
from runwire.definitions.outputs import In, Out
from runwire.definitions.places import caller, caller_place, place_of, refusal
from runwire.definitions.retries import RetryPolicy, checked_retry_policy
from runwire.definitions.signature import Reader, checked_function, description_of


class OpKind(Enum):
    """How the function of an op is run."""

    FUNCTION = "FUNCTION"
    COROUTINE = "COROUTINE"
    GENERATOR = "GENERATOR"
    ASYNC_GENERATOR = "ASYNC_GENERATOR"


@dataclass(frozen=True, eq=False)
class OpDefinition:
    """An op. Made by `@op`; called in the body of a job to use it there.

    Attributes:
        name: its name.
        fn: the function; takes `context` (if `takes_context`), `config` (if it has a model) and its inputs,
            all by name.
        inputs: its inputs by name, in order.
        outputs: its outputs by name, in order; at least one.
        config_model: the model of its config; None when it takes none.
        required_resource_keys: the resources that it uses.
        tags: the tags of each use of it.
        description: what it does, in its author's words.
        takes_context: whether the function takes a context.
        kind: how the function is run.
        source: where the function stands, as ``file:line``.
        pool: the concurrency pool that each step of it takes a slot of; None for none.
    """

    name: str
    fn: Callable[..., Any]
    inputs: Mapping[str, InputDefinition]
    outputs: Mapping[str, OutputDefinition]
    config_model: type[BaseModel] | None = None
    required_resource_keys: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    takes_context: bool = False
    kind: OpKind = OpKind.FUNCTION
    source: str = ""
    pool: str | None = None
    retry_policy: RetryPolicy | None = None

    def alias(self, name: str) -> OpUse:
        """The op, to be used under another name: ``load.alias("load_sales")(path())``."""
        return OpUse(self).alias(name)

    def tag(self, tags: Mapping[str, str]) -> OpUse:
        """The op, to be used with more tags: ``load.tag({"team": "sales"})(path())``."""
        return OpUse(self).tag(tags)

    def with_retry_policy(self, retry_policy: RetryPolicy) -> OpUse:
        """The op, to be used with another retry policy."""
        return OpUse(self).with_retry_policy(retry_policy)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Uses the op in the body of a job. Gives outputs to wire on, never values.

        Raises:
            InvalidDefinitionError: outside the body of a job, or the arguments do not fit its inputs.
        """
        return OpUse(self)(*args, **kwargs)


@dataclass(frozen=True, eq=False)
class OpUse:
    """An op with what one use of it in a job changes."""

    op: OpDefinition
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    retry_policy: RetryPolicy | None = None

    def alias(self, name: str) -> OpUse:
        """The use under another name."""
        kind = f"alias of op {self.op.name!r}"
        return replace(self, name=checked_name(name, caller_place(), kind))

    def tag(self, tags: Mapping[str, str]) -> OpUse:
        """The use with more tags."""
        more = checked_tags(tags, f"{caller_place()}: op {self.op.name!r}")
        return replace(self, tags={**self.tags, **more})

    def with_retry_policy(self, retry_policy: RetryPolicy) -> OpUse:
        """The use with another retry policy."""
        subject = f"op {self.op.name!r}"
        checked = checked_retry_policy(retry_policy, caller_place(), subject)
        return replace(self, retry_policy=checked)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Enters the use into the job whose body runs; otherwise as the call of the op."""
        body = current_job_body.get()
        if body is None:
            raise refusal(
                caller_place(),
                f"op {self.op.name!r}",
                "it is called outside the body of a job",
                f"call it in a function decorated with @job; {self.op.name}.fn(...) runs its function",
            )
        return body.use(self, args, kwargs, caller_place())


class JobBody(ABC):
    """A job whose body runs: takes note of the ops that are called."""

    @abstractmethod
    def use(self, use: OpUse, args: tuple[Any, ...], kwargs: Mapping[str, Any], place: str) -> Any:
        """Enters a use of an op and gives its outputs to wire on."""


current_job_body: ContextVar[JobBody | None] = ContextVar("current_job_body", default=None)
"""The job whose body runs in this context."""


@overload
def op(fn: Callable[..., Any], /) -> OpDefinition: ...


@overload
def op(
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, In] | None = None,
    out: Out | Mapping[str, Out] | None = None,
    tags: Mapping[str, str] | None = None,
    required_resource_keys: Iterable[str] = (),
    pool: str | None = None,
    retry_policy: RetryPolicy | None = None,
) -> Callable[[Callable[..., Any]], OpDefinition]: ...


def op(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, In] | None = None,
    out: Out | Mapping[str, Out] | None = None,
    tags: Mapping[str, str] | None = None,
    required_resource_keys: Iterable[str] = (),
    pool: str | None = None,
    retry_policy: RetryPolicy | None = None,
) -> OpDefinition | Callable[[Callable[..., Any]], OpDefinition]:
    """Makes an op of a function; also written bare, as ``@op``.

    A parameter `context` (the first) is given the `OpContext`, a parameter `config` with a Pydantic model
    as its annotation the config; each other parameter is an input: its annotation is the type, its
    default makes it optional. The function may be plain, `async def`, a generator or an async generator.
    What it returns is its output; with several in `out` it yields an `Output` for each, or returns a tuple
    of their values in order. Generators may also yield an `AssetMaterialization`.

    Args:
        fn: the function, where the decorator is written bare.
        name: the op's name; that of the function when left out.
        description: what it does; the function's docstring when left out.
        ins: more about inputs, by name.
        out: the outputs by name, or more about the one output ``result``.
        tags: the tags of each use of it.
        required_resource_keys: the resources that it uses, as ``context.resources.<key>``.
        pool: a concurrency pool: a step of the op begins when it has a slot of that, of all runs.
        retry_policy: when a step of it that fails is tried again; else that of the job.

    Raises:
        InvalidDefinitionError: this cannot be an op; the message names place, op and mend.
    """

    def define(fn: Callable[..., Any]) -> OpDefinition:
        function = checked_function(fn, "op", caller_place())
        source = place_of(function)
        op_name = checked_name(function.__name__ if name is None else name, source, "op")
        subject = f"op {op_name!r}"
        reader = Reader(function, source, subject, caller().f_locals)
        parameters = reader.parameters()
        return OpDefinition(
            name=op_name,
            fn=function,
            config_model=reader.config_model(parameters),
            takes_context=reader.takes_context(parameters, OpContext),
            inputs=inputs_of(reader, parameters, ins),
            outputs=outputs_of(reader, out),
            required_resource_keys=checked_keys(required_resource_keys, source, subject),
            tags=checked_tags(tags, f"{source}: {subject}"),
            description=description_of(function, description),
            kind=_kind_of(function),
            source=source,
            pool=None if pool is None else checked_pool(pool, source, subject),
            retry_policy=checked_retry_policy(retry_policy, source, subject),
        )

    return define if fn is None else define(fn)


def _kind_of(fn: Callable[..., Any]) -> OpKind:
    if inspect.isasyncgenfunction(fn):
        return OpKind.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(fn):
        return OpKind.GENERATOR
    if inspect.iscoroutinefunction(fn):
        return OpKind.COROUTINE
    return OpKind.FUNCTION
