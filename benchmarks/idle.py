"""What subscribers cost to whom nothing happens: the server's memory for each of them."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import tempfile
from pathlib import Path

from benchmarks.listeners import Tally, listen, subscribing
from benchmarks.programs import served
from benchmarks.streams import FULL, SUBPROTOCOL
from benchmarks.table import Row
from runwire import clock
from runwire.documents import load_document
from runwire.instance import Instance
from runwire.runs import Run

SUBSCRIBERS = 5_000 if FULL else 500
RUNS = 100
WARMING = 50
"""Those that come first, with whom the server imports and caches what it needs; they do not count."""
SETTLING_SECONDS = 2.0
AIM_KIBIBYTES = 60.0


def run() -> list[Row]:
    """Measures one server on SQLite."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        home = Path(folder)
        most = SUBSCRIBERS + WARMING
        limits = {
            "connections": most,
            "connections_per_caller": most,
            "subscriptions_per_caller": most,
        }
        (home / "runwire.yaml").write_text(json.dumps({"server": {"limits": limits}}))
        with served(home) as (process, endpoint):
            kibibytes = asyncio.run(_memory(process.pid, endpoint, _make_runs(home)))
    return [
        Row(
            name=f"memory of the server for each of {SUBSCRIBERS:,} idle subscribers of {RUNS} runs",
            measured=kibibytes,
            unit="KiB",
            aim=f"at most {AIM_KIBIBYTES:g} KiB",
            met=kibibytes <= AIM_KIBIBYTES,
        )
    ]


def _make_runs(home: Path) -> list[str]:
    with Instance.from_home(home) as instance:
        runs = [Run(job_name="bench", managed=True) for _ in range(RUNS)]
        for each in runs:
            instance.storage.run_storage.add_run(each, created_at=clock.timestamp())
    return [each.run_id for each in runs]


async def _memory(pid: int, endpoint: str, run_ids: list[str]) -> float:
    """KiB of a subscriber."""
    tally = Tally(1, lambda _: [])
    says = [
        subscribing(load_document("FollowRun"), "FollowRun", runId=run_ids[n % RUNS])
        for n in range(WARMING + SUBSCRIBERS)
    ]
    # The acknowledgement, and the first, empty batch.
    listeners = await listen(endpoint, SUBPROTOCOL, says[:WARMING], 2, tally)
    await asyncio.sleep(SETTLING_SECONDS)
    before = resident_kibibytes(pid)
    listeners += await listen(endpoint, SUBPROTOCOL, says[WARMING:], 2, tally)
    await asyncio.sleep(SETTLING_SECONDS)
    after = resident_kibibytes(pid)
    for each in listeners:
        each.close()
    return (after - before) / SUBSCRIBERS


def resident_kibibytes(pid: int) -> int:
    """The resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    resident = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert resident is not None
    return int(resident[1])
