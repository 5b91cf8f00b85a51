"""Where the outputs of steps are, where they are files."""

from __future__ import annotations

import glob
import hashlib
from pathlib import Path
from urllib.parse import quote

MAX_NAME_CHARS = 110
"""Of a step or an output in the name of a file; two of them, an epoch and a suffix must fit into 255 bytes."""

MAX_FOLDER_CHARS = 200
"""Of a run in the name of its folder, which is its id as it is, and so has its other files too."""


def output_folder(base_dir: Path, run_id: str) -> Path:
    """The folder of the outputs of a run."""
    return base_dir / file_name(run_id, MAX_FOLDER_CHARS) / "outputs"


def output_path(folder: Path, step_key: str, output_name: str, epoch: int) -> Path:
    """The file of an output that a worker of an epoch has stored."""
    return folder / f"{file_name(step_key)},{file_name(output_name)}.{epoch}"


def part_path(folder: Path, step_key: str, output_name: str, epoch: int) -> Path:
    """The file of an output that is being written."""
    path = output_path(folder, step_key, output_name, epoch)
    return path.with_name(f".{path.name}.part")


def part_pattern(step_key: str) -> str:
    """A pattern of the names of all files of outputs of a step that are being written."""
    return glob.escape(f".{file_name(step_key)},") + "*.part"


def file_name(text: str, max_chars: int = MAX_NAME_CHARS) -> str:
    """A name of a file for any text: another for each other text, and never a path, hidden or too long."""
    name = quote(text, safe="", errors="surrogatepass")
    if not name or name.startswith("."):
        name = "%2E" + name[1:] if name else "%"
    if len(name) > max_chars:
        digest = hashlib.sha256(name.encode()).hexdigest()
        name = f"{name[: max_chars - 70]}%%{digest}"  # no quoted text has two in a row
    return name
