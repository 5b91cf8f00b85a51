"""What migrating a storage tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

MigrationProgress: TypeAlias = Callable[[int, int], None]
"""Is told how many databases have been looked at, of how many."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """A database that was migrated: which one, and from which revision to which."""

    place: str
    found: str | None
    head: str


@dataclass(frozen=True, slots=True)
class Migration:
    """What came of a migration: what was migrated, and why what could not be was left as it is."""

    migrated: list[Migrated] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
