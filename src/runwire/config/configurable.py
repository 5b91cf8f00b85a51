"""Pluggable components: a class, named in YAML by module and class, with a Pydantic model for its config."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from runwire.config.environment import resolve_env
from runwire.config.problems import pydantic_problems
from runwire.config.redaction import redacted
from runwire.errors import ConfigProblem, InvalidConfigurationError


class ComponentConfig(BaseModel):
    """The base of component configs: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoConfig(ComponentConfig):
    """The config of a component that takes none."""


class ConfigurableClass(ABC):
    """A part of the instance that `runwire.yaml` can replace: ``{module, class, config}``."""

    _inst_data: ConfigurableClassData | None = None

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What it was loaded from; None when it was built directly."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> type[BaseModel]:
        """The model of its `config`; its fields are the YAML keys. Secrets are `pydantic.SecretStr`."""
        return NoConfig

    @classmethod
    @abstractmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Builds it from a validated config: an instance of `config_type()`."""


C = TypeVar("C", bound=ConfigurableClass)


@dataclass(frozen=True)
class ConfigurableClassData:
    """Points at a component: where its class is, and the config as written, `env:` not yet looked up."""

    module_name: str
    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config_dict(self) -> dict[str, Any]:
        """The config as written."""
        return dict(self.config)

    def to_dict(self) -> dict[str, Any]:
        """As in YAML: module, class, config. Holds what was written, so `env:` references, not their values."""
        return {"module": self.module_name, "class": self.class_name, "config": self.config_dict}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of `to_dict`."""
        return cls(value["module"], value["class"], dict(value.get("config") or {}))

    def info_dict(self) -> dict[str, Any]:
        """Module, class and effective config with defaults filled in and secrets redacted."""
        component_class = self.load_class(ConfigurableClass)
        config = redacted(self.validated(component_class), self.config)
        return {"module": self.module_name, "class": self.class_name, "config": config}

    def load_class(self, kind: type[C]) -> type[C]:
        """Imports the class.

        Raises:
            InvalidConfigurationError: no such module or class, or the class is not of the kind.
        """
        try:
            found = getattr(importlib.import_module(self.module_name), self.class_name)
        except ModuleNotFoundError as error:
            raise self._refused("module", f"{error}; install it or mend the name") from None
        except AttributeError:
            problem = f"module {self.module_name} has no class {self.class_name}; mend the name"
            raise self._refused("class", problem) from None
        except Exception as error:
            problem = f"importing {self.module_name} raised {type(error).__name__}: {error}"
            raise self._refused("module", problem) from error
        if not (isinstance(found, type) and issubclass(found, kind)):
            problem = (
                f"{self.module_name}.{self.class_name} is not a {kind.__name__}; name one that is"
            )
            raise self._refused("class", problem)
        return found

    def validated(self, component_class: type[ConfigurableClass]) -> BaseModel:
        """The config as the class's model, with `env:` looked up.

        Raises:
            InvalidConfigurationError: it does not fit; carries every problem.
        """
        values, problems = resolve_env(self.config, ("config",))
        if problems:
            raise InvalidConfigurationError(self._name, problems)
        try:
            return component_class.config_type().model_validate(values)
        except ValidationError as error:
            raise InvalidConfigurationError(
                self._name, pydantic_problems(error, ("config",))
            ) from None

    def rehydrate(self, kind: type[C]) -> C:
        """Builds the component.

        Raises:
            InvalidConfigurationError: as `load_class` and `validated`.
        """
        component_class = self.load_class(kind)
        component = component_class.from_config_value(self, self.validated(component_class))
        component._inst_data = self  # noqa: SLF001 - the mixin's own field
        return component

    @property
    def _name(self) -> str:
        return f"the config of {self.module_name}.{self.class_name}"

    def _refused(self, key: str, problem: str) -> InvalidConfigurationError:
        return InvalidConfigurationError(self._name, [ConfigProblem((key,), problem, "component")])
