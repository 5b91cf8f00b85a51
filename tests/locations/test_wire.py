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
    tcp_address,
)
from tests.cli.served import free_port

TIMEOUT_SECONDS = 30.0
TOKEN = "a-token-of-16-or-more"


def _check_worker(request: protocol.CheckWorkerRequest) -> protocol.CheckWorkerReply:
    return protocol.CheckWorkerReply("RUNNING" if request.run_id == "live" else "NOT_FOUND", "")


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
        **answer(protocol.CHECK_WORKER, _check_worker),
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
    for run_id, status in (("live", "RUNNING"), ("other", "NOT_FOUND")):
        request = protocol.CheckWorkerRequest(run_id, 1, {})
        reply = client.call(protocol.CHECK_WORKER, request, timeout=TIMEOUT_SECONDS)
        assert reply == protocol.CheckWorkerReply(status, "")


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
    code, details = _status(socket_path, protocol.CHECK_WORKER.path, body)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("malformed CheckWorker: ")


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
    server = serve(path, answer(protocol.CHECK_WORKER, _check_worker))
    assert path.is_socket()
    server.stop(grace=None).wait()
    assert not path.exists()


# ---------------------------------------------------------------------------------------- tokens


@pytest.fixture
def guarded() -> Iterator[str]:
    """The address of a server that demands a token."""
    address = tcp_address("127.0.0.1", free_port())
    server = serve(address, answer(protocol.CHECK_WORKER, _check_worker), token=TOKEN)
    yield address
    server.stop(grace=None).wait()


def test_who_presents_the_token_is_answered(guarded: str) -> None:
    client = CodeServerClient(guarded, TOKEN)
    request = protocol.CheckWorkerRequest("live", 1, {})
    reply = client.call(protocol.CHECK_WORKER, request, timeout=TIMEOUT_SECONDS)
    client.close()
    assert reply == protocol.CheckWorkerReply("RUNNING", "")


@pytest.mark.parametrize("token", [None, "", "another-token-of-16", TOKEN + "x"])
def test_who_does_not_is_refused(guarded: str, token: str | None) -> None:
    client = CodeServerClient(guarded, token)
    with pytest.raises(CodeServerCallError, match="the token of this code server is needed"):
        client.call(
            protocol.CHECK_WORKER,
            protocol.CheckWorkerRequest("live", 1, {}),
            timeout=TIMEOUT_SECONDS,
        )
    client.close()


@pytest.mark.parametrize("method", ["Ping", "Nothing"])
def test_without_the_token_no_method_is_known_nor_unknown(guarded: str, method: str) -> None:
    with grpc.insecure_channel(guarded) as channel:
        ask: Callable[..., bytes] = channel.unary_unary(f"/{protocol.SERVICE}/{method}")
        with pytest.raises(grpc.RpcError) as refused:
            ask(b"{}", timeout=TIMEOUT_SECONDS)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_two_servers_do_not_share_a_port(guarded: str) -> None:
    with pytest.raises(RuntimeError, match="bind"):
        serve(guarded, answer(protocol.CHECK_WORKER, _check_worker))


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1:4"), ("::1", "[::1]:4"), ("db", "db:4")]
)
def test_an_address_is_written_as_grpc_reads_it(host: str, address: str) -> None:
    assert tcp_address(host, 4) == address
