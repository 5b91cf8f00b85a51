"""File managers: where ops keep files."""

from runwire.file_managers.fsspec import FsspecFileHandle, FsspecFileManager, fsspec_file_manager
from runwire.file_managers.local import LocalFileHandle, LocalFileManager, local_file_manager

__all__ = [
    "FsspecFileHandle",
    "FsspecFileManager",
    "LocalFileHandle",
    "LocalFileManager",
    "fsspec_file_manager",
    "local_file_manager",
]
