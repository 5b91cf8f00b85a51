"""The home of an instance: whether it can be used, and migrating what it keeps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from runwire.config import ConfigurableClassData
from runwire.errors import HomeInvalidError
from runwire.instance.settings import Settings, read_settings
from runwire.storage import InstanceStorage, Migration, MigrationProgress


def checked_home(home: Path) -> Path:
    """A home as an absolute path.

    Raises:
        HomeInvalidError: it is not a folder that can be written.
    """
    home = home.absolute()
    if not home.is_dir():
        raise HomeInvalidError(f"the home {home} is not a folder; make it, or name another")
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise HomeInvalidError(f"the home {home} cannot be written; mend its permissions")
    return home


def migrate_home(home: Path, progress: MigrationProgress) -> Migration:
    """Migrates the storage that the `runwire.yaml` of a home names, wherever it is. Nothing else is opened.

    Raises:
        HomeInvalidError: the home is not a folder that can be written.
        InvalidConfigurationError: its `runwire.yaml` is not valid.
        SchemaRevisionError: a newer version of runwire wrote what is stored.
        StorageUnavailableError: the storage cannot be read or written.
    """
    storage_class, config = _storage(read_settings(checked_home(home))[1])
    return storage_class.migrate(config, progress)


def settings_of_unused_home(home: Path) -> Settings | None:
    """The settings of a home whose storage is not made yet; None when it is there. Makes nothing.

    Raises:
        HomeInvalidError: the home is not a folder that can be written.
        InvalidConfigurationError: its `runwire.yaml` is not valid.
    """
    settings, components, _ = read_settings(checked_home(home))
    storage_class, config = _storage(components)
    return None if storage_class.is_made(config) else settings


def _storage(
    components: Mapping[str, ConfigurableClassData],
) -> tuple[type[InstanceStorage], BaseModel]:
    data = components["storage"]
    storage_class = data.load_class(InstanceStorage)
    return storage_class, data.validated(storage_class)
