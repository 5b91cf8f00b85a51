"""The command line: ``runwire``, or ``python -m runwire.cli``."""

import sys
from io import TextIOWrapper

from runwire.cli.app import app


def main() -> None:
    """Runs the command that the arguments name, and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        # What user code logs must print on any terminal.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="runwire")
