"""Samples that hold every block, tool, delta and spelling that the Messages API documents. All values are made up."""

import json
from typing import Any

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}

CITATIONS: list[dict[str, Any]] = [
    {
        "type": "char_location",
        "cited_text": "The sky is blue.",
        "document_index": 0,
        "document_title": None,
        "file_id": None,
        "start_char_index": 0,
        "end_char_index": 16,
    },
    {
        "type": "page_location",
        "cited_text": "page",
        "document_index": 1,
        "document_title": "Report",
        "file_id": "file_1",
        "start_page_number": 1,
        "end_page_number": 2,
    },
    {
        "type": "content_block_location",
        "cited_text": "block",
        "document_index": 2,
        "document_title": "Notes",
        "start_block_index": 0,
        "end_block_index": 1,
    },
    {
        "type": "search_result_location",
        "cited_text": "found",
        "source": "https://example.com/doc",
        "title": None,
        "search_result_index": 0,
        "start_block_index": 0,
        "end_block_index": 1,
    },
    {
        "type": "web_search_result_location",
        "cited_text": "web",
        "url": "https://example.com",
        "title": "Example",
        "encrypted_index": "ZW5j",
    },
    {"type": "future_location", "cited_text": "later", "where": {"deep": [1, None]}},
]

USER_BLOCKS: list[dict[str, Any]] = [
    {"type": "text", "text": "Look at these.", "cache_control": HOUR},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}, "cache_control": MARK},
    {"type": "image", "source": {"type": "file", "file_id": "file_2"}, "transformations": {}},
    {"type": "image", "source": {"type": "future", "bucket": "b"}},
    {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        "title": "A",
        "context": "Background",
        "citations": {"enabled": True},
    },
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}, "title": None},
    {"type": "document", "source": {"type": "content", "content": "a string"}},
    {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a block"}]}},
    {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
    {
        "type": "document",
        "source": {"type": "file", "file_id": "file_3"},
        "cache_control": {"type": "ephemeral", "ttl": None},
    },
    {
        "type": "search_result",
        "source": "https://example.com",
        "title": "Found",
        "content": [{"type": "text", "text": "hit"}],
        "citations": {"enabled": False},
    },
    {"type": "container_upload", "file_id": "file_4"},
    {"type": "future_block", "anything": [1, {"nested": None}]},
]

ASSISTANT_BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"},
    {"type": "thinking", "thinking": "No proof."},
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking", "thinking": "From elsewhere.", "signature": "openai:rs_1:ZW5j"},
    {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="},
    {"type": "text", "text": "I say.", "citations": CITATIONS},
    {"type": "text", "text": "I say more.", "citations": None},
    {"type": "text", "text": "And more.", "citations": []},
    {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "web_search",
        "input": {"query": "q"},
        "caller": {"type": "direct"},
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "url": "https://example.com", "title": "E", "page_age": None}],
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
    },
    {"type": "server_tool_use", "id": "srvtoolu_2", "name": "bash_code_execution", "input": {"command": "ls"}},
    {
        "type": "bash_code_execution_tool_result",
        "tool_use_id": "srvtoolu_2",
        "content": {"type": "bash_code_execution_result", "stdout": "", "stderr": "", "return_code": 0, "content": []},
    },
    {"type": "server_tool_use", "id": "srvtoolu_3", "name": "tool_search_tool_regex", "input": {}},
    {
        "type": "tool_search_tool_result",
        "tool_use_id": "srvtoolu_3",
        "content": {"type": "tool_search_tool_search_result", "tool_references": []},
    },
    {"type": "advisor_tool_result", "tool_use_id": "srvtoolu_4", "content": {"type": "advisor_result", "text": "Try."}},
    {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_5", "content": None},
    {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "ask", "server_name": "wiki", "input": {"q": 1}},
    {
        "type": "mcp_tool_result",
        "tool_use_id": "mcptoolu_1",
        "is_error": False,
        "content": [{"type": "text", "text": "a"}],
    },
    {"type": "compaction", "content": "What came before.", "encrypted_content": "ZW5j"},
    {"type": "compaction", "content": None},
    {
        "type": "fallback",
        "from": {"model": "a"},
        "to": {"model": "b"},
        "trigger": {"type": "refusal", "category": None},
    },
    {"type": "redacted_thinking", "data": "gemini>::Z2Vt"},
    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}, "cache_control": MARK},
    {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}, "caller": {"type": "direct"}},
    {"type": "tool_use", "id": "toolu_3", "name": "later", "input": None},
]

RESULTS: list[dict[str, Any]] = [
    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "15 degrees", "is_error": False},
    {
        "type": "tool_result",
        "tool_use_id": "toolu_2",
        "content": [
            {"type": "text", "text": "see"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
            {"type": "document", "source": {"type": "file", "file_id": "file_5"}},
            {"type": "search_result", "source": "s", "title": "t", "content": []},
            {"type": "tool_reference", "tool_name": "get_weather"},
        ],
        "cache_control": MARK,
    },
    {"type": "tool_result", "tool_use_id": "toolu_3", "is_error": True},
    {"type": "tool_result", "tool_use_id": "toolu_3", "content": None},
    {"type": "tool_result", "tool_use_id": "toolu_3", "content": []},
]

