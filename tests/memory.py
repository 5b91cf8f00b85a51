"""Where tests write: into memory, where there is enough."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 4 * 1024**3


def memory_folder() -> Path | None:
    """A folder that is kept in memory; None where there is none, or too little.

    Thousands of tests wait for disks otherwise. A process that is killed loses nothing there either; what a loss of
    power costs no test could tell.
    """
    try:
        is_large = shutil.disk_usage(_MEMORY).free >= _NEEDED_BYTES
    except OSError:
        return None
    return _MEMORY if is_large and os.access(_MEMORY, os.W_OK) else None
