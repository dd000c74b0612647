"""Golden pairs: a piece of a request or answer on the wire, and what it means. Read forwards and backwards."""

from typing import Any

import pytest
from msgspec.structs import replace

from penstock.dialects.anthropic_messages import DIALECT, match_path
from penstock.dialects.dialect import Context, PathMatch
from penstock.types.content import (
    Base64,
    Blocks,
    Cache,
    Citation,
    FileId,
    Media,
    Opaque,
    Part,
    PlainText,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO, Memo
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Choice
from penstock.types.tool_settings import ToolSettings
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.unit.dialects.anthropic_messages.samples import SCHEMA, STREAM, STREAMED_ANSWER

SIGNED = Signature("c2ln", "anthropic")

BLOCKS: list[tuple[dict[str, Any], Part]] = [
    ({"type": "text", "text": "words"}, Text("words")),
    ({"type": "text", "text": "words", "cache_control": {"type": "ephemeral"}}, Text("words", cache=Cache())),
    (
        {"type": "text", "text": "words", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        Text("words", cache=Cache("1h")),
    ),
    ({"type": "text", "text": "words", "citations": None}, Text("words", extras={"citations": None})),
    (
        {
            "type": "text",
            "text": "words",
            "citations": [
                {
                    "type": "char_location",
                    "cited_text": "c",
                    "document_index": 1,
                    "document_title": "D",
                    "start_char_index": 0,
                    "end_char_index": 1,
                }
            ],
        },
        Text(
            "words",
            (
                Citation(
                    title="D",
                    cited_text="c",
                    document_index=1,
                    unit="char",
                    source_start=0,
                    source_end=1,
                    native="char_location",
                ),
            ),
        ),
    ),
    ({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, Thinking("Hm.", signature=SIGNED)),
    (
        {"type": "thinking", "thinking": "Hm.", "signature": "openai:rs_1:b3Bl"},
        Thinking("Hm.", signature=Signature("b3Bl", "openai"), id="rs_1"),
    ),
    ({"type": "redacted_thinking", "data": "c2ln"}, Thinking(signature=SIGNED, redacted=True)),
    (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        Media("image", Base64("AAAA"), "image/png"),
    ),
    (
        {"type": "image", "source": {"type": "url", "url": "https://example.com"}},
        Media("image", Url("https://example.com")),
    ),
    ({"type": "image", "source": {"type": "file", "file_id": "f"}}, Media("image", FileId("f"))),
    (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}, "title": "T"},
        Media("file", PlainText("words"), "text/plain", "T"),
    ),
    (
        {"type": "document", "source": {"type": "content", "content": "words"}},
        Media("file", Blocks((Text("words"),)), native="document:string"),
    ),
    (
        {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": "words"}]},
            "context": "C",
        },
        Media("file", Blocks((Text("words"),)), context="C"),
    ),
    (
        {"type": "document", "source": {"type": "file", "file_id": "f"}, "citations": {"enabled": True, "new": 1}},
        Media("file", FileId("f"), cite=True, extras={"citations": {"new": 1}}),
    ),
    (
        {"type": "document", "source": {"type": "file", "file_id": "f"}, "citations": {}},
        Media("file", FileId("f"), extras={"citations": {}}),
    ),
    (
        {
            "type": "search_result",
            "source": "shelf 7",
            "title": "T",
            "content": [{"type": "text", "text": "words"}],
            "citations": {"enabled": False},
        },
        Media("file", Blocks((Text("words"),)), name="T", cite=False, origin="shelf 7", native="search_result"),
    ),
    ({"type": "container_upload", "file_id": "f"}, Media("file", FileId("f"), native="container_upload")),
    (
        {"type": "tool_use", "id": "t", "name": "look_up", "input": {"city": "Paris"}},
        ToolCall("t", "look_up", {"city": "Paris"}),
    ),
    (
        {"type": "tool_use", "id": "t", "name": "look_up", "input": {}, "caller": {"type": "direct"}},
        ToolCall("t", "look_up", {}, extras={"(caller)": {"type": "direct"}}),
    ),
    (
        {"type": "tool_use", "id": "t", "name": "look_up", "input": {}, "caller": {"type": "x", "tool_id": "s"}},
        ToolCall("t", "look_up", {}, extras={"caller": {"type": "x", "tool_id": "s"}}),
    ),
    (
        {"type": "tool_result", "tool_use_id": "t", "content": "words", "is_error": True},
        ToolResult("t", (Text("words"),), is_error=True, native="string"),
    ),
    (
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "n"}]},
        ToolResult("t", (Opaque({"type": "tool_reference", "tool_name": "n"}, native="tool_reference"),)),
    ),
    ({"type": "tool_result", "tool_use_id": "t"}, ToolResult("t", (), native="absent")),
    (
        {"type": "server_tool_use", "id": "s", "name": "bash_code_execution", "input": {}},
        ServerToolCall("s", "code_execution", {}, native="bash_code_execution"),
    ),
    (
        {"type": "mcp_tool_use", "id": "m", "name": "ask", "server_name": "wiki", "input": {}},
        ServerToolCall("m", "ask", {}, "wiki", native="mcp_tool_use"),
    ),
    (
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        ServerToolResult("s", "web_search", [], native="web_search_tool_result"),
    ),
    (
        {"type": "future_tool_result", "tool_use_id": "s", "content": {"a": 1}},
        ServerToolResult("s", "future", {"a": 1}, native="future_tool_result"),
    ),
    ({"type": "compaction", "content": "Before."}, Text("Before.", native="compaction")),
    ({"type": "future", "a": None}, Opaque({"type": "future", "a": None}, native="future")),
]


