"""Files in a folder of this machine."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Self

from pydantic import Field

from runwire.config import ComponentConfig
from runwire.definitions import ResourceContext
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
class LocalFileHandle(FileHandle):
    """A file below the folder of a `LocalFileManager`, by its path."""

    path: str

    @property
    def path_desc(self) -> str:
        return self.path


class LocalFileManager(FileManager):
    """Keeps files in a folder, which is made when the first one is written. A file is there as a whole or not at all.

    Args:
        base_dir: the folder.
        readable_dir: files below it can be read; `base_dir` when left out.
    """

    def __init__(self, base_dir: str | Path, readable_dir: str | Path | None = None) -> None:
        super().__init__()
        self._base_dir = Path(base_dir)
        self._readable_dir = self._base_dir if readable_dir is None else Path(readable_dir)

    @classmethod
    def for_instance(cls, instance: Any, run_id: str) -> Self:
        """That of a run: its files are deleted with it. Those of other runs can be read.

        Args:
            instance: an `Instance`.
            run_id: the run.
        """
        storage = instance.local_artifact_storage
        return cls(storage.file_manager_dir(run_id), storage.storage_dir)

    @property
    def base_dir(self) -> Path:
        """The folder."""
        return self._base_dir

    def read(self, file_handle: FileHandle, mode: str = "rb") -> IO[Any]:
        text = is_text(mode, "r")
        stream = self._path_of(file_handle).open("rb")
        return TextIOWrapper(stream, encoding="utf-8") if text else stream

    def write(self, file_obj: IO[Any], mode: str = "wb", ext: str | None = None) -> LocalFileHandle:
        return self._write(lambda target: copy_stream(file_obj, mode, target), ext)

    def write_data(self, data: bytes, ext: str | None = None) -> LocalFileHandle:
        checked = checked_data(data)
        return self._write(lambda target: target.write(checked), ext)

    def _write(self, fill: Callable[[IO[bytes]], object], ext: str | None) -> LocalFileHandle:
        """Writes a file beside its name, syncs it, and gives it its name."""
        path = self._base_dir / f"{uuid.uuid4()}{suffix_of(ext)}"
        self._base_dir.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        try:
            with draft.open("xb") as target:
                fill(target)
                target.flush()
                os.fsync(target.fileno())
            draft.rename(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return LocalFileHandle(str(path))

    def _path_of(self, file_handle: object) -> Path:
        if not isinstance(file_handle, LocalFileHandle):
            raise InputInvalidError(
                f"the handle is a {type(file_handle).__name__}; give what this file manager has returned",
                ["file_handle"],
            )
        path = Path(file_handle.path)
        if not path.resolve().is_relative_to(self._readable_dir.resolve()):
            raise InputInvalidError(
                f"the handle points at {file_handle.path}, which is outside of {self._readable_dir}; configure"
                " the file manager with the folder that it was made in",
                ["file_handle"],
            )
        return path


class LocalFileManagerConfig(ComponentConfig):
    """The config of `local_file_manager`."""

    base_dir: str | None = Field(
        default=None,
        description="The folder; that of the run below the home when left out, which is deleted with the run.",
    )


@resource
def local_file_manager(
    context: ResourceContext, config: LocalFileManagerConfig
) -> Iterator[LocalFileManager]:
    """Keeps the files of ops in a folder of this machine."""
    with ExitStack() as stack:
        manager = _manager(context, config.base_dir, stack)
        stack.callback(manager.delete_local_temp)
        yield manager


def _manager(context: ResourceContext, base_dir: str | None, stack: ExitStack) -> LocalFileManager:
    if base_dir is not None:
        return LocalFileManager(base_dir)
    if context.instance is not None:
        return LocalFileManager.for_instance(context.instance, context.run_id)
    return LocalFileManager(
        stack.enter_context(tempfile.TemporaryDirectory(prefix="runwire-files-"))
    )
