"""What a provider ran itself crosses to the dialects that have a place for it: calls of MCP servers and of code, in
answers, in streams and in the history that a client sends back.
"""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.dialects import registry
from penstock.dialects.dialect import Context, PathMatch
from penstock.types.content import ServerToolCall, ServerToolResult, Text
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.response import Choice, Response
from tests.contract import dialects as contract

CLAUDE = registry.get("anthropic_messages")
RESPONSES = registry.get("openai_responses")
GEMINI = registry.get("gemini")

MCP_ITEM: dict[str, Any] = {
    "type": "mcp_call",
    "id": "mcp_1",
    "status": "completed",
    "approval_request_id": None,
    "server_label": "wiki",
    "name": "ask",
    "arguments": '{"q":1}',
    "output": "so it is",
    "error": None,
}
MCP_BLOCKS: list[dict[str, Any]] = [
    {"type": "mcp_tool_use", "id": "mcp_1", "name": "ask", "server_name": "wiki", "input": {"q": 1}},
    {
        "type": "mcp_tool_result",
        "tool_use_id": "mcp_1",
        "is_error": False,
        "content": [{"type": "text", "text": "so it is"}],
    },
]
FAILED_ITEM = {**MCP_ITEM, "status": "failed", "output": None, "error": "no such page"}
FAILED_BLOCKS = [
    MCP_BLOCKS[0],
    {**MCP_BLOCKS[1], "is_error": True, "content": [{"type": "text", "text": "no such page"}]},
]
CODE_ITEM: dict[str, Any] = {
    "type": "code_interpreter_call",
    "id": "ci_1",
    "status": "completed",
    "code": "print(1)",
    "container_id": "cntr_1",
    "outputs": [{"type": "logs", "logs": "1"}],
}
CODE_BLOCKS: list[dict[str, Any]] = [
    {"type": "server_tool_use", "id": "srvtoolu_ci_1", "name": "code_execution", "input": {"code": "print(1)"}},
    {
        "type": "code_execution_tool_result",
        "tool_use_id": "srvtoolu_ci_1",
        "content": {"type": "code_execution_result", "stdout": "1", "stderr": "", "return_code": 0, "content": []},
    },
]
MESSAGE_ITEM = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Yes", "annotations": [], "logprobs": []}],
}
YES = {"type": "text", "text": "Yes"}
PAIRS = {
    "mcp": (MCP_ITEM, MCP_BLOCKS),
    "mcp that failed": (FAILED_ITEM, FAILED_BLOCKS),
    "code": (CODE_ITEM, CODE_BLOCKS),
}
HTTP = {"mcp_servers": [{"type": "url", "url": "https://mcp.example.com/mcp", "name": "wiki"}]}


def answer(item: dict[str, Any]) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": "completed", "output": [item, MESSAGE_ITEM]}


def message(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    return {**body, "content": [*blocks, YES], "usage": {"input_tokens": 1, "output_tokens": 1}}


def stream_of(item: dict[str, Any]) -> bytes:
    """How Responses streams an item: announced without its outcome, then done with it."""
    begun = {**item, "status": "in_progress"}
    begun |= {key: None for key in ("output", "outputs", "error") if key in item}
    begun |= {"arguments": ""} if "arguments" in item else {}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**answer(item), "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
    ]
    if "arguments" in item:
        delta = {"type": "response.mcp_call_arguments.delta", "item_id": item["id"], "output_index": 0}
        events += [{**delta, "delta": piece} for piece in ('{"q"', ":1}")]
    events += [
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE_ITEM},
        {"type": "response.completed", "response": answer(item)},
    ]
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


@pytest.mark.parametrize("label", PAIRS)
def test_clients_of_anthropic_see_what_a_model_of_responses_ran(label: str) -> None:
    item, blocks = PAIRS[label]
    response = RESPONSES.parse_response(answer(item), NO_MEMO)
    said = CLAUDE.render_response(response, Context(model="m"))
    assert [*blocks] == said.value["content"][:-1]
    assert said.value["stop_reason"] == "end_turn"
    assert [note.path for note in said.notes if note.path.startswith("choices[0].parts")] == (
        ["choices[0].parts[0].container_id"] if label == "code" else []
    )


@pytest.mark.parametrize("label", PAIRS)
def test_and_in_streams(label: str) -> None:
    item, blocks = PAIRS[label]
    contract.assert_stream_exact(RESPONSES, stream_of(item), label)
    events = contract.parse_stream(RESPONSES, stream_of(item))
    whole = RESPONSES.parse_response(answer(item), NO_MEMO).choices[0].parts
    assert fold(events, "openai_responses").choices[0].parts == whole
    assert fold(events[:-1], "openai_responses").choices[0].parts == whole
    told = contract.render_events(CLAUDE, events, "openai_responses")
    read = contract.folded(CLAUDE, told)
    assert CLAUDE.render_response(read, Context()).value["content"] == [*blocks, YES]
    assert read.choices[0].stop_native == "end_turn"


@pytest.mark.parametrize("label", ["mcp", "mcp that failed"])
def test_clients_of_responses_see_what_claude_ran(label: str) -> None:
    item, blocks = PAIRS[label]
    response = CLAUDE.parse_response(message(blocks), NO_MEMO)
    said = RESPONSES.render_response(response, Context())
    found = said.value["output"][0]
    assert {**found, "id": item["id"]} == item
    assert found["id"].startswith("mcp_")
    assert said.notes == ()


