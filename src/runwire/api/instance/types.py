"""The instance that answers and the principal that asks."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, NamedTuple

import strawberry
from strawberry import ID, UNSET

from runwire import __version__
from runwire.api.access import Permission, Principal, RequiresPermission, Role
from runwire.api.context import ApiInfo
from runwire.api.instance.daemons import DaemonStatus, read_daemons
from runwire.api.nodes import Node, global_id
from runwire.api.paging import check_limit
from runwire.api.rows import describe_enum, field, given, later, resolved, view
from runwire.api.runs.queue_states import read_queue
from runwire.api.scalars import JSON, DateTime
from runwire.api.user_errors import check_text
from runwire.api.webhooks.reads import read_webhooks
from runwire.api.webhooks.types import Webhook
from runwire.config import ConfigurableClass, ConfigurableClassData
from runwire.daemons.status import DaemonStatus as DaemonRow
from runwire.instance import Instance as InstanceRow
from runwire.storage import InstanceStorage

DEFAULT_TAGS = 20
MAX_TAGS = 100


@view(
    Principal,
    "The principal that asks: a token's holder, a signed-in person, or anyone on loopback.",
)
class Viewer(Node):
    """The principal that asks."""

    id: ID = field(
        "The global id of the principal.", lambda viewer: global_id("Viewer", viewer.name)
    )
    name: str = field("The name of the principal, as tokens or the identity provider give it.")
    authenticated: bool = field(
        "Whether credentials were presented; false for loopback without auth."
    )
    role: Role = field("The role of the principal.")
    permissions: list[Permission] = field("What the principal may do.")
    expires_at: DateTime | None = field(
        "When its credentials end, and with them its open streams; null when they do not."
    )


@view(ConfigurableClassData, "A pluggable part of the instance, as `runwire.yaml` names it.")
class Component:
    """A pluggable part of the instance."""

    module: str = field("The Python module of its class.", lambda data: data.module_name)
    class_name: str = field("The name of its class.")
    config: JSON | None = field(
        "Its effective configuration with secrets redacted; null, with a FORBIDDEN error, without"
        " READ_CONFIGURATION.",
        lambda data: data.info_dict()["config"],
        directives=[RequiresPermission(permission=Permission.READ_CONFIGURATION)],
    )


def component_of(part: ConfigurableClass) -> ConfigurableClassData:
    """What names a part of the instance."""
    if part.inst_data is not None:
        return part.inst_data
    return ConfigurableClassData(type(part).__module__, type(part).__qualname__)


class StorageKind(Enum):
    """What a storage keeps."""

    RUNS = "RUNS"
    EVENT_LOG = "EVENT_LOG"
    SCHEDULES = "SCHEDULES"


describe_enum(
    StorageKind,
    "What a storage keeps.",
    {
        "RUNS": "Runs, tags, snapshots and heartbeats.",
        "EVENT_LOG": "Event logs and assets.",
        "SCHEDULES": "Schedules, sensors and ticks.",
    },
)


class StorageRow(NamedTuple):
    """A storage and the revisions of its schema."""

    kind: StorageKind
    component: ConfigurableClassData
    schema_revision: str | None
    head_revision: str | None


@view(StorageRow, "A storage of the instance and the state of its schema.")
class StorageStatus:
    """A storage of the instance and the state of its schema."""

    kind: StorageKind = field("What the storage keeps.")
    component: Component = field("The component that keeps it.")
    schema_revision: str | None = field(
        "The schema revision that the stored data has; null for a storage without revisions."
    )
    head_revision: str | None = field(
        "The schema revision that this version of runwire writes; null for a storage without revisions."
    )


def _storage_rows(storage: InstanceStorage) -> list[StorageRow]:
    parts = {
        StorageKind.RUNS: storage.runs_part,
        StorageKind.EVENT_LOG: storage.event_logs_part,
        StorageKind.SCHEDULES: storage.schedules_part,
    }
    return [
        StorageRow(kind, component_of(part), part.schema_revision(), part.head_revision())
        for kind, part in parts.items()
    ]


async def _storages(root: strawberry.Parent[InstanceRow], info: ApiInfo) -> list[StorageRow]:
    return await info.context.lanes.read(_storage_rows, root.storage)


async def _daemons(info: ApiInfo) -> list[DaemonRow]:
    return await read_daemons(info.context)


async def _run_tag_keys(
    root: strawberry.Parent[InstanceRow],
    info: ApiInfo,
    prefix: Annotated[
        str | None, strawberry.argument(description="Only keys that begin with this text.")
    ] = UNSET,
    first: Annotated[
        int | None, strawberry.argument(description="How many keys, at most 100.")
    ] = DEFAULT_TAGS,
) -> list[str]:
    return await info.context.lanes.read(
        root.storage.run_storage.get_run_tag_keys,
        check_text(given(prefix) or "", ("prefix",)),
        check_limit("first", DEFAULT_TAGS if first is None else first, MAX_TAGS),
    )


async def _run_tag_values(
    root: strawberry.Parent[InstanceRow],
    info: ApiInfo,
    key: Annotated[str, strawberry.argument(description="The key of the tag.")],
    prefix: Annotated[
        str | None, strawberry.argument(description="Only values that begin with this text.")
    ] = UNSET,
    first: Annotated[
        int | None, strawberry.argument(description="How many values, at most 100.")
    ] = DEFAULT_TAGS,
) -> list[str]:
    return await info.context.lanes.read(
        root.storage.run_storage.get_run_tag_values,
        check_text(key, ("key",)),
        check_text(given(prefix) or "", ("prefix",)),
        check_limit("first", DEFAULT_TAGS if first is None else first, MAX_TAGS),
    )


@view(InstanceRow, "The instance: its components, storages, daemons and queue.")
class Instance(Node):
    """The instance that answers."""

    id: ID = field(
        "The global id of the instance.", lambda instance: global_id("Instance", instance.name)
    )
    name: str = field("The name of the instance, from its configuration.")
    version: str = field("The version of runwire that answers.", lambda _instance: __version__)
    configuration: JSON | None = field(
        "The effective configuration with defaults filled in and secrets redacted; null, with a FORBIDDEN"
        " error, without READ_CONFIGURATION.",
        lambda instance: instance.info_dict(),
        directives=[RequiresPermission(permission=Permission.READ_CONFIGURATION)],
    )
    run_coordinator: Component = field(
        "The component that takes submitted runs.",
        lambda instance: component_of(instance.run_coordinator),
    )
    run_launcher: Component = field(
        "The component that starts run workers.",
        lambda instance: component_of(instance.run_launcher),
    )
    scheduler: Component | None = field(
        "The component that turns schedules into ticks; null when the instance has none.",
        lambda instance: component_of(instance.scheduler),
    )
    storages: list[StorageStatus] = resolved(_storages, "The storages and their schema revisions.")
    daemons: list[DaemonStatus] = resolved(
        _daemons, "The daemons that this instance knows, required or not."
    )
    queue: object = resolved(
        read_queue,
        "The run queue; null when the run coordinator does not queue.",
        type=later("RunQueue", "runwire.api.runs.queue") | None,
    )
    webhooks: list[Webhook] = resolved(
        read_webhooks,
        "The receivers of events, in the order of the configuration.",
        type=list[Webhook],
    )
    run_tag_keys: list[str] = resolved(_run_tag_keys, "Keys of run tags in use, by name.")
    run_tag_values: list[str] = resolved(_run_tag_values, "Values of a run tag in use, by name.")
