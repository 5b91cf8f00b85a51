"""Where an instance keeps files on local disk."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any, Self

from runwire.config import ComponentConfig, ConfigurableClass, ConfigurableClassData
from runwire.instance.output_files import output_folder, output_path

logger = logging.getLogger(__name__)

DELETE_ATTEMPTS = 5
DELETE_PAUSE_SECONDS = 0.05
"""A worker that was killed may be about to make one more file; so a folder is emptied again after a moment."""


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

    def has_run_files(self, run_id: str) -> bool:
        """Whether there is anything that one run stored."""
        return self.run_dir(run_id).exists()

    def has_output(self, run_id: str, step_key: str, output_name: str, epoch: int) -> bool:
        """Whether what a step gave is there, as a worker of an epoch stored it."""
        folder = output_folder(self.storage_dir, run_id)
        return output_path(folder, step_key, output_name, epoch).is_file()

    def delete_run_files(self, run_id: str) -> None:
        """Deletes what one run stored; harmless when there is nothing. What cannot be deleted is logged."""
        folder = self.run_dir(run_id)
        for _ in range(DELETE_ATTEMPTS):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                return
            time.sleep(DELETE_PAUSE_SECONDS)
        logger.warning("%s cannot be deleted, though its run is; delete it by hand", folder)
