"""Configuration: pluggable components, `env:` references, redaction, problems with their paths."""

from runwire.config.configurable import (
    ComponentConfig,
    ConfigurableClass,
    ConfigurableClassData,
    NoConfig,
)
from runwire.config.environment import resolve_env
from runwire.config.problems import pydantic_problems
from runwire.config.redaction import REDACTED, redacted

__all__ = [
    "REDACTED",
    "ComponentConfig",
    "ConfigurableClass",
    "ConfigurableClassData",
    "NoConfig",
    "pydantic_problems",
    "redacted",
    "resolve_env",
]
