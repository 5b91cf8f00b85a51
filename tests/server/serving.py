"""A program that serves the home of an instance without any code location, for tests and benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

from runwire.errors import CodeLocationNotFoundError
from runwire.instance import Instance
from runwire.server.serve import serve
from runwire.workspace import CodeLocation, Workspace


class EmptyWorkspace(Workspace):
    """Has no code location."""

    def get_location(self, name: str) -> CodeLocation:
        raise CodeLocationNotFoundError(name)

    def list_locations(self) -> list[CodeLocation]:
        return []


def main(home: str, port: str) -> None:
    """Serves until it is stopped; the first line that it prints is its URL."""
    with Instance.from_home(Path(home)) as instance:
        serve(instance, EmptyWorkspace(), "127.0.0.1", int(port), ready=_tell)


def _tell(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