@pytest.mark.parametrize(
    ("block", "part"), BLOCKS, ids=lambda value: value.get("type") if isinstance(value, dict) else ""
)
def test_a_block_is_a_part(block: dict[str, Any], part: Part) -> None:
    body = {"messages": [{"role": "assistant", "content": [block]}]}
    request = DIALECT.parse_request(body, PathMatch())
    assert request.messages == (Message("assistant", (part,)),)
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


@pytest.mark.parametrize(
    ("blocks", "parts"),
    [
        (
            [{"type": "redacted_thinking", "data": "gemini>::Z2Vt"}, {"type": "text", "text": "words"}],
            (Text("words", signature=Signature("Z2Vt", "gemini")),),
        ),
        (
            [{"type": "text", "text": "words"}, {"type": "redacted_thinking", "data": "gemini<::Z2Vt"}],
            (Text("words", signature=Signature("Z2Vt", "gemini"), native="signed_after"),),
        ),
        (
            [{"type": "redacted_thinking", "data": "gemini>::Z2Vt"}],
            (Thinking(signature=Signature("Z2Vt", "gemini"), redacted=True, native=">"),),
        ),
        (
            [{"type": "redacted_thinking", "data": "gemini::Z2Vt"}, {"type": "text", "text": "words"}],
            (Thinking(signature=Signature("Z2Vt", "gemini"), redacted=True), Text("words")),
        ),
    ],
)
def test_a_parked_signature_is_its_neighbours(blocks: list[dict[str, Any]], parts: tuple[Part, ...]) -> None:
    body = {"messages": [{"role": "assistant", "content": blocks}]}
    request = DIALECT.parse_request(body, PathMatch())
    assert request.messages[0].parts == parts
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"system": "Be brief."}, {"system": (Text("Be brief."),), "spelling": {"system": "string"}}),
    ({"system": [{"type": "text", "text": "Be brief."}]}, {"system": (Text("Be brief."),)}),
    ({"system": []}, {"system": ()}),
    ({"system": None}, {"extras": {"system": None}}),
    ({"stop_sequences": ["a"]}, {"stop": ("a",)}),
    ({"metadata": {"user_id": "u"}}, {"user": "u"}),
    ({"metadata": {"user_id": None}}, {"user": None, "extras": {"metadata": {"user_id": None}}}),
    ({"metadata": {}}, {"extras": {"metadata": {}}}),
    ({"service_tier": "standard_only"}, {"service_tier": "default"}),
    ({"service_tier": "auto"}, {"service_tier": "auto"}),
    ({"cache_control": {"type": "ephemeral"}}, {"cache": Cache()}),
    ({"tool_choice": {"type": "auto"}}, {"tool_choice": ToolChoice("auto")}),
    ({"tool_choice": {"type": "any"}}, {"tool_choice": ToolChoice("required")}),
    ({"tool_choice": {"type": "none"}}, {"tool_choice": ToolChoice("none")}),
    (
        {"tool_choice": {"type": "tool", "name": "n", "disable_parallel_tool_use": True}},
        {"tool_choice": ToolChoice("tool", "n"), "parallel_tool_calls": False},
    ),
    (
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        {"tool_choice": ToolChoice("auto"), "parallel_tool_calls": True},
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        {"reasoning": Reasoning(enabled=True, budget_tokens=2048)},
    ),
    ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"reasoning": Reasoning(adaptive=True, include=False)}),
    ({"thinking": {"type": "disabled"}}, {"reasoning": Reasoning(enabled=False)}),
    (
        {"thinking": {"type": "between_tools", "display": "updates"}},
        {"reasoning": Reasoning(enabled=True, native="between_tools"), "extras": {"thinking": {"display": "updates"}}},
    ),
    ({"output_config": {"effort": "low"}}, {"reasoning": Reasoning("low")}),
    ({"output_config": {"effort": None}}, {"extras": {"output_config": {"effort": None}}}),
    (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max", "task_budget": {"total": 1}}},
        {"reasoning": Reasoning("max", adaptive=True), "extras": {"output_config": {"task_budget": {"total": 1}}}},
    ),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"response_format": ResponseFormat("json_schema", SCHEMA)},
    ),
    (
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
        {"response_format": ResponseFormat("json_schema", SCHEMA), "spelling": {"response_format": "output_format"}},
    ),
    (
        {"output_config": {"format": {"type": "future"}}},
        {"extras": {"output_config": {"format": {"type": "future"}}}},
    ),
    (
        {"tools": [{"name": "n", "description": "d", "input_schema": SCHEMA}]},
        {"tools": (Tool("n", description="d", parameters=SCHEMA),)},
    ),
    (
        {"tools": [{"type": "custom", "name": "n", "input_schema": SCHEMA, "strict": True, "defer_loading": True}]},
        {"tools": (Tool("n", parameters=SCHEMA, strict=True, native="custom", extras={"defer_loading": True}),)},
    ),
    (
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]},
        {
            "tools": (
                Tool(
                    "web_search",
                    "server",
                    native="web_search_20250305",
                    extras={"(name)": "web_search"},
                    settings=ToolSettings(max_uses=2),
                ),
            )
        },
    ),
    (
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "wiki"}]},
        {
            "tools": (
                Tool(
                    "mcp",
                    "server",
                    native="mcp_toolset",
                    settings=ToolSettings(server_label="wiki", require_approval="never"),
                ),
            )
        },
    ),
    (
        {"tools": [{"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}]},
        {
            "tools": (
                Tool(
                    "tool_search",
                    "server",
                    native="tool_search_tool_bm25_20251119",
                    extras={"(name)": "tool_search_tool_bm25"},
                ),
            )
        },
    ),
    ({"container": "c", "speed": None}, {"extras": {"container": "c", "speed": None}}),
]


@pytest.mark.parametrize(("wire", "fields"), FIELDS)
def test_a_field_means(wire: dict[str, Any], fields: dict[str, Any]) -> None:
    body = {"model": "m", "max_tokens": 5, "messages": [], **wire}
    request = DIALECT.parse_request(body, PathMatch())
    empty = DIALECT.parse_request({"model": "m", "max_tokens": 5, "messages": []}, PathMatch())
    assert request == replace(empty, **fields)
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ({"role": "user", "content": "a"}, Message("user", (Text("a"),), native="string")),
        ({"role": "user", "content": [{"type": "text", "text": "a"}]}, Message("user", (Text("a"),))),
        ({"role": "system", "content": "a"}, Message("system", (Text("a"),), native="string")),
        (
            {"role": "system", "output_config": {"effort": "low"}},
            Message("system", (), native="absent", extras={"output_config": {"effort": "low"}}),
        ),
    ],
)
def test_a_message_means(message: dict[str, Any], meaning: Message) -> None:
    body = {"messages": [message]}
    request = DIALECT.parse_request(body, PathMatch())
    assert request.messages == (meaning,)
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


