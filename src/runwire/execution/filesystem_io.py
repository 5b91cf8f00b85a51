"""Outputs in files."""

from __future__ import annotations

import hashlib
import os
import pickle
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runwire.errors import InputLoadError, OutputHandleError
from runwire.events.metadata import MetadataValue
from runwire.execution.io import InputContext, IOManager, OutputContext

MAX_NAME_CHARS = 200


class FilesystemIOManager(IOManager):
    """Keeps each output in a file of its own, pickled: ``<base_dir>/<run id>/<step>/<output>.<epoch>``.

    So a worker that was paused and goes on does not overwrite what its successor has stored.

    A file is complete or not there: it is written beside its place, synced, and renamed; then the folders are
    synced.
    """

    def __init__(self, base_dir: Path) -> None:
        self._base_dir = base_dir.absolute()

    def handle_output(self, context: OutputContext, value: Any) -> None:
        path = self._path(context.run_id, context.step_key, context.output_name, context.epoch)
        grown = _make_folder(path.parent)
        _remove_parts(path.parent, before_epoch=context.epoch)
        part = path.parent / f".{uuid.uuid4().hex}.{context.epoch}.part"
        try:
            _write(part, value, context)
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        for folder in (path.parent, *grown):
            _sync(folder)
        context.add_metadata({"path": MetadataValue.path(path)})

    def load_input(self, context: InputContext) -> Any:
        path = self._path(
            context.run_id,
            context.upstream_step_key,
            context.upstream_output_name,
            context.upstream_epoch,
        )
        try:
            with path.open("rb") as file:
                return pickle.load(file)  # noqa: S301 - a step of this run has written it
        except FileNotFoundError as error:
            raise InputLoadError(
                f"input {context.input_name!r} of step {context.step_key!r}: output"
                f" {context.upstream_output_name!r} of step {context.upstream_step_key!r} is not"
                f" stored at {path}; was it deleted?",
                user_exception=error,
            ) from error

    def clear_away(self, run_id: str, step_key: str, epoch: int) -> None:
        with suppress(OSError):
            _remove_parts(self._folder(run_id, step_key), before_epoch=epoch + 1)

    def _folder(self, run_id: str, step_key: str) -> Path:
        return self._base_dir / file_name(run_id) / file_name(step_key)

    def _path(self, run_id: str, step_key: str, output_name: str, epoch: int) -> Path:
        return self._folder(run_id, step_key) / f"{file_name(output_name)}.{epoch}"


def file_name(text: str) -> str:
    """A name of a file for any text: another for each other text, and never a path, hidden or too long."""
    name = quote(text, safe="", errors="surrogatepass")
    if not name or name.startswith("."):
        name = "%2E" + name[1:] if name else "%"
    if len(name) > MAX_NAME_CHARS:
        digest = hashlib.sha256(name.encode()).hexdigest()
        name = f"{name[: MAX_NAME_CHARS - 70]}%%{digest}"  # no quoted text has two in a row
    return name


def _remove_parts(folder: Path, *, before_epoch: int) -> None:
    """Removes what workers of earlier epochs, which are fenced, left half written."""
    for part in folder.glob(".*.*.part"):
        epoch = part.name.split(".")[-2]
        if epoch.isdecimal() and int(epoch) < before_epoch:
            part.unlink(missing_ok=True)


def _write(path: Path, value: Any, context: OutputContext) -> None:
    with path.open("xb") as file:
        try:
            pickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)
        except OSError:
            raise
        except Exception as error:
            raise OutputHandleError(
                f"output {context.output_name!r} of op {context.op_name!r} is a"
                f" {type(value).__name__}, which cannot be pickled: {error}; give data that pickle"
                " takes, and make connections, locks and the like a resource",
                user_exception=error,
            ) from error
        file.flush()
        os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, so that they are there after a power loss as well."""
    for above in _make_folder(folder):
        _sync(above)


def _make_folder(folder: Path) -> list[Path]:
    """Makes a folder and those above it; returns the folders that must be synced for it, innermost first."""
    if folder.is_dir():
        return []
    above = _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    return [folder.parent, *above]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
