"""``python -m runwire.storages.migrations BASE_DIR``: migrates the SQLite databases below a folder."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from pathlib import Path

from runwire.errors import SchemaRevisionError
from runwire.storages.migrations import MIGRATE_COMMAND
from runwire.storages.migrations.upgrading import upgrade_base_dir


def main(arguments: list[str] | None = None) -> int:
    """Migrates; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=MIGRATE_COMMAND,
        description="Brings the SQLite databases of an instance to the schema of this version."
        " Stop every process that uses them first, and make a copy.",
    )
    parser.add_argument(
        "base_dir", type=Path, help="the storage's base_dir, which has history/runs.db"
    )
    base_dir = parser.parse_args(arguments).base_dir
    try:
        upgraded = upgrade_base_dir(base_dir)
    except FileNotFoundError as error:
        sys.stderr.write(f"{error} is not there; name the base_dir of the storage\n")
        return 2
    except SchemaRevisionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except sqlite3.Error as error:
        sys.stderr.write(f"a database below {base_dir} could not be migrated: {error}\n")
        return 1
    for path in upgraded:
        sys.stdout.write(f"{path}: migrated\n")
    if not upgraded:
        sys.stdout.write(f"every database below {base_dir} is of this version already\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
