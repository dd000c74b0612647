"""The fields of Anthropic Messages, as shapes: a request, its content blocks, its tools.

Source: Anthropic API reference, "Create a Message" and "Count tokens in a Message", with their beta fields.
"""

import re

from penstock.testing.providers.shapes import (
    ANY,
    BOOL,
    NAME,
    OBJECT,
    STRING,
    ListOf,
    Number,
    Shape,
    String,
    Struct,
    Tagged,
    either,
    nullable,
    one_of,
)

_CACHE = Struct({"type": one_of("ephemeral"), "ttl": one_of("5m", "1h")}, required=("type",))
_MARK: dict[str, Shape] = {"type": STRING, "cache_control": nullable(_CACHE)}

_SOURCE = Tagged(
    "type",
    {
        "base64": Struct({"type": STRING, "media_type": STRING, "data": NAME}, required=("media_type", "data")),
        "url": Struct({"type": STRING, "url": STRING}, required=("url",)),
        "file": Struct({"type": STRING, "file_id": STRING}, required=("file_id",)),
        "text": Struct({"type": STRING, "media_type": one_of("text/plain"), "data": STRING}, required=("data",)),
        "content": Struct({"type": STRING, "content": either(STRING, ListOf(OBJECT))}, required=("content",)),
    },
)
_IMAGE_SOURCE = Tagged(
    "type",
    {
        "base64": Struct(
            {
                "type": STRING,
                "media_type": one_of("image/jpeg", "image/png", "image/gif", "image/webp"),
                "data": String(pattern=r"[A-Za-z0-9+/\r\n]+={0,2}", shortest=1),
            },
            required=("media_type", "data"),
        ),
        "url": Struct({"type": STRING, "url": STRING}, required=("url",)),
        "file": Struct({"type": STRING, "file_id": STRING}, required=("file_id",)),
    },
)
_TEXT = Struct({**_MARK, "text": STRING, "citations": nullable(ListOf(OBJECT))}, required=("text",))
_IMAGE = Struct({**_MARK, "source": _IMAGE_SOURCE}, required=("source",))
_DOCUMENT = Struct(
    {
        **_MARK,
        "source": _SOURCE,
        "title": nullable(STRING),
        "context": nullable(STRING),
        "citations": nullable(Struct({"enabled": BOOL})),
    },
    required=("source",),
)
_SEARCH_RESULT = Struct(
    {**_MARK, "source": STRING, "title": STRING, "content": ListOf(_TEXT), "citations": OBJECT},
    required=("source", "title", "content"),
)
_TOOL_ID = String(pattern="[a-zA-Z0-9_-]+", shortest=1)
_TOOL_USE = Struct(
    {**_MARK, "id": _TOOL_ID, "name": String(shortest=1, longest=200), "input": OBJECT, "caller": OBJECT},
    required=("id", "name", "input"),
)
_RESULT_PART = Tagged(
    "type",
    {
        "text": _TEXT,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH_RESULT,
        "tool_reference": Struct({**_MARK, "tool_name": STRING}, required=("tool_name",)),
    },
)
_TOOL_RESULT = Struct(
    {
        **_MARK,
        "tool_use_id": _TOOL_ID,
        "content": either(STRING, ListOf(_RESULT_PART)),
        "is_error": BOOL,
    },
    required=("tool_use_id",),
)
_SERVER_RESULT = Struct({**_MARK, "tool_use_id": STRING, "content": ANY, "caller": OBJECT, "is_error": BOOL})

BLOCK = Tagged(
    "type",
    {
        "text": _TEXT,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH_RESULT,
        "thinking": Struct(
            {"type": STRING, "thinking": STRING, "signature": STRING}, required=("signature", "thinking")
        ),
        "redacted_thinking": Struct({"type": STRING, "data": STRING}, required=("data",)),
        "tool_use": _TOOL_USE,
        "tool_result": _TOOL_RESULT,
        "server_tool_use": _TOOL_USE,
        "mcp_tool_use": Struct({**_TOOL_USE.fields, "server_name": STRING}, required=("id", "name", "input")),
        "mcp_tool_result": _TOOL_RESULT,
        "container_upload": Struct({**_MARK, "file_id": STRING}, required=("file_id",)),
        "compaction": Struct({**_MARK, "content": nullable(STRING)}),
        "tool_addition": Struct({**_MARK, "tool": OBJECT}, required=("tool",)),
        "tool_removal": Struct({**_MARK, "tool": OBJECT}, required=("tool",)),
        **dict.fromkeys(
            (
                "web_search_tool_result",
                "web_fetch_tool_result",
                "code_execution_tool_result",
                "bash_code_execution_tool_result",
                "text_editor_code_execution_tool_result",
                "tool_search_tool_result",
                "advisor_tool_result",
            ),
            _SERVER_RESULT,
        ),
    },
)
_MESSAGE = Struct(
    {"role": one_of("user", "assistant", "system"), "content": either(STRING, ListOf(BLOCK))},
    required=("role", "content"),
)

