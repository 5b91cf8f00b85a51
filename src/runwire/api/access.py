"""Who may do what: roles, permissions, and the one place where fields are guarded.

A field says what it demands by the directive `@requiresPermission`. Root fields of queries and subscriptions demand
READ unless they say otherwise; a mutation that says nothing is a mistake, found when the schema is made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, GraphQLUnionType, get_named_type
from strawberry.schema_directive import Location
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from runwire import clock
from runwire.api.rows import describe_enum, result
from runwire.api.user_errors import MESSAGE, UserError
from runwire.errors import ForbiddenError


class Permission(Enum):
    """A thing that a principal may be allowed to do."""

    READ = "READ"
    READ_CONFIGURATION = "READ_CONFIGURATION"
    SUBMIT_RUNS = "SUBMIT_RUNS"
    TERMINATE_RUNS = "TERMINATE_RUNS"
    DELETE_RUNS = "DELETE_RUNS"
    TAG_RUNS = "TAG_RUNS"
    REPORT_EVENTS = "REPORT_EVENTS"
    OPERATE_SCHEDULES = "OPERATE_SCHEDULES"
    OPERATE_SENSORS = "OPERATE_SENSORS"
    EVALUATE_TICKS = "EVALUATE_TICKS"
    RELOAD_CODE_LOCATIONS = "RELOAD_CODE_LOCATIONS"
    SET_POOL_LIMITS = "SET_POOL_LIMITS"
    OPERATE_WEBHOOKS = "OPERATE_WEBHOOKS"


describe_enum(
    Permission,
    "A thing that a principal may be allowed to do.",
    {
        "READ": "Read everything that no other permission guards.",
        "READ_CONFIGURATION": "Read the effective configuration of the instance, without its secrets.",
        "SUBMIT_RUNS": "Create, submit, launch, resume and re-execute runs; create and resume backfills.",
        "TERMINATE_RUNS": "Terminate runs, and cancel backfills.",
        "DELETE_RUNS": "Delete runs.",
        "TAG_RUNS": "Add tags to runs.",
        "REPORT_EVENTS": "Report events into MANAGED runs.",
        "OPERATE_SCHEDULES": "Start and stop schedules.",
        "OPERATE_SENSORS": "Start and stop sensors and set their cursors.",
        "EVALUATE_TICKS": "Evaluate schedules and sensors without effect.",
        "RELOAD_CODE_LOCATIONS": "Reload code locations.",
        "SET_POOL_LIMITS": "Set and delete the limits of concurrency pools.",
        "OPERATE_WEBHOOKS": "Pause and resume webhooks, and send again what was given up.",
    },
)


class Role(Enum):
    """A bundle of permissions."""

    VIEWER = "VIEWER"
    OPERATOR = "OPERATOR"
    ADMIN = "ADMIN"


describe_enum(
    Role,
    "A bundle of permissions.",
    {
        "VIEWER": "May read.",
        "OPERATOR": "May read and operate runs, pools, schedules, sensors, webhooks and code locations.",
        "ADMIN": "May do everything, deletion and reading the configuration included.",
    },
)

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.OPERATOR: frozenset(Permission) - {Permission.READ_CONFIGURATION, Permission.DELETE_RUNS},
    Role.ADMIN: frozenset(Permission),
}
"""What each role may do."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        name: its name, as a token or an identity provider gives it.
        authenticated: whether credentials were presented.
        role: what it may do.
        expires_at: when its credentials end, in seconds since the epoch; None when they do not.
        issuer: who names it so; None for the configuration of this server.
    """

    name: str
    authenticated: bool
    role: Role = Role.ADMIN
    expires_at: float | None = None
    issuer: str | None = None

    @property
    def permissions(self) -> list[Permission]:
        """What it may do, in the order of the permissions."""
        return [each for each in Permission if self.may(each)]

    @property
    def seconds_left(self) -> float | None:
        """How long its credentials are good for; None for ever."""
        return None if self.expires_at is None else self.expires_at - clock.timestamp()

    def may(self, permission: Permission) -> bool:
        """Whether it may do something."""
        return permission in PERMISSIONS[self.role]


@result("The principal may not do it.")
class Forbidden(UserError):
    """The refusal of what a principal may not do."""

    message: str = strawberry.field(description=MESSAGE)
    permission: Permission = strawberry.field(description="The permission that it lacks.")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description="The permission without which the field is refused. Every root field but `Query.viewer` carries"
    " it; other fields only where they ask for more than READ.",
)
class RequiresPermission:
    """The permission that a field demands."""

    permission: Permission = strawberry.directive_field(name="permission")


def declare_permissions(
    query: type, mutation: type, subscription: type, free: frozenset[str]
) -> None:
    """Has each root field demand something.

    Args:
        query: the root type of queries.
        mutation: that of mutations.
        subscription: that of subscriptions.
        free: the root fields of queries, by Python name, that demand nothing.

    Raises:
        TypeError: a mutation does not say what it demands.
    """
    for root in (query, mutation, subscription):
        for field in _fields(root):
            if field.python_name in free or required_permission(field) is not None:
                continue
            if root is mutation:
                raise TypeError(
                    f"the mutation {field.python_name} does not say which permission it demands"
                )
            field.directives = [*field.directives, RequiresPermission(permission=Permission.READ)]


def guard(schema: GraphQLSchema) -> None:
    """Has every field of a schema that demands a permission refuse who lacks it.

    A field whose type is a union with `Forbidden` answers that; any other raises ForbiddenError.
    """
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType):
            for field in kind.fields.values():
                declared = field.extensions.get("strawberry-definition")
                permission = (
                    required_permission(declared) if isinstance(declared, StrawberryField) else None
                )
                if permission is not None:
                    _guard_field(field, permission)


def _guard_field(field: GraphQLField, permission: Permission) -> None:
    kind = get_named_type(field.type)
    is_told = isinstance(kind, GraphQLUnionType) and any(
        member.name == Forbidden.__name__ for member in kind.types
    )
    if field.subscribe is not None:
        field.subscribe = _guarded_stream(field.subscribe, permission, is_told)
    elif field.resolve is not None:
        field.resolve = _guarded(field.resolve, permission, is_told)


def _guarded(resolve: Callable[..., Any], permission: Permission, is_told: bool) -> Any:
    def guarded(source: Any, info: Any, **arguments: Any) -> Any:
        if info.context.viewer.may(permission):
            return resolve(source, info, **arguments)
        return _refuse(permission, is_told)

    return guarded


def _guarded_stream(subscribe: Callable[..., Any], permission: Permission, is_told: bool) -> Any:
    def guarded(source: Any, info: Any, **arguments: Any) -> Any:
        if info.context.viewer.may(permission):
            return subscribe(source, info, **arguments)
        return _one(_refuse(permission, is_told))

    return guarded


def _refuse(permission: Permission, is_told: bool) -> Forbidden:
    error = ForbiddenError(permission.name)
    if not is_told:
        raise error
    return Forbidden(message=str(error), permission=permission)


async def _one(message: Forbidden) -> AsyncIterator[Forbidden]:
    yield message


def _fields(root: type) -> list[StrawberryField]:
    definition: StrawberryObjectDefinition = root.__strawberry_definition__  # type: ignore[attr-defined]
    return definition.fields


def required_permission(field: StrawberryField) -> Permission | None:
    """What a field demands of who asks for it; None for nothing."""
    for directive in field.directives:
        if isinstance(directive, RequiresPermission):
            return directive.permission
    return None
