"""The schema as a product: described, exported, and what its documents ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    OperationDefinitionNode,
    build_schema,
    parse,
    validate,
)

from runwire.api.node import FINDERS
from runwire.api.schema import print_schema
from runwire.documents import documents_folder, load_document, operation_names

ROOT = Path(__file__).parents[2]

SCHEMA = build_schema(print_schema())


def published_types() -> list[GraphQLNamedType]:
    """The types of the schema that are not GraphQL's own."""
    own = {"Boolean", "Float", "ID", "Int", "String"}
    return [
        each
        for name, each in SCHEMA.type_map.items()
        if name not in own and not name.startswith("__")
    ]


def places_to_describe() -> Iterator[tuple[str, str | None]]:
    """Every place of the schema that carries a description, and the description."""
    for each in published_types():
        yield each.name, each.description
        if isinstance(each, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in each.fields.items():
                yield f"{each.name}.{name}", field.description
                for argument_name, argument in field.args.items():
                    yield f"{each.name}.{name}({argument_name})", argument.description
        if isinstance(each, GraphQLInputObjectType):
            for name, input_field in each.fields.items():
                yield f"{each.name}.{name}", input_field.description
        if isinstance(each, GraphQLEnumType):
            for name, value in each.values.items():
                yield f"{each.name}.{name}", value.description


def test_every_type_field_argument_and_enum_value_is_described() -> None:
    bare = [place for place, description in places_to_describe() if not description]
    assert bare == []


def test_descriptions_are_sentences() -> None:
    ends = (".", ")")
    assert [place for place, text in places_to_describe() if not (text or "").endswith(ends)] == []


def test_the_published_schema_is_the_exported_one() -> None:
    """`make schema` writes it; a difference here is a change of the contract to look at."""
    assert (ROOT / "schema" / "schema.graphql").read_text() == print_schema()


def test_the_published_schema_declares_nothing_that_graphql_has() -> None:
    assert re.findall(r"directive @(\w+)", print_schema()) == ["requiresPermission"]
    assert "input RunTarget @oneOf {" in print_schema()


def test_a_size_of_type_that_fits_on_a_screen() -> None:
    """A run is the largest: it is what most screens show."""
    roots = {"Query", "Mutation", "Subscription"}
    large = {
        each.name: len(each.fields)
        for each in published_types()
        if isinstance(each, GraphQLObjectType) and each.name not in roots and len(each.fields) > 21
    }
    assert large == {}


def test_every_node_type_can_be_found_by_its_id() -> None:
    node = SCHEMA.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert {each.name for each in SCHEMA.get_possible_types(node)} == set(FINDERS)


@pytest.mark.parametrize("name", operation_names())
def test_every_document_is_valid(name: str) -> None:
    assert validate(SCHEMA, parse(load_document(name))) == []


@pytest.mark.parametrize(
    "file", sorted(documents_folder().glob("*/*.graphql")), ids=lambda file: file.stem
)
def test_a_document_holds_one_operation_named_as_its_file(file: Path) -> None:
    definitions = parse(file.read_text()).definitions
    operations = [each for each in definitions if isinstance(each, OperationDefinitionNode)]
    if file.parent.name == "fragments":
        assert operations == []
        assert file.stem in [each.name.value for each in definitions]  # type: ignore[attr-defined]
    else:
        assert [(each.name and each.name.value) for each in operations] == [file.stem]
        kinds = {"queries": "query", "mutations": "mutation", "subscriptions": "subscription"}
        assert operations[0].operation.value == kinds[file.parent.name]


def test_every_operation_of_the_roots_is_in_a_document() -> None:
    """What nobody asks for in graphql/ is neither tried by the client nor shown to newcomers."""
    text = "\n".join(load_document(name) for name in operation_names())
    asked = {
        name
        for root in ("Mutation", "Subscription")
        for name in SCHEMA.type_map[root].fields  # type: ignore[attr-defined]
        if re.search(rf"^  {name}\b", text, re.MULTILINE)
    }
    assert asked == {
        *SCHEMA.type_map["Mutation"].fields,  # type: ignore[attr-defined]
        *SCHEMA.type_map["Subscription"].fields,  # type: ignore[attr-defined]
    }
