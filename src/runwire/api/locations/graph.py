"""The ops of a job, and the steps that a run of it would have."""

from __future__ import annotations

from runwire.api.rows import describe_enum, field, view
from runwire.api.tags import Tag, tags_of
from runwire.snapshots import (
    InputSnapshot,
    OpNodeSnapshot,
    OutputSnapshot,
    PlanStepKind,
    PlanStepSnapshot,
)

describe_enum(PlanStepKind, "Whether a step is known before the run.", {"SINGLE": "One step."})


@view(tuple, "Points at an output of an op in the same job.")
class OpOutputRef:
    """Points at an output of an op; its row is a pair of names."""

    handle: str = field("The handle of the op.", lambda pair: pair[0])
    output_name: str = field("The name of the output.", lambda pair: pair[1])


@view(InputSnapshot, "An input of an op.")
class OpInput:
    """An input of an op."""

    name: str = field("The name of the input.")
    type_name: str = field("The name of its type.")
    sources: list[OpOutputRef] = field(
        "The outputs that feed it; empty when config or a default does."
    )


@view(OutputSnapshot, "An output of an op.")
class OpOutput:
    """An output of an op."""

    name: str = field("The name of the output.")
    type_name: str = field("The name of its type.")
    required: bool = field("Whether the op always gives it.")
    dynamic: bool = field("Whether it gives any number of values, each with a mapping key.")


@view(OpNodeSnapshot, "A use of an op or of a graph in a job.")
class OpNode:
    """A use of an op or of a graph in a job."""

    handle: str = field(
        "The names on the way to it, joined by dots, such as `ingest.load`; unique in its job."
    )
    parent_handle: str | None = field("The handle of the graph that it is in; null at the top.")
    op_name: str = field("The name of the op or graph that is used.")
    is_graph: bool = field("Whether it is a graph, with ops of its own.")
    description: str | None = field("What it does, in its author's words.")
    tags: list[Tag] = field("Its tags.", lambda node: tags_of(node.tags))
    inputs: list[OpInput] = field("Its inputs, in order.")
    outputs: list[OpOutput] = field("Its outputs, in order.")


@view(PlanStepSnapshot, "A step that a run would have.")
class PlanStep:
    """A step that a run would have."""

    step_key: str = field("The key of the step.")
    op_handle: str = field("The handle of the op that it executes.")
    kind: PlanStepKind = field("Whether it is known in full before the run.")
    level: int = field("How many steps are above it on the longest way from a root of the plan.")
    upstream_step_keys: list[str] = field("The steps whose outputs it needs.")
