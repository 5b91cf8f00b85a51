"""Who may do what: every field that the published schema guards is refused to who lacks its permission."""

from __future__ import annotations

from typing import Any

import pytest
import strawberry
from graphql import (
    EnumValueNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
)

from runwire.api import access
from runwire.api.access import PERMISSIONS, Permission, Principal, Role, declare_permissions
from runwire.api.schema import print_schema
from tests.api.conftest import Api

PUBLISHED = build_schema(print_schema())
FREE = {("Query", "viewer")}


def permission_of(field: GraphQLField) -> str | None:
    """What the published schema says that a field demands."""
    assert field.ast_node is not None
    for directive in field.ast_node.directives or ():
        if directive.name.value == "requiresPermission":
            (argument,) = directive.arguments or ()
            assert isinstance(argument.value, EnumValueNode)
            return argument.value.value
    return None


ROOTS = [
    (root.name, name, field)
    for root in (PUBLISHED.query_type, PUBLISHED.mutation_type, PUBLISHED.subscription_type)
    if root is not None
    for name, field in root.fields.items()
]


def literal(type: Any) -> str:
    """A value of an input type, as little of one as there can be."""
    match type:
        case GraphQLNonNull():
            return literal(type.of_type)
        case GraphQLList():
            return "[]"
        case GraphQLEnumType():
            return str(next(iter(type.values)))
        case GraphQLScalarType():
            return {"Int": "1", "Long": "1", "Boolean": "true", "Float": "1"}.get(type.name, '"x"')
        case GraphQLInputObjectType():
            fields = type.fields.items()
            if type.is_one_of:
                fields = list(fields)[:1]
            else:
                fields = [
                    (name, each) for name, each in fields if isinstance(each.type, GraphQLNonNull)
                ]
            return "{" + ", ".join(f"{name}: {literal(each.type)}" for name, each in fields) + "}"
        case _:
            raise TypeError(type)


def document(root: str, name: str, field: GraphQLField) -> str:
    """The smallest operation that asks for a root field."""
    required = [
        f"{argument}: {literal(each.type)}"
        for argument, each in field.args.items()
        if isinstance(each.type, GraphQLNonNull)
    ]
    arguments = f"({', '.join(required)})" if required else ""
    selection = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
    return f"{root.lower()} {{ it: {name}{arguments}{selection} }}"


@pytest.mark.parametrize(("root", "name", "field"), ROOTS, ids=[f"{r}.{n}" for r, n, _ in ROOTS])
async def test_every_root_field_is_refused_to_who_may_do_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, root: str, name: str, field: GraphQLField
) -> None:
    demanded = permission_of(field)
    if (root, name) in FREE:
        assert demanded is None
        return
    assert demanded is not None
    everything_else = frozenset(Permission) - {Permission[demanded]}
    monkeypatch.setitem(access.PERMISSIONS, Role.VIEWER, everything_else)
    api.viewer = Principal("eve", True, Role.VIEWER)
    kind = get_named_type(field.type)
    asked = document(root, name, field)
    if root == "Subscription":
        async with api.subscription(asked) as results:
            result = await anext(results)
    else:
        result = await api.execute(asked)
    if isinstance(kind, GraphQLUnionType) and name != "node":
        assert result.errors is None
        assert result.data == {"it": {"__typename": "Forbidden"}}
    else:
        (error,) = result.errors
        assert error.extensions["code"] == "FORBIDDEN"
        assert f"this needs the permission {demanded}" in error.message
        assert not (result.data or {}).get("it")


def test_unions_of_what_can_be_refused_have_the_refusal() -> None:
    for root, name, field in ROOTS:
        kind = get_named_type(field.type)
        if isinstance(kind, GraphQLUnionType):
            assert "Forbidden" in {member.name for member in kind.types}, f"{root}.{name}"


async def test_fields_that_ask_for_more_than_to_read_are_null_for_who_may_only_read(
    api: Api,
) -> None:
    api.viewer = Principal("eve", True, Role.VIEWER)
    result = await api.execute(
        "{ instance { name configuration runLauncher { className config } } }"
    )
    assert result.errors is not None
    assert result.data is not None
    assert [error.path for error in result.errors] == [
        ["instance", "configuration"],
        ["instance", "runLauncher", "config"],
    ]
    assert {(error.extensions or {})["code"] for error in result.errors} == {"FORBIDDEN"}
    instance = result.data["instance"]
    assert instance["configuration"] is None
    assert instance["runLauncher"]["config"] is None
    assert instance["runLauncher"]["className"]


def test_which_fields_ask_for_more_than_their_root() -> None:
    roots = {"Query", "Mutation", "Subscription"}
    guarded = {
        f"{kind.name}.{name}": permission
        for kind in PUBLISHED.type_map.values()
        if isinstance(kind, GraphQLObjectType)
        and kind.name not in roots
        and not kind.name.startswith("__")
        for name, field in kind.fields.items()
        if (permission := permission_of(field))
    }
    assert guarded == {
        "Instance.configuration": "READ_CONFIGURATION",
        "Component.config": "READ_CONFIGURATION",
    }


def test_roles_grow() -> None:
    assert PERMISSIONS[Role.VIEWER] < PERMISSIONS[Role.OPERATOR] < PERMISSIONS[Role.ADMIN]
    assert PERMISSIONS[Role.ADMIN] == frozenset(Permission)
    assert not {Permission.DELETE_RUNS, Permission.READ_CONFIGURATION} & PERMISSIONS[Role.OPERATOR]


async def test_the_viewer_is_told_what_it_may_do(api: Api) -> None:
    api.viewer = Principal("ci", True, Role.OPERATOR, expires_at=1_800_000_000.0)
    answer = await api.ask("{ viewer { name role permissions expiresAt } }")
    permissions = answer["viewer"].pop("permissions")
    assert answer == {
        "viewer": {"name": "ci", "role": "OPERATOR", "expiresAt": "2027-01-15T08:00:00Z"}
    }
    assert permissions == [each.value for each in Permission if each in PERMISSIONS[Role.OPERATOR]]


def test_a_mutation_that_does_not_say_what_it_demands_is_a_mistake() -> None:
    @strawberry.type
    class Free:
        @strawberry.mutation
        def destroy(self) -> int:
            return 1

    @strawberry.type
    class Empty:
        hello: str = "hello"

    with pytest.raises(TypeError, match="the mutation destroy does not say which permission"):
        declare_permissions(Empty, Free, Empty, frozenset())


def test_nothing_that_is_streamed_tells_who_asks() -> None:
    """Whoever has the same role is sent the same messages, so `Viewer` must not be within their reach."""
    types, left = set[str](), ["Subscription"]
    while left:
        kind = PUBLISHED.type_map[left.pop()]
        if kind.name not in types:
            types.add(kind.name)
            if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
                left += [get_named_type(field.type).name for field in kind.fields.values()]
            if is_abstract_type(kind):
                left += [each.name for each in PUBLISHED.get_possible_types(kind)]
    assert "Run" in types
    assert "Viewer" not in types
