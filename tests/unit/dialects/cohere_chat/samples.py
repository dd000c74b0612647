"""Wire values of Cohere's v2 chat that show every field, and every way to spell one."""

import json
from typing import Any

from tests.contract.dialects import PIXEL, SCHEMA

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look_up", "description": "Look it up", "parameters": SCHEMA},
}
CALL: dict[str, Any] = {
    "id": "look_up_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"city":"Paris"}'},
}
DOCUMENT_CITATION: dict[str, Any] = {
    "start": 4,
    "end": 9,
    "text": "Paris",
    "sources": [
        {
            "type": "document",
            "id": "doc:0",
            "document": {"id": "doc:0", "title": "Cities", "url": "https://example.com/a", "snippet": "Paris is one."},
        }
    ],
    "type": "TEXT_CONTENT",
}
TOOL_CITATION: dict[str, Any] = {
    "start": 0,
    "end": 3,
    "text": "Sun",
    "sources": [
        {"type": "tool", "id": "look_up_1:0", "tool_output": {"content": "Sun in Paris"}},
        {"type": "document", "id": "b", "document": {"data": {"a": 1}}},
    ],
    "content_index": 1,
    "type": "TEXT_CONTENT",
}
PLAN_CITATION: dict[str, Any] = {"start": 0, "end": 1, "text": "I", "sources": [], "type": "PLAN"}
THOUGHT_CITATION: dict[str, Any] = {"start": 0, "end": 2, "text": "Hm", "sources": [], "type": "THINKING_CONTENT"}

REQUEST: dict[str, Any] = {
    "model": "command-a-03-2025",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
            ],
        },
        {"role": "assistant", "tool_plan": "I look it up.", "tool_calls": [CALL], "citations": [PLAN_CITATION]},
        {
            "role": "tool",
            "tool_call_id": "look_up_1",
            "content": [
                {"type": "document", "document": {"data": {"city": "Paris", "title": "T"}, "id": "1"}},
                {"type": "text", "text": "Sun in Paris"},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Sun in Paris."}],
            "citations": [TOOL_CITATION],
        },
        {"role": "user", "content": "And tomorrow?"},
    ],
    "tools": [TOOL],
    "strict_tools": True,
    "documents": [
        "A bare text.",
        {"data": {"text": "Words", "title": "T", "author": "A"}, "id": "a"},
        {"data": {"snippet": "Words"}},
        {"data": "Words", "id": "b"},
        {"data": {"year": 1984}},
    ],
    "citation_options": {"mode": "FAST"},
    "response_format": {"type": "json_object", "json_schema": SCHEMA},
    "safety_mode": "STRICT",
    "max_tokens": 100,
    "stop_sequences": ["END"],
    "temperature": 0.5,
    "seed": 7,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "k": 40,
    "p": 0.75,
    "logprobs": True,
    "tool_choice": "REQUIRED",
    "thinking": {"type": "enabled", "token_budget": 1000},
    "priority": 3,
    "raw_prompting": False,
    "stream": False,
}

