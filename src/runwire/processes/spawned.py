"""What a spawned child runs: ``python -m runwire.processes.spawned ENTRY TITLE CHANNEL``, its payload on stdin."""

from __future__ import annotations

import sys
from typing import NoReturn

from runwire.processes.entry import run_entry
from runwire.processes.standard_streams import show_output_at_once, take_stdin


def main() -> NoReturn:
    """Runs the entry that the first argument names."""
    show_output_at_once()
    entry, _title, channel = sys.argv[1:]
    with take_stdin() as stdin:
        payload = stdin.read()
    run_entry(entry, payload, int(channel) if channel else None)


if __name__ == "__main__":
    main()
