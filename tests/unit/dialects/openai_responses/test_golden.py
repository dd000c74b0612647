"""What each piece of the wire means: pairs of wire and representation, read from left to right and written from right
to left.
"""

import json
from typing import Any

import pytest

from penstock.dialects.dialect import Context
from penstock.dialects.openai_responses import DIALECT
from penstock.dialects.openai_responses.fields import COMPLETED, ENVELOPE, ITEM
from penstock.types.content import (
    Base64,
    Cache,
    Citation,
    FileId,
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.errors import MalformedError
from penstock.types.notes import NO_MEMO, Memo
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Response
from penstock.types.stream import PartEnd, PartStart
from penstock.types.tool_settings import ToolSettings
from tests.contract import dialects as contract
from tests.unit.dialects.openai_responses.samples import EVENTS, STREAMED_OUTPUT, stream

NAME = DIALECT.name


def read(wire: dict[str, Any]) -> Request:
    return DIALECT.parse_request(wire, contract.NO_MATCH)


def write(request: Request) -> dict[str, Any]:
    return DIALECT.render_request(request, DEFAULT_PROFILE).value


# -- items -------------------------------------------------------------------------------------------------------------

ITEMS: dict[str, tuple[dict[str, Any], Message]] = {
    "an easy message": ({"role": "user", "content": "Hi"}, Message("user", (Text("Hi"),))),
    "a typed message": (
        {"type": "message", "role": "developer", "content": "Hi"},
        Message("developer", (Text("Hi"),), native="typed"),
    ),
    "an output message": (
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}, {"type": "refusal", "refusal": "No"}],
        },
        Message(
            "assistant",
            (Text("Hi", citations=()), Refusal("No")),
            id="msg_1",
            native="typed list",
            extras={ITEM: {"status": "completed"}, "phase": "commentary"},
        ),
    ),
    "media": (
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
                {"type": "input_image", "file_id": "file-1"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
                {"type": "input_file", "file_url": "https://example.com/a.pdf"},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            ],
        },
        Message(
            "user",
            (
                Text("Look", cache=Cache("30m")),
                Media("image", Base64("AAAA"), "image/png", detail="low"),
                Media("image", FileId("file-1")),
                Media("file", Base64("AAAA"), "application/pdf", "a.pdf"),
                Media("file", Url("https://example.com/a.pdf")),
                Media("audio", Base64("AAAA"), "audio/mpeg"),
            ),
            native="list",
        ),
    ),
    "reasoning": (
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "First"}, {"type": "summary_text", "text": "Second"}],
            "encrypted_content": "gAAAA",
        },
        Message("assistant", (Thinking("", ("First", "Second"), Signature("gAAAA", "openai"), id="rs_1"),)),
    ),
    "reasoning that is withheld": (
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        Message("assistant", (Thinking("", (), Signature("gAAAA", "openai"), True, id="rs_1"),)),
    ),
    "reasoning in the open": (
        {
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "One."}, {"type": "reasoning_text", "text": "Two."}],
        },
        Message("assistant", (Thinking("One.", (), native="content"), Thinking("Two.", native="more"))),
    ),
    "reasoning of another provider": (
        {"type": "reasoning", "summary": [], "encrypted_content": "anthropic:c2ln"},
        Message("assistant", (Thinking("", (), Signature("c2ln", "anthropic"), True),)),
    ),
    "a function call": (
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
        Message("assistant", (ToolCall("c", "f", "{}", id="fc_1", extras=COMPLETED),)),
    ),
    "a custom tool call": (
        {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "words"},
        Message("assistant", (ToolCall("c", "f", "words", True),)),
    ),
    "an output": (
        {"type": "function_call_output", "call_id": "c", "output": "found"},
        Message("tool", (ToolResult("c", (Text("found"),)),)),
    ),
    "an output of parts": (
        {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "found"}]},
        Message("tool", (ToolResult("c", (Text("found"),), custom=True, native="list"),)),
    ),
    "a web search": (
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        Message(
            "assistant",
            (
                ServerToolCall(
                    "ws_1", "web_search", {"type": "search", "query": "q"}, native="web_search_call", extras=COMPLETED
                ),
            ),
        ),
    ),
    "code that the provider ran": (
        {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "x", "outputs": []},
        Message(
            "assistant",
            (
                ServerToolCall(
                    "ci_1",
                    "code_execution",
                    {"code": "1"},
                    native="code_interpreter_call",
                    extras={"container_id": "x"},
                ),
                ServerToolResult("ci_1", "code_execution", [], native="code_interpreter_call"),
            ),
        ),
    ),
    "a call over MCP": (
        {"type": "mcp_call", "id": "mcp_1", "server_label": "docs", "name": "ask", "arguments": "{}", "output": "so"},
        Message(
            "assistant",
            (
                ServerToolCall("mcp_1", "ask", "{}", "docs", native="mcp_call"),
                ServerToolResult("mcp_1", "mcp", "so", native="mcp_call"),
            ),
        ),
    ),
    "a computer to click on": (
        {"type": "computer_call", "id": "cu_1", "call_id": "c", "action": {"type": "click"}, "status": "completed"},
        Message(
            "assistant",
            (ToolCall("c", "computer", {"type": "click"}, id="cu_1", native="computer_call", extras=COMPLETED),),
        ),
    ),
    "its screenshot": (
        {
            "type": "computer_call_output",
            "call_id": "c",
            "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"},
        },
        Message(
            "tool",
            (
                ToolResult(
                    "c",
                    (Media("image", Base64("AAAA"), "image/png", native="computer_screenshot"),),
                    native="computer_call_output",
                ),
            ),
        ),
    ),
    "a shell here": (
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
        Message("assistant", (ToolCall("c", "bash", {"commands": ["ls"]}, native="shell_call"),)),
    ),
    "a patch that failed": (
        {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no"},
        Message(
            "tool",
            (
                ToolResult(
                    "c",
                    (Text("no"),),
                    is_error=True,
                    native="apply_patch_call_output",
                    extras={ITEM: {"status": "failed"}},
                ),
            ),
        ),
    ),
    "a search of tools by the provider": (
        {"type": "tool_search_output", "id": "tso_1", "call_id": None, "execution": "server", "tools": []},
        Message(
            "assistant",
            (
                ServerToolResult(
                    None,
                    "tool_search",
                    [],
                    id="tso_1",
                    native="tool_search_output",
                    extras={"call_id": None, ITEM: {"execution": "server"}},
                ),
            ),
        ),
    ),
    "a search of tools by the caller": (
        {"type": "tool_search_output", "call_id": "c", "execution": "client", "tools": []},
        Message(
            "tool",
            (ToolResult("c", (Json([]),), native="tool_search_output", extras={ITEM: {"execution": "client"}}),),
        ),
    ),
    "an image that was made": (
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBORw0KGgo="},
        Message(
            "assistant",
            (
                Media(
                    "image",
                    Base64("iVBORw0KGgo="),
                    "image/png",
                    id="ig_1",
                    native="image_generation_call",
                    extras=COMPLETED,
                ),
            ),
        ),
    ),
    "a compaction": (
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"},
        Message(
            "assistant",
            (Opaque({"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"}, native="compaction"),),
        ),
    ),
    "a reference": (
        {"id": "msg_1"},
        Message("user", (Opaque({"id": "msg_1"}, native="item_reference"),)),
    ),
}


