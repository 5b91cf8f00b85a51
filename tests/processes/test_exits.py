"""How processes ended, in words."""

import pytest

from runwire.processes.exits import UNKNOWN_EXIT, describe_exit


@pytest.mark.parametrize(
    ("exit_code", "told"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-9, "was killed by SIGKILL"),
        (-11, "was killed by SIGSEGV"),
        (-200, "was killed by signal 200"),
        (UNKNOWN_EXIT, "ended"),
    ],
)
def test_an_exit_code_is_told_in_words(exit_code: int, told: str) -> None:
    assert describe_exit(exit_code) == told
