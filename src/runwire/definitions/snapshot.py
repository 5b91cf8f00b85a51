"""The ops of a job as data."""

from __future__ import annotations

from collections.abc import Sequence

from runwire.definitions.op_io import InputDefinition, OutputDefinition
from runwire.definitions.wiring import OpNode, OutputRef
from runwire.snapshots import InputSnapshot, OpNodeSnapshot, OutputSnapshot


def graph_of(nodes: Sequence[OpNode]) -> tuple[OpNodeSnapshot, ...]:
    """The ops of a job, in the order of its nodes."""
    return tuple(
        OpNodeSnapshot(
            handle=node.handle,
            op_name=node.op.name,
            inputs=tuple(_input(node, definition) for definition in node.op.inputs.values()),
            outputs=tuple(map(_output, node.op.outputs.values())),
            description=node.op.description,
            tags=dict(node.tags),
        )
        for node in nodes
    )


def _input(node: OpNode, definition: InputDefinition) -> InputSnapshot:
    source = node.sources.get(definition.name, ())
    refs = (source,) if isinstance(source, OutputRef) else source
    return InputSnapshot(
        name=definition.name,
        type_name=definition.type_name,
        sources=tuple((ref.handle, ref.output_name) for ref in refs),
        description=definition.description,
    )


def _output(definition: OutputDefinition) -> OutputSnapshot:
    return OutputSnapshot(
        name=definition.name,
        type_name=definition.type_name,
        required=definition.is_required,
        description=definition.description,
    )
