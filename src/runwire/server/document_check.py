"""Documents that come in: parsed, measured and validated once, beside the event loop, then remembered."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from graphql import (
    SKIP,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    VisitorAction,
    execute_sync,
    parse,
    specified_rules,
    visit,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document
from strawberry.types.execution import ExecutionContext

from runwire.server.allowance import Allowance
from runwire.server.document_limits import DocumentLimits, Numbers, numbers_of, rows_of
from runwire.server.encoding import encode_json, encode_variables
from runwire.server.settings import Limits

T = TypeVar("T")

_MAX_KNOWN = 256
_MAX_KNOWN_BYTES = 64 * 1024 * 1024
_BYTES_OF_TOKEN = 1000
"""How much is remembered, and what a token of a parsed document takes, roughly."""

_MAX_TOLD = 8
_MAX_TOLD_BYTES = 2 * 1024 * 1024
"""How many answers about the schema are remembered, and how large one may be."""

_READING_SECONDS = 0.5
_READING_SHARE = 0.15
"""How much of a processor a source may take at once, and of each second, by what is not known."""

_MAX_WAITING = 20
_MAX_WAIT_SECONDS = 5.0
"""How many documents of a source wait to be read, and how long."""


class DocumentRefusedError(GraphQLError):
    """A document that is not executed.

    Attributes:
        errors: all that is wrong with it, in the shape of the GraphQL specification.
    """

    def __init__(self, errors: Sequence[dict[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = list(errors)


class BusyError(Exception):
    """A source has sent more that is not known than is read in time.

    Attributes:
        retry_after_seconds: when to come back.
    """

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            "you send more documents that are new here than are read in time; use variables for what differs,"
            f" or try again in {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class SchemaAnswer:
    """What was asked of the schema.

    Attributes:
        errors: those of the answer, in the shape of the GraphQL specification.
        was_executed: whether there is data.
        encoded: the answer as JSON.
    """

    errors: list[dict[str, Any]]
    was_executed: bool
    encoded: bytes


@dataclass
class Document:
    """A document that may be executed."""

    parsed: DocumentNode
    tokens: int
    _cursor_variables: dict[str | None, frozenset[str]] = field(default_factory=dict)
    _rows: dict[tuple[str | None, Numbers], int] = field(default_factory=dict)

    @cached_property
    def asks_for_schema(self) -> bool:
        """Whether it has a field that tells of the schema, anywhere."""
        finder = _SchemaFinder()
        visit(self.parsed, finder)
        return finder.found

    def asks_only_for_schema(self, operation: OperationDefinitionNode) -> bool:
        """Whether an operation of it is a query of nothing but fields that tell of the schema."""
        return operation.operation is OperationType.QUERY and all(
            isinstance(node, FieldNode) and node.name.value in _SCHEMA_FIELDS
            for node in operation.selection_set.selections
        )

    def rows(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """How many objects an operation of it may give at the most, its variables being these."""
        name = None if operation.name is None else operation.name.value
        key = name, numbers_of(operation, variables)
        rows = self._rows.get(key)
        if rows is None:
            if len(self._rows) >= _MAX_KNOWN:
                self._rows.clear()
            rows = self._rows[key] = rows_of(self.parsed, operation, key[1])
        return rows

    def cursor_variables(self, operation: OperationDefinitionNode) -> frozenset[str]:
        """The variables that say nothing but where a stream of this document starts: `after` of a root field."""
        name = None if operation.name is None else operation.name.value
        if name not in self._cursor_variables:
            counts = _count_variables(self.parsed)
            self._cursor_variables[name] = frozenset(
                argument.value.name.value
                for node in operation.selection_set.selections
                if isinstance(node, FieldNode)
                for argument in node.arguments or ()
                if argument.name.value == "after"
                and isinstance(argument.value, VariableNode)
                and counts[argument.value.name.value] == 1
            )
        return self._cursor_variables[name]


def _count_variables(document: DocumentNode) -> Counter[str]:
    """How often the variables of a document are used."""
    counter = _VariableCounter()
    visit(document, counter)
    return counter.counts


class _VariableCounter(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def enter_variable_definition(self, *_: object) -> VisitorAction:
        return SKIP

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.counts[node.name.value] += 1


_SCHEMA_FIELDS = frozenset({"__schema", "__type"})


class _SchemaFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.found = self.found or node.name.value in _SCHEMA_FIELDS


class Documents:
    """The documents that came in last. All of it belongs to one event loop.

    Args:
        limits: how much of a document is taken.
        schema: what they must fit; None to look at their limits only.
    """

    def __init__(self, limits: Limits, schema: GraphQLSchema | None = None) -> None:
        self._schema = schema
        self._max_chars = limits.document_chars
        self._max_tokens = limits.tokens
        self._limits = DocumentLimits(
            limits.depth, limits.aliases, limits.directives, limits.root_fields
        )
        self._known: OrderedDict[str, tuple[Document | DocumentRefusedError, int]] = OrderedDict()
        self._weight = 0
        self._told: OrderedDict[tuple[str, str | None, bytes], SchemaAnswer] = OrderedDict()
        self._allowance = Allowance(_READING_SECONDS, _READING_SHARE)
        self._reading: dict[str, asyncio.Future[None]] = {}
        self._turns: dict[str, _Turn] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="runwire-documents")

    def close(self) -> None:
        """Ends the thread that reads."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def read(self, text: str) -> Document:
        """The document of a text.

        Raises:
            DocumentRefusedError: it does not parse, asks for too much, or does not fit the schema.
        """
        if len(text) > self._max_chars:
            problem = (
                f"the document has more than {self._max_chars} characters; ask for less at once"
            )
            raise DocumentRefusedError([{"message": f"{problem}, and send values as variables"}])
        if text in self._known:
            self._known.move_to_end(text)
            found, _ = self._known[text]
        else:
            found = self._remember(text, self._examine(text))
        if isinstance(found, DocumentRefusedError):
            # Raised as it is, it would gather tracebacks.
            raise DocumentRefusedError(found.errors)
        return found

    async def learn(self, text: str, source: str) -> None:
        """Has a document remembered, so that `read` takes no time. It is read beside the loop.

        Raises:
            BusyError: the source has sent too many that were not known.
        """
        if len(text) > self._max_chars:
            return
        while text not in self._known:
            reading = self._reading.get(text)
            if reading is not None:
                await asyncio.wait([reading])
                continue
            reading = self._reading[text] = asyncio.get_running_loop().create_future()
            try:
                async with self._turn(source):
                    examined = await self._beside_loop(source, lambda: self._examine(text))
                self._remember(text, examined)
            finally:
                del self._reading[text]
                reading.set_result(None)

    async def tell_schema(
        self, text: str, operation_name: str | None, variables: dict[str, Any], source: str
    ) -> SchemaAnswer:
        """The answer to an operation that asks for the schema only; made beside the loop, and remembered.

        Raises:
            BusyError: the source has asked for too many that were not known.
        """
        key = text, operation_name, encode_variables(variables)
        told = self._told.get(key)
        if told is None:
            parsed = self.read(text).parsed
            async with self._turn(source):
                told = self._told.get(key)
                if told is None:
                    told = await self._beside_loop(
                        source, lambda: self._ask_schema(parsed, operation_name, variables)
                    )
            if len(key[0]) + len(key[2]) + len(told.encoded) <= _MAX_TOLD_BYTES:
                self._told[key] = told
            while len(self._told) > _MAX_TOLD:
                self._told.popitem(last=False)
        else:
            self._told.move_to_end(key)
        return told

    def _remember(
        self, text: str, found: Document | DocumentRefusedError
    ) -> Document | DocumentRefusedError:
        weight = len(text) + (_BYTES_OF_TOKEN * found.tokens if isinstance(found, Document) else 0)
        self._known[text] = found, weight
        self._weight += weight
        while len(self._known) > _MAX_KNOWN or self._weight > _MAX_KNOWN_BYTES:
            _, (_, freed) = self._known.popitem(last=False)
            self._weight -= freed
        return found

    def _examine(self, text: str) -> Document | DocumentRefusedError:
        """Reads a document; called in a thread."""
        try:
            parsed = parse(text, max_tokens=self._max_tokens)
        except GraphQLError as error:
            return DocumentRefusedError([dict(error.formatted)])
        if not any(isinstance(node, OperationDefinitionNode) for node in parsed.definitions):
            return DocumentRefusedError([{"message": "the document has no operation"}])
        errors = self._limits.check(parsed)
        if not errors and self._schema is not None:
            errors = validate_document(self._schema, parsed, tuple(specified_rules))
        if errors:
            return DocumentRefusedError([dict(error.formatted) for error in errors])
        return Document(parsed, _tokens_of(parsed))

    def _ask_schema(
        self, parsed: DocumentNode, operation_name: str | None, variables: dict[str, Any]
    ) -> SchemaAnswer:
        """Executes what asks for the schema only; called in a thread."""
        if self._schema is None:
            raise TypeError("there is no schema")
        result = execute_sync(
            self._schema, parsed, operation_name=operation_name, variable_values=variables
        )
        errors = [dict(error.formatted) for error in result.errors or ()]
        payload: dict[str, Any] = {} if result.data is None else {"data": result.data}
        if errors:
            payload["errors"] = errors
        return SchemaAnswer(errors, result.data is not None, encode_json(payload))

    async def _beside_loop(self, source: str, work: Callable[[], T]) -> T:
        """Does work in the thread, at the expense of a source."""
        loop = asyncio.get_running_loop()

        def timed() -> T:
            begun = time.thread_time()
            try:
                return work()
            finally:
                # Who does not wait for it pays as well.
                seconds = time.thread_time() - begun
                loop.call_soon_threadsafe(self._allowance.spend, source, seconds)

        return await loop.run_in_executor(self._thread, timed)

    @asynccontextmanager
    async def _turn(self, source: str) -> AsyncIterator[None]:
        """Waits until what a source sends may be worked on; one after another.

        Raises:
            BusyError: too many wait already, or too long.
        """
        turn = self._turns.setdefault(source, _Turn())
        seconds = self._allowance.seconds_left(source)
        if turn.waiting >= _MAX_WAITING or seconds > _MAX_WAIT_SECONDS:
            raise BusyError(max(1, math.ceil(seconds)))
        turn.waiting += 1
        try:
            async with turn.lock:
                await asyncio.sleep(self._allowance.seconds_left(source))
                yield
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[source]


@dataclass(slots=True)
class _Turn:
    """What a source has sent that is not known: one of it is read at a time."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


def _tokens_of(document: DocumentNode) -> int:
    count, token = 0, None if document.loc is None else document.loc.start_token
    while token is not None:
        count, token = count + 1, token.next
    return count


class DocumentCheck(SchemaExtension):
    """Has each operation use the remembered documents, which are valid."""

    execution_context: ExecutionContext

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def on_parse(self) -> Iterator[None]:
        """Takes the parsed document."""
        context = self.execution_context
        context.graphql_document = self._documents.read(context.query or "").parsed
        yield

    def on_validate(self) -> Iterator[None]:
        """Has it not validated again."""
        self.execution_context.pre_execution_errors = []
        yield
