"""How another process opens the same instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from runwire.config import ConfigurableClassData
from runwire.instance.settings import PoolSettings, RunMonitoringSettings, Settings, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRef:
    """A recipe to open an instance: its components as they are written, `env:` not looked up.

    Attributes:
        name: the name of the instance.
        home: its home folder.
        local_artifact_storage, storage, run_launcher, run_coordinator, scheduler: its components.
        run_monitoring, pools: what workers must know of its settings, `env:` looked up.
    """

    name: str
    home: str
    local_artifact_storage: ConfigurableClassData
    storage: ConfigurableClassData
    run_launcher: ConfigurableClassData
    run_coordinator: ConfigurableClassData
    scheduler: ConfigurableClassData
    run_monitoring: RunMonitoringSettings = field(default_factory=RunMonitoringSettings)
    pools: PoolSettings = field(default_factory=PoolSettings)

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
        return cls(
            name=settings.name,
            home=str(home),
            run_monitoring=settings.run_monitoring,
            pools=settings.pools,
            **components,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values; `from_dict` reads them."""
        components = {key: getattr(self, key).to_dict() for key in _COMPONENTS}
        return {
            "name": self.name,
            "home": self.home,
            "run_monitoring": self.run_monitoring.model_dump(),
            "pools": self.pools.model_dump(),
            **components,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of `to_dict`."""
        components = {key: ConfigurableClassData.from_dict(value[key]) for key in _COMPONENTS}
        return cls(
            name=value["name"],
            home=value["home"],
            run_monitoring=RunMonitoringSettings.model_validate(value.get("run_monitoring") or {}),
            pools=PoolSettings.model_validate(value.get("pools") or {}),
            **components,
        )


_COMPONENTS = ("local_artifact_storage", "storage", "run_launcher", "run_coordinator", "scheduler")
