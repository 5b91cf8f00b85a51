"""Limits on what a document asks for.

All of them are folded bottom-up, each fragment once, so that measuring is linear in the document, however often
its fragments are spread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    TypeNode,
    VariableNode,
)

_MANY = 1_000_000
"""Where counting stops: doubling fragments would make numbers of any length."""

_MAX_NESTING = 100
"""Where folding stops, fragments that hold nothing but another one counted too."""


class Measure(NamedTuple):
    """What selections ask for.

    Attributes:
        depth: how deep they nest.
        aliases: how many have an alias.
        directives: how many directives stand in them.
        fields: how many fields they begin with, those of fragments included.
        rows: how many objects they may give at the most.
    """

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    fields: int = 0
    rows: int = 0


_NOTHING = Measure()

_SELECTING = OperationDefinitionNode, FragmentDefinitionNode

_PAGES = {
    "assets": (50, 100),
    "backfills": (25, 100),
    "deadLetters": (25, 100),
    "eventRecords": (100, 1000),
    "events": (100, 1000),
    "failures": (25, 100),
    "holders": (10, 100),
    "partitions": (25, 100),
    "pools": (25, 100),
    "recentRuns": (5, 25),
    "runs": (25, 100),
    "schedules": (50, 100),
    "sensors": (50, 100),
    "slots": (10, 100),
    "steps": (1000, 1000),
    "ticks": (25, 100),
    "waiting": (10, 100),
}
"""How many objects a list field gives when it is not told, and at the most."""

_SCHEMA_LISTS = {
    "types": 250,
    "directives": 8,
    "fields": 4,
    "inputFields": 4,
    "args": 1,
    "enumValues": 4,
    "interfaces": 1,
    "possibleTypes": 2,
}
"""The same of what tells of the schema, about as many as a type of it has."""

_LISTS = {
    "codeLocations": 5,
    "repositories": 5,
    "jobs": 25,
    "graph": 25,
    "plan": 25,
    "daemons": 5,
    "standbys": 5,
    "limits": 25,
    "blockedBy": 3,
    **_SCHEMA_LISTS,
}
"""How many objects a list field that takes no number is taken to give."""


Numbers: TypeAlias = tuple[tuple[str, int | None], ...]
"""What the variables of an operation that are integers say; None for null and for what is not given."""


MAX_PAIRS = 50_000
"""How many pairs the fields of a document with the same name make, and its fragments: validation compares them."""


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """The most that an operation of a document may ask for, whatever its variables are."""

    depth: int
    aliases: int
    directives: int = 50
    root_fields: int = 50

    def check(self, document: DocumentNode) -> list[GraphQLError]:
        """One error for each operation that asks for too much, or one for the whole document."""
        fold = _Fold(document)
        operations = (n for n in document.definitions if isinstance(n, OperationDefinitionNode))
        errors = [
            GraphQLError(problem, operation)
            for operation in operations
            if (problem := self._problem(fold, operation))
        ]
        if not errors and _pairs(document) > MAX_PAIRS:
            problem = "the document repeats fields or fragments too often; ask for less at once"
            return [GraphQLError(problem)]
        return errors

    def _problem(self, fold: _Fold, operation: OperationDefinitionNode) -> str | None:
        try:
            measure = fold.measure(operation.selection_set)
        except _TooDeepError:
            measure = Measure(_MANY)
        if measure.depth > self.depth:
            return f"the operation nests deeper than {self.depth} levels; ask for less at once"
        if measure.aliases > self.aliases:
            return f"the operation has more than {self.aliases} aliases; ask for less at once"
        if measure.directives + len(operation.directives or ()) > self.directives:
            return f"the operation has more than {self.directives} directives; ask for less at once"
        if measure.fields > self.root_fields:
            return f"the operation begins with more than {self.root_fields} fields; ask for less at once"
        return None


def _pairs(document: DocumentNode) -> int:
    """How much validation has to compare; nested selections are compared as well, so all of a name count."""
    names: Counter[str] = Counter()
    spreads = 0
    todo = [node.selection_set for node in document.definitions if isinstance(node, _SELECTING)]
    while todo:
        for node in todo.pop().selections:
            spreads += isinstance(node, FragmentSpreadNode)
            if isinstance(node, FieldNode):
                names[(node.alias or node.name).value] += 1
            if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None:
                todo.append(node.selection_set)
    # To compare fragments costs more.
    return sum(count * count // 2 for count in names.values()) + 2 * spreads * spreads


def numbers_of(operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> Numbers:
    """What the variables of an operation that are integers say, those that are not given by their defaults."""
    numbers = []
    for definition in operation.variable_definitions or ():
        if _is_integer(definition.type):
            name, default = definition.variable.name.value, definition.default_value
            usual = int(default.value[:10]) if isinstance(default, IntValueNode) else None
            number = variables.get(name, usual)
            # What is no number is refused when its variables are read; till then it is the most.
            numbers.append((name, number if number is None or type(number) is int else _MANY))
    return tuple(numbers)


def _is_integer(kind: TypeNode) -> bool:
    if isinstance(kind, NonNullTypeNode):
        kind = kind.type
    return isinstance(kind, NamedTypeNode) and kind.name.value == "Int"


def rows_of(document: DocumentNode, operation: OperationDefinitionNode, numbers: Numbers) -> int:
    """How many objects an operation may give at the most, lists within lists multiplied."""
    try:
        return _Fold(document, dict(numbers)).measure(operation.selection_set).rows
    except _TooDeepError:
        return 0  # it is refused


class _TooDeepError(Exception):
    """Selections and fragments nest deeper than anybody writes them."""


class _Fold:
    def __init__(
        self, document: DocumentNode, numbers: Mapping[str, int | None] | None = None
    ) -> None:
        self._numbers = numbers or {}
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._measured: dict[str, Measure] = {}
        self._nesting = 0

    def measure(self, selections: SelectionSetNode | None) -> Measure:
        """The deepest of some selections, and all their aliases."""
        if selections is None:
            return _NOTHING
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            self._nesting = 0
            raise _TooDeepError
        measures = [self._selection(node) for node in selections.selections]
        self._nesting -= 1
        return Measure(
            max(m.depth for m in measures),
            min(sum(m.aliases for m in measures), _MANY),
            min(sum(m.directives for m in measures), _MANY),
            min(sum(m.fields for m in measures), _MANY),
            min(sum(m.rows for m in measures), _MANY),
        )

    def _selection(self, node: SelectionNode) -> Measure:
        measure = self._undirected(node)
        own = len(node.directives or ())
        return measure._replace(directives=min(measure.directives + own, _MANY))

    def _undirected(self, node: SelectionNode) -> Measure:
        """That of a selection without the directives that stand at it."""
        match node:
            case FieldNode():
                below = self.measure(node.selection_set)
                rows = self._times(node) * (below.rows + 1) if node.selection_set else 0
                aliases = below.aliases + (node.alias is not None)
                return Measure(
                    below.depth + 1, min(aliases, _MANY), below.directives, 1, min(rows, _MANY)
                )
            case InlineFragmentNode():
                return self.measure(node.selection_set)
            case FragmentSpreadNode():
                return self._fragment(node.name.value)
            case _:
                raise TypeError(f"{type(node).__name__} is no selection")

    def _fragment(self, name: str) -> Measure:
        if name not in self._measured:
            # What spreads itself, or is nowhere, counts nothing; validation refuses it.
            self._measured[name] = _NOTHING
            if name in self._fragments:
                self._measured[name] = self.measure(self._fragments[name].selection_set)
        return self._measured[name]

    def _times(self, node: FieldNode) -> int:
        """How many objects a field may give."""
        name = node.name.value
        usual, most = _PAGES.get(name, (1, 1))
        for argument in node.arguments or ():
            if argument.name.value in {"first", "last"}:
                match argument.value:
                    case IntValueNode(value=text):
                        number: int | None = int(text[:9])
                    case VariableNode(name=variable):
                        number = self._numbers.get(variable.value, most)
                    case _:
                        number = None
                return usual if number is None else max(0, min(number, most))
        return _LISTS.get(name, usual)
