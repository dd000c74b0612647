"""The public face: scripts and their order, what is recorded, addresses, life and death of the server."""

import asyncio
import json
import socket
import threading
from typing import Any

import httpx
import pytest

from penstock.testing.providers import (
    DIALECTS,
    MOUNTS,
    OPERATIONS,
    ReceivedRequest,
    Reply,
    ScriptError,
    SimulatedProviders,
    Stall,
    Structured,
    Text,
    ToolCall,
    Usage,
)
from penstock.testing.providers.turns import resolve, sample
from penstock.testing.providers.wire import Ask
from tests.unit.testing.reading import receive, request_bytes, talk

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
CLAUDE = {**CHAT, "max_tokens": 5}
KEYS = {"authorization": "Bearer fake", "x-api-key": "fake", "anthropic-version": "2023-06-01"}


def chat(provider: SimulatedProviders, **extra: Any) -> httpx.Response:
    return httpx.post(provider.url("openai_chat") + "/chat/completions", json={**CHAT, **extra}, headers=KEYS)


def claude(provider: SimulatedProviders) -> httpx.Response:
    return httpx.post(provider.url("anthropic_messages") + "/v1/messages", json=CLAUDE, headers=KEYS)


def said(answer: httpx.Response) -> str:
    body = answer.json()
    return str(body["choices"][0]["message"]["content"] if "choices" in body else body["content"][0]["text"])


# --- which reply a request gets --------------------------------------------------------------------------------------


def test_replies_come_in_order_then_the_default_answer(provider: SimulatedProviders) -> None:
    provider.script(Reply.text("one"), Reply.text("two"))
    assert provider.pending == 2
    assert [said(chat(provider)) for _ in range(3)] == ["one", "two", "You said: hi"]
    assert provider.pending == 0


def test_a_reply_may_be_bound_to_one_operation(provider: SimulatedProviders) -> None:
    provider.script(Reply.text("for anyone"))
    provider.script(Reply.text("for claude"), on="anthropic_messages")
    assert said(claude(provider)) == "for claude"
    assert said(claude(provider)) == "for anyone"


def test_an_endpoint_that_no_model_answers_takes_only_what_is_bound_to_it(provider: SimulatedProviders) -> None:
    provider.script(Reply.text("for a model"))
    url = provider.url("openai") + "/models"
    assert httpx.get(url, headers=KEYS).status_code == 200
    provider.script(Reply.error(503), on="openai_models.list")
    assert httpx.get(url, headers=KEYS).status_code == 503
    assert said(chat(provider)) == "for a model"


def test_a_function_answers_when_no_queue_does(provider: SimulatedProviders) -> None:
    def answer(request: ReceivedRequest) -> Reply | None:
        return Reply.text(f"model {request.json['model']}") if "gpt" in request.json["model"] else None

    provider.answer_with(answer)
    provider.script(Reply.text("queued"))
    assert [said(chat(provider)), said(chat(provider)), said(chat(provider, model="other"))] == [
        "queued",
        "model gpt-4o",
        "You said: hi",
    ]
    provider.answer_with(None)
    assert said(chat(provider)) == "You said: hi"


def test_a_refused_request_takes_no_reply(provider: SimulatedProviders) -> None:
    provider.script(Reply.text("still here"))
    assert chat(provider, nonsense=1).status_code == 400
    assert provider.last.refused == "Unknown parameter: 'nonsense'."
    assert said(chat(provider)) == "still here"


def test_native_bodies_and_events_are_the_tests_own(provider: SimulatedProviders) -> None:
    provider.script(Reply.native({"anything": [1]}), Reply.native(events=[{"a": 1}, "[DONE]"]))
    assert chat(provider).json() == {"anything": [1]}
    assert chat(provider, stream=True).text == 'data: {"a":1}\n\ndata: [DONE]\n\n'
    named = {"type": "content_block_delta", "index": 0}
    provider.script(Reply.native(events=[named]), on="anthropic_messages")
    streamed = httpx.post(provider.url("anthropic") + "/v1/messages", json={**CLAUDE, "stream": True}, headers=KEYS)
    assert streamed.text == 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0}\n\n'


