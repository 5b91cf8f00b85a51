"""The messages."""

from __future__ import annotations

import msgspec
import pytest

from runwire.error_info import ErrorInfo
from runwire.errors import ConfigProblem
from runwire.locations import protocol
from runwire.locations.protocol import encode


def test_a_run_config_keeps_whole_numbers_of_any_size() -> None:
    request = protocol.PlanRunRequest("r", "j", {"n": 2**200}, None)
    assert protocol.PLAN_RUN.decode_request(encode(request)) == request


def test_every_reply_of_a_union_comes_back_as_itself() -> None:
    problems = (ConfigProblem(("ops", "load"), "a value is needed here", "missing"),)
    for reply in (
        protocol.RunConfigRefused(problems),
        protocol.StepKeysRefused("there is no step 'x'", ("0",)),
        protocol.JobMissing(("a", "b")),
        protocol.LoadFailed(ErrorInfo("no", "ValueError")),
    ):
        assert protocol.PLAN_RUN.decode_reply(encode(reply)) == reply


def test_a_lone_surrogate_is_escaped() -> None:
    reply = protocol.LoadFailed(ErrorInfo("bad \udc80 text", "ValueError"))
    assert protocol.LIST_REPOSITORIES.decode_reply(encode(reply)) == protocol.LoadFailed(
        ErrorInfo("bad \\udc80 text", "ValueError")
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"run_id": 1}',
        b'{"run_id": "a", "other": 1}',
    ],
)
def test_a_malformed_request_is_refused(body: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        protocol.CHECK_WORKER.decode_request(body)


def test_a_message_is_one_line() -> None:
    request = protocol.CheckWorkerRequest("a\nb", 1, {})
    assert encode(request) == b'{"run_id":"a\\nb","epoch":1,"instance_ref":{}}'
    assert protocol.decode_line(encode(request) + b"\n", protocol.CheckWorkerRequest) == request