@pytest.mark.parametrize("label", ITEMS)
def test_items(label: str) -> None:
    wire, message = ITEMS[label]
    assert read({"input": [wire]}).messages == (message,)
    assert write(Request(dialect=NAME, model=None, messages=(message,))) == {"input": [wire]}


def test_a_hosted_shell_runs_on_the_providers_side() -> None:
    """The output of a shell call is the caller's or the provider's, as its call says."""
    place = {"type": "container_reference", "container_id": "cntr_1"}
    call = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}, "environment": place}
    output = {"type": "shell_call_output", "call_id": "c", "output": []}
    messages = read({"input": [call, output]}).messages
    assert [(message.role, type(message.parts[0])) for message in messages] == [
        ("assistant", ServerToolCall),
        ("assistant", ServerToolResult),
    ]


def test_a_turn_of_several_parts_is_several_items() -> None:
    """A Message that somebody built is written as many items as it takes, in its order."""
    turn = Message("assistant", (Text("Let me see."), ToolCall("c", "f", {"a": 1}), Text("And"), Text("so on.")))
    assert write(Request(dialect=NAME, model=None, messages=(turn,))) == {
        "input": [
            {"role": "assistant", "content": "Let me see."},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
            {
                "role": "assistant",
                "content": [{"type": "output_text", "text": "And"}, {"type": "output_text", "text": "so on."}],
            },
        ]
    }