def test_a_reply_may_name_its_model_and_id(provider: SimulatedProviders) -> None:
    provider.script(Reply.text("x").named(model="gpt-4o-2024-08-06", id="chatcmpl-mine"))
    body = chat(provider).json()
    assert (body["model"], body["id"]) == ("gpt-4o-2024-08-06", "chatcmpl-mine")


def test_the_same_exchanges_give_the_same_bytes() -> None:
    def run() -> list[str]:
        with SimulatedProviders() as provider:
            provider.script(Reply.tool_calls(ToolCall("f", {"a": 1})), Reply.thinking("hm", "x"))
            return [chat(provider).text, chat(provider, stream=True).text, chat(provider).text]

    assert run() == run()


def test_mistakes_in_a_script_are_said_at_once(provider: SimulatedProviders) -> None:
    with pytest.raises(ScriptError, match=r"no operation 'openai'; there are: anthropic_files\.content"):
        provider.script(Reply.text("x"), on="openai")
    with pytest.raises(ScriptError, match="the pieces, joined, must be the text"):
        Reply.text("abc", pieces=["a", "b"])
    with pytest.raises(ScriptError, match="a text of 3 characters cannot be cut into 5 pieces"):
        Reply.text("abc", pieces=5)


def test_a_function_that_fails_is_heard_of() -> None:
    def answer(request: ReceivedRequest) -> Reply | None:
        raise KeyError("missing")

    provider = SimulatedProviders().start()
    provider.answer_with(answer)
    assert chat(provider).status_code == 500
    with pytest.raises(ScriptError, match="KeyError: 'missing'"):
        provider.close()


def test_a_failed_test_is_not_hidden_by_a_failed_script() -> None:
    with pytest.raises(ZeroDivisionError), SimulatedProviders() as provider:  # noqa: PT012  # what fails is the whole block
        provider.script(Reply.tool_calls(ToolCall("f", "not json")), on="ollama_chat")
        httpx.post(provider.url("ollama") + "/api/chat", json=CHAT)
        raise ZeroDivisionError


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_requests_are_recorded_as_the_provider_saw_them(provider: SimulatedProviders) -> None:
    url = provider.url("gemini") + "/v1beta/models/gemini-2.5-flash:generateContent"
    httpx.post(url, params={"key": "fake"}, json={"contents": [{"parts": [{"text": "hi"}]}]}, headers={"X-Mine": "1"})
    request = provider.last
    assert (request.method, request.path) == ("POST", "/gemini/v1beta/models/gemini-2.5-flash:generateContent")
    assert request.query == {"key": ["fake"]}
    assert request.headers["x-mine"] == request.headers["X-MINE"] == "1"
    assert "authorization" not in request.headers
    assert request.json["contents"][0]["parts"] == [{"text": "hi"}]
    assert (request.operation, request.mount, request.number) == ("gemini", "gemini", 1)
    assert provider.wait_until(lambda provider: provider.last.outcome == "complete")


def test_clear_forgets_script_and_requests(provider: SimulatedProviders) -> None:
    provider.script(Reply.text("x"))
    provider.script(Reply.text("y"), on="openai_chat")
    chat(provider)
    provider.clear()
    assert (provider.requests, provider.pending) == ([], 0)
    assert said(chat(provider)) == "You said: hi"
    assert provider.last.number == 2, "numbers go on, so ids stay unique"


def test_only_the_latest_requests_are_kept_if_so_wished(provider: SimulatedProviders) -> None:
    provider.keep_requests(2)
    for _ in range(4):
        chat(provider)
    assert [request.number for request in provider.requests] == [3, 4]


