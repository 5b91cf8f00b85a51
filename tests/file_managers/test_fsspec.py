"""Files wherever fsspec reaches: in memory, in a folder, and on what plays S3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest

from runwire import FileHandle, OpContext, job, op
from runwire.errors import InputInvalidError
from runwire.executors import execute_in_process
from runwire.file_manager import CHUNK_BYTES
from runwire.file_managers import FsspecFileHandle, FsspecFileManager, fsspec_file_manager
from runwire.testing.file_manager import FileManagerConformance, Files, Lose
from tests.s3 import s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[Mapping[str, Any]]:
    with s3_server() as options:
        files = fsspec.filesystem("s3", **options)
        files.call_s3("create_bucket", Bucket="bucket")
        yield options


class _OnFsspec(FileManagerConformance):
    """Needs a fixture `place`: a URL and its options."""

    @pytest.fixture
    def file_manager(self, place: tuple[str, Mapping[str, Any]]) -> FsspecFileManager:
        return FsspecFileManager(*place)

    @pytest.fixture
    def files(self, place: tuple[str, Mapping[str, Any]]) -> Files:
        url, options = place

        def count() -> int:
            found, root = fsspec.core.url_to_fs(url, **options)
            found.invalidate_cache()
            return len(found.find(root))

        return count

    @pytest.fixture
    def lose(self, place: tuple[str, Mapping[str, Any]]) -> Lose:
        def lose(handle: FileHandle) -> None:
            found, path = fsspec.core.url_to_fs(handle.path_desc, **place[1])
            found.rm(path)

        return lose

    @pytest.fixture
    def stranger(self, place: tuple[str, Mapping[str, Any]]) -> FsspecFileHandle:
        url, options = place
        return FsspecFileManager(f"{url}-elsewhere", options).write_data(b"theirs")


class TestInMemory(_OnFsspec):
    @pytest.fixture
    def place(self) -> tuple[str, Mapping[str, Any]]:
        return f"memory://{uuid.uuid4()}/files", {}


class TestInAFolder(_OnFsspec):
    @pytest.fixture
    def place(self, tmp_path: Path) -> tuple[str, Mapping[str, Any]]:
        return f"file://{tmp_path}/files", {}


class TestOnS3(_OnFsspec):
    @pytest.fixture
    def place(self, s3: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        return f"s3://bucket/{uuid.uuid4()}", s3


def test_a_file_of_many_parts_is_whole_on_s3(s3: Mapping[str, Any], tmp_path: Path) -> None:
    manager = FsspecFileManager("s3://bucket/parts", s3)
    data = b"0123456789abcdef" * CHUNK_BYTES
    (tmp_path / "large").write_bytes(data)
    with (tmp_path / "large").open("rb") as file:
        handle = manager.write(file, ext="bin")
    assert handle.url.startswith("s3://bucket/parts/")
    assert manager.read_data(handle) == data


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "a/./b"])
def test_urls_that_lead_elsewhere_are_refused(name: str) -> None:
    manager = FsspecFileManager("memory://here/files")
    with pytest.raises(InputInvalidError, match="outside of"):
        manager.read(FsspecFileHandle(f"memory:///here/files/{name}"))


def test_an_s3_that_refuses_is_told(s3: Mapping[str, Any]) -> None:
    manager = FsspecFileManager("s3://no-such-bucket/files", s3)
    with pytest.raises(OSError, match="bucket"):
        manager.write_data(b"x")


def test_a_url_without_file_system_is_refused() -> None:
    with pytest.raises(InputInvalidError, match="files cannot be kept at 'nowhere://x'"):
        FsspecFileManager("nowhere://x")


@op(required_resource_keys=["files"])
def write(context: OpContext) -> FileHandle:
    handle: FileHandle = context.resources.files.write_data(b"1,2\n", ext=".csv")
    return handle


@op(required_resource_keys=["files"])
def read(context: OpContext, file: FileHandle) -> str:
    return str(context.resources.files.read_data(file).decode())


@job(resource_defs={"files": fsspec_file_manager})
def etl() -> None:
    read(write())


def test_ops_hand_handles_on_over_s3(s3: Mapping[str, Any]) -> None:
    told = {"base_url": "s3://bucket/etl", "storage_options": dict(s3)}
    result = execute_in_process(etl, {"resources": {"files": {"config": told}}})
    assert result.output_for_step("read") == "1,2\n"