def test_the_parts_of_an_answer_can_be_the_next_turn() -> None:
    """What an answer said goes into the history as a Message, and comes out as the items that it was."""
    answered = DIALECT.parse_response({"id": "resp_1", "output": STREAMED_OUTPUT}, NO_MEMO)
    turn = Message("assistant", answered.choices[0].parts)
    assert write(Request(dialect=NAME, model=None, messages=(turn,)))["input"] == STREAMED_OUTPUT


def test_a_changed_text_shows() -> None:
    """What is modelled is written from the model: a changed part changes the item, whatever else it keeps."""
    request = read({"input": [{"type": "message", "role": "user", "id": "msg_1", "content": "secret"}]})
    changed = Message("user", (Text("[redacted]"),), id="msg_1", native="typed")
    assert write(Request(dialect=NAME, model=None, messages=(changed,)))["input"][0] == {
        "type": "message",
        "role": "user",
        "id": "msg_1",
        "content": "[redacted]",
    }
    two = Message("user", (*request.messages[0].parts, Text("more")), id="msg_1", native="typed")
    assert write(Request(dialect=NAME, model=None, messages=(two,)))["input"][0]["content"] == [
        {"type": "input_text", "text": "secret"},
        {"type": "input_text", "text": "more"},
    ]


ANNOTATIONS = [
    (
        {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2},
        Citation("u", "t", start=1, end=2),
    ),
    (
        {"type": "file_citation", "file_id": "f", "filename": "n", "index": 3},
        Citation(title="n", file_id="f", native="file_citation", extras={"index": 3}),
    ),
    ({"type": "new", "a": None}, Citation(native="new", extras={"a": None})),
]


@pytest.mark.parametrize(("wire", "citation"), ANNOTATIONS)
def test_annotations(wire: dict[str, Any], citation: Citation) -> None:
    content = [{"type": "output_text", "text": "words", "annotations": [wire]}]
    part = read({"input": [{"role": "assistant", "content": content}]}).messages[0].parts[0]
    assert part == Text("words", citations=(citation,))


