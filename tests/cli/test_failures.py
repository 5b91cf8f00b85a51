"""The exit code of every kind of error, and its words."""

from __future__ import annotations

import pytest

from runwire.cli.failures import describe, exit_code
from runwire.client import (
    NotAuthorizedError,
    ProtocolViolatedError,
    RequestFailedError,
    RequestRefusedError,
    ServerUnreachableError,
)
from runwire.errors import (
    ForbiddenError,
    HomeInvalidError,
    RunNotFoundError,
    RunwireError,
    StorageUnavailableError,
)

URL = "http://127.0.0.1:3333/graphql"


def refused(type_name: str) -> RequestRefusedError:
    return RequestRefusedError(type_name, "no", {})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (refused("JobNotFound"), 2),
        (refused("JobAmbiguous"), 2),
        (refused("RunNotFound"), 2),
        (refused("RunConfigInvalid"), 2),
        (refused("CursorInvalid"), 2),
        (refused("CursorExpired"), 2),
        (refused("InputInvalid"), 2),
        (refused("RunAlreadyExists"), 2),
        (refused("RunStateConflict"), 1),
        (refused("LaunchFailed"), 1),
        (refused("TerminateFailed"), 1),
        (refused("CodeLocationUnavailable"), 69),
        (refused("Forbidden"), 77),
        (RequestFailedError("no", "INVALID_ARGUMENT"), 2),
        (RequestFailedError("no", "CURSOR_INVALID"), 2),
        (RequestFailedError("no", "UNAVAILABLE"), 69),
        (RequestFailedError("no", "INTERNAL", "e1"), 1),
        (RequestFailedError("no"), 1),
        (ServerUnreachableError(URL, "no"), 69),
        (StorageUnavailableError("no"), 69),
        (NotAuthorizedError(URL, token_given=True), 77),
        (ForbiddenError("READ"), 77),
        (HomeInvalidError("no"), 2),
        (RunNotFoundError("r"), 2),
        (ProtocolViolatedError("no"), 1),
        (RunwireError("no"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: RunwireError, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            NotAuthorizedError(URL, token_given=False),
            (
                f"{URL} does not allow this: it demands a token;"
                " give its token with --token or RUNWIRE_TOKEN"
            ),
        ),
        (RequestFailedError("it broke", "INTERNAL", "e1"), "it broke (error id e1)"),
        (RequestFailedError("it broke, see e1", "INTERNAL", "e1"), "it broke, see e1"),
        (refused("JobAmbiguous"), "no (--repository, --location)"),
        (RequestRefusedError("LaunchFailed", "\x1b[2J", {}), "\\x1b[2J"),
    ],
)
def test_the_words_say_what_to_do_and_steer_no_terminal(error: RunwireError, words: str) -> None:
    assert describe(error) == words
