"""The wire between a workspace and its code servers: gRPC over a unix socket, without generated code."""

from __future__ import annotations

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


def serve(socket_path: Path, handlers: Handlers, *, threads: int = 8) -> grpc.Server:
    """Starts to answer on a unix socket.

    Raises:
        RuntimeError: the socket cannot be opened.
    """
    server = grpc.server(
        ThreadPoolExecutor(max_workers=threads, thread_name_prefix="runwire-answer"),
        handlers=[grpc.method_handlers_generic_handler(SERVICE, handlers)],
        options=MESSAGE_LIMITS,
    )
    server.add_insecure_port(address_of(socket_path))
    server.start()
    return server


def address_of(socket_path: Path) -> str:
    """The address of a unix socket, as gRPC writes it."""
    return f"unix:{socket_path}"


class CodeServerCallError(Exception):
    """A call did not work: the server does not answer, or refuses the message."""


class CodeServerClient:
    """Calls one code server. Thread-safe."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=MESSAGE_LIMITS)

    def call(self, method: Method[Request, Reply], request: Request, *, timeout: float) -> Reply:
        """Asks and waits for the reply, at most `timeout` seconds.

        Raises:
            CodeServerCallError: there was none.
            TypeError, ValueError: the request holds something that is not JSON.
        """
        body = encode(request)
        ask: Callable[..., bytes] = self._channel.unary_unary(method.path)
        try:
            return method.decode_reply(ask(body, timeout=timeout))
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
    if code is grpc.StatusCode.UNAVAILABLE:
        return f"its process does not answer ({details})"
    return f"{method.name} failed with {code.name}: {details}"