def test_logprobs() -> None:
    entry = {"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -2.5}]}
    content = [{"type": "output_text", "text": "a", "annotations": [], "logprobs": [entry]}]
    answered = DIALECT.parse_response(
        {"output": [{"type": "message", "role": "assistant", "content": content}]}, NO_MEMO
    )
    part = answered.choices[0].parts[0]
    assert isinstance(part, Text)
    assert part.logprobs == (TokenLogprob("a", -1, (97,), (TokenLogprob("b", -2.5),)),)


# -- settings ----------------------------------------------------------------------------------------------------------

SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "instructions": ({"instructions": "Be brief."}, {"system": (Text("Be brief."),)}),
    "max_output_tokens": ({"max_output_tokens": 9}, {"max_tokens": 9}),
    "reasoning": (
        {"reasoning": {"effort": "low", "summary": "auto", "context": "all_turns"}},
        {"reasoning": Reasoning("low", summary="auto", extras={"context": "all_turns"})},
    ),
    "reasoning of OpenRouter": (
        {"reasoning": {"max_tokens": 100, "enabled": True, "exclude": True}},
        {"reasoning": Reasoning(budget_tokens=100, enabled=True, include=False)},
    ),
    "reasoning in old words": (
        {"reasoning": {"generate_summary": "concise"}},
        {"reasoning": Reasoning(summary="concise", native="generate_summary")},
    ),
    "text": (
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": {}, "strict": True}, "verbosity": "low"}},
        {
            "response_format": ResponseFormat("json_schema", {}, "a", strict=True),
            "verbosity": "low",
            "extras": {"text": {}},
        },
    ),
    "include": (
        {"include": ["message.output_text.logprobs", "web_search_call.action.sources"], "top_logprobs": 2},
        {
            "logprobs": True,
            "top_logprobs": 2,
            "extras": {"include": ["message.output_text.logprobs", "web_search_call.action.sources"]},
        },
    ),
    "include that is no loss": (
        {"include": ["reasoning.encrypted_content"]},
        {"extras": {"(include)": ["reasoning.encrypted_content"]}},
    ),
    "what only it knows": (
        {"previous_response_id": "resp_1", "truncation": "auto", "background": False},
        {"extras": {"previous_response_id": "resp_1", "truncation": "auto", "background": False}},
    ),
    "tools": (
        {
            "tools": [
                {"type": "function", "name": "f", "parameters": {}, "strict": False, "defer_loading": True},
                {"type": "custom", "name": "c", "format": {"type": "text"}},
                {"type": "web_search_preview", "search_context_size": "low"},
                {"type": "code_interpreter", "container": "cntr_1"},
                {"type": "new_tool"},
            ]
        },
        {
            "tools": (
                Tool("f", parameters={}, strict=False, extras={"defer_loading": True}),
                Tool("c", "custom", format={"type": "text"}),
                Tool(
                    "web_search",
                    "server",
                    native="web_search_preview",
                    settings=ToolSettings(search_context_size="low"),
                ),
                Tool("code_execution", "server", native="code_interpreter", extras={"container": "cntr_1"}),
                Tool("new_tool", "server", native="new_tool"),
            )
        },
    ),
    "a choice in a word": ({"tool_choice": "required"}, {"tool_choice": ToolChoice("required")}),
    "a chosen function": (
        {"tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": ToolChoice("tool", "f")},
    ),
    "a chosen hosted tool": (
        {"tool_choice": {"type": "file_search"}},
        {"tool_choice": ToolChoice("tool", "file_search", native="file_search")},
    ),
    "a chosen server": (
        {"tool_choice": {"type": "mcp", "server_label": "docs", "name": "ask"}},
        {"tool_choice": ToolChoice("tool", "ask", native="mcp", extras={"server_label": "docs"})},
    ),
    "allowed functions": (
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
        {"tool_choice": ToolChoice("allowed", names=("f",), allowed_mode="auto")},
    ),
    "allowed tools": (
        {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "image_generation"}]}},
        {
            "tool_choice": ToolChoice(
                "allowed",
                names=("image_generation",),
                allowed_mode="required",
                extras={"tools": [{"type": "image_generation"}]},
            )
        },
    ),
}


@pytest.mark.parametrize("label", SETTINGS)
def test_settings(label: str) -> None:
    wire, fields = SETTINGS[label]
    request = Request(dialect=NAME, model="m", messages=(Message("user", (Text("Hi"),)),), **fields)
    body = {"model": "m", "input": [{"role": "user", "content": "Hi"}], **wire}
    assert read(body) == request
    assert write(request) == body


def test_a_plain_string_stays_one() -> None:
    request = read({"input": "Hi"})
    assert request.messages == (Message("user", (Text("Hi"),)),)
    assert request.spelling == {"messages": "string"}
    assert write(request) == {"input": "Hi"}


def test_log_probabilities_are_asked_for_or_not() -> None:
    """`include` follows the field: added when it is set, taken out when it is unset."""
    asked = read({"input": [], "include": ["message.output_text.logprobs", "file_search_call.results"]})
    assert asked.logprobs is True
    unset = Request(dialect=NAME, model=None, messages=(), extras=asked.extras)
    assert write(unset)["include"] == ["file_search_call.results"]
    wanted = Request(dialect=NAME, model=None, messages=(), logprobs=True)
    assert write(wanted)["include"] == ["message.output_text.logprobs"]


# -- answers -----------------------------------------------------------------------------------------------------------

STOPS: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"status": "completed"}, "stop", "completed"),
    ({"status": "in_progress"}, None, "in_progress"),
    ({"status": "queued"}, None, "queued"),
    ({"status": "cancelled"}, "stop", "cancelled"),
    ({"status": "failed", "error": {"code": "server_error", "message": "Oh"}}, "error", "failed"),
    ({"status": "incomplete"}, "length", "incomplete"),
    (
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        "length",
        "max_output_tokens",
    ),
    ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter", "content_filter"),
    ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "pause", "steered"),
    ({"status": "something_new"}, None, None),
]


