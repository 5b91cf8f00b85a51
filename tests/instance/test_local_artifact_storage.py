"""What a run stored is deleted whole, though a worker that dies may make one more file."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from runwire.instance import LocalArtifactStorage, local_artifact_storage


@pytest.fixture
def files(tmp_path: Path) -> LocalArtifactStorage:
    made = LocalArtifactStorage(tmp_path)
    (made.run_dir("r1") / "outputs").mkdir(parents=True)
    (made.run_dir("r1") / "outputs" / "load,result.1").write_text("1")
    (made.run_dir("r10")).mkdir()
    return made


def test_the_folder_of_a_run_is_deleted_and_no_other(files: LocalArtifactStorage) -> None:
    assert files.has_run_files("r1")
    files.delete_run_files("r1")
    assert [files.has_run_files(run_id) for run_id in ("r1", "r10")] == [False, True]
    files.delete_run_files("r1")


def test_a_file_that_is_made_meanwhile_is_deleted_as_well(
    files: LocalArtifactStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rmtree, calls = shutil.rmtree, []

    def rmtree_while_a_worker_writes(folder: Path, **kwargs: Any) -> None:
        calls.append(folder)
        rmtree(folder, **kwargs)
        if len(calls) < 3:
            (folder / "outputs").mkdir(parents=True)

    monkeypatch.setattr(shutil, "rmtree", rmtree_while_a_worker_writes)
    files.delete_run_files("r1")
    assert (len(calls), files.has_run_files("r1")) == (3, False)


def test_what_cannot_be_deleted_is_told(
    files: LocalArtifactStorage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    monkeypatch.setattr(local_artifact_storage, "DELETE_PAUSE_SECONDS", 0)
    with caplog.at_level(logging.WARNING):
        files.delete_run_files("r1")
    assert f"{files.run_dir('r1')} cannot be deleted" in caplog.text
