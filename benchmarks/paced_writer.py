"""A writer of a run's log that keeps a pace, as a process of its own: it tells its slowest write in ms.

It says "ready", waits for a line on its standard input, and begins. Arguments, as one JSON list: a storage as
runwire keeps it in configuration, or the URL or file of a floor; the run's id, or the floor's kind; the number of
this writer; events a second; seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.raw_logs import RawLog, RawPostgresLog, RawSqliteLog
from benchmarks.samples import raw_row, step_success
from runwire.config import ConfigurableClassData
from runwire.storage import InstanceStorage

FIRST_LOG = 1000
"""The logs of floors are none of those that others write."""


def write_by(place: Any, run_id: str, number: int) -> Callable[[], object]:
    """What stores one durable event."""
    if isinstance(place, str):
        log = _raw_log(place, run_id, number)
        return lambda: log.insert([raw_row(step_success(run_id))], synced=True)
    storage = ConfigurableClassData.from_dict(place).rehydrate(InstanceStorage)
    known = storage.get_run_record(run_id)
    return lambda: storage.store_events(run_id, [step_success(run_id)], known=known)


def _raw_log(place: str, kind: str, number: int) -> RawLog:
    if kind == "sqlite":
        return RawSqliteLog(Path(place))
    return RawPostgresLog(place, FIRST_LOG + number)


def main() -> None:
    place, run_id, number, rate, seconds = json.loads(sys.argv[1])
    write = write_by(place, run_id, number)
    write()
    print("ready", flush=True)
    sys.stdin.readline()
    slowest, began = 0.0, time.perf_counter()
    for turn in range(round(rate * seconds)):
        time.sleep(max(0.0, began + turn / rate - time.perf_counter()))
        at = time.perf_counter()
        write()
        slowest = max(slowest, time.perf_counter() - at)
    print(1000 * slowest, flush=True)


if __name__ == "__main__":
    main()