USAGES: list[tuple[dict[str, Any], Usage]] = [
    ({"input_tokens": 3, "output_tokens": 4}, Usage(input_tokens=3, output_tokens=4)),
    (
        {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 20},
        Usage(input_tokens=33, output_tokens=4, cache_read_tokens=10, cache_write_tokens=20),
    ),
    (
        {"input_tokens": 3, "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2}},
        Usage(input_tokens=6, cache_write_5m_tokens=1, cache_write_1h_tokens=2, extras={"cache_creation": {}}),
    ),
    (
        {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 5}},
        Usage(output_tokens=9, reasoning_tokens=5, extras={"output_tokens_details": {}}),
    ),
    (
        {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}, "service_tier": "priority"},
        Usage(
            server_tool_calls={"web_search": 2, "web_fetch": 0}, service_tier="priority", extras={"server_tool_use": {}}
        ),
    ),
    (
        {"input_tokens": 3, "cache_read_input_tokens": None, "iterations": [{"type": "message"}]},
        Usage(input_tokens=3, extras={"cache_read_input_tokens": None, "iterations": [{"type": "message"}]}),
    ),
    ({"service_tier": None, "server_tool_use": None}, Usage(extras={"service_tier": None, "server_tool_use": None})),
]


@pytest.mark.parametrize(("wire", "usage"), USAGES)
def test_usage_counts_all_input(wire: dict[str, Any], usage: Usage) -> None:
    body = {"type": "message", "role": "assistant", "content": [], "usage": wire}
    response = DIALECT.parse_response(body, NO_MEMO)
    assert response.usage == usage
    assert DIALECT.render_response(response, Context()).value == body


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("refusal", "refusal"),
        ("invented_later", "stop"),
    ],
)
def test_a_stop_reason_means(native: str, reason: Any) -> None:
    body: dict[str, Any] = {
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": native,
        "stop_sequence": None,
    }
    response = DIALECT.parse_response(body, NO_MEMO)
    assert response.choices == (Choice((), reason, native, extras={"stop_sequence": None}),)
    assert DIALECT.render_response(response, Context()).value == body


