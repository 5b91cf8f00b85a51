"""Configuration: pluggable components, types of fields, `env:` references, redaction, problems with their paths."""

from runwire.config.configurable import (
    ComponentConfig,
    ConfigurableClass,
    ConfigurableClassData,
    NoConfig,
)
from runwire.config.environment import resolve_env
from runwire.config.fields import (
    MAX_DAYS,
    MAX_SECONDS,
    AlsoTakes,
    Days,
    PositiveSeconds,
    Seconds,
    Section,
    WholeNumber,
)
from runwire.config.problems import pydantic_problems
from runwire.config.redaction import REDACTED, redacted

__all__ = [
    "MAX_DAYS",
    "MAX_SECONDS",
    "REDACTED",
    "AlsoTakes",
    "ComponentConfig",
    "ConfigurableClass",
    "ConfigurableClassData",
    "Days",
    "NoConfig",
    "PositiveSeconds",
    "Seconds",
    "Section",
    "WholeNumber",
    "pydantic_problems",
    "redacted",
    "resolve_env",
]
