"""Files in a folder."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire import FileHandle, OpContext, job, local_file_manager, op
from runwire.errors import InputInvalidError
from runwire.executors import execute_in_process
from runwire.file_managers import LocalFileHandle, LocalFileManager
from runwire.instance import Instance
from runwire.testing.file_manager import FileManagerConformance, Files, Lose


class TestLocalFileManager(FileManagerConformance):
    @pytest.fixture
    def file_manager(self, tmp_path: Path) -> LocalFileManager:
        return LocalFileManager(tmp_path / "files")

    @pytest.fixture
    def files(self, tmp_path: Path) -> Files:
        return lambda: sum(1 for path in (tmp_path / "files").rglob("*") if path.is_file())

    @pytest.fixture
    def lose(self) -> Lose:
        return lambda handle: Path(handle.path_desc).unlink()

    @pytest.fixture
    def stranger(self, tmp_path: Path) -> LocalFileHandle:
        return LocalFileManager(tmp_path / "elsewhere").write_data(b"theirs")


@pytest.fixture
def manager(tmp_path: Path) -> LocalFileManager:
    return LocalFileManager(tmp_path / "files")


def test_nothing_is_made_before_the_first_file(manager: LocalFileManager) -> None:
    assert not manager.base_dir.exists()
    handle = manager.write_data(b"x", "txt")
    assert [str(path) for path in manager.base_dir.iterdir()] == [handle.path]


@pytest.mark.parametrize("path", ["{base}/../outside", "{base}/link", "/etc/passwd"])
def test_paths_that_lead_elsewhere_are_refused(
    manager: LocalFileManager, tmp_path: Path, path: str
) -> None:
    manager.write_data(b"x")
    (tmp_path / "outside").write_bytes(b"secret")
    (manager.base_dir / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(InputInvalidError, match="outside of") as refused:
        manager.read(LocalFileHandle(path.format(base=manager.base_dir)))
    assert "secret" not in str(refused.value)


def test_a_full_or_read_only_folder_leaves_nothing_and_is_told(
    manager: LocalFileManager, tmp_path: Path
) -> None:
    (tmp_path / "files").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="files"):
        manager.write_data(b"x")


# ------------------------------------------------------------------------------ in jobs


@op(required_resource_keys=["files"])
def write(context: OpContext) -> FileHandle:
    handle: FileHandle = context.resources.files.write_data(b"1,2\n", ext=".csv")
    return handle


@op(required_resource_keys=["files"])
def read(context: OpContext, file: FileHandle) -> str:
    path = Path(context.resources.files.copy_handle_to_local_temp(file))
    return f"{path} {path.read_text()}"


@job(resource_defs={"files": local_file_manager})
def etl() -> None:
    read(write())


def test_ops_hand_handles_to_one_another_and_copies_are_gone_after_the_run(tmp_path: Path) -> None:
    config = {"resources": {"files": {"config": {"base_dir": str(tmp_path / "kept")}}}}
    result = execute_in_process(etl, config)
    path, _, text = result.output_for_step("read").partition(" ")
    assert (text, Path(path).exists()) == ("1,2\n", False)
    [kept] = (tmp_path / "kept").iterdir()
    assert (kept.read_bytes(), kept.suffix) == (b"1,2\n", ".csv")
    assert stat.S_ISREG(kept.stat().st_mode)


def test_without_an_instance_files_are_gone_after_the_run() -> None:
    result = execute_in_process(etl)
    assert result.success
    assert not Path(result.output_for_step("write").path_desc).exists()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance.from_home(tmp_path) as instance:
        yield instance


def test_that_of_a_run_reads_files_of_other_runs_and_keeps_its_own_with_the_run(
    instance: Instance, tmp_path: Path
) -> None:
    parent, child = (LocalFileManager.for_instance(instance, run_id) for run_id in "ab")
    handle = parent.write_data(b"of the parent")
    assert Path(handle.path).parent == tmp_path / "storage" / "a" / "files"
    assert child.read_data(handle) == b"of the parent"
