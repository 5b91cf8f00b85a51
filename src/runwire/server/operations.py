"""Executes operations, the same for every transport."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import strawberry
from graphql import GraphQLError, OperationDefinitionNode, OperationType, get_operation_ast
from strawberry.types.execution import PreExecutionError, StreamExecutionResult

from runwire.api.access import Principal, Role
from runwire.api.context import Covered, OperationContext
from runwire.api.errors import public_error
from runwire.deadline import Deadline, using_deadline
from runwire.server.allowance import Refusals, source_of
from runwire.server.callers import Points, caller_of
from runwire.server.document_check import (
    BusyError,
    Document,
    DocumentCheck,
    DocumentRefusedError,
    Documents,
)
from runwire.server.encoding import encode_json, encode_variables
from runwire.server.requests import GraphQLRequest
from runwire.server.settings import Introspection, Limits
from runwire.server.shared_queries import SharedQueries
from runwire.server.telemetry import Observed, Telemetry
from runwire.server.trusted import TrustedDocuments

StreamKey: TypeAlias = tuple[str, str | None, bytes, Role]

ONE_ANSWER = frozenset({OperationType.QUERY, OperationType.MUTATION})
"""The operations that have exactly one answer."""

ANY_OPERATION = frozenset(OperationType)


@dataclass(frozen=True)
class Answer:
    """One result of an operation, ready to be written.

    Attributes:
        payload: `data` and `errors`, in the shape of the GraphQL specification.
        was_executed: False when the request was refused before anything was executed; then there is no `data`.
        covered: how far a resumable stream has come with it; None for what has no cursors.
        retry_after_seconds: when to ask again, of what was refused because too much was asked for; else None.
    """

    payload: dict[str, Any]
    was_executed: bool = True
    covered: Covered | None = None
    retry_after_seconds: int | None = None

    @cached_property
    def encoded(self) -> bytes:
        """The payload as JSON; encoded once, whoever it is sent to."""
        return encode_json(self.payload)


@dataclass(frozen=True, slots=True)
class RequestedOperation:
    """What a request asks for: a document that is valid, and the one operation of it, if it has that.

    It is a `runwire.server.telemetry.Subject`.
    """

    document: Document | None
    node: OperationDefinitionNode | None
    variables: Mapping[str, Any]

    @property
    def cost(self) -> int:
        """How many points it costs: one, and one for each object that it may give."""
        if self.document is None or self.node is None:
            return 1
        return 1 + self.document.rows(self.node, self.variables)

    @property
    def name(self) -> str | None:
        """Its name, if it has one."""
        return None if self.node is None or self.node.name is None else self.node.name.value

    @property
    def type(self) -> str | None:
        """query, mutation or subscription."""
        return None if self.node is None else self.node.operation.value

    @property
    def is_valid(self) -> bool:
        """Whether its document is valid."""
        return self.node is not None


class Operations:
    """Executes operations of a schema, each with a context of its own, within limits.

    Args:
        schema: the schema, which maps its errors itself (`runwire.api.errors.PublicErrors`).
        make_context: makes the context of one operation.
        limits: how much of a document is taken.
        telemetry: what watches operations.
        trusted: the documents that are known.
        introspection: who may ask for the schema; unless all may, errors suggest no names either.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: Callable[[Principal], OperationContext],
        limits: Limits,
        telemetry: Telemetry | None = None,
        trusted: TrustedDocuments | None = None,
        introspection: Introspection = "on",
    ) -> None:
        self._trusted = trusted or TrustedDocuments()
        self._introspection = introspection
        self.telemetry = telemetry or Telemetry()
        self._documents = documents = Documents(limits, schema._schema)  # noqa: SLF001 - strawberry has no other way to it
        self._schema = copy.copy(schema)
        self._schema.extensions = (*schema.extensions, lambda: DocumentCheck(documents))
        self._make_context = make_context
        self._points = Points(limits.points_per_minute)
        self.refusals = Refusals(_REFUSALS_AT_ONCE, _REFUSALS_PER_SECOND)
        self._max_rows = limits.rows
        self._query_seconds = limits.query_seconds
        self._queries: SharedQueries[Answer] = SharedQueries()
        self._finishing: set[asyncio.Task[StreamExecutionResult]] = set()

    async def stream(
        self,
        request: GraphQLRequest,
        principal: Principal,
        allowed: frozenset[OperationType] = ANY_OPERATION,
        resume_after: str | None = None,
    ) -> AsyncGenerator[Answer, None]:
        """The results of an operation: one of a query or mutation, any number of a subscription.

        Args:
            request: the operation.
            principal: who asks.
            allowed: which operations are executed here.
            resume_after: the cursor that a resumable stream goes on from; None for what the request says.
        """
        try:
            document = self._read(request)
        except DocumentRefusedError as error:
            # They are remembered, and `_told` changes them where the schema is hidden.
            errors = error.errors if self._introspection == "on" else copy.deepcopy(error.errors)
            yield self._told(Answer({"errors": errors}, was_executed=False))
            return
        except GraphQLError as error:
            yield Answer({"errors": [error.formatted]}, was_executed=False)
            return
        operation = get_operation_ast(document.parsed, request.operation_name)
        problem = self._problem(document, operation, request, allowed)
        if operation is None or problem is not None:
            yield Answer({"errors": [{"message": problem}]}, was_executed=False)
            return
        if self._hides_schema(principal) and document.asks_for_schema:
            yield Answer({"errors": [_HIDDEN]}, was_executed=False)
            return
        if document.asks_only_for_schema(operation):
            yield await self._told_of_schema(request, principal)
            return
        context = self._make_context(principal)
        context.resume_after = resume_after
        results = await self._schema.stream(
            self._trusted.text_of(request),
            variable_values=request.variables,
            operation_name=request.operation_name,
            context_value=context,
        )
        kind = operation.operation
        if kind is OperationType.MUTATION:
            yield await self._finish(results)
            return
        async with aclosing(results):
            if kind is OperationType.QUERY:
                yield await self._in_time(results)
                return
            async for result in results:
                covered, context.covered = context.covered, None
                yield self._told(_answer(result, covered))

    async def _told_of_schema(self, request: GraphQLRequest, principal: Principal) -> Answer:
        """The answer to a query of the schema only."""
        try:
            told = await self._documents.tell_schema(
                self._trusted.text_of(request),
                request.operation_name,
                request.variables or {},
                source_of(principal),
            )
        except BusyError as error:
            return _busy(error)
        payload: dict[str, Any] = {"errors": told.errors} if told.errors else {}
        answer = Answer(payload, told.was_executed)
        # Its data is not kept but as JSON.
        vars(answer)["encoded"] = told.encoded
        return answer

    async def _in_time(self, results: AsyncGenerator[StreamExecutionResult, None]) -> Answer:
        """The answer to a query, which ends when its time is up or nobody waits for it any more."""
        seconds, timer = self._query_seconds, asyncio.timeout(self._query_seconds)
        try:
            with using_deadline(Deadline(seconds)):
                async with timer:
                    return self._told(_answer(await anext(results), None))
        except TimeoutError:
            if not timer.expired():
                raise
            return _late(f"the query took longer than {seconds:g} s; ask for less at once")

    async def _finish(self, results: AsyncGenerator[StreamExecutionResult, None]) -> Answer:
        """The answer to a mutation, which goes on when its time is up or nobody waits for it any more."""
        seconds, timer = self._query_seconds, asyncio.timeout(self._query_seconds)
        task = asyncio.create_task(_first(results), name="mutation")
        self._finishing.add(task)
        task.add_done_callback(self._finished)
        try:
            async with timer:
                return self._told(_answer(await asyncio.shield(task), None))
        except TimeoutError:
            if not timer.expired():
                raise
            return _late(
                f"the mutation takes longer than {seconds:g} s; it goes on, so look what came of it before you"
                " send it again"
            )

    def _finished(self, task: asyncio.Task[StreamExecutionResult]) -> None:
        self._finishing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits is told of it; when nobody does, it is looked at here

    def close(self) -> None:
        """Frees the thread that reads documents."""
        self._documents.close()

    async def settle(self, seconds: float) -> None:
        """Waits, for so long, for the mutations that are under way, whoever waits for their answers."""
        if self._finishing:
            await asyncio.wait(self._finishing, timeout=seconds)

    async def execute(self, request: GraphQLRequest, principal: Principal) -> Answer:
        """The result of a query or mutation."""
        answer = await self._executed(request, principal)
        if not answer.was_executed:
            await self.refusals.hold_back(principal)
        return answer

    async def _executed(self, request: GraphQLRequest, principal: Principal) -> Answer:
        busy = await self.learn(request, principal)
        if busy is not None:
            return busy
        requested = self.requested(request)
        with self.telemetry.operation(requested) as observed:
            refusal = self.charge(requested, principal, observed)
            if refusal is not None:
                observed.answered(refusal.payload, was_executed=False)
                return refusal
            if requested.type == OperationType.QUERY.value:
                key = self._query_key(request, principal)
                answer = await self._queries.execute(key, lambda: self._only(request, principal))
            else:
                answer = await self._only(request, principal)
            observed.answered(answer.payload, was_executed=answer.was_executed)
            return answer

    async def learn(self, request: GraphQLRequest, principal: Principal) -> Answer | None:
        """Has the document of a request read, beside the event loop; what to answer when there are too many."""
        try:
            await self._documents.learn(self._trusted.text_of(request), source_of(principal))
        except BusyError as error:
            return _busy(error)
        except GraphQLError:
            pass  # it is told when the document is to be executed
        return None

    async def _only(self, request: GraphQLRequest, principal: Principal) -> Answer:
        async with aclosing(self.stream(request, principal, ONE_ANSWER)) as answers:
            return await anext(answers)

    def _query_key(self, request: GraphQLRequest, principal: Principal) -> Hashable:
        """What queries have in common that have the same answer."""
        text = self._trusted.text_of(request)
        return text, request.operation_name, encode_variables(request.variables or {}), principal

    def charge(
        self, requested: RequestedOperation, principal: Principal, observed: Observed
    ) -> Answer | None:
        """Takes the points of an operation from who asks; what to answer when there are too few."""
        cost = requested.cost
        shortage = self._points.spend(caller_of(principal), cost)
        if shortage is None:
            observed.points = cost
            return None
        seconds = shortage.retry_after_seconds
        message = (
            f"the operation costs {shortage.cost} points, and {shortage.left} are left;"
            f" try again in {seconds} s, or ask for less"
        )
        extensions = {
            "cost": shortage.cost,
            "left": shortage.left,
            "retryAfterSeconds": seconds,
        }
        return too_much(message, "RATE_LIMITED", seconds, extensions)

    def requested(self, request: GraphQLRequest) -> RequestedOperation:
        """Which operation a request asks for."""
        try:
            document = self._read(request)
        except GraphQLError:
            return RequestedOperation(None, None, {})
        node = get_operation_ast(document.parsed, request.operation_name)
        return RequestedOperation(document, node, request.variables or {})

    def stream_key(self, request: GraphQLRequest, principal: Principal) -> StreamKey | None:
        """What subscriptions have in common that give the same messages from the same cursor on.

        None for what is no subscription, or cannot be executed.
        """
        try:
            document = self._read(request)
        except GraphQLError:
            return None
        operation = get_operation_ast(document.parsed, request.operation_name)
        if operation is None or operation.operation is not OperationType.SUBSCRIPTION:
            return None
        given = dict(request.variables or {})
        for name in document.cursor_variables(operation):
            given.pop(name, None)
        text = self._trusted.text_of(request)
        return text, request.operation_name, encode_variables(given), principal.role

    def operation_type(self, request: GraphQLRequest) -> OperationType | None:
        """What kind of operation is to be executed; None when that cannot be told."""
        try:
            document = self._read(request)
        except GraphQLError:
            return None
        operation = get_operation_ast(document.parsed, request.operation_name)
        return None if operation is None else operation.operation

    def _read(self, request: GraphQLRequest) -> Document:
        """The document of a request.

        Raises:
            GraphQLError: it is not taken, or does not parse.
        """
        return self._documents.read(self._trusted.text_of(request))

    def _hides_schema(self, principal: Principal) -> bool:
        """Whether somebody may not ask for the schema."""
        return self._introspection == "off" or (
            self._introspection == "admin" and principal.role is not Role.ADMIN
        )

    def _told(self, answer: Answer) -> Answer:
        """An answer as it may be given: its errors suggest no names of a schema that is hidden."""
        if self._introspection != "on":
            for error in answer.payload.get("errors", ()):
                if "path" not in error:
                    error["message"] = _SUGGESTION.sub("", error["message"])
        return answer

    def _problem(
        self,
        document: Document,
        operation: OperationDefinitionNode | None,
        request: GraphQLRequest,
        allowed: frozenset[OperationType],
    ) -> str | None:
        """Why a document has no operation to execute here."""
        if operation is None:
            return (
                "the document has not exactly one operation; name one of them as operationName"
                if request.operation_name is None
                else f"the document has no operation {request.operation_name!r}"
            )
        if operation.operation not in allowed:
            return (
                "a subscription needs Accept: text/event-stream, or a websocket that speaks"
                " graphql-transport-ws"
            )
        if document.rows(operation, request.variables or {}) > self._max_rows:
            return (
                f"the operation may give more than {self._max_rows} objects, lists within lists multiplied;"
                " ask for smaller pages, or for less of each object"
            )
        return None


