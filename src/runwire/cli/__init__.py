"""The command line: ``runwire``, or ``python -m runwire.cli``."""

import gc
import sys
from io import TextIOWrapper

from runwire.cli.app import app


def main() -> None:
    """Runs the command that the arguments name, and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        # What user code logs must print on any terminal.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # What is imported stays: to look for garbage among it, by the default every few hundred objects, takes a tenth of
    # the time to start.
    gc.set_threshold(50_000, 20, 100)
    app(prog_name="runwire")
