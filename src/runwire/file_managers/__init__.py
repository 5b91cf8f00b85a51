"""File managers: where ops keep files."""

from runwire.file_managers.local import LocalFileHandle, LocalFileManager, local_file_manager

__all__ = ["LocalFileHandle", "LocalFileManager", "local_file_manager"]
