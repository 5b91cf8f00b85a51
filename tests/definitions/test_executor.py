"""Executors of jobs: which there are, how they are configured, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from runwire import in_process_executor, job, multiprocess_executor, op
from runwire.definitions import JobDefinition, RetryMode

OPS = """
@op
def load() -> None: ...
"""


def test_a_job_runs_in_process_unless_it_says_otherwise() -> None:
    @op
    def load() -> None: ...

    @job
    def here() -> None:
        load()

    assert here.executor_def is in_process_executor

    @job(executor_def=multiprocess_executor)
    def apart() -> None:
        load()

    assert apart.executor_def is multiprocess_executor


def test_the_executor_may_be_configured(load_job: Callable[[str], JobDefinition]) -> None:
    made = load_job(
        OPS
        + """
@job(executor_def=multiprocess_executor.configured({"max_concurrent": 3}))
def etl():
    load()
"""
    )
    assert made.executor_def.name == "multiprocess"
    assert made.executor_def.config.model_dump(mode="json") == {
        "max_concurrent": 3,
        "retries": "enabled",
    }
    disabled = {"max_concurrent": 0, "retries": RetryMode.DISABLED}
    assert multiprocess_executor.configured({"retries": "disabled"}).config.model_dump() == disabled


def test_configuring_again_takes_the_place_of_the_config() -> None:
    four = multiprocess_executor.configured({"max_concurrent": 4})
    assert four.configured({}) == multiprocess_executor
    assert four.configured({"max_concurrent": 4}) == four


NOT_WHOLE = "max_concurrent: Input should be a valid integer"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ('{"max_concurrent": -1}', "max_concurrent: Input should be greater than or equal to 0"),
        ('{"max_concurrent": "2"}', NOT_WHOLE),
        ('{"max_concurrent": True}', NOT_WHOLE),
        ('{"steps": 2}', "steps: there is no such key; remove it or mend its name"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    refusal: Callable[[str], str], config: str, problem: str
) -> None:
    told = refusal(f"{OPS}\nother = multiprocess_executor.configured({config})  # HERE\n")
    fits_not = f"its config does not fit: {problem}; its keys are: retries, max_concurrent"
    assert told == f"executor 'multiprocess': {fits_not}"


def test_a_config_that_is_no_mapping_is_refused(refusal: Callable[[str], str]) -> None:
    told = refusal(f"{OPS}\nother = multiprocess_executor.configured(4)  # HERE\n")
    assert told == (
        "executor 'multiprocess': it is configured with a int; give a mapping:"
        " multiprocess_executor.configured({...})"
    )


def test_the_in_process_executor_takes_no_more_than_it_knows(refusal: Callable[[str], str]) -> None:
    told = refusal(f"{OPS}\nother = in_process_executor.configured({{'a': 1}})  # HERE\n")
    assert told == (
        "executor 'in_process': its config does not fit: a: there is no such key; remove it or mend"
        " its name; its keys are: retries"
    )


@pytest.mark.parametrize(
    ("given", "shown"), [("'multiprocess'", "'multiprocess'"), ("4", "int"), ("None", "NoneType")]
)
def test_what_is_no_executor_is_refused(
    refusal: Callable[[str], str], given: str, shown: str
) -> None:
    told = refusal(f"{OPS}\n@job(executor_def={given})  # HERE\ndef etl():\n    load()\n")
    assert told == (
        f"job 'etl': executor_def is {shown}; give in_process_executor or multiprocess_executor, which"
        " runwire exports, or what @executor makes"
    )


def test_defining_jobs_does_not_import_the_engine() -> None:
    code = (
        "import sys; from runwire import multiprocess_executor as m; m.configured({});"
        " print([n for n in sys.modules if n.startswith(('runwire.exec', 'runwire.storage'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
