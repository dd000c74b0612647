"""Wire values of Ollama's chat that show every field, and every way to spell one."""

import json
from typing import Any

from tests.contract.dialects import PIXEL, SCHEMA

CREATED_AT = "2025-10-17T23:14:07.414671123Z"
CREATED = 1760742847

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look_up", "description": "Look it up", "parameters": SCHEMA},
}
CALL: dict[str, Any] = {"id": "call_1", "function": {"index": 0, "name": "look_up", "arguments": {"city": "Paris"}}}
OLD_CALL: dict[str, Any] = {"function": {"name": "look_up", "arguments": {}}}

REQUEST: dict[str, Any] = {
    "model": "qwen3:8b",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is this?", "images": [PIXEL, "/9j/4AAQ"]},
        {"role": "assistant", "content": "I look.", "thinking": "Hm.", "tool_calls": [CALL, OLD_CALL]},
        {"role": "tool", "content": "Sun", "tool_name": "look_up", "tool_call_id": "call_1"},
        {"role": "tool", "content": "Rain", "tool_name": "look_up"},
        {"role": "assistant", "content": "Sun and rain."},
        {"role": "user", "content": "And tomorrow?"},
    ],
    "tools": [TOOL],
    "format": SCHEMA,
    "options": {
        "num_predict": 100,
        "temperature": 0.5,
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.05,
        "seed": 7,
        "stop": ["END"],
        "num_ctx": 4096,
        "repeat_penalty": 1.1,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.1,
    },
    "stream": False,
    "think": "high",
    "keep_alive": "5m",
    "truncate": True,
    "shift": False,
    "logprobs": True,
    "top_logprobs": 3,
}

SPELLINGS: tuple[dict[str, Any], ...] = (
    {},
    {"model": "a"},
    {"model": "a", "messages": []},
    {"model": "a", "messages": None, "keep_alive": 0},
    {"messages": [{"role": "user", "content": ""}], "tools": [], "options": {}, "stream": None},
    {"messages": [{"role": "user"}, {"role": "user", "content": None}, {"role": "USER", "content": "a"}]},
    {"messages": [{"role": "user", "content": "a", "images": []}, {"role": "user", "content": "a", "images": None}]},
    {"messages": [{"role": "assistant", "content": "", "thinking": "", "tool_calls": []}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a"}}, {**CALL, "type": "function"}]}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"id": None, "function": {"name": "a", "arguments": None}}]}]},
    {
        "messages": [
            {"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{}", "index": None}}]}
        ]
    },
    {"messages": [{"role": "tool", "content": "a"}, {"role": "tool", "content": "", "name": "look_up"}]},
    {"messages": [{"role": "tool", "content": "a", "tool_name": None, "images": [PIXEL]}]},
    {"messages": [{"role": "control", "content": "thinking"}, {"role": "developer", "content": "a"}]},
    {"messages": [], "format": "json", "think": True, "stream": True},
    {"messages": [], "format": "", "think": False},
    {"messages": [], "format": {}, "options": None},
    {"messages": [], "options": {"num_predict": -1, "stop": []}},
    {"messages": [], "options": {"num_predict": -2, "temperature": None, "mirostat": 1, "stop": "END"}},
    {
        "messages": [],
        "tools": [{"function": {"name": "a"}}, {"type": "web_search", "settings": {}}],
        "only_there": None,
    },
    {"messages": [], "temperature": 0.5, "template": "{{ .Prompt }}", "_debug_render_only": True},
)

DURATIONS: dict[str, Any] = {"total_duration": 174560334, "load_duration": 101397084}
COUNTS: dict[str, Any] = {
    "prompt_eval_count": 11,
    "prompt_eval_cached_count": 4,
    "prompt_eval_duration": 13074791,
    "eval_count": 18,
    "eval_duration": 52479709,
}
LOGPROBS: list[dict[str, Any]] = [
    {"token": "Su", "logprob": -0.5, "bytes": [83, 117], "top_logprobs": [{"token": "Ra", "logprob": -1.5}]},
    {"token": "n", "logprob": 0, "bytes": [110]},
]

ANSWER: dict[str, Any] = {
    "model": "qwen3:8b",
    "created_at": CREATED_AT,
    "message": {"role": "assistant", "content": "Sun", "thinking": "Hm.", "tool_calls": [CALL, OLD_CALL]},
    "done": True,
    "done_reason": "stop",
    "logprobs": LOGPROBS,
    **DURATIONS,
    **COUNTS,
}

ANSWERS: tuple[dict[str, Any], ...] = (
    {"model": "a", "created_at": CREATED_AT, "message": {"role": "assistant", "content": ""}, "done": True},
    {
        "model": "a",
        "created_at": "2023-08-04T08:52:19-07:00",
        "message": {"role": "assistant", "content": "a"},
        "done": True,
    },
    {
        "model": "a",
        "created_at": "0001-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "a"},
        "done": False,
    },
    {"model": None, "created_at": None, "message": {"content": "a"}, "done_reason": None, "eval_count": None},
    {"message": {"role": "tool", "content": None}, "created_at": "yesterday", "done": None, "done_reason": "load"},
    {"message": {}, "logprobs": LOGPROBS, "remote_model": "gpt-oss:120b", "remote_host": "https://example.com"},
    {
        "model": "a",
        "message": {"role": "assistant", "content": "a", "images": [PIXEL], "only_there": None},
        "done": True,
        "done_reason": "length",
        "logprobs": [{"token": "a", "logprob": None, "only_there": 1}],
        "eval_count": 0,
        "_debug_info": {"rendered_template": ""},
    },
)


def line(
    done: bool = False, *, content: str = "", head: dict[str, Any] | None = None, **message: Any
) -> dict[str, Any]:
    """One line, as an object; `head` has further fields of the line."""
    told = {"role": "assistant", "content": content, **message}
    return {"model": "qwen3:8b", "created_at": CREATED_AT, "message": told, "done": done, **(head or {})}


def lines(*values: Any) -> bytes:
    """The bytes of a stream."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


EVENTS: tuple[dict[str, Any], ...] = (
    line(thinking="H"),
    line(thinking="m."),
    line(content="Su", head={"logprobs": LOGPROBS[:1]}),
    line(content="n", head={"logprobs": LOGPROBS[1:]}),
    line(tool_calls=[CALL]),
    line(tool_calls=[OLD_CALL]),
    line(True, head={"done_reason": "stop", **DURATIONS, **COUNTS}),
)
STREAM = lines(*EVENTS)
"""The stream that ANSWER would have been."""

ODD_STREAMS: tuple[bytes, ...] = (
    lines(line(content="a"), {"error": "an error was encountered while running the model"}),
    lines({"error": "unauthorized", "signin_url": "https://example.com"}),
    lines(line(content="a", tool_calls=[CALL, OLD_CALL], images=[PIXEL]), line(True, content="b")),
    lines(line(content="a", head={"remote_model": "b"}), line(content="c", head={"only_there": None})),
    lines({"message": {}, "done": True}),
    lines({"model": "a", "done": True, "done_reason": "unload"}),
    lines({"model": "a", "message": {"role": "assistant", "content": None, "thinking": None}, "done": False}),
    lines(line(tool_calls=[{"function": {"name": "a", "arguments": "{}"}}, {"function": {"name": "b"}}])),
    lines(line(head={"logprobs": LOGPROBS}), line(thinking="", tool_calls=[])),
    b"\n\r\n" + lines(line(content="a")),
)
"""Streams that are not as they should be, and still come back exactly."""