def too_much(
    message: str, code: str, retry_after_seconds: int, extensions: Mapping[str, int] = {}
) -> Answer:
    """The answer to who asks for too much, or too often."""
    error = {"message": message, "extensions": {"code": code, **extensions}}
    return Answer({"errors": [error]}, was_executed=False, retry_after_seconds=retry_after_seconds)


def error_of_fault(fault: Exception) -> dict[str, Any]:
    """What a caller sees of a fault outside of any resolver: its id in the log."""
    return dict(public_error(GraphQLError("", original_error=fault)).formatted)


_REFUSALS_AT_ONCE, _REFUSALS_PER_SECOND = 50, 25
"""How many refusals a source gets without delay."""

_HIDDEN = {
    "message": "the schema is not shown here: introspection is off",
    "extensions": {"code": "INTROSPECTION_OFF"},
}

_SUGGESTION = re.compile(r" Did you mean .*?\?")


async def _first(results: AsyncGenerator[StreamExecutionResult, None]) -> StreamExecutionResult:
    async with aclosing(results):
        return await anext(results)


def _busy(error: BusyError) -> Answer:
    return too_much(str(error), "RATE_LIMITED", error.retry_after_seconds)


def _late(message: str) -> Answer:
    error = {"message": message, "extensions": {"code": "DEADLINE_EXCEEDED"}}
    return Answer({"data": None, "errors": [error]})


def _answer(result: StreamExecutionResult, covered: Covered | None) -> Answer:
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
    return Answer(payload, not refused, covered)
