"""The page on files: its code runs, also with the other file manager, with its configs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from runwire import fsspec_file_manager
from runwire.definitions import JobDefinition
from runwire.executors import execute_in_process

PAGE = (Path(__file__).parents[2] / "docs" / "files.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def report() -> JobDefinition:
    defined: dict[str, Any] = {"__name__": "page"}
    exec(compile(blocks("python")[0], "files.md", "exec"), defined)
    made = defined["report"]
    assert isinstance(made, JobDefinition)
    return made


def test_its_code_runs(report: JobDefinition, tmp_path: Path) -> None:
    config = yaml.safe_load(blocks("yaml")[0].replace("/data", str(tmp_path)))
    result = execute_in_process(report, config)
    assert (result.output_for_step("count"), result.output_for_step("measure")) == (1, 22)
    assert [path.suffix for path in (tmp_path / "files").iterdir()] == [".csv"]


def test_its_code_runs_with_fsspec(report: JobDefinition) -> None:
    config = yaml.safe_load(blocks("yaml")[1])
    report.resolve_run_config({})
    told = config["resources"]["files"]["config"]
    told |= {"base_url": "memory://docs/files", "storage_options": {}}
    other = replace(report, resource_defs={"files": fsspec_file_manager})
    other.resolve_run_config(yaml.safe_load(blocks("yaml")[1]))
    assert execute_in_process(other, config).output_for_step("count") == 1
