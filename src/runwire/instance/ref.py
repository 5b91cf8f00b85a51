"""How another process opens the same instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from runwire.config import ConfigurableClassData
from runwire.instance.settings import read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRef:
    """A recipe to open an instance: its components as they are written, `env:` not looked up.

    Attributes:
        name: the name of the instance.
        home: its home folder.
        local_artifact_storage, storage, run_launcher, run_coordinator: its components.
    """

    name: str
    home: str
    local_artifact_storage: ConfigurableClassData
    storage: ConfigurableClassData
    run_launcher: ConfigurableClassData
    run_coordinator: ConfigurableClassData

    @classmethod
    def from_dir(cls, home: Path) -> Self:
        """The recipe of the instance of a home folder.

        Raises:
            InvalidConfigurationError: its `runwire.yaml` is not valid.
        """
        settings, components, _ = read_settings(home)
        return cls(name=settings.name, home=str(home), **components)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values; `from_dict` reads them."""
        components = {key: getattr(self, key).to_dict() for key in _COMPONENTS}
        return {"name": self.name, "home": self.home, **components}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of `to_dict`."""
        components = {key: ConfigurableClassData.from_dict(value[key]) for key in _COMPONENTS}
        return cls(name=value["name"], home=value["home"], **components)


_COMPONENTS = ("local_artifact_storage", "storage", "run_launcher", "run_coordinator")
