"""The standard input of our processes: a pipe from whoever started them, kept out of user code's way."""

from __future__ import annotations

import os
from typing import BinaryIO


def take_stdin() -> BinaryIO:
    """The standard input as it was; user code reads from an empty one instead."""
    taken = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return os.fdopen(taken, "rb")
