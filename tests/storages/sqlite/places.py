"""Where things are below a base folder, and connections past the storage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from runwire.runs.run import RunRecord


def runs_path(base_dir: Path) -> Path:
    return base_dir / "history" / "runs.db"


def log_path(base_dir: Path, run: RunRecord) -> Path:
    folder = base_dir / "history" / "events" / run.log_id[:2]
    return folder / f"{run.run_id}.{run.log_id}.db"


def files_below(base_dir: Path) -> list[str]:
    """All files but the ones that SQLite keeps beside an open database."""
    paths = (path for path in base_dir.rglob("*") if path.is_file())
    names = (str(path.relative_to(base_dir)) for path in paths)
    return sorted(name for name in names if not name.endswith(("-wal", "-shm")))


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection in autocommit mode."""
    assert path.exists()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def change(path: Path, statement: str, *parameters: Any) -> None:
    """Changes a database behind the storage's back."""
    with opened(path) as connection:
        assert connection.execute(statement, parameters).rowcount == 1
