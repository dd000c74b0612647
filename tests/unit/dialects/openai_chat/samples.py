"""Samples of Chat Completions that say everything that the API, and its compatible hosts, can say."""

from __future__ import annotations

import json
from typing import Any

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

REQUEST: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be brief.", "name": "rules"},
        {
            "role": "developer",
            "content": [{"type": "text", "text": "Metric units.", "cache_control": {"type": "ephemeral"}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "image_url", "image_url": "https://example.com/b.png"},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "m4a"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_data": "JVBERg==", "filename": "b.pdf"}},
                {"type": "video_url", "video_url": {"url": "https://example.com/v.mp4"}},
                {"type": "document_url", "document_url": "https://example.com/d.pdf"},
                {"type": "something_new", "value": 1},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "A picture.",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "picture"}'}},
                {"id": "call_2", "type": "custom", "custom": {"name": "note", "input": "free text"}},
                {
                    "id": "call_3",
                    "type": "function",
                    "function": {"name": "look", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "c2lnbmVk"}},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "A rose."},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "Noted."}]},
        {"role": "tool", "tool_call_id": "call_3", "content": "", "name": "look"},
        {
            "role": "assistant",
            "content": "A rose.",
            "thinking_blocks": [
                {"type": "thinking", "thinking": "It is red.", "signature": "c2lnbmVk"},
                {"type": "redacted_thinking", "data": "aGlkZGVu"},
            ],
            "reasoning_content": "It is red.",
            "refusal": None,
            "annotations": [],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "audio": {"id": "audio_1"}},
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "A rose."},
        {"role": "user", "content": []},
        {"role": "user", "content": "And now?", "name": "ann"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "look",
                "description": "Look at something",
                "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
                "strict": False,
                "new": 1,
            },
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "custom", "custom": {"name": "note", "format": {"type": "text"}}},
        {"type": "web_search", "depth": 2},
    ],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "parallel_tool_calls": False,
    "max_completion_tokens": 100,
    "temperature": 1,
    "top_p": 0.5,
    "top_k": 20,
    "stop": ["END"],
    "seed": 7,
    "presence_penalty": 0.1,
    "frequency_penalty": -0.1,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 2,
    "n": 2,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True},
    },
    "reasoning_effort": "low",
    "verbosity": "low",
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "mp3"},
    "service_tier": "flex",
    "user": "ann",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "metadata": {"a": "b"},
    "store": True,
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "web_search_options": {"search_context_size": "low"},
    "prediction": {"type": "content", "content": "x"},
    "unknown": None,
    "new": {"deep": [1, {"a": None}]},
}

_SPELLED: tuple[dict[str, Any], ...] = (
    {"max_tokens": 1, "max_completion_tokens": 2},
    {"stop": "END"},
    {"tool_choice": "auto"},
    {"tool_choice": "any"},
    {
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
        }
    },
    {"tool_choice": {"type": "something_new"}},
    {"functions": [{"name": "f", "parameters": {}}], "function_call": {"name": "f"}},
    {"function_call": "auto"},
    {"tools": []},
    {"tools": [], "web_search_options": {}},
    {"tools": None, "stop": None, "temperature": None},
    {"reasoning": {"effort": "high", "exclude": True, "max_tokens": 5, "enabled": True, "new": 1}},
    {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    {"thinking": {"type": "disabled", "clear_thinking": False}},
    {"thinking": {"clear_thinking": False}},
    {"enable_thinking": True},
    {"reasoning_effort": "low", "thinking": {"type": "enabled"}},
    {"response_format": {"type": "text"}},
    {"response_format": {"type": "grammar", "grammar": "x"}},
    {"response_format": {"type": "json_object", "schema": {}}},
    {"stream_options": {}},
    {"stream_options": {"include_usage": False}},
    {"random_seed": 1},
    {"temperature": 1.0, "max_tokens": 100.0},
    {"cache_control": {"type": "ephemeral"}},
)
SPELLINGS: tuple[dict[str, Any], ...] = tuple(
    {"model": "m", "messages": [{"role": "user", "content": "x"}], **spelled} for spelled in _SPELLED
)

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello",
                "refusal": None,
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "start_index": 0,
                            "end_index": 5,
                            "title": "T",
                            "url": "https://e.com",
                            "new": 1,
                        },
                    },
                    {"type": "something_new"},
                ],
                "reasoning": "Greet.",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}, "index": 0}
                ],
                "audio": {"id": "a", "data": "AAAA", "expires_at": 1, "transcript": "Hello"},
                "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}, "index": 0}],
                "new": 1,
            },
            "logprobs": {
                "content": [
                    {
                        "token": "Hello",
                        "logprob": -0.1,
                        "bytes": [72],
                        "top_logprobs": [{"token": "Hi", "logprob": -2, "bytes": None}],
                    }
                ],
                "refusal": None,
            },
            "finish_reason": "stop",
            "native_finish_reason": "STOP",
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": None, "refusal": "No."},
            "finish_reason": "something_new",
        },
        {"message": {"content": ""}, "finish_reason": None},
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0, "new": 1},
        "completion_tokens_details": {"reasoning_tokens": 2, "accepted_prediction_tokens": 0},
        "cost": 0.00014,
    },
    "service_tier": "default",
    "system_fingerprint": "fp",
    "new": None,
}

ANSWER_SPELLINGS: tuple[dict[str, Any], ...] = tuple(
    {"id": "1", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    for message, usage in (
        (
            {"role": "assistant", "content": "a", "reasoning_content": "b"},
            {"prompt_cache_hit_tokens": 1, "prompt_tokens": 2},
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "b"}]},
                    {"type": "text", "text": "a"},
                ]
            },
            {},
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}
                ]
            },
            {},
        ),
        ({"content": None, "annotations": [], "tool_calls": []}, {"prompt_tokens": 1, "prompt_tokens_details": None}),
        (
            {
                "content": "a",
                "reasoning": "b",
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "text": "b",
                        "signature": "s",
                        "format": "anthropic-claude-v1",
                        "index": 0,
                    },
                    {"type": "reasoning.text", "text": "b", "signature": None, "format": None},
                    {"type": "reasoning.summary", "summary": "b", "format": "openai-responses-v1"},
                    {"type": "reasoning.encrypted", "data": "x", "format": "google-gemini-v1", "id": "1"},
                ],
            },
            {"prompt_tokens_details": {"cached_tokens": 1}, "prompt_cache_hit_tokens": 1, "num_cached_tokens": 1},
        ),
    )
)


def _frames(*chunks: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of a stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


def _call(index: int, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **more}]}


STREAM = b": keep-alive\n\n" + _frames(
    chunk({"role": "assistant", "content": "", "refusal": None}, obfuscation="abc", usage=None),
    chunk({"reasoning_content": "Let me "}),
    chunk({"reasoning_content": "think\u00e9 \U0001f600"}),
    chunk({"content": "Hel", "new": 1}, system_fingerprint="fp"),
    chunk({"content": "lo"}, usage={"prompt_tokens": 1}),
    chunk(_call(0, id="call_1", type="function", function={"name": "f", "arguments": ""})),
    chunk(_call(0, function={"arguments": '{"a"'})),
    chunk(_call(1, id="call_2", type="function", function={"name": "g", "arguments": "{}"})),
    chunk(_call(0, function={"arguments": ": 1}"})),
    chunk({}, "tool_calls"),
    chunk(None, usage={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, x_groq={"id": "r"}),
)
"""A stream with everything: comments, thinking, text, two calls in turns, usage at odd places."""
