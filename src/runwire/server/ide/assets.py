"""The files of GraphiQL that the build put into the package, and the script that starts it."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

_BUILT = Path(__file__).parents[1] / "graphiql"
_START_SCRIPT = Path(__file__).parent / "start.js"
_CONTENT_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the page needs, and its copy in gzip; None where there is none."""

    content_type: str
    path: Path
    gzip_path: Path | None


class Assets:
    """A fixed set of files. Their version is in their address, so that browsers may keep them for ever."""

    def __init__(self, version: str, files: dict[str, Asset]) -> None:
        self.version = version
        self._files = files

    def find(self, version: str, name: str) -> Asset | None:
        """The file of a name; None when there is none, or when it has another version."""
        return self._files.get(name) if version == self.version else None

    @classmethod
    def load(cls, folder: Path = _BUILT) -> Assets | None:
        """The files that the build left in a folder; None when it did not run."""
        try:
            manifest = (folder / "manifest.json").read_bytes()
        except FileNotFoundError:
            return None
        names: set[str] = json.loads(manifest)["files"].keys()
        files = {name: _built(folder, name, names) for name in names if _content_type(name)}
        start = _START_SCRIPT.read_bytes()
        files[_START_SCRIPT.name] = Asset(_CONTENT_TYPES[".js"], _START_SCRIPT, None)
        return cls(hashlib.sha256(manifest + start).hexdigest()[:12], files)


def _content_type(name: str) -> str | None:
    return _CONTENT_TYPES.get(Path(name).suffix)


def _built(folder: Path, name: str, names: set[str]) -> Asset:
    packed = f"{name}.gz"
    gzip_path = folder / packed if packed in names else None
    return Asset(_content_type(name) or "", folder / name, gzip_path)


@functools.cache
def text_of(name: str) -> str:
    """A text file beside this module."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