@pytest.mark.parametrize(("wire", "reason", "native"), STOPS)
def test_stop_reasons(wire: dict[str, Any], reason: str | None, native: str | None) -> None:
    choice = DIALECT.parse_response({**wire, "output": []}, NO_MEMO).choices[0]
    assert (choice.stop_reason, choice.stop_native) == (reason, native)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}, "tool_calls"),
        ({"type": "shell_call", "call_id": "c", "action": {}}, "tool_calls"),
        ({"type": "web_search_call", "id": "ws_1"}, "stop"),
        ({"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}, "refusal"),
    ],
)
def test_what_a_completed_answer_waits_for(item: dict[str, Any], reason: str) -> None:
    answered = DIALECT.parse_response({"status": "completed", "output": [item]}, NO_MEMO)
    assert answered.choices[0].stop_reason == reason


def test_the_parts_of_a_message_know_their_item() -> None:
    wire = {
        "id": "resp_1",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "phase": "final_answer",
                "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}],
            },
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
        ],
    }
    response = DIALECT.parse_response(wire, NO_MEMO)
    first: Part = Text("a", id="msg_1", extras={ITEM: {"status": "completed"}, ENVELOPE: {"phase": "final_answer"}})
    assert response.choices[0].parts == (first, Text("b", id="msg_1"), Text("c", extras={ITEM: {}}))
    assert DIALECT.render_response(response, Context()).value == wire


def test_usage_and_cost() -> None:
    wire = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
        "cost": 0.000025,
    }
    usage = DIALECT.parse_response(
        {"output": [], "usage": wire, "tool_usage": {"web_search": {"num_requests": 2}}}, NO_MEMO
    ).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (10, 5, 15)
    assert (usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (4, 2, 3)
    assert (usage.cost, usage.server_tool_calls) == ("2.5e-05", {"web_search": 2})


def test_the_client_sees_the_model_that_it_asked_for() -> None:
    response = Response(dialect=NAME, id="resp_1", model="gpt-5-2025-08-07")
    assert DIALECT.render_response(response, Context(model="fast")).value["model"] == "fast"


def test_tools_get_their_names_back() -> None:
    wire = {"output": [{"type": "function_call", "call_id": "c", "name": "put_down", "arguments": "{}"}]}
    memo = Memo(tool_names={"put_down": "put.down"})
    call = DIALECT.parse_response(wire, memo).choices[0].parts[0]
    assert isinstance(call, ToolCall)
    assert call.name == "put.down"
    data = stream(
        [
            {"type": "response.output_item.added", "output_index": 0, "item": wire["output"][0]},
            {"type": "response.output_item.done", "output_index": 0, "item": wire["output"][0]},
        ]
    )
    deltas = [delta for event in DIALECT.stream_parser(memo).feed(data) for delta in event.deltas]
    parts = [delta.part for delta in deltas if isinstance(delta, PartStart | PartEnd)]
    names = [part.name for part in parts if isinstance(part, ToolCall)]
    assert names == ["put.down", "put.down"]


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_folds_to_its_last_event() -> None:
    data = stream(EVENTS)
    final = EVENTS[-1]["response"]
    assert contract.folded(DIALECT, data) == DIALECT.parse_response(final, NO_MEMO)


def test_the_deltas_alone_bring_every_part() -> None:
    """Without the events that hold the whole response, the fold has the same parts."""
    alone = [event for event in EVENTS if "response" not in event]
    parts = contract.folded(DIALECT, stream(alone)).choices[0].parts
    whole = DIALECT.parse_response({"output": STREAMED_OUTPUT}, NO_MEMO).choices[0].parts
    assert parts == whole


def test_hosts_that_send_only_the_ends_of_items_are_understood() -> None:
    items = [
        {"type": "response.output_item.done", "output_index": number, "item": item}
        for number, item in enumerate(STREAMED_OUTPUT)
    ]
    parts = contract.folded(DIALECT, stream(items)).choices[0].parts
    assert parts == DIALECT.parse_response({"output": STREAMED_OUTPUT}, NO_MEMO).choices[0].parts


def test_hosts_that_send_only_the_last_event_are_understood() -> None:
    events = contract.parse_stream(DIALECT, stream(EVENTS[-1:]))
    kinds = [type(delta).__name__ for delta in events[0].deltas]
    parts = DIALECT.parse_response(EVENTS[-1]["response"], NO_MEMO).choices[0].parts
    assert kinds == ["Start", *["PartStart", "PartEnd"] * len(parts), "Snapshot", "Stop", "UsageDelta", "End"]


def test_hosts_that_leave_the_last_output_empty_are_understood() -> None:
    empty = {**EVENTS[-1], "response": {**EVENTS[-1]["response"], "output": []}}
    response = contract.folded(DIALECT, stream([*EVENTS[:-1], empty]))
    assert response.choices[0].stop_reason == "tool_calls"
    assert len(response.choices[0].parts) == len(STREAMED_OUTPUT) + 3  # of the message, and what came of the MCP call


def test_a_failed_stream_says_so() -> None:
    error = {"code": "rate_limit_exceeded", "message": "Slow down"}
    failed = {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "error": error, "output": []}}
    for event in (
        failed,
        {"type": "error", **error, "param": None},
        {"type": "error", "error": error},
        {"error": error},
    ):
        parsed = contract.parse_stream(DIALECT, stream([{"type": "response.created", "response": {}}]) + frame(event))
        failures = [delta.error for each in parsed for delta in each.deltas if hasattr(delta, "error")]
        assert [(failure.kind, failure.status, failure.message) for failure in failures] == [
            ("rate_limit", 429, "Slow down")
        ]


