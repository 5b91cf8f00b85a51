"""Executes operations, the same for every transport."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import GraphQLError, OperationType, get_operation_ast
from strawberry.types.execution import PreExecutionError, StreamExecutionResult

from runwire.api.context import Principal
from runwire.api.errors import public_error
from runwire.server.document_check import DocumentCheck, Documents
from runwire.server.requests import GraphQLRequest
from runwire.server.settings import Limits

ONE_ANSWER = frozenset({OperationType.QUERY, OperationType.MUTATION})
"""The operations that have exactly one answer."""

ANY_OPERATION = frozenset(OperationType)


@dataclass(frozen=True, slots=True)
class Answer:
    """One result of an operation, ready to be written.

    Attributes:
        payload: `data` and `errors`, in the shape of the GraphQL specification.
        was_executed: False when the request was refused before anything was executed; then there is no `data`.
    """

    payload: dict[str, Any]
    was_executed: bool = True


class Operations:
    """Executes operations of a schema, each with a context of its own, within limits.

    Args:
        schema: the schema, which maps its errors itself (`runwire.api.errors.PublicErrors`).
        make_context: makes the context of one operation.
        limits: how much of a document is taken.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: Callable[[Principal], object],
        limits: Limits,
    ) -> None:
        self._documents = documents = Documents(limits)
        self._schema = copy.copy(schema)
        self._schema.extensions = (*schema.extensions, lambda: DocumentCheck(documents))
        self._make_context = make_context

    async def stream(
        self,
        request: GraphQLRequest,
        principal: Principal,
        allowed: frozenset[OperationType] = ANY_OPERATION,
    ) -> AsyncGenerator[Answer, None]:
        """The results of an operation: one of a query or mutation, any number of a subscription."""
        problem = self._problem(request, allowed)
        if problem is not None:
            yield Answer({"errors": [{"message": problem}]}, was_executed=False)
            return
        results = await self._schema.stream(
            request.query,
            variable_values=request.variables,
            operation_name=request.operation_name,
            context_value=self._make_context(principal),
        )
        async with aclosing(results):
            async for result in results:
                yield _answer(result)

    async def execute(self, request: GraphQLRequest, principal: Principal) -> Answer:
        """The result of a query or mutation."""
        async with aclosing(self.stream(request, principal, ONE_ANSWER)) as answers:
            return await anext(answers)

    def _problem(self, request: GraphQLRequest, allowed: frozenset[OperationType]) -> str | None:
        """Why a document has no operation to execute here; one that does not parse is told of later."""
        try:
            document = self._documents.read(request.query)
        except GraphQLError:
            return None
        operation = get_operation_ast(document.parsed, request.operation_name)
        if operation is None:
            return (
                "the document has not exactly one operation; name one of them as operationName"
                if request.operation_name is None
                else f"the document has no operation {request.operation_name!r}"
            )
        if operation.operation not in allowed:
            return "a subscription needs a websocket that speaks graphql-transport-ws"
        return None


def error_of_fault(fault: Exception) -> dict[str, Any]:
    """What a caller sees of a fault outside of any resolver: its id in the log."""
    return dict(public_error(GraphQLError("", original_error=fault)).formatted)


def _answer(result: StreamExecutionResult) -> Answer:
    if not isinstance(result, strawberry.types.ExecutionResult):
        raise TypeError(f"{type(result).__name__}: nothing is delivered incrementally")
    errors = result.errors or []
    # Variables that do not fit are found when execution begins; they name no path.
    refused = isinstance(result, PreExecutionError) or (
        result.data is None and bool(errors) and all(error.path is None for error in errors)
    )
    payload: dict[str, Any] = {} if refused else {"data": result.data}
    if errors:
        payload["errors"] = [error.formatted for error in errors]
    return Answer(payload, was_executed=not refused)