def test_a_changed_reason_is_written_not_the_native_word() -> None:
    body = {"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn"}
    response = DIALECT.parse_response(body, NO_MEMO)
    changed = replace(response, choices=(replace(response.choices[0], stop_reason="content_filter"),))
    assert DIALECT.render_response(changed, Context()).value["stop_reason"] == "refusal"


@pytest.mark.parametrize("missing", [("type",), ("role",), ("type", "role"), ()])
def test_constants_that_a_host_leaves_out_stay_out(missing: tuple[str, ...]) -> None:
    body: dict[str, Any] = {"type": "message", "role": "assistant", "id": "m", "content": []}
    for key in missing:
        del body[key]
    contract.assert_response_exact(DIALECT, body)


def test_the_model_of_an_answer_can_be_the_one_asked_for() -> None:
    body = {"type": "message", "role": "assistant", "model": "claude-x", "content": []}
    response = DIALECT.parse_response(body, NO_MEMO)
    assert DIALECT.render_response(response, Context(model="alias")).value["model"] == "alias"


def test_a_stream_adds_up_to_the_whole_answer() -> None:
    assert contract.folded(DIALECT, STREAM) == DIALECT.parse_response(STREAMED_ANSWER, NO_MEMO)


# -- usage in frames ---------------------------------------------------------------------------------------------------


def _stream(*usages: dict[str, Any]) -> bytes:
    import json

    first, *later = usages
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "usage": first}},
        *({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage} for usage in later),
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