TOOLS: list[dict[str, Any]] = [
    {"name": "get_weather", "description": "Weather", "input_schema": SCHEMA},
    {
        "type": "custom",
        "name": "now",
        "description": "",
        "input_schema": {"type": "object"},
        "strict": True,
        "cache_control": MARK,
        "defer_loading": True,
        "input_examples": [{}],
        "eager_input_streaming": None,
    },
    {"type": None, "name": "later", "input_schema": SCHEMA},
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": None},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "cache_control": HOUR},
    {"type": "computer_20250124", "name": "computer", "display_width_px": 800, "display_height_px": 600},
    {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"},
    {"type": "mcp_toolset", "mcp_server_name": "wiki", "default_config": {"enabled": True}},
    {"type": "computer_toolset_20260801", "configs": {"zoom": {"enabled": False}}},
    {"type": "future_20990101", "name": "future", "strict": True},
]

REQUEST: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 4096,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
    "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]},
        {"role": "user", "content": USER_BLOCKS},
        {"role": "assistant", "content": ASSISTANT_BLOCKS},
        {"role": "user", "content": RESULTS},
        {"role": "system", "content": "From now on in French.", "clear_at": "never"},
        {"role": "system", "output_config": {"effort": "low"}},
        {"role": "system", "content": [{"type": "tool_addition", "tool": {"type": "tool_reference", "name": "later"}}]},
        {"role": "user", "content": []},
        {"role": "assistant", "content": None},
    ],
    "tools": TOOLS,
    "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
    "temperature": 1.0,
    "top_p": 0.99,
    "top_k": 5,
    "stop_sequences": ["END"],
    "stream": False,
    "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized", "block_binding": None},
    "output_config": {
        "effort": "high",
        "format": {"type": "json_schema", "schema": SCHEMA},
        "task_budget": {"type": "tokens", "total": 1000},
    },
    "metadata": {"user_id": "user-7", "more": 1},
    "service_tier": "standard_only",
    "cache_control": HOUR,
    "container": {"id": "container_1", "skills": []},
    "context_management": {"edits": [{"type": "compact_20260112"}]},
    "mcp_servers": [{"type": "url", "url": "https://example.com/mcp", "name": "wiki"}],
    "inference_geo": None,
    "speed": "fast",
    "betas": ["files-api-2025-04-14"],
}

USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 7,
    "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
    "output_tokens_details": {"thinking_tokens": 5},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    "service_tier": "standard",
    "inference_geo": "global",
    "iterations": [{"type": "message", "input_tokens": 10, "output_tokens": 20}],
}

ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": ASSISTANT_BLOCKS,
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "stop_details": None,
    "container": {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"},
    "context_management": {"applied_edits": []},
    "input_transformations": [],
    "usage": USAGE,
}


def sse(*events: dict[str, Any]) -> bytes:
    """The bytes of a stream of these events."""
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def block(index: int, content_block: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of one content block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": content_block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "input_transformations": [{"type": "thinking_dropped"}],
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 30,
                "cache_creation_input_tokens": 7,
                "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
                "output_tokens": 1,
                "service_tier": "standard",
                "inference_geo": "global",
            },
        },
    },
    {"type": "ping"},
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Hm", "estimated_tokens": None},
        {"type": "thinking_delta", "thinking": "."},
        {"type": "signature_delta", "signature": "c2ln"},
    ),
    *block(1, {"type": "redacted_thinking", "data": "cmVk"}),
    *block(
        2,
        {"type": "text", "text": "", "citations": []},
        {"type": "citations_delta", "citation": CITATIONS[4]},
        {"type": "text_delta", "text": "Grüß "},
        {"type": "text_delta", "text": "Gott 🙂"},
        {"type": "future_delta", "more": 1},
    ),
    *block(
        3,
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"city": "Pa'},
        {"type": "input_json_delta", "partial_json": 'ris"}'},
    ),
    *block(4, {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}),
    *block(
        5,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"query": "q"}'},
    ),
    *block(6, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
    *block(
        7,
        {"type": "compaction", "content": None},
        {"type": "compaction_delta", "content": "Before.", "encrypted_content": "ZW5j"},
    ),
    *block(8, {"type": "future_block", "a": 1}, {"type": "future_delta", "b": 2}),
    {"type": "future_event", "x": None},
    {
        "type": "message_delta",
        "delta": {
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "stop_details": None,
            "container": {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"},
        },
        "usage": {
            "input_tokens": 11,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 7,
            "output_tokens": 20,
            "output_tokens_details": {"thinking_tokens": 5},
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": None},
            "iterations": None,
        },
        "context_management": {"applied_edits": []},
    },
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 10}},
]
STREAM = sse(*EVENTS)

STREAMED_ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "cmVk"},
        {"type": "text", "text": "Grüß Gott 🙂", "citations": [CITATIONS[4]]},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "compaction", "content": "Before.", "encrypted_content": "ZW5j"},
        {"type": "future_block", "a": 1},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "stop_details": None,
    "container": {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"},
    "context_management": {"applied_edits": []},
    "input_transformations": [{"type": "thinking_dropped"}],
    "usage": {
        "input_tokens": 11,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": None},
        "service_tier": "standard",
        "inference_geo": "global",
        "iterations": None,
    },
}
"""What STREAM adds up to, had it not been streamed."""
