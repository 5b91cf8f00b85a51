"""gRPC over a unix socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import grpc
import pytest

from runwire.locations import protocol
from runwire.locations.wire import (
    CodeServerCallError,
    CodeServerClient,
    address_of,
    answer,
    serve,
)

TIMEOUT_SECONDS = 30.0


def _has_worker(request: protocol.HasWorkerRequest) -> protocol.HasWorkerReply:
    return protocol.HasWorkerReply(request.run_id == "live")


def _plan_run(request: protocol.PlanRunRequest) -> protocol.PlanReply:
    return protocol.JobMissing((str(len(request.run_config["text"])),))


@pytest.fixture
def socket_path(socket_root: Path) -> Iterator[Path]:
    path = socket_root / "s"
    released = Event()

    def never(_request: protocol.PingRequest) -> protocol.PingReply:
        released.wait(TIMEOUT_SECONDS)
        raise RuntimeError("nobody waits for this")

    handlers = {
        **answer(protocol.HAS_WORKER, _has_worker),
        **answer(protocol.PLAN_RUN, _plan_run),
        **answer(protocol.PING, never),
    }
    server = serve(path, handlers)
    yield path
    released.set()
    server.stop(grace=None).wait()


@pytest.fixture
def client(socket_path: Path) -> Iterator[CodeServerClient]:
    client = CodeServerClient(address_of(socket_path))
    yield client
    client.close()


def _status(socket_path: Path, method: str, body: bytes) -> tuple[grpc.StatusCode, str]:
    with grpc.insecure_channel(address_of(socket_path)) as channel:
        ask: Callable[..., bytes] = channel.unary_unary(method)
        with pytest.raises(grpc.RpcError) as refused:
            ask(body, timeout=TIMEOUT_SECONDS)
        return refused.value.code(), refused.value.details() or ""


def test_a_request_gets_the_reply_of_its_handler(client: CodeServerClient) -> None:
    for run_id, alive in (("live", True), ("other", False)):
        request = protocol.HasWorkerRequest(run_id)
        reply = client.call(protocol.HAS_WORKER, request, timeout=TIMEOUT_SECONDS)
        assert reply == protocol.HasWorkerReply(alive)


def test_messages_may_be_larger_than_grpc_s_own_limit(client: CodeServerClient) -> None:
    size = 5 * 1024 * 1024
    request = protocol.PlanRunRequest("r", "j", {"text": "x" * size}, None)
    reply = client.call(protocol.PLAN_RUN, request, timeout=TIMEOUT_SECONDS)
    assert reply == protocol.JobMissing((str(size),))


def test_a_message_beyond_our_limit_is_refused(client: CodeServerClient) -> None:
    request = protocol.PlanRunRequest("r", "j", {"text": "x" * protocol.MAX_MESSAGE_BYTES}, None)
    with pytest.raises(CodeServerCallError, match="PlanRun failed with RESOURCE_EXHAUSTED"):
        client.call(protocol.PLAN_RUN, request, timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize("body", [b"", b"\xff", b"null", b'{"run_id":1}', b'{"run_id":"a","b":1}'])
def test_a_malformed_message_is_an_invalid_argument(socket_path: Path, body: bytes) -> None:
    code, details = _status(socket_path, protocol.HAS_WORKER.path, body)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("malformed HasWorker: ")


def test_an_unknown_method_is_unimplemented(socket_path: Path) -> None:
    code, _ = _status(socket_path, f"/{protocol.SERVICE}/Nothing", b"{}")
    assert code is grpc.StatusCode.UNIMPLEMENTED


def test_a_call_that_is_not_answered_ends_in_time(client: CodeServerClient) -> None:
    with pytest.raises(CodeServerCallError, match=r"did not answer Ping within 0\.05 s"):
        client.call(protocol.PING, protocol.PingRequest(), timeout=0.05)


def test_a_server_that_is_not_there_does_not_answer(socket_root: Path) -> None:
    client = CodeServerClient(address_of(socket_root / "nobody"))
    with pytest.raises(CodeServerCallError, match="its process does not answer"):
        client.call(protocol.PING, protocol.PingRequest(), timeout=TIMEOUT_SECONDS)
    client.close()


def test_a_closed_client_says_so(client: CodeServerClient) -> None:
    client.close()
    with pytest.raises(CodeServerCallError, match="it was shut down"):
        client.call(protocol.PING, protocol.PingRequest(), timeout=TIMEOUT_SECONDS)


def test_the_socket_is_removed_with_its_server(socket_root: Path) -> None:
    path = socket_root / "other"
    server = serve(path, answer(protocol.HAS_WORKER, _has_worker))
    assert path.is_socket()
    server.stop(grace=None).wait()
    assert not path.exists()
