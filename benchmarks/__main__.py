"""Runs the benchmarks that are named, or all, and prints the table: ``python -m benchmarks storage``."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sqlite3

from benchmarks.table import Row, render

MODULES = ("storage", "scale", "streams", "idle", "server", "denial", "launch", "queue", "ticks")
"""The modules of this package that have a function `run`, which returns rows."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(MODULES))
    chosen = parser.parse_args().modules or MODULES
    unknown = sorted(set(chosen) - set(MODULES))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(MODULES)}")
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" {os.cpu_count()} processors, {platform.system()} {platform.machine()}"
    )
    rows: list[Row] = []
    for name in chosen:
        print(f"running {name} …", flush=True)
        rows += importlib.import_module(f"benchmarks.{name}").run()
    print(render(rows))


if __name__ == "__main__":
    main()
