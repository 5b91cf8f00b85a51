"""Calls the functions of ops, of whatever kind they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, closing
from typing import Any

from runwire.definitions import OpDefinition, OpKind
from runwire.execution.step_outputs import StepOutputs


def call_op(op: OpDefinition, arguments: Mapping[str, Any], outputs: StepOutputs) -> None:
    """Runs the function of an op to its end and hands on what it gives, as soon as it gives it.

    A generator is closed when something that it gave is refused. Coroutines and async generators run in an
    event loop of their own, each in one task.
    """
    match op.kind:
        case OpKind.FUNCTION:
            outputs.give_returned(op.fn(**arguments))
        case OpKind.COROUTINE:
            outputs.give_returned(asyncio.run(op.fn(**arguments)))
        case OpKind.GENERATOR:
            with closing(op.fn(**arguments)) as items:
                for item in items:
                    outputs.give(item)
        case OpKind.ASYNC_GENERATOR:
            asyncio.run(_drain(op, arguments, outputs))


async def _drain(op: OpDefinition, arguments: Mapping[str, Any], outputs: StepOutputs) -> None:
    async with aclosing(op.fn(**arguments)) as items:
        async for item in items:
            outputs.give(item)
