"""What a call costs in the process: a mock call, reading and writing a request, and one event of a stream."""

from __future__ import annotations

import json
from typing import Any

from bench.figures import Figure, microseconds
from penstock import completion
from penstock.dialects import registry, wire
from penstock.dialects.dialect import Context, PathMatch
from penstock.types.fold import Fold
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE

_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def request_body() -> dict[str, Any]:
    """A chat request of about 2 KB: instructions, four turns, a tool call with its result, one tool."""
    turns: list[dict[str, Any]] = []
    for _ in range(4):
        turns.append({"role": "user", "content": "What is the weather in Paris today, and what should I wear? " * 2})
        turns.append({"role": "assistant", "content": "Let me look that up for you right away, one moment please."})
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    turns.append({"role": "assistant", "content": None, "tool_calls": [call]})
    turns.append({"role": "tool", "tool_call_id": "call_1", "content": "Sunny, 22 degrees, light wind from the south"})
    function = {"name": "get_weather", "description": "Get the weather of a city", "parameters": _PARAMETERS}
    return {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "You are a helpful assistant. " * 12}, *turns],
        "tools": [{"type": "function", "function": function}],
        "temperature": 0.5,
        "max_tokens": 200,
    }


def _chunk(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    chunk = {
        "id": "chatcmpl-123",
        "object": "chat.completion.chunk",
        "created": 1694268190,
        "model": "gpt-4o-mini",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [choice],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def figures() -> list[Figure]:
    """The lines of the table."""
    messages = [{"role": "user", "content": "Hello"}]
    found = [
        Figure(
            "completion(..., mock_response=...)",
            60,
            microseconds(lambda: completion("openai/gpt-4o", messages, mock_response="Hello there"), 2000),
            "us",
        )
    ]
    raw = json.dumps(request_body()).encode()
    chat = registry.get("openai_chat")
    for dialect in registry.dialects():
        own = dialect is chat
        name = f"parse + render of a {len(raw)} B chat request, to {dialect.name}"
        found.append(Figure(name, 25 if own else 50, _request_time(raw, dialect), "us"))
    found.append(Figure("one streamed event, parsed and folded", 5, _fold_time(), "us"))
    for dialect in registry.dialects():
        if dialect is not chat:
            found.append(
                Figure(f"one streamed event, translated to {dialect.name}", 15, _translate_time(dialect), "us")
            )
    return found


def _request_time(raw: bytes, dialect: Any) -> float:
    chat, match = registry.get("openai_chat"), PathMatch()

    def work() -> bytes:
        return wire.encode(dialect.render_request(chat.parse_request(wire.decode(raw), match), DEFAULT_PROFILE).value)

    return microseconds(work, 1000)


_EVENTS = 1000


def _fold_time() -> float:
    chat, chunk = registry.get("openai_chat"), _chunk("Hello")

    def work() -> None:
        parser, fold = chat.stream_parser(NO_MEMO), Fold("openai_chat")
        for _ in range(_EVENTS):
            for event in parser.feed(chunk):
                fold.add(event)

    return microseconds(work, 10) / _EVENTS


def _translate_time(dialect: Any) -> float:
    chat, chunk = registry.get("openai_chat"), _chunk("Hello")

    def work() -> None:
        parser, renderer = chat.stream_parser(NO_MEMO), dialect.stream_renderer(Context(source="openai_chat"))
        for _ in range(_EVENTS):
            for event in parser.feed(chunk):
                renderer.render(event)

    return microseconds(work, 10) / _EVENTS
