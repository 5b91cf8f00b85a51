"""The protocol alone: what each message leads to, by the state of the conversation."""

from __future__ import annotations

import json
from typing import Any

from runwire.api.access import Principal
from runwire.server.auth import ANYBODY
from runwire.server.requests import GraphQLRequest
from runwire.server.websocket.dialects import TRANSPORT_WS
from runwire.server.websocket.protocol import (
    Action,
    Admission,
    Close,
    Operation,
    Protocol,
    Reply,
    Stop,
)


class Conversation:
    def __init__(self, max_operations: int = 10, *, admitted: bool = True) -> None:
        self.payloads: list[Any] = []
        self._principal = ANYBODY if admitted else None
        self.protocol = Protocol(TRANSPORT_WS, max_operations)

    def say(self, type: str, **members: Any) -> Action | None:
        action = self.protocol.receive_text(json.dumps({"type": type, **members}))
        if not isinstance(action, Admission):
            return action
        self.payloads.append(action.payload)
        if self._principal is None:
            return self.protocol.refuse("the token 'x' expired")
        return self.protocol.admit(self._principal)

    def start(self, id: str = "1") -> Operation:
        action = self.say("subscribe", id=id, payload={"query": "{a}"})
        assert isinstance(action, Operation)
        return action


def greeted(**options: Any) -> Conversation:
    conversation = Conversation(**options)
    assert conversation.say("connection_init") == Reply({"type": "connection_ack"})
    return conversation


def test_init_is_acknowledged_with_who_it_is() -> None:
    conversation = Conversation()
    before = conversation.protocol.is_acknowledged
    conversation.say("connection_init", payload={"authorization": "x"})
    assert [before, conversation.protocol.is_acknowledged] == [False, True]
    assert conversation.payloads == [{"authorization": "x"}]
    assert conversation.start().principal is ANYBODY


def test_who_is_not_known_is_not_acknowledged() -> None:
    conversation = Conversation(admitted=False)
    action = conversation.say("connection_init", payload=None)
    assert isinstance(action, Close)
    assert (action.code, action.reason) == (4403, "Forbidden: the token 'x' expired")
    assert not conversation.protocol.is_acknowledged


def test_nothing_is_started_before_init() -> None:
    action = Conversation().say("subscribe", id="1", payload={"query": "{a}"})
    assert isinstance(action, Close)
    assert action.code == 4401


def test_an_operation_is_started_with_all_that_was_asked() -> None:
    payload = {"query": "{a}", "variables": {"n": 1}, "operationName": "A", "extensions": {"b": 2}}
    action = greeted().say("subscribe", id="1", payload=payload)
    assert isinstance(action, Operation)
    assert action.id == "1"
    assert action.request == GraphQLRequest("{a}", {"n": 1}, "A", {"b": 2})


def test_an_id_is_free_when_its_operation_ended_or_was_stopped() -> None:
    conversation = greeted()
    first = conversation.start()
    conversation.protocol.end(first)
    second = conversation.start()
    assert conversation.say("complete", id="1") == Stop(second)
    third = conversation.start()
    conversation.protocol.end(second)  # told late, of another operation under the same id
    action = conversation.say("subscribe", id="1", payload={"query": "{a}"})
    assert isinstance(action, Close)
    assert action.code == 4409
    assert conversation.say("complete", id="1") == Stop(third)


def test_complete_of_what_does_not_run_does_nothing() -> None:
    assert greeted().say("complete", id="1") is None


def test_operations_are_counted_while_they_run() -> None:
    conversation = greeted(max_operations=1)
    first = conversation.start()
    refused = conversation.say("subscribe", id="2", payload={"query": "{a}"})
    assert isinstance(refused, Reply)
    assert (refused.message["id"], refused.message["type"]) == ("2", "error")
    conversation.protocol.end(first)
    conversation.start("2")


def test_pings_are_answered_in_every_state() -> None:
    for conversation in (Conversation(), greeted()):
        assert conversation.say("ping") == Reply({"type": "pong"})
        assert conversation.say("ping", payload={"a": 1}) == Reply(
            {"type": "pong", "payload": {"a": 1}}
        )
        assert conversation.say("pong", payload={"a": 1}) is None


def test_reasons_fit_into_a_close_frame_whatever_the_client_sent() -> None:
    conversation = greeted()
    name = "ü" * 120
    conversation.start(name)
    action = conversation.say("subscribe", id=name, payload={"query": "{a}"})
    assert isinstance(action, Close)
    assert len(action.reason.encode()) <= 123
    surrogate = conversation.protocol.receive_text('{"type":"\\ud800"}')
    assert isinstance(surrogate, Close)
    surrogate.reason.encode()


def test_principals_are_those_of_the_init() -> None:
    ada = Principal("ada", True)
    protocol = Protocol(TRANSPORT_WS, 1)
    assert protocol.receive_text('{"type":"connection_init"}') == Admission(None)
    protocol.admit(ada)
    action = protocol.receive_text('{"type":"subscribe","id":"1","payload":{"query":"{a}"}}')
    assert isinstance(action, Operation)
    assert action.principal is ada
