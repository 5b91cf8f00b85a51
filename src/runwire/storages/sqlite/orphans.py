"""Logs, and drafts of logs, that a crash left behind in the folder of the shards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from runwire.runs.filters import RunsFilter
from runwire.storage.run_storage import RunStorage
from runwire.storages.sqlite.errors import translated_files

CHUNK = 100
"""How many logs are compared with their runs at a time."""

_COMPANIONS = r"(-wal|-shm|-journal)?"
_LOG = re.compile(rf"(?P<run_id>[^/]+)\.(?P<log_id>[0-9a-f]{{32}})\.db{_COMPANIONS}")
_DRAFT = re.compile(rf"\..+\.db\.[0-9a-f]{{32}}{_COMPANIONS}")


def sweep_orphans(
    folder: Path, runs: RunStorage, delete_log: Callable[[str, str], None], before: float
) -> Iterator[int]:
    """Deletes what nobody has changed since an instant and no run owns.

    Args:
        folder: has the folders of logs.
        runs: the runs.
        delete_log: deletes the log of a run id and a log id.
        before: the instant, in epoch seconds, by the clock of the file system.

    Yields:
        After each little bit of work, how many files or logs it deleted.
    """
    for place in (folder.parent, *_folders(folder)):
        logs: set[tuple[str, str]] = set()
        drafts = 0
        for path in _stale_files(place, before):
            if _DRAFT.fullmatch(path.name):
                with translated_files(path):
                    path.unlink(missing_ok=True)
                drafts += 1
            elif place != folder.parent and (log := _LOG.fullmatch(path.name)):
                logs.add((log["run_id"], log["log_id"]))
        yield drafts
        rest = iter(sorted(logs))
        while chunk := set(islice(rest, CHUNK)):
            orphans = chunk - _owned(runs, chunk)
            for run_id, log_id in orphans:
                delete_log(run_id, log_id)
            yield len(orphans)


def _folders(folder: Path) -> list[Path]:
    with translated_files(folder):
        return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _stale_files(folder: Path, before: float) -> list[Path]:
    """The files that were changed before an instant last. One that goes meanwhile is none of them."""
    stale = []
    with translated_files(folder):
        for path in folder.iterdir():
            try:
                if path.stat().st_mtime < before and path.is_file():
                    stale.append(path)
            except FileNotFoundError:
                continue
    return stale


def _owned(runs: RunStorage, logs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    wanted = RunsFilter(run_ids=frozenset(run_id for run_id, _ in logs))
    page = runs.get_run_records(wanted, limit=len(logs))
    return {(record.run_id, record.log_id) for record in page.records}
