"""The body of a job: which ops it uses, and what feeds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from runwire.definitions.json_schema import has_schema
from runwire.definitions.op import JobBody, OpDefinition, OpUse
from runwire.definitions.op_io import InputDefinition
from runwire.definitions.places import caller_place, refusal
from runwire.definitions.retries import RetryPolicy
from runwire.definitions.types import check_type
from runwire.errors import InvalidDefinitionError


@dataclass(frozen=True)
class OutputRef:
    """Points at an output of an op in the same job."""

    handle: str
    output_name: str


@dataclass(frozen=True)
class OpNode:
    """A use of an op in a job.

    Attributes:
        handle: its name, unique in the job.
        op: the op.
        sources: what feeds its inputs, by name: one output, or for a fan-in a tuple of them in order. Inputs
            that run config or a default feeds are not in it.
        tags: the tags of the op and of this use.
        retry_policy: that of this use, else of the op; None where that of the job counts.
    """

    handle: str
    op: OpDefinition
    sources: Mapping[str, OutputRef | tuple[OutputRef, ...]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    retry_policy: RetryPolicy | None = None


@dataclass(frozen=True)
class _Wired:
    """What a `Wire` stands for."""

    body: RecordingBody
    op: OpDefinition
    handle: str
    output_names: tuple[str, ...]

    def refusal(self, problem: str, mend: str) -> InvalidDefinitionError:
        job = f"job {self.body.job_name!r}"
        output = f"the output of op {self.handle!r}"
        return refusal(caller_place(), job, f"{output} {problem}", mend)


class Wire:
    """Outputs of an op in the body of a job: passed on to other ops, picked by name, unpacked in order.

    Never a value: nothing has run yet, and whatever needs a value is refused.
    """

    __slots__ = ("_wired_",)

    _wired_: _Wired

    def __init__(self, wired: _Wired) -> None:
        self._wired_ = wired

    def __getattr__(self, name: str) -> Wire:
        wired = self._wired_
        if name in wired.output_names:
            return _wire_of(wired, name)
        if name.startswith("__"):
            raise AttributeError(name)
        raise wired.refusal(
            f"is asked for {name!r}, which is no output of it",
            f"its outputs are: {', '.join(wired.output_names)}; use values inside ops only",
        )

    def __iter__(self) -> Iterator[Wire]:
        if len(self._wired_.output_names) == 1:
            _refuse_as_value(self, "iterated")
        return (_wire_of(self._wired_, name) for name in self._wired_.output_names)

    def __len__(self) -> int:  # list() and tuple() ask for it
        if len(self._wired_.output_names) == 1:
            _refuse_as_value(self, "measured")
        return len(self._wired_.output_names)

    def __repr__(self) -> str:
        wired = self._wired_
        return f"<outputs {', '.join(wired.output_names)} of op {wired.handle!r}, not values yet>"


def _wire_of(wired: _Wired, name: str) -> Wire:
    return Wire(_Wired(wired.body, wired.op, wired.handle, (name,)))


def _refuse_as_value(wire: Wire, action: str) -> NoReturn:
    raise wire._wired_.refusal(
        f"is {action} as if it were a value, but nothing has run yet", "do this inside an op"
    )


_ACTIONS = {
    "compared": ("eq", "ne", "lt", "le", "gt", "ge"),
    "used as a condition": ("bool",),
    "searched": ("contains",),
    "indexed": ("getitem",),
    "changed": ("setitem", "delitem"),
    "called": ("call",),
    "awaited": ("await",),
    "iterated": ("aiter",),
    "entered": ("enter", "aenter"),
    "converted": ("int", "float", "complex", "index", "bytes", "round"),
    "calculated with": (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"),
        *("radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rpow", "rand", "ror", "rxor"),
        *("neg", "pos", "abs", "invert", "lshift", "rshift", "divmod"),
    ),
}


def _refused(action: str) -> Any:
    def refuse(wire: Wire, *_: object) -> NoReturn:
        _refuse_as_value(wire, action)

    return refuse


for _action, _operators in _ACTIONS.items():
    for _operator in _operators:
        setattr(Wire, f"__{_operator}__", _refused(_action))


class RecordingBody(JobBody):
    """Takes note of the ops that the body of a job calls. `nodes` has sources before what they feed."""

    def __init__(self, job_name: str, source: str) -> None:
        self.job_name = job_name
        self.source = source
        self.nodes: dict[str, OpNode] = {}
        self._places: dict[str, str] = {}

    def use(self, use: OpUse, args: tuple[Any, ...], kwargs: Mapping[str, Any], place: str) -> Wire:
        handle = self._handle(use, place)
        call = _Call(self, use.op, handle, place)
        sources = {
            name: call.source(name, value) for name, value in call.arguments(args, kwargs).items()
        }
        call.check_missing(sources)
        self.nodes[handle] = OpNode(
            handle,
            use.op,
            sources,
            {**use.op.tags, **use.tags},
            use.retry_policy or use.op.retry_policy,
        )
        self._places[handle] = place
        return Wire(_Wired(self, use.op, handle, tuple(use.op.outputs)))

    def _handle(self, use: OpUse, place: str) -> str:
        """The name of a use: its alias, else the name of the op with a number from the second on."""
        op = use.op
        for node in self.nodes.values():
            if node.op.name == op.name and node.op is not op:
                raise refusal(
                    place,
                    f"job {self.job_name!r}",
                    f"two ops are named {op.name!r}, one at {node.op.source}, one at {op.source}",
                    "rename one with @op(name=...)",
                )
        if use.name is None:
            number, handle = 1, op.name
            while handle in self.nodes:
                number += 1
                handle = f"{op.name}_{number}"
            return handle
        if use.name in self.nodes:
            raise refusal(
                place,
                f"job {self.job_name!r}",
                f"the alias {use.name!r} of op {op.name!r} is taken by the use of op"
                f" {self.nodes[use.name].op.name!r} at {self._places[use.name]}",
                "choose another alias",
            )
        return use.name


@dataclass(frozen=True)
class _Call:
    """A call of an op in the body of a job."""

    body: RecordingBody
    op: OpDefinition
    handle: str
    place: str

    def refusal(self, problem: str, mend: str) -> InvalidDefinitionError:
        subject = f"job {self.body.job_name!r}, op {self.handle!r}"
        return refusal(self.place, subject, problem, mend)

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by input."""
        names = tuple(self.op.inputs)
        known = f"its inputs are: {', '.join(names) or 'none'}"
        if len(args) > len(names):
            raise self.refusal(f"it is called with {len(args)} arguments in order", known)
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name in given:
                raise self.refusal(f"input {name!r} is given twice", "give it once")
            if name not in names:
                raise self.refusal(f"it has no input {name!r}", known)
            given[name] = value
        return given

    def source(self, name: str, value: Any) -> OutputRef | tuple[OutputRef, ...]:
        """What an argument says feeds an input."""
        if not isinstance(value, list | tuple):
            return self._ref(name, value)
        if not value:
            raise self.refusal(
                f"input {name!r} is given an empty list", "give outputs of ops, or leave it out"
            )
        if not _takes_list(self.op.inputs[name]):
            raise self.refusal(
                f"input {name!r} is given a list of outputs, but its type is"
                f" {self.op.inputs[name].type_name}",
                f"annotate it list[{self.op.inputs[name].type_name}], or give one output",
            )
        return tuple(self._ref(name, element) for element in value)

    def _ref(self, name: str, value: Any) -> OutputRef:
        if isinstance(value, OpDefinition | OpUse):
            op_name = value.name if isinstance(value, OpDefinition) else value.op.name
            raise self.refusal(
                f"input {name!r} is given the op {op_name!r} itself", f"call it: {op_name}(...)"
            )
        if not isinstance(value, Wire):
            raise self.refusal(
                f"input {name!r} is given a {type(value).__name__}, which is no output of an op",
                f"give values in the run config, under ops.{self.handle}.inputs.{name} or in its"
                " config, or as a default",
            )
        wired = value._wired_
        if wired.body is not self.body:
            raise self.refusal(
                f"input {name!r} is given an output that belongs to job {wired.body.job_name!r}",
                "call the op that gives it in this job",
            )
        if len(wired.output_names) > 1:
            raise self.refusal(
                f"input {name!r} is given op {wired.handle!r}, which has several outputs",
                f"pick one by its name: {', '.join(wired.output_names)}",
            )
        return OutputRef(wired.handle, wired.output_names[0])

    def check_missing(self, sources: Mapping[str, Any]) -> None:
        """Refuses a call without an argument that nothing else can stand in for."""
        for name, definition in self.op.inputs.items():
            if name in sources or definition.has_default or has_schema(definition.type):
                continue
            raise self.refusal(
                f"input {name!r} is missing, and a {definition.type_name} cannot be given in the run"
                " config",
                "pass an output of another op, or give the input a default",
            )


def _takes_list(definition: InputDefinition) -> bool:
    return check_type([], definition.type).success
