"""The wire between a workspace and its code servers: gRPC without generated code.

Code servers of ours listen on unix sockets in folders that only we can read. Others may listen on TCP; beyond
loopback they answer only who presents their token, as metadata ``authorization: Bearer <token>``.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import msgspec

from runwire.locations.protocol import (
    MAX_MESSAGE_BYTES,
    SERVICE,
    Method,
    Reply,
    Request,
    encode,
)

MESSAGE_LIMITS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)

CLIENT_OPTIONS = (
    *MESSAGE_LIMITS,
    # One that comes back is found within a second; by default that may take two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Not a wait, whatever its name says: how long one attempt to connect may take, on a busy machine as well.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 500),
    # A proxy is for the web.
    ("grpc.enable_http_proxy", 0),
)

Handlers: TypeAlias = dict[str, "grpc.RpcMethodHandler[bytes, bytes]"]


def answer(method: Method[Request, Reply], handle: Callable[[Request], Reply]) -> Handlers:
    """The handler of one method, by its name."""

    def respond(body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            request = method.decode_request(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"malformed {method.name}: {error}")
        return encode(handle(request))

    return {method.name: grpc.unary_unary_rpc_method_handler(respond)}


def serve(
    place: Path | str, handlers: Handlers, *, token: str | None = None, threads: int = 32
) -> grpc.Server:
    """Starts to answer.

    Args:
        place: the path of a unix socket, or what `tcp_address` gives.
        handlers: what answers, by method.
        token: whoever calls must present it; None when anybody may call who can.
        threads: how many calls are answered at a time.

    Raises:
        RuntimeError: the place cannot be listened on.
    """
    server = grpc.server(
        ThreadPoolExecutor(max_workers=threads, thread_name_prefix="runwire-answer"),
        handlers=[grpc.method_handlers_generic_handler(SERVICE, handlers)],
        # By default two servers may listen on one port, and each gets some of the calls.
        options=(*MESSAGE_LIMITS, ("grpc.so_reuseport", 0)),
        interceptors=[] if token is None else [_TokenCheck(token)],
    )
    server.add_insecure_port(address_of(place) if isinstance(place, Path) else place)
    server.start()
    return server


def address_of(socket_path: Path) -> str:
    """The address of a unix socket, as gRPC writes it."""
    return f"unix:{socket_path}"


def tcp_address(host: str, port: int) -> str:
    """The address of a port of a host, as gRPC writes it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _TokenCheck(grpc.ServerInterceptor):
    """Refuses whoever does not present the token."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()
        self._refusal: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            _refuse
        )

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Any],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        given = dict(handler_call_details.invocation_metadata).get("authorization", "")
        if hmac.compare_digest(str(given).encode(), self._expected):
            return continuation(handler_call_details)
        return self._refusal


def _refuse(_body: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token of this code server is needed")


class CodeServerCallError(Exception):
    """A call did not work: the server does not answer, or refuses the message."""


class CodeServerClient:
    """Calls one code server, whatever process answers at the address. Thread-safe."""

    def __init__(self, address: str, token: str | None = None) -> None:
        self._channel = grpc.insecure_channel(address, options=CLIENT_OPTIONS)
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)

    def call(self, method: Method[Request, Reply], request: Request, *, timeout: float) -> Reply:
        """Asks and waits for the reply, at most `timeout` seconds.

        Raises:
            CodeServerCallError: there was none.
            TypeError, ValueError: the request holds something that is not JSON.
        """
        body = encode(request)
        ask: Callable[..., bytes] = self._channel.unary_unary(method.path)
        try:
            return method.decode_reply(ask(body, timeout=timeout, metadata=self._metadata))
        except grpc.RpcError as error:
            raise CodeServerCallError(_problem(error, method, timeout)) from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CodeServerCallError(
                f"its answer to {method.name} is malformed: {error}"
            ) from error
        except ValueError as error:  # how gRPC says that the channel is closed
            raise CodeServerCallError("it was shut down") from error

    def close(self) -> None:
        """Closes the connection. Harmless when called twice."""
        self._channel.close()


def _problem(error: grpc.RpcError, method: Method[Any, Any], timeout: float) -> str:
    code, details = error.code(), error.details()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"it did not answer {method.name} within {timeout:g} s"
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return f"it refuses the call: {details}"
    if code is grpc.StatusCode.UNAVAILABLE:
        return f"its process does not answer ({details})"
    return f"{method.name} failed with {code.name}: {details}"
