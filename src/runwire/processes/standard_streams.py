"""The standard streams of the processes that run user code."""

from __future__ import annotations

import io
import os
import sys
from typing import BinaryIO


def take_stdin() -> BinaryIO:
    """The standard input as it was; user code reads from an empty one instead."""
    taken = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return os.fdopen(taken, "rb")


def show_output_at_once() -> None:
    """What user code prints is seen line by line, also where its process is killed."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
