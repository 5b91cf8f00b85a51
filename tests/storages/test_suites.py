"""Every storage enters every suite."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.storages import (
    test_consolidated_sqlite,
    test_memory,
    test_pgbouncer,
    test_postgres,
    test_sqlite,
)

MODULES = [test_sqlite, test_consolidated_sqlite, test_postgres, test_pgbouncer]


def suites(module: ModuleType) -> set[str]:
    """The names of the suites that the tests of a module enter."""
    return {
        base.__name__
        for found in vars(module).values()
        if isinstance(found, type) and found.__name__.startswith("Test")
        for base in found.__mro__
        if base.__name__.endswith("Conformance")
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_storage_enters_the_suites_that_the_one_in_memory_enters(module: ModuleType) -> None:
    assert suites(module) == suites(test_memory)
    assert len(suites(module)) == 14
