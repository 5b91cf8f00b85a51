"""The contract of a file manager: where ops keep files that are too large, or too much files, for outputs."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Any, Final

from runwire.errors import InputInvalidError

BINARY: Final = "b"
CHUNK_BYTES: Final = 1 << 20
MAX_EXT_CHARS: Final = 32


class FileHandle(ABC):
    """Points at a file that a file manager keeps. It can be pickled, and so be the output of an op."""

    @property
    @abstractmethod
    def path_desc(self) -> str:
        """Where the file is, for people."""


class FileManager(ABC):
    """Keeps files, each under a handle that it makes. Thread-safe, but for the temporary copies."""

    def __init__(self) -> None:
        self._copies: Path | None = None

    @abstractmethod
    def read(self, file_handle: FileHandle, mode: str = "rb") -> IO[Any]:
        """Opens a file; the stream is also a context, which closes it.

        Args:
            file_handle: the file.
            mode: ``"rb"`` for bytes, ``"r"`` for text in UTF-8.

        Raises:
            InputInvalidError: there is no such mode, or the handle is none of this file manager.
            FileNotFoundError: the file is gone.
        """

    @abstractmethod
    def write(self, file_obj: IO[Any], mode: str = "wb", ext: str | None = None) -> FileHandle:
        """Keeps what is left to read of a stream, which is not rewound before. Nothing is half-written.

        Args:
            file_obj: the stream.
            mode: ``"wb"`` for a stream of bytes, ``"w"`` for one of text, which is kept in UTF-8.
            ext: the extension of the file's name, with a dot or without.

        Raises:
            InputInvalidError: there is no such mode, the stream does not fit it, or the extension cannot be one.
        """

    @abstractmethod
    def write_data(self, data: bytes, ext: str | None = None) -> FileHandle:
        """Keeps bytes.

        Raises:
            InputInvalidError: they are none, or the extension cannot be one.
        """

    def read_data(self, file_handle: FileHandle) -> bytes:
        """The bytes of a file.

        Raises:
            InputInvalidError, FileNotFoundError: as `read`.
        """
        with self.read(file_handle) as stream:
            data: bytes = stream.read()
            return data

    def copy_handle_to_local_temp(self, file_handle: FileHandle) -> str:
        """Copies a file to where a program can open it; returns its path, which counts until `delete_local_temp`.

        Raises:
            InputInvalidError, FileNotFoundError: as `read`.
        """
        if self._copies is None:
            self._copies = Path(tempfile.mkdtemp(prefix="runwire-files-"))
        with self.read(file_handle) as stream:
            place = Path(tempfile.mkdtemp(dir=self._copies)) / Path(file_handle.path_desc).name
            with place.open("xb") as copy:
                shutil.copyfileobj(stream, copy, CHUNK_BYTES)
        return str(place)

    def delete_local_temp(self) -> None:
        """Deletes all copies that `copy_handle_to_local_temp` has made. Harmless when called twice."""
        if self._copies is not None:
            shutil.rmtree(self._copies, ignore_errors=True)
            self._copies = None


# ------------------------------------------------------------------------- for implementations


def is_text(mode: str, kind: str) -> bool:
    """Whether a mode is that of text.

    Args:
        mode: what was asked for.
        kind: the letter of the modes that there are: ``r`` or ``w``.

    Raises:
        InputInvalidError: it is none.
    """
    if mode not in (kind, kind + BINARY):
        raise InputInvalidError(
            f"mode is {mode!r}; give {kind + BINARY!r} for bytes or {kind!r} for text", ["mode"]
        )
    return mode == kind


def copy_stream(file_obj: IO[Any], mode: str, target: IO[bytes]) -> None:
    """Copies what is left of a stream.

    Raises:
        InputInvalidError: there is no such mode, or the stream gives something else.
    """
    text = is_text(mode, "w")
    if not hasattr(file_obj, "read"):
        raise InputInvalidError(
            f"file_obj is a {type(file_obj).__name__}; give a stream, or bytes to write_data",
            ["file_obj"],
        )
    while chunk := file_obj.read(CHUNK_BYTES):
        if isinstance(chunk, str) is not text:
            given = "text" if isinstance(chunk, str) else "bytes"
            mend = "give mode='w', or open it with 'rb'" if not text else "give mode='wb'"
            raise InputInvalidError(f"the stream gives {given}; {mend}", ["file_obj"])
        target.write(chunk.encode() if isinstance(chunk, str) else chunk)


def checked_data(data: object) -> bytes:
    """Bytes to be kept.

    Raises:
        InputInvalidError: they are none.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InputInvalidError(
            f"data is a {type(data).__name__}; give bytes, as text.encode() makes of text", ["data"]
        )
    return bytes(data)


def suffix_of(ext: str | None) -> str:
    """What an extension adds to a name: nothing, or ``.`` and itself.

    Raises:
        InputInvalidError: it cannot be one.
    """
    name = (ext or "").removeprefix(".")
    if not name:
        return ""
    if (
        len(name) > MAX_EXT_CHARS
        or not all(c.isalnum() or c in "._-" for c in name)
        or ".." in name
    ):
        raise InputInvalidError(
            f"ext is {ext!r}; give letters and digits, such as 'csv' or '.tar.gz'", ["ext"]
        )
    return f".{name}"
