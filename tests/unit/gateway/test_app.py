"""The ASGI application without a socket: what happens when something fails in the gateway itself, and who waits for
whom.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from penstock.calls.engine import Engine
from penstock.gateway import app as module
from penstock.gateway.app import Application, place_of
from penstock.gateway.config import MAX_BODY, gateway_of
from penstock.providers.registry import default_registry

KEY = "sk-fake-master"
APPLICATION = Application(gateway_of(default_registry(), {"PENSTOCK_MASTER_KEY": KEY}), Engine(environment={}))


def scope(path: str = "/v1/chat/completions", method: str = "POST", key: str = KEY) -> dict[str, Any]:
    headers = [(b"authorization", f"Bearer {key}".encode())]
    return {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}


def run(messages: list[dict[str, Any]], **about: Any) -> tuple[list[dict[str, Any]], int]:
    """What the application sends, and how many messages it has taken, when these come in and then nothing more."""
    sent: list[dict[str, Any]] = []
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        if taken == len(messages):
            await asyncio.Event().wait()
        taken += 1
        return messages[taken - 1]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(APPLICATION(scope(**about), receive, send))
    return sent, taken


def body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


HELLO = body(json.dumps({"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}).encode())


def test_an_answer() -> None:
    sent, _ = run([HELLO])
    assert sent[0]["status"] == 200
    assert b"You said: Hello" in sent[1]["body"]


def test_a_body_in_pieces() -> None:
    pieces = [body(bytes([byte]), more=True) for byte in HELLO["body"]]
    assert run([*pieces, body(b"")])[0][0]["status"] == 200


@pytest.mark.parametrize("about", [{"key": "wrong"}, {"path": "/nowhere"}, {"method": "PUT"}])
def test_nothing_is_read_for_somebody_who_is_refused(about: dict[str, str]) -> None:
    sent, taken = run([HELLO], **about)
    assert sent[0]["status"] in (401, 404, 405)
    assert taken == 0


def test_reading_stops_where_a_body_is_too_large() -> None:
    piece = body(b" " * (MAX_BODY // 4), more=True)
    sent, taken = run([piece] * 100)
    assert (sent[0]["status"], taken) == (413, 5)


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_SILENCE", 0.05)
    sent, _ = run([body(b"{", more=True)])
    assert sent[0]["status"] == 408
    assert b"nothing more of the body came" in sent[1]["body"]


def test_a_client_that_leaves_before_its_request_is_whole_gets_nothing() -> None:
    assert run([body(b"{", more=True), {"type": "http.disconnect"}])[0] == []


def test_work_is_given_up_when_the_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = []

    async def forever(*arguments: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    monkeypatch.setattr(module, "handle_chat", forever)
    assert run([HELLO, {"type": "http.disconnect"}])[0] == []
    assert stopped == [True]


def test_a_fault_of_the_gateway_is_logged_without_what_the_client_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*arguments: Any) -> Any:
        raise KeyError("what the client said")

    monkeypatch.setattr(module, "handle_chat", fail)
    with caplog.at_level(logging.ERROR):
        sent, _ = run([HELLO])
    headers = dict(sent[0]["headers"])
    call_id = headers[b"x-penstock-call-id"].decode()
    error = json.loads(sent[1]["body"])["error"]
    assert (sent[0]["status"], error["type"]) == (500, "server_error")
    assert call_id in error["message"] and call_id in caplog.text
    assert "KeyError" in caplog.text
    assert "what the client said" not in caplog.text + error["message"]


def test_a_place_names_the_innermost_line() -> None:
    with pytest.raises(ValueError) as caught:
        json.loads("{")
    assert place_of(caught.value).startswith("JSONDecodeError in json.decoder, line ")
