"""Migrating a home: whatever its file names as storage, and nothing else is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import pytest

from runwire.config import ComponentConfig, ConfigurableClassData
from runwire.errors import HomeInvalidError, InvalidConfigurationError
from runwire.instance import Instance
from runwire.instance.home import migrate_home, settings_of_unused_home
from runwire.storage import Migrated, Migration, MigrationProgress
from runwire.storages.memory import MemoryStorage


class PlacedConfig(ComponentConfig):
    place: str


class MigratedStorage(MemoryStorage):
    """Is migrated where it is, and cannot be opened."""

    @classmethod
    def config_type(cls) -> type[PlacedConfig]:
        return PlacedConfig

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        raise AssertionError("it was opened")

    @classmethod
    def migrate(cls, config_value: Any, progress: MigrationProgress) -> Migration:
        progress(1, 1)
        return Migration([Migrated(config_value.place, "1", "2")])


CUSTOM = f"{{module: {__name__}, class: MigratedStorage, config: {{place: {{env: PLACE}}}}}}"


def nothing(_done: int, _total: int) -> None:
    return None


@pytest.mark.parametrize("text", [f"storage: {{custom: {CUSTOM}}}", f"schedule_storage: {CUSTOM}"])
def test_a_storage_of_ones_own_is_migrated_without_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PLACE", "here")
    (tmp_path / "runwire.yaml").write_text(text)
    seen: list[tuple[int, int]] = []
    migration = migrate_home(tmp_path, lambda done, total: seen.append((done, total)))
    assert migration == Migration([Migrated("here", "1", "2")])
    assert seen == [(1, 1)]
    assert [path.name for path in tmp_path.iterdir()] == ["runwire.yaml"]


def test_a_storage_without_revisions_has_nothing_to_migrate(tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_text(
        "storage: {custom: {module: runwire.storages.memory, class: MemoryStorage}}"
    )
    assert migrate_home(tmp_path, nothing) == Migration()


def test_a_home_that_is_none_is_refused(tmp_path: Path) -> None:
    for open_it in (Instance.from_home, lambda home: migrate_home(home, nothing)):
        with pytest.raises(HomeInvalidError, match="is not a folder; make it, or name another"):
            open_it(tmp_path / "nowhere")
    (tmp_path / "runwire.yaml").write_text("storage: {sqlite: {what: 1}}")
    with pytest.raises(InvalidConfigurationError, match=r"storage\.sqlite\.what"):
        migrate_home(tmp_path, nothing)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "storage: {sqlite: {layout: consolidated}}",
        "run_storage: {sqlite: {base_dir: {env: PLACE}}}",
        "schedule_storage: {sqlite: {base_dir: {env: PLACE}}}",
    ],
)
def test_a_home_is_unused_until_it_is_opened_and_looking_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PLACE", str(tmp_path / "elsewhere"))
    (home / "runwire.yaml").write_text(f"name: n\n{text}")
    before = sorted(tmp_path.rglob("*"))
    unused = settings_of_unused_home(home)
    assert unused is not None
    assert unused.name == "n"
    assert sorted(tmp_path.rglob("*")) == before
    Instance.from_home(home).dispose()
    assert settings_of_unused_home(home) is None
