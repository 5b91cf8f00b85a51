"""Files that change are loaded anew."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from runwire.error_info import ErrorInfo
from runwire.locations import source_changes
from runwire.locations.source_changes import (
    Look,
    SourceChanges,
    changed_files,
    files_named_in,
    look_at,
)
from runwire.testing.left_behind import GENEROUS_SECONDS, eventually
from runwire.workspace import CodeLocationStatus
from tests.locations.conftest import Open, Write

FIRST = "from neighbour_of_changes import sales\n"
JOBS = "from runwire import job, op\n@op\ndef {0}(): ...\n@job\ndef sales(): {0}()\n"


class Noting:
    """A location that notes its reloads."""

    def __init__(self, *files: Path) -> None:
        self.source_files = frozenset(map(str, files))
        self.reloaded = threading.Semaphore(0)
        self.reloads = 0

    def reload(self) -> None:
        self.reloads += 1
        self.reloaded.release()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_changes, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(source_changes, "QUIET_SECONDS", 0.05)


# ------------------------------------------------------------------------------------------ looks


def test_a_file_that_is_written_appears_or_goes_has_changed(tmp_path: Path) -> None:
    same, written, gone, new = (tmp_path / name for name in ("same", "written", "gone", "new"))
    for file in (same, written, gone):
        file.write_text("1", encoding="utf-8")
    files = [str(file) for file in (same, written, gone, new)]
    before = look_at(files)
    os.utime(written, ns=(1, 1))
    gone.unlink()
    new.write_text("1", encoding="utf-8")
    assert changed_files(before, look_at(files)) == sorted(map(str, (written, gone, new)))


def test_a_file_that_was_not_looked_at_has_changed_if_it_is_younger_than_the_look() -> None:
    before = Look(1000.0, {"a": (1, 1)})
    now = Look(
        2000.0, {"a": (1, 1), "old": (999 * 10**9, 1), "young": (1001 * 10**9, 1), "no": None}
    )
    assert changed_files(before, now) == ["young"]


# ---------------------------------------------------------------------------------------- reloads


def test_each_location_is_reloaded_for_its_own_files(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "ab"]
    for file in files:
        file.touch()
    a, b = (Noting(file) for file in files)
    seen = look_at(a.source_files | b.source_files)
    changes = SourceChanges([])
    os.utime(files[0], ns=(1, 1))
    later_a, later_b = changes._look(a, seen), changes._look(b, seen)
    assert (a.reloads, b.reloads) == (1, 0)
    assert changed_files(seen, later_b) == []
    assert changes._look(a, later_a).files == later_a.files
    assert a.reloads == 1


def test_a_file_that_is_still_being_written_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = Noting(tmp_path / "a")
    writes = iter([1, 2, 3, 3])
    monkeypatch.setattr(source_changes, "_signature", lambda _file: (next(writes), 1))
    seen = Look(0.0, {str(tmp_path / "a"): (0, 1)})
    seen = SourceChanges([])._look(location, seen)
    assert seen.files == {str(tmp_path / "a"): (3, 1)}
    assert location.reloads == 1


def test_what_changes_during_a_reload_is_a_change_still(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()

    class Slow(Noting):
        def reload(self) -> None:
            super().reload()
            os.utime(file, ns=(2, 2))

    location = Slow(file)
    changes, seen = SourceChanges([]), look_at(location.source_files)
    os.utime(file, ns=(1, 1))
    seen = changes._look(location, seen)
    changes._look(location, seen)
    assert location.reloads == 2


def test_after_the_stop_nothing_is_reloaded(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    location = Noting(file)
    changes = SourceChanges([location])
    seen = look_at(location.source_files)
    changes.stop()
    changes.stop()
    os.utime(file, ns=(1, 1))
    changes._follow(location, seen)
    changes._look(location, seen)
    assert location.reloads == 0


# ------------------------------------------------------------------------------------- for real


def test_a_mistake_in_an_imported_file_is_failed_and_its_mend_loaded(
    write: Write, open_workspace: Open
) -> None:
    write(JOBS.format("load"), "neighbour_of_changes.py")
    workspace = open_workspace(write(FIRST))
    location = workspace.get_location("jobs")
    with SourceChanges(workspace.list_local_locations()):
        for text, status in (
            (JOBS.format("store"), CodeLocationStatus.LOADED),
            ("def half(", CodeLocationStatus.FAILED),
            (JOBS.format("keep"), CodeLocationStatus.LOADED),
        ):
            before = location.state
            write(text, "neighbour_of_changes.py")
            eventually(
                lambda state=before: location.state.updated_at > state.updated_at,  # type: ignore[misc]
                "it is loaded",
            )
            assert location.wait_until_settled(GENEROUS_SECONDS)
            assert location.state.status is status
        plan = location.plan_run("__repository__", "sales", {})
    assert [step.step_key for step in plan.steps] == ["keep"]


def test_a_file_that_comes_later_is_loaded(
    write: Write, open_workspace: Open, tmp_path: Path
) -> None:
    workspace = open_workspace(tmp_path / "jobs.py")
    location = workspace.get_location("jobs")
    assert location.state.status is CodeLocationStatus.FAILED
    with SourceChanges(workspace.list_local_locations()):
        write(JOBS.format("load"))
        eventually(lambda: location.state.status is CodeLocationStatus.LOADED, "it is loaded")


def test_a_broken_file_that_was_never_imported_is_mended(
    write: Write, open_workspace: Open
) -> None:
    write("def half(", "neighbour_of_changes.py")
    workspace = open_workspace(write(FIRST))
    location = workspace.get_location("jobs")
    assert location.state.status is CodeLocationStatus.FAILED
    with SourceChanges(workspace.list_local_locations()):
        write(JOBS.format("load"), "neighbour_of_changes.py")
        eventually(lambda: location.state.status is CodeLocationStatus.LOADED, "it is loaded")


def test_an_error_names_the_files_that_it_came_through() -> None:
    cause = ErrorInfo("no", "ValueError", ('  File "/b/c d.py", line 3, in f\n    x\n',))
    error = ErrorInfo("/a/jobs.py:4: loading the definitions raised E", "E", (), (cause,))
    assert files_named_in(error) == {"/a/jobs.py", "/b/c d.py"}
