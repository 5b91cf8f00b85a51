"""What every file manager must do. Derive from the suite, and give it its fixtures."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from runwire.errors import InputInvalidError
from runwire.file_manager import CHUNK_BYTES, FileHandle, FileManager

Files = Callable[[], int]
Lose = Callable[[FileHandle], None]


class _Breaking(BytesIO):
    """A stream that breaks after its first chunk."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError("the line was cut")
        return super().read(size)


class FileManagerConformance:
    """The suite.

    The fixture `file_manager` gives one that is empty; `stranger` a handle that another one, with another place, has
    made; `files` a function that counts the files in the place of the first, whole or not; `lose` one that deletes
    the file of a handle.
    """

    @pytest.mark.parametrize("data", [b"", b"\0\xff\r\n", bytes(3 * CHUNK_BYTES + 1)])
    def test_bytes_come_back_as_they_were(self, file_manager: FileManager, data: bytes) -> None:
        handle = file_manager.write_data(data)
        assert file_manager.read_data(handle) == data
        with file_manager.read(handle) as stream:
            assert stream.read() == data

    @pytest.mark.parametrize("size", [0, 10, 2 * CHUNK_BYTES + 7])
    def test_a_stream_of_bytes_is_kept(self, file_manager: FileManager, size: int) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        assert file_manager.read_data(file_manager.write(BytesIO(data[:size]))) == data[:size]

    def test_text_is_kept_in_utf_8(self, file_manager: FileManager) -> None:
        handle = file_manager.write(StringIO("größer\n€ ☃\n"), mode="w")
        assert file_manager.read_data(handle) == "größer\n€ ☃\n".encode()
        with file_manager.read(handle, mode="r") as stream:
            assert stream.readlines() == ["größer\n", "€ ☃\n"]

    def test_a_stream_may_be_read_bit_by_bit(self, file_manager: FileManager) -> None:
        stream = file_manager.read(file_manager.write_data(b"abcdef"))
        assert [stream.read(2), stream.read(2), stream.read()] == [b"ab", b"cd", b"ef"]
        stream.close()

    def test_a_stream_is_not_rewound(self, file_manager: FileManager) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(b"written")
            assert file_manager.read_data(file_manager.write(file)) == b""
            file.seek(3)
            assert file_manager.read_data(file_manager.write(file)) == b"tten"

    @pytest.mark.parametrize("ext", ["csv", ".csv"])
    def test_an_extension_has_a_dot_once(self, file_manager: FileManager, ext: str) -> None:
        for handle in (file_manager.write_data(b"", ext), file_manager.write(BytesIO(), ext=ext)):
            assert Path(handle.path_desc).suffixes == [".csv"]

    @pytest.mark.parametrize("ext", [None, "", "."])
    def test_there_need_not_be_an_extension(
        self, file_manager: FileManager, ext: str | None
    ) -> None:
        assert Path(file_manager.write_data(b"", ext).path_desc).suffixes == []

    @pytest.mark.parametrize("ext", ["a/b", "../up", "a..b", "a b", "\0", "x" * 33])
    def test_what_cannot_be_an_extension_is_refused(
        self, file_manager: FileManager, ext: str
    ) -> None:
        with pytest.raises(InputInvalidError, match="give letters and digits"):
            file_manager.write_data(b"", ext)

    @pytest.mark.parametrize("mode", ["w", "a", "rt", "r+", ""])
    def test_an_unknown_mode_of_reading_is_refused(
        self, file_manager: FileManager, mode: str
    ) -> None:
        handle = file_manager.write_data(b"x")
        with pytest.raises(InputInvalidError, match="give 'rb' for bytes or 'r' for text"):
            file_manager.read(handle, mode)

    def test_an_unknown_mode_of_writing_is_refused(self, file_manager: FileManager) -> None:
        with pytest.raises(InputInvalidError, match="give 'wb' for bytes or 'w' for text"):
            file_manager.write(BytesIO(b"x"), mode="rb")

    def test_a_stream_that_does_not_fit_its_mode_is_refused(
        self, file_manager: FileManager, files: Files
    ) -> None:
        with pytest.raises(InputInvalidError, match="the stream gives text; give mode='w'"):
            file_manager.write(StringIO("x"))
        with pytest.raises(InputInvalidError, match="the stream gives bytes; give mode='wb'"):
            file_manager.write(BytesIO(b"x"), mode="w")
        with pytest.raises(InputInvalidError, match="file_obj is a bytes; give a stream"):
            file_manager.write(b"x")  # type: ignore[arg-type]
        with pytest.raises(InputInvalidError, match="data is a str; give bytes"):
            file_manager.write_data("x")  # type: ignore[arg-type]
        assert files() == 0

    def test_of_a_stream_that_breaks_nothing_is_left(
        self, file_manager: FileManager, files: Files
    ) -> None:
        kept = file_manager.write_data(b"kept")
        with pytest.raises(OSError, match="the line was cut"):
            file_manager.write(_Breaking(bytes(2 * CHUNK_BYTES)))
        assert files() == 1
        assert file_manager.read_data(kept) == b"kept"

    def test_handles_differ_and_can_be_pickled(self, file_manager: FileManager) -> None:
        one, two = file_manager.write_data(b"1"), file_manager.write_data(b"2")
        assert one != two
        again = pickle.loads(pickle.dumps(one))  # noqa: S301 - ours
        assert again == one
        assert file_manager.read_data(again) == b"1"

    def test_a_handle_of_another_place_is_refused(
        self, file_manager: FileManager, stranger: FileHandle
    ) -> None:
        with pytest.raises(
            InputInvalidError, match=r"the handle points at .*, which is outside of"
        ):
            file_manager.read(stranger)

    def test_what_is_no_handle_is_refused(self, file_manager: FileManager) -> None:
        with pytest.raises(InputInvalidError, match="the handle is a str; give what this file"):
            file_manager.read("/etc/passwd")  # type: ignore[arg-type]

    def test_a_file_that_is_gone_is_told(self, file_manager: FileManager, lose: Lose) -> None:
        handle = file_manager.write_data(b"x")
        lose(handle)
        with pytest.raises(FileNotFoundError):
            file_manager.read_data(handle)

    def test_copies_are_files_until_they_are_deleted(self, file_manager: FileManager) -> None:
        handles = [file_manager.write_data(data, "csv") for data in (b"1", b"2")]
        paths = [Path(file_manager.copy_handle_to_local_temp(each)) for each in handles]
        assert [path.read_bytes() for path in paths] == [b"1", b"2"]
        assert {path.suffix for path in paths} == {".csv"}
        paths[0].write_bytes(b"changed")
        assert file_manager.read_data(handles[0]) == b"1"
        file_manager.delete_local_temp()
        file_manager.delete_local_temp()
        assert not any(path.exists() or path.parent.parent.exists() for path in paths)
        again = Path(file_manager.copy_handle_to_local_temp(handles[0]))
        assert again.read_bytes() == b"1"
        file_manager.delete_local_temp()

    def test_threads_do_not_mix_their_files(self, file_manager: FileManager) -> None:
        wanted = [str(number).encode() * 1000 for number in range(32)]
        with ThreadPoolExecutor(8) as pool:
            handles = list(pool.map(file_manager.write_data, wanted))
            assert list(pool.map(file_manager.read_data, handles)) == wanted
