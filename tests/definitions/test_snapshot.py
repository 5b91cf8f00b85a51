"""Snapshots: definitions as data, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from runwire import In, Out, job, op
from runwire.snapshots import (
    InputSnapshot,
    JobSnapshot,
    OpNodeSnapshot,
    OutputSnapshot,
    encode_snapshot,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "clock_changes.py"

PRINT_SNAPSHOTS = """
import sys
from runwire.definitions import load_file
from runwire.snapshots import encode_snapshot
for path in sys.argv[1:]:
    for repository in load_file(path):
        for job in repository.snapshot().jobs:
            print(*encode_snapshot(job))
"""

SETS = """
from pydantic import BaseModel
from runwire import job, op

class Inner(BaseModel):
    names: set[str] = {"ab", "cd", "ef", "gh"}

class Config(BaseModel):
    inner: Inner = Inner()
    letters: frozenset[str] = frozenset("abcdefgh")

@op
def load(config: Config, rest: set[str] = {"x", "y", "z"}): ...

@job
def etl():
    load()
"""


@op(out={"even": Out(list[int], "The even ones."), "odd": Out(is_required=False)})
def split(rows: list[int]) -> None:
    """Splits."""


@op(ins={"parts": In("The parts.")}, tags={"kind": "sum"})
def merge(parts: list[list[int]], more: int | None = None) -> int:
    return more or 0


@job(description="Splits and merges.", tags={"team": "sales"})
def etl() -> None:
    parts = split()
    merge.alias("both").tag({"a": "b"})([parts.odd, parts.even])


def test_a_job_as_data() -> None:
    assert etl.snapshot() == JobSnapshot(
        name="etl",
        description="Splits and merges.",
        tags={"team": "sales"},
        graph=(
            OpNodeSnapshot(
                handle="split",
                op_name="split",
                inputs=(InputSnapshot("rows", "list[int]"),),
                outputs=(
                    OutputSnapshot("even", "list[int]", description="The even ones."),
                    OutputSnapshot("odd", "Any", required=False),
                ),
                description="Splits.",
            ),
            OpNodeSnapshot(
                handle="both",
                op_name="merge",
                inputs=(
                    InputSnapshot(
                        "parts",
                        "list[list[int]]",
                        (("split", "odd"), ("split", "even")),
                        "The parts.",
                    ),
                    InputSnapshot("more", "int | None"),
                ),
                outputs=(OutputSnapshot("result", "int"),),
                tags={"kind": "sum", "a": "b"},
            ),
        ),
        plan=etl.plan(),
        run_config_schema=etl.run_config_schema(),
        default_run_config={
            "ops": {"split": {"inputs": {"rows": None}}, "both": {"inputs": {"more": None}}},
            "resources": {},
        },
    )


def test_a_snapshot_reads_back_from_json() -> None:
    snapshot_id, body = encode_snapshot(etl.snapshot())
    again = msgspec.json.decode(body, type=JobSnapshot)
    assert again == etl.snapshot()
    assert encode_snapshot(again) == (snapshot_id, body)


def test_snapshots_are_the_same_in_every_process(tmp_path: Path) -> None:
    sets = tmp_path / "sets.py"
    sets.write_text(SETS)

    def snapshots(hash_seed: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-c", PRINT_SNAPSHOTS, str(sets), str(EXAMPLE)],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        )
        return done.stdout

    first = snapshots("1")
    assert first.count(b"\n") == 3
    assert snapshots("2") == snapshots("3") == first


def test_a_snapshot_tells_nothing_of_the_machine(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINT_SNAPSHOTS, str(EXAMPLE)], capture_output=True, check=True
    )
    assert str(EXAMPLE.parent).encode() not in done.stdout
