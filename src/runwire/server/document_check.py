"""Documents that come in: parsed, measured and validated once, then remembered."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import (
    SKIP,
    DocumentNode,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    VisitorAction,
    parse,
    visit,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document
from strawberry.types.execution import ExecutionContext

from runwire.server.document_limits import DocumentLimits, Numbers, numbers_of, rows_of
from runwire.server.settings import Limits

_REMEMBERED = 256


@dataclass
class Document:
    """A document that parses; what is wrong with it is None until it was validated."""

    parsed: DocumentNode
    errors: list[GraphQLError] | None
    _cursor_variables: dict[str | None, frozenset[str]] = field(default_factory=dict)
    _rows: dict[tuple[str | None, Numbers], int] = field(default_factory=dict)

    @cached_property
    def asks_for_schema(self) -> bool:
        """Whether it has a field that tells of the schema, anywhere."""
        finder = _SchemaFinder()
        visit(self.parsed, finder)
        return finder.found

    def rows(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """How many objects an operation of it may give at the most, its variables being these."""
        name = None if operation.name is None else operation.name.value
        key = name, numbers_of(operation, variables)
        rows = self._rows.get(key)
        if rows is None:
            if len(self._rows) >= _REMEMBERED:
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


class _SchemaFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.found = self.found or node.name.value in {"__schema", "__type"}


class Documents:
    """The documents that came in last."""

    def __init__(self, limits: Limits) -> None:
        self.max_tokens = limits.tokens
        self._limits = DocumentLimits(
            limits.depth, limits.aliases, limits.directives, limits.root_fields
        )
        self._documents: OrderedDict[str, Document] = OrderedDict()

    def read(self, text: str) -> Document:
        """The document of a text.

        Raises:
            GraphQLError: it does not parse, or has too many tokens.
        """
        document = self._documents.get(text)
        if document is None:
            parsed = parse(text, max_tokens=self.max_tokens)
            document = self._documents[text] = Document(parsed, self._limits.check(parsed) or None)
            while len(self._documents) > _REMEMBERED:
                self._documents.popitem(last=False)
        else:
            self._documents.move_to_end(text)
        return document


class DocumentCheck(SchemaExtension):
    """Has each operation use the remembered documents."""

    execution_context: ExecutionContext

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._document: Document | None = None

    def on_parse(self) -> Iterator[None]:
        """Takes the parsed document; one that does not parse is left to fail in its usual place."""
        context = self.execution_context
        context.parse_options["max_tokens"] = self._documents.max_tokens
        try:
            self._document = self._documents.read(context.query or "")
            context.graphql_document = self._document.parsed
        except GraphQLError:
            pass
        yield

    def on_validate(self) -> Iterator[None]:
        """Takes what is wrong with the document, which is found out the first time."""
        context, document = self.execution_context, self._document
        if document is not None:
            if document.errors is None:
                document.errors = validate_document(
                    context.schema._schema,  # noqa: SLF001 - strawberry has no other way to it
                    document.parsed,
                    context.validation_rules,
                )
            context.pre_execution_errors = document.errors
        yield