def frame(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "Too long", "code": "context_length_exceeded"}}, "context_window"),
        (400, {"error": {"message": "Unknown parameter: 'x'", "code": "unknown_parameter"}}, "unsupported"),
        (401, {"error": {"message": "Bad key", "code": "invalid_api_key"}}, "authentication"),
        (429, {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, "rate_limit"),
        (429, {"error": {"message": "Pay", "code": "insufficient_quota"}}, "quota"),
        (404, {"error": {"message": "No such model", "code": "model_not_found"}}, "not_found"),
        (500, {"error": {"message": "Oh", "type": "server_error"}}, "server"),
        (422, {"detail": [{"msg": "field required"}]}, "unprocessable"),
        (400, {"message": "prompt is too long", "type": "BadRequest"}, "context_window"),
    ],
)
def test_errors(status: int, body: dict[str, Any], kind: str) -> None:
    contract.assert_error_exact(DIALECT, status, body)
    error = DIALECT.parse_error(status, {"retry-after": "2", "x-request-id": "req_1"}, b'{"error":{"message":"m"}}')
    assert (error.retry_after, error.request_id) == (2.0, "req_1")
    assert DIALECT.parse_error(status, {}, json.dumps(body).encode()).kind == kind


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (
            {"input": [{"role": "user", "content": 7}]},
            "expected a string or a list, got an integer at input[0].content",
        ),
        ({"input": ["Hi"]}, "expected an object, got a string at input[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "expected a string, got nothing at input[0].content[0].text",
        ),
        (
            {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": 1}]},
            "expected a string, got an integer at input[0].arguments",
        ),
        ({"input": [], "tools": [{"type": "function"}]}, "expected a string, got nothing at tools[0].name"),
        (
            {"input": [], "tool_choice": "perhaps"},
            "expected one of auto, none, required, any or an object, got 'perhaps'",
        ),
        ({"input": [], "temperature": "hot"}, "expected a number, got a string at temperature"),
    ],
)
def test_bad_requests_name_the_place(wire: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read(wire)
    assert message in str(caught.value)


def test_an_error_in_a_200_is_no_answer() -> None:
    with pytest.raises(MalformedError, match="a list of output items is missing"):
        DIALECT.parse_response({"error": {"message": "Oh"}}, NO_MEMO)


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("/v1/responses", True),
        ("/responses", True),
        ("/api/v1/responses/", True),
        ("/openai/v1/responses?api-version=preview", True),
        ("/v1/responses/compact", False),
        ("/v1/responses/resp_1", False),
        ("/v1/chat/completions", False),
    ],
)
def test_paths(path: str, matches: bool) -> None:
    assert (DIALECT.match_path(path) is not None) is matches
    assert DIALECT.path("m", True) == "/v1/responses"
