"""How long tests that torture things go on: shortly by default, at full length with RUNWIRE_TORTURE=full."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import cycle, product
from typing import TypeVar

import pytest

A = TypeVar("A")
B = TypeVar("B")

FULL = os.environ.get("RUNWIRE_TORTURE") == "full"

only_in_full = pytest.mark.skipif(not FULL, reason="at full length only: RUNWIRE_TORTURE=full")
"""For what takes a minute or more, beside a short form that is always run."""


def crossed(first: Sequence[A], second: Iterable[B]) -> list[tuple[A, B]]:
    """Each of the first with each of the second; shortly, each of the first once, the second ones in turn."""
    return list(product(first, second)) if FULL else list(zip(first, cycle(second)))