def test_a_client_that_leaves_is_noticed(provider: SimulatedProviders) -> None:
    provider.script(Reply.text("a b c").delivered(between=30.0))
    body = json.dumps({**CHAT, "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", provider.port)) as sock:
        sock.sendall(request_bytes("/v1/chat/completions", body, authorization="Bearer fake"))
        assert sock.recv(10)
        assert provider.last.outcome == "open"
    assert provider.wait_until(lambda provider: provider.last.outcome == "client left")


def test_waiting_for_what_never_comes_ends(provider: SimulatedProviders) -> None:
    assert not provider.wait_until(lambda provider: bool(provider.requests), seconds=0.01)


# --- addresses -------------------------------------------------------------------------------------------------------


def test_every_dialect_and_mount_has_an_address(provider: SimulatedProviders) -> None:
    for name in [*DIALECTS, *(mount.name for mount in MOUNTS)]:
        assert provider.url(name).startswith(provider.origin + "/")
    with pytest.raises(KeyError, match="no simulated provider is called 'opneai'; there are: anthropic"):
        provider.url("opneai")


def test_paths_work_without_a_mount(provider: SimulatedProviders) -> None:
    assert said(httpx.post(provider.origin + "/v1/chat/completions", json=CHAT, headers=KEYS)) == "You said: hi"
    assert said(httpx.post(provider.origin + "/v1/messages", json=CLAUDE, headers=KEYS)) == "You said: hi"
    as_openai = httpx.get(provider.origin + "/v1/models", headers={"authorization": "Bearer fake"})
    as_anthropic = httpx.get(provider.origin + "/v1/models", headers=KEYS)
    assert as_openai.json()["object"] == "list"
    assert as_anthropic.json()["has_more"] is False


@pytest.mark.parametrize(
    ("name", "path", "status", "said_so"),
    [
        ("openai", "/nonsense", 404, "Invalid URL (POST /openai/v1/nonsense)"),
        ("anthropic", "/v1/nonsense", 404, "not_found_error"),
        ("gemini", "/v1beta/nonsense", 404, "<!DOCTYPE html>"),
        ("bedrock", "/nonsense", 404, "UnknownOperationException"),
        ("cohere", "/v2/nonsense", 404, "404 page not found"),
        ("ollama", "/api/nonsense", 404, "404 page not found"),
        ("voyage", "/nonsense", 404, "Not Found"),
        ("anthropic", "/v1/chat/completions", 404, "not_found_error"),
        ("openai", "/models", 405, "Method Not Allowed"),
    ],
)
def test_unknown_paths_are_refused_natively(
    provider: SimulatedProviders, name: str, path: str, status: int, said_so: str
) -> None:
    answer = httpx.post(provider.url(name) + path, json={}, headers=KEYS)
    assert answer.status_code == status
    assert said_so in answer.text
    assert provider.last.operation == ""


def test_operation_names_are_unique_per_route_and_known() -> None:
    assert {"openai_chat", "openai_responses", "anthropic_messages", "gemini", "bedrock_converse"} <= set(OPERATIONS)
    assert {"cohere_chat", "ollama_chat", "openai_embeddings", "cohere_rerank", "voyage_rerank"} <= set(OPERATIONS)


# --- HTTP ------------------------------------------------------------------------------------------------------------


def test_connections_are_kept(provider: SimulatedProviders) -> None:
    body = json.dumps(CHAT).encode()
    one = request_bytes("/v1/chat/completions", body, authorization="Bearer fake")
    last = request_bytes("/v1/chat/completions", body, authorization="Bearer fake", connection="close")
    received = talk(provider, one + one + last)  # pipelined, even
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert len(provider.requests) == 3


def test_head_has_no_body(provider: SimulatedProviders) -> None:
    received = talk(
        provider, request_bytes("/v1/models", method="HEAD", authorization="Bearer fake", connection="close")
    )
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-length: " in head
    assert body == b""