CUSTOM_TOOL = Struct(
    {
        **_MARK,
        "name": String(pattern="[a-zA-Z0-9_-]{1,128}"),
        "description": STRING,
        "input_schema": Struct({"type": one_of("object")}, required=("type",), open=True),
        "strict": BOOL,
        "defer_loading": BOOL,
        "allowed_callers": ListOf(STRING),
        "input_examples": ListOf(OBJECT),
        "eager_input_streaming": nullable(BOOL),
    },
    required=("name", "input_schema"),
)
_SERVER_TOOL_NAMES = "bash|text_editor|computer|web_search|web_fetch|code_execution|memory|tool_search_tool|advisor|mcp"
SERVER_TOOL_TYPE = re.compile(rf"({_SERVER_TOOL_NAMES})_[a-z0-9_]*\d{{8}}|mcp_toolset")

_THINKING = Tagged(
    "type",
    {
        "enabled": Struct(
            {"type": STRING, "budget_tokens": Number(1024, integer=True), "display": STRING},
            required=("budget_tokens",),
        ),
        "adaptive": Struct({"type": STRING, "display": nullable(one_of("summarized", "omitted"))}),
        "disabled": Struct({"type": STRING}),
    },
)
_CHOICE: dict[str, Shape] = {"type": STRING, "disable_parallel_tool_use": BOOL}
_TOOL_CHOICE = Tagged(
    "type",
    {
        "auto": Struct(_CHOICE),
        "any": Struct(_CHOICE),
        "tool": Struct({**_CHOICE, "name": STRING}, required=("name",)),
        "none": Struct({"type": STRING}),
    },
)
_OUTPUT_CONFIG = Struct(
    {
        "effort": nullable(one_of("low", "medium", "high", "xhigh", "max")),
        "format": nullable(Struct({"type": one_of("json_schema"), "schema": OBJECT}, required=("type", "schema"))),
        "task_budget": OBJECT,
    }
)

_COMMON: dict[str, Shape] = {
    "model": STRING,
    "messages": ListOf(_MESSAGE),
    "cache_control": nullable(_CACHE),
    "output_config": _OUTPUT_CONFIG,
    "speed": nullable(one_of("standard", "fast")),
    "system": either(STRING, ListOf(_TEXT)),
    "thinking": _THINKING,
    "tool_choice": _TOOL_CHOICE,
    "tools": ListOf(OBJECT),
    "user_profile_id": STRING,
    "workspace_id": STRING,
}
_CREATE: dict[str, Shape] = {
    **_COMMON,
    "max_tokens": Number(1, integer=True),
    "container": nullable(either(STRING, OBJECT)),
    "diagnostics": nullable(OBJECT),
    "inference_geo": nullable(STRING),
    "metadata": Struct({"user_id": nullable(String(longest=256))}),
    "service_tier": one_of("auto", "standard_only"),
    "stop_sequences": ListOf(STRING),
    "stream": BOOL,
    "temperature": Number(0, 1),
    "top_k": Number(0, integer=True),
    "top_p": Number(0, 1),
}
# Let in only with an `anthropic-beta` header (or `?beta=true`).
_BETA: dict[str, Shape] = {
    "billing_policy": nullable(OBJECT),
    "compaction": nullable(OBJECT),
    "context_management": nullable(OBJECT),
    "fallback_credit_token": ANY,
    "fallbacks": nullable(ANY),
    "mcp_servers": ListOf(OBJECT),
    "output_format": nullable(OBJECT),
    "thread": nullable(OBJECT),
}

_REQUIRED = ("model", "max_tokens", "messages")
BODY = Struct(_CREATE, required=_REQUIRED)
BETA_BODY = Struct({**_CREATE, **_BETA}, required=_REQUIRED)
COUNT_BODY = Struct(_COMMON, required=("model", "messages"))
BETA_COUNT_BODY = Struct({**_COMMON, **_BETA}, required=("model", "messages"))
