"""Where an instance keeps files on local disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Self

from runwire.config import ComponentConfig, ConfigurableClass, ConfigurableClassData


class LocalArtifactStorageConfig(ComponentConfig):
    """Config of LocalArtifactStorage."""

    base_dir: str
    """The folder below which all files are kept."""


class LocalArtifactStorage(ConfigurableClass):
    """Names the folders below one base folder. Creates none of them."""

    def __init__(self, base_dir: str | Path) -> None:
        self.base_dir = Path(base_dir)

    @classmethod
    def config_type(cls) -> type[LocalArtifactStorageConfig]:
        return LocalArtifactStorageConfig

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Any,
    ) -> Self:
        return cls(config_value.base_dir)

    @property
    def storage_dir(self) -> Path:
        """What steps stored, one folder a run."""
        return self.base_dir / "storage"

    @property
    def schedules_dir(self) -> Path:
        """What schedules keep."""
        return self.base_dir / "schedules"

    def run_dir(self, run_id: str) -> Path:
        """What one run stored."""
        return self.storage_dir / run_id

    def file_manager_dir(self, run_id: str) -> Path:
        """The files that one run's file manager keeps."""
        return self.run_dir(run_id) / "files"

    def delete_run_files(self, run_id: str) -> None:
        """Deletes what one run stored; harmless when there is nothing."""
        shutil.rmtree(self.run_dir(run_id), ignore_errors=True)