def test_and_in_streams_of_claude() -> None:
    response = CLAUDE.parse_response(message(MCP_BLOCKS), NO_MEMO)
    told = contract.render_events(CLAUDE, contract.parse_stream(RESPONSES, stream_of(MCP_ITEM)), "openai_responses")
    events = contract.parse_stream(CLAUDE, told)
    again = contract.folded(RESPONSES, contract.render_events(RESPONSES, events, "anthropic_messages"))
    call, result = again.choices[0].parts[:2]
    assert isinstance(call, ServerToolCall) and isinstance(result, ServerToolResult)
    assert (call.name, call.server, call.arguments) == ("ask", "wiki", '{"q":1}')
    assert (result.name, result.content, result.call_id) == ("mcp", "so it is", call.call_id)
    assert isinstance(response.choices[0].parts[0], ServerToolCall)


def test_a_history_with_mcp_goes_to_claude_with_its_server() -> None:
    server = {
        "type": "mcp",
        "server_label": "wiki",
        "server_url": "https://mcp.example.com/mcp",
        "require_approval": "never",
    }
    body = {"model": "m", "input": [{"role": "user", "content": "Hi"}, MCP_ITEM, MESSAGE_ITEM], "tools": [server]}
    request = RESPONSES.parse_request(body, PathMatch())
    contract.assert_request_exact(RESPONSES, body)
    said = CLAUDE.render_request(request, DEFAULT_PROFILE)
    assert said.value["messages"][1] == {"role": "assistant", "content": [*MCP_BLOCKS, YES]}
    without = CLAUDE.render_request(replace(request, tools=None), DEFAULT_PROFILE)
    assert without.value["messages"][1] == {"role": "assistant", "content": [YES]}
    dropped = [note.path for note in without.notes if note.kind == "dropped"]
    assert dropped == ["messages[1].parts[0]", "messages[1].parts[1]"]


def test_a_call_that_was_not_answered_stays_out() -> None:
    server = {
        "type": "mcp",
        "server_label": "wiki",
        "server_url": "https://mcp.example.com/mcp",
        "require_approval": "never",
    }
    item = {**MCP_ITEM, "output": None}
    body = {"model": "m", "input": [{"role": "user", "content": "Hi"}, item, MESSAGE_ITEM], "tools": [server]}
    said = CLAUDE.render_request(RESPONSES.parse_request(body, PathMatch()), DEFAULT_PROFILE)
    assert said.value["messages"][1] == {"role": "assistant", "content": [YES]}
    assert "messages[1].parts[0]" in [note.path for note in said.notes]


def test_a_history_with_mcp_goes_back_to_responses() -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [*MCP_BLOCKS, YES]}]
    body = {"model": "m", "max_tokens": 9, "messages": turns, **HTTP}
    said = RESPONSES.render_request(CLAUDE.parse_request(body, PathMatch()), DEFAULT_PROFILE)
    assert said.value["input"][1:] == [MCP_ITEM, {"role": "assistant", "content": "Yes"}]
    assert [note for note in said.notes if note.path.startswith("messages")] == []


def test_a_history_with_code_goes_to_claude_and_gemini() -> None:
    tools = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    body = {"model": "m", "input": [{"role": "user", "content": "Hi"}, CODE_ITEM, MESSAGE_ITEM], "tools": tools}
    request = RESPONSES.parse_request(body, PathMatch())
    said = CLAUDE.render_request(request, DEFAULT_PROFILE)
    assert said.value["messages"][1]["content"] == [*CODE_BLOCKS, YES]
    contents = GEMINI.render_request(request, DEFAULT_PROFILE).value["contents"]
    assert contents[1]["parts"][:2] == [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
    ]


def test_what_was_found_needs_a_proof_and_stays_out_of_answers_in_claudes_words() -> None:
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    said = CLAUDE.render_response(RESPONSES.parse_response(answer(search), NO_MEMO), Context())
    assert said.value["content"] == [YES]
    assert [note.path for note in said.notes] == ["choices[0].parts[0]"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"stdout": "1\n", "stderr": "oh", "return_code": 1}, ("1\n", "oh", 1)),
        ({"outcome": "OUTCOME_FAILED", "output": "no"}, ("no", "", 1)),
        ([{"json": {"stdOut": "1", "stdErr": "", "exitCode": 0, "isError": False}}], ("1", "", 0)),
        ({"type": "code_execution_tool_result_error", "error_code": "unavailable"}, ("", "unavailable", 1)),
        ([], ("", "", 0)),
        ("plain", ("plain", "", 0)),
    ],
)
def test_forms_of_what_code_printed(content: Any, words: tuple[str, str, int]) -> None:
    parts = (ServerToolCall("c", "code_execution", {"code": "f()"}), ServerToolResult("c", "code_execution", content))
    response = Response(dialect="elsewhere", choices=(Choice((*parts, Text("Yes")), "stop"),))
    block = CLAUDE.render_response(response, Context()).value["content"][1]
    assert block["tool_use_id"] == "srvtoolu_c"
    told = block["content"]
    assert (told["stdout"], told["stderr"], told["return_code"]) == words


@pytest.mark.parametrize(
    "value", [None, 7, True, {"a": 1}, [7], [[]], [{"type": 7}], {"stdout": 7}, {"content": {"content": []}}]
)
@pytest.mark.parametrize("name", ["mcp", "code_execution", "web_search"])
def test_any_content_is_told_or_noted(name: str, value: Any) -> None:
    call = ServerToolCall("c", "ask", {}, "wiki") if name == "mcp" else ServerToolCall("c", name, {"code": "f()"})
    for dialect in registry.dialects():
        response = Response(dialect="elsewhere", choices=(Choice((call, ServerToolResult("c", name, value)), "stop"),))
        said = dialect.render_response(response, Context())
        (choice,) = dialect.parse_response(said.value, NO_MEMO).choices
        told = any(isinstance(part, ServerToolResult) for part in choice.parts)
        beside = "server_parts" in str(said.value)  # Chat Completions, which has no place for them that it reads
        assert told or beside or said.notes, dialect.name
