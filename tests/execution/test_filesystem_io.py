"""Outputs in files: complete or not there, wherever their names lead."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runwire.errors import InputLoadError, OutputHandleError
from runwire.events.metadata import MetadataEntry, TextMetadata
from runwire.execution import FilesystemIOManager, InputContext, OutputContext
from runwire.execution.user_log import UserLog
from runwire.instance import LocalArtifactStorage
from runwire.instance.output_files import file_name
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import launched_run, run_log


@pytest.fixture
def log() -> Iterator[UserLog]:
    storage = MemoryStorage()
    log, writer = run_log(storage, launched_run(storage))
    with writer:
        yield UserLog(log)
    storage.dispose()


def output(log: UserLog, step_key: str = "load", output_name: str = "rows") -> OutputContext:
    return OutputContext(
        run_id="r",
        job_name="etl",
        step_key=step_key,
        op_name="load",
        output_name=output_name,
        type_name="Any",
        log=log,
        epoch=1,
    )


def input_of(log: UserLog, step_key: str = "load", output_name: str = "rows") -> InputContext:
    return InputContext(
        run_id="r",
        job_name="etl",
        step_key="clean",
        op_name="clean",
        input_name="raw",
        type_name="Any",
        upstream_run_id="r",
        upstream_step_key=step_key,
        upstream_output_name=output_name,
        log=log,
        upstream_epoch=1,
    )


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("value", [None, 3, [1, "a"], {"a": {1, 2}}, float("inf"), "\udc80"])
def test_what_was_stored_is_loaded(tmp_path: Path, log: UserLog, value: Any) -> None:
    manager = FilesystemIOManager(tmp_path / "storage")
    stored = output(log)
    manager.handle_output(stored, value)
    assert manager.load_input(input_of(log)) == value
    path = tmp_path / "storage" / "r" / "outputs" / "load,rows.1"
    assert files(tmp_path) == ["storage/r/outputs/load,rows.1"]
    assert stored.metadata == [MetadataEntry("path", TextMetadata(str(path), "PATH"))]


def test_a_value_is_synced_and_renamed_into_place_and_every_folder_on_the_way_synced(
    tmp_path: Path, log: UserLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = FilesystemIOManager(tmp_path)
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(f"sync {target.name}" if target.is_dir() else "sync file")
        sync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        steps.append(f"rename to {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    manager.handle_output(output(log), 1)
    assert steps == [
        "sync file",
        "rename to load,rows.1",
        "sync outputs",
        "sync r",
        f"sync {tmp_path.name}",
    ]


def test_what_cannot_be_pickled_names_op_output_and_type_and_leaves_nothing(
    tmp_path: Path, log: UserLog
) -> None:
    manager = FilesystemIOManager(tmp_path)
    with pytest.raises(OutputHandleError) as raised:
        manager.handle_output(output(log), threading.Lock())
    assert str(raised.value) == (
        "output 'rows' of op 'load' is a lock, which cannot be pickled: cannot pickle"
        " '_thread.lock' object; give data that pickle takes, and make connections, locks and the"
        " like a resource"
    )
    assert isinstance(raised.value.user_exception, TypeError)
    assert files(tmp_path) == []


def test_a_failure_leaves_the_old_value_and_no_part_of_the_new_one(
    tmp_path: Path, log: UserLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = FilesystemIOManager(tmp_path)
    manager.handle_output(output(log), "old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pickle, "dump", full)
    with pytest.raises(OSError, match="No space left"):
        manager.handle_output(output(log), "new")
    assert manager.load_input(input_of(log)) == "old"
    assert files(tmp_path) == ["r/outputs/load,rows.1"]


def test_what_is_not_stored_is_told_with_its_names(tmp_path: Path, log: UserLog) -> None:
    with pytest.raises(InputLoadError) as raised:
        FilesystemIOManager(tmp_path).load_input(input_of(log))
    path = tmp_path / "r" / "outputs" / "load,rows.1"
    assert str(raised.value) == (
        f"input 'raw' of step 'clean': output 'rows' of step 'load' is not stored at {path}; was it"
        " deleted?"
    )


def test_what_one_epoch_stored_another_does_not_overwrite(tmp_path: Path, log: UserLog) -> None:
    """Also not a worker that was paused before its successor began."""
    manager = FilesystemIOManager(tmp_path)
    manager.handle_output(replace(output(log), epoch=2), "new")
    manager.handle_output(output(log), "old")
    assert manager.load_input(replace(input_of(log), upstream_epoch=2)) == "new"
    assert files(tmp_path) == ["r/outputs/load,rows.1", "r/outputs/load,rows.2"]


def leave_parts(tmp_path: Path, *names: str) -> Path:
    """Leaves what was half written, and what is not ours; returns their folder."""
    folder = tmp_path / "r" / "outputs"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"half")
    return folder


def test_what_a_former_worker_left_half_written_is_removed(tmp_path: Path, log: UserLog) -> None:
    others = [".load,rows.3.part", ".load,rows.part", ".load,sums.1.part", ".loader,rows.1.part"]
    folder = leave_parts(tmp_path, ".load,rows.1.part", ".load,rows.2.part", *others)
    FilesystemIOManager(tmp_path).handle_output(replace(output(log), epoch=2), "new")
    assert files(folder) == [*others, "load,rows.2"]


def test_what_a_failed_step_left_half_written_is_removed_with_that_of_former_workers(
    tmp_path: Path, log: UserLog
) -> None:
    manager = FilesystemIOManager(tmp_path)
    manager.clear_away("r", "load", 2)
    assert files(tmp_path) == []
    others = [".load,rows.10.part", ".load,rows.part", ".loader,rows.1.part"]
    folder = leave_parts(tmp_path, ".load,rows.1.part", ".load,sums.2.part", *others)
    manager.handle_output(output(log, "loader"), "kept")
    (folder / ".loader,rows.1.part").touch()
    manager.clear_away("r", "load", 2)
    assert files(folder) == [*others, "loader,rows.1"]


ODD_NAMES = [
    "",
    ".",
    "..",
    "...",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a%2Fb",
    "a b[1]",
    ".hidden",
    "%",
    "%2E",
    "nul\x00",
    "sur\udc80rogate",
    "größe",
    "x" * 500,
    "x" * 501,
]


def test_odd_names_stay_below_the_folder_and_apart(tmp_path: Path, log: UserLog) -> None:
    manager = FilesystemIOManager(tmp_path / "storage")
    for name in ODD_NAMES:
        manager.handle_output(output(log, name, name), name)
    for name in ODD_NAMES:
        assert manager.load_input(input_of(log, name, name)) == name
    stored = files(tmp_path)
    assert len(stored) == len(ODD_NAMES)
    assert all(path.startswith("storage/r/outputs/") and path.count("/") == 3 for path in stored)


def test_outputs_are_in_the_folder_of_their_run_however_long_its_id_is(
    tmp_path: Path, log: UserLog
) -> None:
    run_id = "r" * 128  # the longest that there is
    stored = replace(output(log), run_id=run_id)
    FilesystemIOManager(LocalArtifactStorage(tmp_path).storage_dir).handle_output(stored, 1)
    folder = LocalArtifactStorage(tmp_path).run_dir(run_id)
    assert files(folder) == ["outputs/load,rows.1"]


def test_usual_names_are_kept_as_they_are() -> None:
    assert [file_name(name) for name in ("load", "load_2", "A-1.b")] == ["load", "load_2", "A-1.b"]
