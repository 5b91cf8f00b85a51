"""The process of an evaluator: calls functions of schedules, one after the other, for a code server.

Requests and replies are lines on a socket: the name of the method, a blank and the request; the reply. The first
line that it says is empty when it has the definitions, and tells the error when it has not. It ends when the socket
does, and when nothing was asked for a while.
"""

from __future__ import annotations

import select
import socket
import sys

from runwire.error_info import ErrorInfo
from runwire.locations.definition_loading import load_definitions, preloaded_definitions
from runwire.locations.evaluation import EVALUATIONS, Repositories
from runwire.locations.protocol import (
    EvaluatorParameters,
    NotEvaluated,
    decode_line,
    encode,
)

IDLE_SECONDS = 60.0
"""After how long without a request it ends."""


def main(payload: bytes, channel: int | None) -> None:
    """Evaluates what is asked for on the channel."""
    with socket.socket(fileno=channel) as link:
        try:
            repositories = _load(decode_line(payload, EvaluatorParameters))
        except BaseException as error:  # noqa: BLE001 - SystemExit as well: it is what loading did
            link.sendall(encode(NotEvaluated(ErrorInfo.from_exception(error))) + b"\n")
            return
        link.sendall(b"\n")
        _serve(repositories, link)


def _load(parameters: EvaluatorParameters) -> Repositories:
    repositories = preloaded_definitions(parameters.source)
    if repositories is not None:
        return repositories
    if parameters.sys_path:
        sys.path[:] = parameters.sys_path
    return load_definitions(parameters.source)


def _serve(repositories: Repositories, link: socket.socket) -> None:
    with link.makefile("rb") as requests:
        while _is_asked(link):
            line = requests.readline()
            if not line:
                return
            name, _, body = line.partition(b" ")
            method, evaluate = EVALUATIONS[name.decode()]
            reply = evaluate(repositories, method.decode_request(body))
            link.sendall(encode(reply) + b"\n")


def _is_asked(link: socket.socket) -> bool:
    """Waits for a request; nothing is asked before the last one was answered."""
    ready, _, _ = select.select([link], [], [], IDLE_SECONDS)
    return bool(ready)
