"""The runs that ticks requested, read for many ticks at once."""

from __future__ import annotations

from typing import NamedTuple

from strawberry.dataloader import DataLoader

from runwire.api.context import ApiContext
from runwire.api.paging import Window
from runwire.api.runs.page_reads import RunPage, RunPages, read_with_head
from runwire.runs.filters import OLDEST_FIRST, RunsFilter


class TickRunsKey(NamedTuple):
    """Names a page of the runs with some ids."""

    run_ids: tuple[str, ...]
    window: Window
    with_head: bool

    @property
    def filter(self) -> RunsFilter:
        """Which runs."""
        return RunsFilter(run_ids=frozenset(self.run_ids))

    @property
    def is_whole(self) -> bool:
        """Whether one page holds all of them."""
        fits = len(self.run_ids) <= self.window.limit
        return fits and self.window.after is None and not self.with_head


class TickRuns:
    """Pages of the runs of ticks, oldest first."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[TickRunsKey, RunPage] = DataLoader(load_fn=self._load_all)

    async def load(self, key: TickRunsKey) -> RunPage:
        """A page; raises as `RunPages.read`."""
        return await self._loader.load(key)

    async def _load_all(self, keys: list[TickRunsKey]) -> list[RunPage | BaseException]:
        return await self._context.lanes.read(self._read_all, keys)

    def _read_all(self, keys: list[TickRunsKey]) -> list[RunPage | BaseException]:
        whole = self._read_whole([key for key in keys if key.is_whole])
        return [whole[key] if key in whole else self._read_page(key) for key in keys]

    def _read_whole(self, keys: list[TickRunsKey]) -> dict[TickRunsKey, RunPage]:
        """The pages that hold all runs of a tick, by one statement."""
        run_ids = frozenset(run_id for key in keys for run_id in key.run_ids)
        page = self._context.run_storage.get_run_records(
            RunsFilter(run_ids=run_ids), order=OLDEST_FIRST, limit=max(1, len(run_ids))
        )
        found: dict[TickRunsKey, RunPage] = {}
        for key in keys:
            wanted = frozenset(key.run_ids)
            records = [record for record in page.records if record.run_id in wanted]
            total = len(records)
            found[key] = RunPage(key.filter, OLDEST_FIRST, records, False, False, total=total)
        return found

    def _read_page(self, key: TickRunsKey) -> RunPage | BaseException:
        storage = self._context.instance.storage
        pages = RunPages(storage.run_storage, key.filter, OLDEST_FIRST)
        try:
            if key.with_head:
                return read_with_head(storage, pages, key.window)
            return pages.read(key.window)
        except Exception as error:  # noqa: BLE001 -- of this page alone; others may have another cursor
            return error
