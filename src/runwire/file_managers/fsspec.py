"""Files wherever fsspec reaches: S3, GCS, Azure, SFTP and others."""

from __future__ import annotations

import contextlib
import posixpath
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from typing import IO, Any

from pydantic import Field

from runwire.config import ComponentConfig
from runwire.definitions.resource import resource
from runwire.errors import InputInvalidError
from runwire.file_manager import (
    FileHandle,
    FileManager,
    checked_data,
    copy_stream,
    is_text,
    suffix_of,
)


@dataclass(frozen=True)
class FsspecFileHandle(FileHandle):
    """A file below the URL of an `FsspecFileManager`, by its own URL."""

    url: str

    @property
    def path_desc(self) -> str:
        return self.url


_OF_THIS_MACHINE = ("file", "local")


class FsspecFileManager(FileManager):
    """Keeps files below a URL. Large ones are sent in parts while they are written. Makes no bucket.

    Args:
        base_url: such as ``s3://bucket/folder``.
        storage_options: what the file system of the URL takes, such as ``{"endpoint_url": ...}``; those of the
            environment count where it looks for them.

    Raises:
        InputInvalidError: no file system is known for the URL, or its package is not installed.
    """

    def __init__(self, base_url: str, storage_options: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        # To import it costs, and few need it.
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415
        from fsspec.utils import get_protocol  # type: ignore[import-untyped]  # noqa: PLC0415

        options = dict(storage_options or {})
        if get_protocol(base_url) in _OF_THIS_MACHINE:
            options.setdefault("auto_mkdir", True)
        try:
            self._files, root = url_to_fs(base_url, **options)
        except (ImportError, ValueError) as error:
            raise InputInvalidError(
                f"files cannot be kept at {base_url!r}: {error}", ["base_url"]
            ) from error
        self._root = root.rstrip("/")
        self._base_url: str = self._files.unstrip_protocol(self._root)

    def read(self, file_handle: FileHandle, mode: str = "rb") -> IO[Any]:
        text = is_text(mode, "r")
        stream = self._files.open(self._path_of(file_handle), "rb")
        return TextIOWrapper(stream, encoding="utf-8") if text else stream

    def write(
        self, file_obj: IO[Any], mode: str = "wb", ext: str | None = None
    ) -> FsspecFileHandle:
        return self._write(lambda target: copy_stream(file_obj, mode, target), ext)

    def write_data(self, data: bytes, ext: str | None = None) -> FsspecFileHandle:
        checked = checked_data(data)
        return self._write(lambda target: target.write(checked), ext)

    def _write(self, fill: Callable[[IO[bytes]], object], ext: str | None) -> FsspecFileHandle:
        name = f"{uuid.uuid4()}{suffix_of(ext)}"
        path = f"{self._root}/{name}"
        # With autocommit off nothing is there before `commit`.
        target = self._files.open(path, "wb", autocommit=False)
        try:
            fill(target)
            target.close()
        except BaseException:
            self._discard(target, path)
            raise
        target.commit()
        return FsspecFileHandle(f"{self._base_url}/{name}")

    def _discard(self, target: Any, path: str) -> None:
        # What broke the file is what is told.
        with contextlib.suppress(Exception):
            target.close()  # nothing is there by it
        with contextlib.suppress(Exception):
            target.discard()
        with contextlib.suppress(Exception):  # where that does nothing
            self._files.rm(path)

    def _path_of(self, file_handle: object) -> str:
        if not isinstance(file_handle, FsspecFileHandle):
            raise InputInvalidError(
                f"the handle is a {type(file_handle).__name__}; give what this file manager has returned",
                ["file_handle"],
            )
        base = f"{self._base_url}/"
        name = file_handle.url.removeprefix(base)
        if name == file_handle.url or posixpath.normpath(name) != name or name.startswith(".."):
            raise InputInvalidError(
                f"the handle points at {file_handle.url}, which is outside of {self._base_url}; configure the"
                " file manager with the URL that it was made at",
                ["file_handle"],
            )
        return f"{self._root}/{name}"


class FsspecFileManagerConfig(ComponentConfig):
    """The config of `fsspec_file_manager`."""

    base_url: str = Field(description="Where files are kept, such as s3://bucket/folder.")
    storage_options: dict[str, Any] = Field(
        default_factory=dict, description="What the file system of the URL takes."
    )


@resource
def fsspec_file_manager(config: FsspecFileManagerConfig) -> Iterator[FsspecFileManager]:
    """Keeps the files of ops on S3, GCS, Azure or wherever else fsspec reaches."""
    manager = FsspecFileManager(config.base_url, config.storage_options)
    try:
        yield manager
    finally:
        manager.delete_local_temp()
