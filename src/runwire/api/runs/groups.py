"""Runs that re-execute others: where they come from, and the group that they make."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, NamedTuple

import strawberry
from strawberry import ID, UNSET
from strawberry.dataloader import DataLoader

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.loaders import RunRecords
from runwire.api.nodes import Node, global_id
from runwire.api.paging import Window
from runwire.api.rows import field, given, later, resolved, view
from runwire.api.runs.page_reads import (
    DEFAULT_RUNS,
    MAX_RUNS,
    RunPage,
    RunPages,
    read_with_head,
)
from runwire.api.selections import selects
from runwire.runs.filters import OLDEST_FIRST, RunsFilter
from runwire.runs.run import RunRecord


def read_parent(record: RunRecord, context: ApiContext) -> Awaitable[RunRecord | None] | None:
    """The run that a run re-executes."""
    parent = record.run.parent_run_id
    return None if parent is None else context.loader(RunRecords).find(parent)


def read_root(record: RunRecord, context: ApiContext) -> RunRecord | Awaitable[RunRecord | None]:
    """The first run of the group of a run."""
    root = record.run.root_run_id
    return record if root is None else context.loader(RunRecords).find(root)


class GroupRow(NamedTuple):
    """The group of a root, which may be deleted."""

    root_run_id: str


class _PageKey(NamedTuple):
    root_run_id: str
    window: Window
    with_head: bool


class GroupPages:
    """Pages of the runs of groups, of which a list of runs may show the same again and again."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[_PageKey, RunPage] = DataLoader(load_fn=self._load_all)

    async def load(self, group: GroupRow, window: Window, *, with_head: bool) -> RunPage:
        """A page of the runs of a group, oldest first; raises as `RunPages.read`."""
        return await self._loader.load(_PageKey(group.root_run_id, window, with_head))

    async def _load_all(self, keys: list[_PageKey]) -> list[RunPage | BaseException]:
        return await self._context.lanes.read(lambda: [self._read(key) for key in keys])

    def _read(self, key: _PageKey) -> RunPage | BaseException:
        storage = self._context.instance.storage
        wanted = RunsFilter(root_run_id=key.root_run_id)
        pages = RunPages(storage.run_storage, wanted, OLDEST_FIRST)
        try:
            if key.with_head:
                return read_with_head(storage, pages, key.window)
            return pages.read(key.window)
        except Exception as error:  # noqa: BLE001 -- of this page alone; others may have another cursor
            return error


async def _runs(
    root: strawberry.Parent[GroupRow],
    info: ApiInfo,
    first: Annotated[int | None, strawberry.argument(description="How many runs.")] = DEFAULT_RUNS,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the run before the first one wanted."),
    ] = UNSET,
) -> RunPage:
    window = Window.of(first, given(after), None, None, default=DEFAULT_RUNS, maximum=MAX_RUNS)
    with_head = selects(info, "headCursor")
    return await info.context.loader(GroupPages).load(root, window, with_head=with_head)


@view(GroupRow, "The runs that descend from one root by re-execution.")
class RunGroup(Node):
    """The runs that descend from one root by re-execution."""

    id: ID = field(
        "The global id of the group.", lambda group: global_id("RunGroup", group.root_run_id)
    )
    root_run_id: ID = field("The id of its root run, which may be deleted.")
    runs: object = resolved(
        _runs,
        "Its runs, oldest first.",
        type=later("RunConnection", "runwire.api.runs.pages"),
    )