@pytest.mark.parametrize(
    ("usages", "total"),
    [
        ([{"input_tokens": 5, "output_tokens": 1}, {"output_tokens": 9}], (5, 9)),
        ([{"input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 1}, {"output_tokens": 9}], (105, 9)),
        (
            [
                {"input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 1},
                {"input_tokens": 6, "output_tokens": 9},
            ],
            (106, 9),
        ),
        ([{"input_tokens": 5, "output_tokens": 1}, {"cache_read_input_tokens": 50, "output_tokens": 9}], (55, 9)),
        (
            [
                {"input_tokens": 5, "output_tokens": 1},
                {
                    "input_tokens": 5,
                    "cache_read_input_tokens": 50,
                    "cache_creation_input_tokens": None,
                    "output_tokens": 9,
                },
            ],
            (55, 9),
        ),
        ([{"output_tokens": 1}, {"input_tokens": 7, "output_tokens": 9}], (7, 9)),
        ([{}, {}], (None, None)),
        ([{"input_tokens": None}, {"output_tokens": 3, "input_tokens": None}], (None, 3)),
    ],
)
def test_usage_in_pieces_adds_up_and_comes_back(usages: list[dict[str, Any]], total: tuple[Any, Any]) -> None:
    data = _stream(*usages)
    contract.assert_stream_exact(DIALECT, data)
    usage = contract.folded(DIALECT, data).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == total


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("/v1/messages", PathMatch()),
        ("/anthropic/v1/messages", PathMatch()),
        ("/api/anthropic/v1/messages/", PathMatch()),
        ("/model/us.anthropic.claude-3%3A0/invoke", PathMatch("us.anthropic.claude-3:0", False)),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x@2025:rawPredict",
            PathMatch("claude-x@2025", False),
        ),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", PathMatch("c", True)),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict", None),
        ("/v1/messages/count_tokens", None),
        ("/v1/messages/batches", None),
        ("/v1/threads/t/messages", None),
        ("/model/amazon.titan-embed/invoke", None),
        ("/v1/chat/completions", None),
    ],
)
def test_a_path_is_ours(path: str, match: PathMatch | None) -> None:
    assert match_path(path) == match


def test_what_the_path_says_is_not_in_the_body() -> None:
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": []}
    request = DIALECT.parse_request(body, PathMatch("anthropic.claude", False))
    assert (request.model, request.stream) == ("anthropic.claude", False)
    contract.assert_request_exact(DIALECT, body, PathMatch("anthropic.claude", False))
    contract.assert_request_exact(DIALECT, {**body, "stream": True}, PathMatch("claude", True))


def test_a_host_may_refuse_and_rename_fields() -> None:
    body = {"model": "m", "max_tokens": 5, "messages": [], "top_k": 3, "top_p": 0.5}
    rendered = DIALECT.render_request(
        DIALECT.parse_request(body, PathMatch()),
        Profile(unsupported=frozenset({"top_k", "seed"}), renames={"max_tokens": "max"}),
    )
    assert rendered.value == {"model": "m", "max": 5, "messages": [], "top_p": 0.5}
    assert [str(note) for note in rendered.notes] == ["dropped top_k: this host or model does not take it"]


def test_what_somebody_added_and_the_api_cannot_say_is_noted() -> None:
    request = DIALECT.parse_request({"model": "m", "messages": []}, PathMatch())
    rendered = DIALECT.render_request(replace(request, seed=7, n=1), DEFAULT_PROFILE)
    assert [note.path for note in rendered.notes] == ["seed"]


def test_signatures_of_others_do_not_reach_a_model_that_refuses_them() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "gemini::Z2Vt"},
        {"type": "redacted_thinking", "data": "gemini>::Z2Vt"},
        {"type": "text", "text": "words"},
    ]
    body = {"messages": [{"role": "assistant", "content": blocks}, {"role": "assistant", "content": blocks[:1]}]}
    request = DIALECT.parse_request(body, PathMatch())
    rendered = DIALECT.render_request(request, Profile(signature_origin="anthropic"))
    assert rendered.value == {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "words"}]}]}
    assert [note.path for note in rendered.notes] == [
        "messages[0].parts[0]",
        "messages[0].parts[1].signature",
        "messages[1].parts[0]",
    ]


