"""How another process opens the same instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from runwire.config import ConfigurableClassData
from runwire.instance.settings import RunMonitoringSettings, Settings, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRef:
    """A recipe to open an instance: its components as they are written, `env:` not looked up.

    Attributes:
        name: the name of the instance.
        home: its home folder.
        local_artifact_storage, storage, run_launcher, run_coordinator: its components.
        run_monitoring: what workers must know of `run_monitoring` in its settings, `env:` looked up.
    """

    name: str
    home: str
    local_artifact_storage: ConfigurableClassData
    storage: ConfigurableClassData
    run_launcher: ConfigurableClassData
    run_coordinator: ConfigurableClassData
    run_monitoring: RunMonitoringSettings = field(default_factory=RunMonitoringSettings)

    @classmethod
    def from_dir(cls, home: Path) -> Self:
        """The recipe of the instance of a home folder.

        Raises:
            InvalidConfigurationError: its `runwire.yaml` is not valid.
        """
        settings, components, _ = read_settings(home)
        return cls.of(settings, home, components)

    @classmethod
    def of(
        cls, settings: Settings, home: Path, components: Mapping[str, ConfigurableClassData]
    ) -> Self:
        """The recipe of an instance with these settings and components."""
        monitoring = settings.run_monitoring
        return cls(name=settings.name, home=str(home), run_monitoring=monitoring, **components)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values; `from_dict` reads them."""
        components = {key: getattr(self, key).to_dict() for key in _COMPONENTS}
        monitoring = self.run_monitoring.model_dump()
        return {"name": self.name, "home": self.home, "run_monitoring": monitoring, **components}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of `to_dict`."""
        components = {key: ConfigurableClassData.from_dict(value[key]) for key in _COMPONENTS}
        monitoring = RunMonitoringSettings.model_validate(value.get("run_monitoring") or {})
        return cls(name=value["name"], home=value["home"], run_monitoring=monitoring, **components)


_COMPONENTS = ("local_artifact_storage", "storage", "run_launcher", "run_coordinator")
