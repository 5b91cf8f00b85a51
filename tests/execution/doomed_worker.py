"""A worker that dies, or cannot store what its step gives: executes the run ``r`` of the job `doomed`.

Started as a program with a folder, which has the storage and what is noted there. The file ``order`` in it
tells the step ``two`` what to do, once.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

from runwire.definitions import OpContext, job, op
from runwire.execution import Interrupts, execute_run
from runwire.executors import InProcessExecutor
from runwire.runs.status import RunStatus
from runwire.storages.sqlite import SqliteStorage

LARGE = 4 * 1024 * 1024
LIMIT = 2 * 1024 * 1024
EXIT_CODE = 3


class Deadly:
    """Ends the process when it is pickled."""

    def __reduce__(self) -> str:
        os._exit(EXIT_CODE)


def _note(context: OpContext) -> Path:
    folder = Path(context.run_tags["folder"])
    with (folder / "ran").open("a") as ran:
        ran.write(f"{context.step_key}\n")
    return folder


def _take_order(folder: Path) -> str:
    file = folder / "order"
    order = file.read_text() if file.exists() else ""
    file.unlink(missing_ok=True)
    return order


@op
def one(context: OpContext) -> int:
    _note(context)
    return 1


@op
def two(context: OpContext, number: int) -> Any:
    match _take_order(_note(context)):
        case "exit":
            os._exit(EXIT_CODE)
        case "exit while it is stored":
            return bytes(LARGE), Deadly()
        case "exceed what may be written":
            resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
            return bytes(LARGE)
        case _:
            return number + 1


@op
def three(context: OpContext, number: Any) -> int:
    _note(context)
    return int(number) + 1


@job
def doomed() -> None:
    three(two(one()))


def work(folder: Path) -> RunStatus:
    """Executes the run with the epoch that it has."""
    storage = SqliteStorage(folder)
    try:
        record = storage.get_run_record("r")
        return execute_run(
            doomed,
            record,
            storage,
            epoch=record.worker_epoch,
            executor=InProcessExecutor(),
            io_base_dir=folder / "outputs",
            interrupts=Interrupts(),
        )
    finally:
        storage.dispose()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