# -- messages of errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "expected an object, got a list"),
        ({}, "a list of messages is missing at messages"),
        ({"messages": {}}, "expected a list, got an object at messages"),
        ({"messages": [7]}, "expected an object, got an integer at messages[0]"),
        ({"messages": [{"content": "a"}]}, "a string is missing at messages[0].role"),
        ({"messages": [{"role": "tool"}]}, "expected one of user, assistant, system, got 'tool' at messages[0].role"),
        (
            {"messages": [{"role": "user", "content": 7}]},
            "expected a string or a list of content blocks, got an integer at messages[0].content",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "a string is missing at messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]},
            "a string is missing at messages[0].content[0].source.data",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_use", "name": "n", "input": "x"}]}]},
            "expected an object, got a string at messages[0].content[0].input",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {}}]}]},
            "a string is missing at messages[0].content[0].cache_control.type",
        ),
        ({"messages": [], "tools": [{"input_schema": {}}]}, "a string is missing at tools[0].name"),
        (
            {"messages": [], "tool_choice": {"type": "x"}},
            "expected one of auto, any, tool, none, got 'x' at tool_choice.type",
        ),
        ({"messages": [], "max_tokens": "5"}, "expected an integer, got a string at max_tokens"),
        ({"messages": [], "system": 5}, "expected a string or a list of content blocks, got an integer at system"),
        (
            {"messages": [], "thinking": {"budget_tokens": "x"}},
            "expected an integer, got a string at thinking.budget_tokens",
        ),
    ],
)
def test_an_error_says_what_is_wrong_and_where(body: Any, words: str) -> None:
    with pytest.raises(DialectError) as caught:
        DIALECT.parse_request(body, PathMatch())
    assert str(caught.value) == f"anthropic_messages: {words}"


def test_an_error_in_place_of_an_answer_says_so() -> None:
    with pytest.raises(DialectError, match=r"expected a message of the assistant, got .*overloaded"):
        DIALECT.parse_response({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, NO_MEMO)


# -- the way back ------------------------------------------------------------------------------------------------------


def _called(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    block = {"type": "tool_use", "id": "t", "name": name, "input": arguments}
    return {"type": "message", "role": "assistant", "content": [block], "stop_reason": "tool_use"}


def test_a_forced_tool_is_the_answer() -> None:
    answer = DIALECT.parse_response(_called("json_response", {"city": "Paris"}), Memo(json_tool="json_response"))
    assert answer.choices[0].parts == (Text('{"city":"Paris"}'),)
    assert answer.choices[0].stop_reason == "stop"
    assert answer.choices[0].stop_native == "tool_use"


def test_names_and_free_form_input_are_the_callers_again() -> None:
    memo = Memo({"put_down": "put.down"}, custom_tools=frozenset({"write"}))
    named = DIALECT.parse_response(_called("put_down", {}), memo)
    assert named.choices[0].parts == (ToolCall("t", "put.down", {}),)
    free = DIALECT.parse_response(_called("write", {"input": "free words"}), memo)
    assert free.choices[0].parts == (ToolCall("t", "write", "free words", custom=True),)


@pytest.mark.parametrize(
    ("name", "pieces", "memo", "part", "reason"),
    [
        ("json_response", ['{"ci', 'ty":1}'], Memo(json_tool="json_response"), Text('{"city":1}'), "stop"),
        ("put_down", ["{}"], Memo({"put_down": "put.down"}), ToolCall("t", "put.down", {}), "tool_calls"),
        (
            "write",
            ['{"input": "free', ' words"}'],
            Memo(custom_tools=frozenset({"write"})),
            ToolCall("t", "write", "free words", custom=True),
            "tool_calls",
        ),
    ],
)
def test_the_same_in_a_stream(name: str, pieces: list[str], memo: Memo, part: Part, reason: str) -> None:
    from penstock.types.fold import fold
    from tests.unit.dialects.anthropic_messages.samples import block, sse

    start = {"type": "tool_use", "id": "t", "name": name, "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}}
    data = sse(*block(0, start, *deltas), end, {"type": "message_stop"})
    parser = DIALECT.stream_parser(memo)
    choice = fold(parser.feed(data) + parser.close(), DIALECT.name).choices[0]
    assert (choice.parts, choice.stop_reason) == ((part,), reason)
