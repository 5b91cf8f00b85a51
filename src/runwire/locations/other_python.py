"""Finding out why a Python other than ours cannot run a code server."""

from __future__ import annotations

import subprocess

from runwire import __version__

PROBE_SECONDS = 30.0
OLDEST = (3, 11)

_PROBE = """
import sys
print(*sys.version_info[:2])
import runwire
print(runwire.__version__)
import runwire.locations.code_server
"""


def why_unusable(executable: str) -> str | None:
    """What is wrong with a Python, and the mend; None when nothing is."""
    try:
        told = subprocess.run(
            [executable, "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            cwd="/",  # nothing there shadows what it has installed
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it cannot be run: {error}"
    return _read(told.returncode, told.stdout.split("\n"), told.stderr.strip().split("\n"))


def _read(exit_code: int, lines: list[str], errors: list[str]) -> str | None:
    version = lines[0].split()
    if len(version) != 2 or not all(part.isdigit() for part in version):
        return "it is no Python"
    if tuple(map(int, version)) < OLDEST:
        return (
            f"it is Python {'.'.join(version)}; runwire needs {'.'.join(map(str, OLDEST))} or newer"
        )
    mend = f"install runwire=={__version__} there"
    if len(lines) < 3:
        return f"it has no runwire ({errors[-1]}); {mend}"
    if lines[1] != __version__:
        return f"it has runwire {lines[1]}, here is {__version__}; {mend}"
    return None if exit_code == 0 else f"its runwire does not work ({errors[-1]}); {mend}"