SPELLINGS: tuple[dict[str, Any], ...] = (
    {"messages": []},
    {"model": None, "messages": [{"role": "user", "content": ""}], "tools": [], "documents": [], "stop_sequences": []},
    {"messages": [{"role": "user", "content": []}, {"role": "user", "content": None}, {"role": "user"}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
    {"messages": [{"role": "assistant", "content": "a", "tool_plan": "", "tool_calls": [], "citations": []}]},
    {"messages": [{"role": "assistant", "content": None, "tool_plan": None, "tool_calls": None, "citations": None}]},
    {"messages": [{"role": "assistant", "content": "a", "citations": [DOCUMENT_CITATION, THOUGHT_CITATION]}]},
    {
        "messages": [
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                "citations": [TOOL_CITATION, DOCUMENT_CITATION, {"content_index": 7}, TOOL_CITATION, {}],
            }
        ]
    },
    {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a"}}, {**CALL, "index": 0}]}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"id": None, "function": {"name": "a", "arguments": None}}]}]},
    {"messages": [{"role": "tool", "content": "a"}, {"role": "tool", "tool_call_id": None, "content": []}]},
    {"messages": [{"role": "tool", "tool_call_id": "a", "content": [{"type": "document", "document": {"id": "1"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "document", "document": {"data": {"text": "a"}}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "audio", "audio": {}}], "name": "Ann"}]},
    {"messages": [{"role": "system", "content": "a"}], "documents": ["a"], "strict_tools": False},
    {"messages": [{"role": "user", "content": "a"}], "documents": [{"data": None, "id": None}, {"id": "1"}]},
    {"messages": [], "tool_choice": "NONE", "response_format": {"type": "text"}},
    {"messages": [], "tool_choice": "required", "response_format": {"type": "json_object"}},
    {"messages": [], "tool_choice": "AUTO", "response_format": {"type": "json_object", "schema": SCHEMA}},
    {"messages": [], "response_format": {"type": "grammar"}, "thinking": {"type": "adaptive", "token_budget": None}},
    {"messages": [], "tools": [{"function": {"name": "a"}}, {"type": "web_search", "settings": {}}]},
    {"messages": [], "stop_sequences": "END", "thinking": {}, "only_there": None},
)

ANSWER: dict[str, Any] = {
    "id": "c14c80c3-18eb-4519-9460-6c92edd8cfb4",
    "finish_reason": "COMPLETE",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Sun in Paris."}],
        "citations": [TOOL_CITATION],
    },
    "usage": {
        "billed_units": {"input_tokens": 10, "output_tokens": 20, "search_units": 1, "classifications": 2},
        "tokens": {"input_tokens": 100, "output_tokens": 25},
        "cached_tokens": 64,
    },
    "logprobs": [
        {"text": "Sun", "token_ids": [1], "logprobs": [-0.5]},
        {"text": " in Paris.", "token_ids": [2, 3], "logprobs": [-0.25, 0]},
    ],
}

ANSWERS: tuple[dict[str, Any], ...] = (
    {"message": {"role": "assistant", "tool_plan": "I look.", "tool_calls": [CALL]}, "finish_reason": "TOOL_CALL"},
    {"message": {}},
    {"message": {"role": "assistant", "content": []}, "finish_reason": "ERROR", "usage": {}},
    {
        "message": {"role": "assistant", "content": "a"},
        "id": None,
        "finish_reason": None,
        "usage": None,
        "logprobs": None,
    },
    {"message": {"role": "assistant", "content": [{"type": "text", "text": ""}]}, "usage": {"billed_units": {}}},
    {"message": {"role": "assistant", "content": None}, "logprobs": [{"token_ids": [1], "logprobs": [-1]}]},
    {
        "message": {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
        "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 0.5}, "tokens": None, "only_there": 1},
        "logprobs": [
            {"token_ids": [1], "logprobs": [-1], "text": "a", "only_there": 1},
            {"text": "b", "token_ids": [1], "logprobs": None},
            {"token_ids": [], "text": None},
            {"text": "c", "token_ids": [1, 2], "logprobs": [-1]},
        ],
        "meta": {"api_version": {"version": "2"}},
    },
    {
        "message": {
            "role": "assistant",
            "content": [{"type": "text", "text": "Only Paris"}],
            "citations": [DOCUMENT_CITATION, PLAN_CITATION, {**TOOL_CITATION, "content_index": 0, "type": None}],
        },
        "finish_reason": "FUTURE",
    },
)


def event(kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    """(event name, payload) of a frame."""
    return kind, {"type": kind, **fields}


def said(kind: str, index: int | None = None, **message: Any) -> tuple[str, dict[str, Any]]:
    """A frame with `delta.message`."""
    numbered = {} if index is None else {"index": index}
    return event(kind, **numbered, delta={"message": message})


def lines(*events: tuple[str, dict[str, Any]]) -> bytes:
    """The bytes of a stream."""
    return b"".join(f"event: {name}\ndata: {json.dumps(payload)}\n\n".encode() for name, payload in events)


BLANK: dict[str, Any] = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
START = event("message-start", id="stream-1", delta={"message": BLANK})
USAGE: dict[str, Any] = {
    "billed_units": {"input_tokens": 10, "output_tokens": 20},
    "tokens": {"input_tokens": 100, "output_tokens": 25},
    "cached_tokens": 64,
}
TEXT_EVENTS = (
    START,
    said("content-start", 0, content={"type": "thinking", "thinking": ""}),
    said("content-delta", 0, content={"thinking": "Hm"}),
    said("content-delta", 0, content={"thinking": "."}),
    event("content-end", index=0),
    said("content-start", 1, content={"type": "text", "text": ""}),
    event(
        "content-delta",
        index=1,
        delta={"message": {"content": {"text": "Sun"}}},
        logprobs={"text": "Sun", "token_ids": [1], "logprobs": [-0.5]},
    ),
    event("content-delta", index=1, delta={"message": {"content": {"text": " in Paris."}}}, logprobs=None),
    said("citation-start", 0, citations=TOOL_CITATION),
    event("citation-end", index=0),
    event("content-end", index=1),
    event("message-end", delta={"finish_reason": "COMPLETE", "usage": USAGE}),
)
TEXT_STREAM = lines(*TEXT_EVENTS)
TEXT_ANSWER: dict[str, Any] = {
    "id": "stream-1",
    "finish_reason": "COMPLETE",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Sun in Paris."}],
        "citations": [TOOL_CITATION],
    },
    "usage": USAGE,
    "logprobs": [{"text": "Sun", "token_ids": [1], "logprobs": [-0.5]}],
}
"""What TEXT_STREAM would have been as one answer."""

SECOND_CALL: dict[str, Any] = {"id": "put_1", "type": "function", "function": {"name": "put", "arguments": "{}"}}
CALL_EVENTS = (
    START,
    said("tool-plan-delta", tool_plan="I look"),
    said("tool-plan-delta", tool_plan=" it up."),
    said("citation-start", 0, citations=PLAN_CITATION),
    event("citation-end", index=0),
    said("tool-call-start", 0, tool_calls={**CALL, "function": {"name": "look_up", "arguments": ""}}),
    said("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"city":'}}),
    said("tool-call-delta", 0, tool_calls={"function": {"arguments": '"Paris"}'}}),
    event("tool-call-end", index=0),
    said("tool-call-start", 1, tool_calls=SECOND_CALL),
    event("tool-call-end", index=1),
    event("message-end", delta={"finish_reason": "TOOL_CALL", "usage": USAGE}),
)
CALL_STREAM = lines(*CALL_EVENTS)
CALL_ANSWER: dict[str, Any] = {
    "id": "stream-1",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "tool_plan": "I look it up.",
        "tool_calls": [CALL, SECOND_CALL],
        "citations": [PLAN_CITATION],
    },
    "usage": USAGE,
}

ODD_STREAMS: tuple[bytes, ...] = (
    TEXT_STREAM + b"data: [DONE]\n\n",
    TEXT_STREAM + b"event: done\ndata: [DONE]\n\n",
    b": keep-alive\n\n" + CALL_STREAM,
    lines(START, event("debug", prompt="<BOS>")),
    lines(START, event("future-event", delta={"a": None})),
    lines(
        START, said("content-delta", 0, content={"text": "no start"}), said("content-delta", 0, content={"image": 1})
    ),
    lines(START, said("content-delta", 0, content={"text": "a"}), said("content-delta", 0, content={"thinking": "b"})),
    lines(event("message-start"), said("content-start", 0, content={"type": "text"}), event("message-end")),
    lines(said("citation-start", 0, citations=THOUGHT_CITATION), said("citation-start", 1, citations={})),
    lines(said("tool-call-delta", 0, tool_calls={"function": {"arguments": "{}"}}), event("tool-call-end", index=3)),
    lines(START, event("message-end", delta={"finish_reason": "ERROR", "error": "it broke"})),
    lines(START, event("message-end", id=None, delta={"finish_reason": None, "usage": None, "error": None})),
    b'data: {"type":"message-start","id":"1"}\n\ndata: {"type":"message-end","delta":{}}\n\n',
    b'event: message-start\ndata: {"id":"1"}\n\nevent: message-end\ndata: {"delta":{}}\n\n',
    b'data: {"message":"internal server error","id":"7"}\n\n',
)
"""Streams that are not as they should be, and still come back exactly."""
