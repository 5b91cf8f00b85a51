"""Outputs in files."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

from runwire.errors import InputLoadError, OutputHandleError
from runwire.events.metadata import MetadataValue
from runwire.execution.io import InputContext, IOManager, OutputContext
from runwire.instance.output_files import (
    output_folder,
    output_path,
    part_path,
    part_pattern,
)


class FilesystemIOManager(IOManager):
    """Keeps each output in a file of its own, pickled: ``<base_dir>/<run id>/outputs/<step>,<output>.<epoch>``.

    So a worker that was paused and goes on does not overwrite what its successor has stored.

    A file is complete or not there: it is written beside its place, synced, and renamed; then the folders are
    synced. One folder for all outputs of a run, for each folder that is made costs another sync.
    """

    def __init__(self, base_dir: Path) -> None:
        self._base_dir = base_dir.absolute()

    def handle_output(self, context: OutputContext, value: Any) -> None:
        folder = self._folder(context.run_id)
        grown = _make_folder(folder)
        name = context.step_key, context.output_name
        for earlier in range(1, context.epoch):
            part_path(folder, *name, earlier).unlink(missing_ok=True)  # its worker is fenced
        path, part = (
            output_path(folder, *name, context.epoch),
            part_path(folder, *name, context.epoch),
        )
        try:
            _write(part, value, context)
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        for changed in (folder, *grown):
            _sync(changed)
        context.add_metadata({"path": MetadataValue.path(path)})

    def load_input(self, context: InputContext) -> Any:
        path = output_path(
            self._folder(context.upstream_run_id),
            context.upstream_step_key,
            context.upstream_output_name,
            context.upstream_epoch,
        )
        try:
            with path.open("rb") as file:
                return pickle.load(file)  # noqa: S301 - a step of this run, or of one before it, has written it
        except FileNotFoundError as error:
            raise InputLoadError(
                f"input {context.input_name!r} of step {context.step_key!r}: output"
                f" {context.upstream_output_name!r} of step {context.upstream_step_key!r} is not"
                f" stored at {path}; was it deleted?",
                user_exception=error,
            ) from error

    def clear_away(self, run_id: str, step_key: str, epoch: int) -> None:
        folder = self._folder(run_id)
        for part in folder.glob(part_pattern(step_key)):
            number = part.name.split(".")[-2]
            if number.isdecimal() and int(number) <= epoch:
                with suppress(OSError):
                    part.unlink()

    def _folder(self, run_id: str) -> Path:
        return output_folder(self._base_dir, run_id)


def _write(path: Path, value: Any, context: OutputContext) -> None:
    with path.open("wb") as file:
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