def test_a_client_that_waits_for_continue_is_told_to_go_on(provider: SimulatedProviders) -> None:
    body = json.dumps(CHAT).encode()
    whole = request_bytes("/v1/chat/completions", body, authorization="Bearer fake", expect="100-continue")
    with socket.create_connection(("127.0.0.1", provider.port), timeout=5) as sock:
        sock.sendall(whole.removesuffix(body))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.recv(12) == b"HTTP/1.1 200"


def test_what_is_no_http_is_refused(provider: SimulatedProviders) -> None:
    assert talk(provider, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert provider.requests == []


# --- life ------------------------------------------------------------------------------------------------------------


def test_closing_ends_open_streams() -> None:
    provider = SimulatedProviders().start()
    provider.script(Reply.text("a b c").with_faults(Stall(after=1)))
    body = json.dumps({**CHAT, "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", provider.port), timeout=5) as sock:
        sock.sendall(request_bytes("/v1/chat/completions", body, authorization="Bearer fake"))
        assert sock.recv(10)
        provider.close()
        assert not receive(sock).endswith(b"0\r\n\r\n")
    provider.close()  # again, without harm
    with pytest.raises(OSError, match=r"."):
        socket.create_connection(("127.0.0.1", provider.port), timeout=1)


def test_a_server_that_never_started_can_be_closed() -> None:
    SimulatedProviders().close()


def test_a_taken_port_is_an_error(provider: SimulatedProviders) -> None:
    other = SimulatedProviders(port=provider.port)
    with pytest.raises(OSError, match=r"."):
        other.start()
    other.close()


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    for _ in range(5):
        with SimulatedProviders() as provider:
            chat(provider)
    assert threading.active_count() == before


def test_a_hundred_streams_at_once(provider: SimulatedProviders) -> None:
    provider.answer_with(lambda request: Reply.text("x" * 50, pieces=50))

    async def run() -> list[int]:
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            return await asyncio.gather(*(count(client) for _ in range(100)))

    async def count(client: httpx.AsyncClient) -> int:
        url = provider.url("openai_chat") + "/chat/completions"
        async with client.stream("POST", url, json={**CHAT, "stream": True}, headers=KEYS) as answer:
            return sum([line.startswith("data: {") async for line in answer.aiter_lines()])

    assert asyncio.run(run()) == [52] * 100
    assert len({request.number for request in provider.requests}) == 100


# --- resolving -------------------------------------------------------------------------------------------------------


def test_what_a_script_leaves_open_is_decided_by_the_request() -> None:
    turn = resolve(Reply.of(Text("one two"), ToolCall("f", {"a": 1})), Ask(model="m", size=7))
    assert (turn.model, turn.stop) == ("m", "tool_calls")
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (7, 4)
    assert resolve(Reply.text("x").reporting(Usage(1, 2)), Ask()).usage == Usage(1, 2)
    assert resolve(Reply.refusal("no"), Ask()).stop == "refusal"


def test_a_structured_reply_fits_the_request() -> None:
    value = {"city": "Rome"}
    assert resolve(Reply.structured(value), Ask()).parts == (Text('{"city":"Rome"}'),)
    forced = resolve(Reply.structured(value), Ask(tools={"f": {}}, must_call="*"))
    assert forced.parts == (ToolCall("f", value),)
    with pytest.raises(ScriptError, match="must be a mapping"):
        resolve(Reply.of(Structured([1])), Ask(tools={"f": {}}, must_call="f"))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "minLength": 3}, "xxx"),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 5}, 5),
        ({"type": "integer", "minimum": 10}, 10),
        ({"type": ["null", "string"]}, None),
        ({"type": "BOOLEAN"}, True),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2}, [1, 1]),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"type": "string"}},
                "required": ["a"],
                "$defs": {"A": {"type": "object", "properties": {"x": {"type": "integer"}}}},
            },
            {"a": {"x": 1}},
        ),
    ],
)
def test_the_plainest_value_that_fits_a_schema(schema: Any, value: Any) -> None:
    assert sample(schema) == value
