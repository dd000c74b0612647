"""What compatible hosts make of the format: each form is read for what it means, and comes back as it was."""

import json
from typing import Any

import pytest

from penstock.dialects.dialect import Context, PathMatch
from penstock.dialects.openai_chat import DIALECT
from penstock.types.content import (
    Base64,
    Citation,
    FileId,
    Json,
    Media,
    Opaque,
    Part,
    Signature,
    Text,
    Thinking,
    ToolCall,
    Url,
)
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from penstock.types.request import Tool
from tests.contract import dialects as contract


def answer(message: Any, **further: Any) -> dict[str, Any]:
    """A whole answer with one message."""
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **further}


def parts(message: Any) -> tuple[Part, ...]:
    """What a message is read as; it comes back exactly."""
    contract.assert_response_exact(DIALECT, answer(message))
    return DIALECT.parse_response(answer(message), NO_MEMO).choices[0].parts


SUMMARY = {"type": "summary_text", "text": "Hm.", "signature": "c2ln"}
MESSAGES: dict[str, tuple[dict[str, Any], tuple[Part, ...]]] = {
    "Databricks: reasoning in the content": (
        {"content": [{"type": "reasoning", "summary": [SUMMARY]}, {"type": "text", "text": "Yes"}]},
        (
            Thinking(
                "Hm.",
                signature=Signature("c2ln", "anthropic"),
                native="content:reasoning",
                extras={"summary": [{"type": "summary_text"}]},
            ),
            Text("Yes", native="text"),
        ),
    ),
    "reasoning of several texts is kept whole": (
        {"content": [{"type": "reasoning", "summary": [SUMMARY, SUMMARY]}]},
        (Opaque({"type": "reasoning", "summary": [SUMMARY, SUMMARY]}, native="content"),),
    ),
    "parsed JSON as the content": ({"content": {"a": [1]}}, (Json({"a": [1]}, native="content value"),)),
    "a number as the content": ({"content": 7}, (Json(7, native="content value"),)),
    "a bare text among typed ones": ({"content": ["a"]}, (Opaque("a", native="content"),)),
    "an element that lacks its text": (
        {"content": [{"type": "text"}]},
        (Opaque({"type": "text"}, native="content"),),
    ),
    "Z.ai: a call that the host ran": (
        {"tool_calls": [{"id": "c", "type": "web_search_tool"}]},
        (Opaque({"id": "c", "type": "web_search_tool"}, native="tool_calls"),),
    ),
    "an id that is a number": (
        {"tool_calls": [{"id": 5, "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        (ToolCall(None, "f", "{}", extras={"id": 5, "type": "function"}),),
    ),
    "a call from before tools, without arguments": (
        {"content": None, "function_call": {"name": "f"}},
        (ToolCall(None, "f", "", native="function_call without arguments"),),
    ),
    "OpenRouter: reasoning of a new kind": (
        {"content": "x", "reasoning_details": [{"type": "reasoning.text", "text": "t"}, {"type": "new", "text": "u"}]},
        (
            Thinking("t", native="reasoning_details", extras={"type": "reasoning.text"}),
            Opaque({"type": "new", "text": "u"}, native="reasoning_details"),
            Text("x"),
        ),
    ),
    "OpenRouter: a signature without a text": (
        {"reasoning_details": [{"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1"}]},
        (
            Thinking(
                signature=Signature("s", "anthropic"),
                native="reasoning_details",
                extras={"type": "reasoning.text", "format": "anthropic-claude-v1", "(no text)": True},
            ),
        ),
    ),
    "an annotation without its wrapping": (
        {"content": "x", "annotations": [{"type": "url_citation", "url": "u", "start_index": 0, "end_index": 1}]},
        (Text("x", (Citation("u", start=0, end=1, native="flat"),)),),
    ),
}


@pytest.mark.parametrize("label", MESSAGES)
def test_answers_of_hosts(label: str) -> None:
    message, expected = MESSAGES[label]
    assert parts({"role": "assistant", **message}) == expected


@pytest.mark.parametrize(
    "field",
    [
        {"tool_calls": {"index": 0}},
        {"tool_calls": [{"id": "c", "type": "function", "function": {"name": None}}]},
        {"refusal": ["no"]},
        {"audio": []},
        {"audio": {}},
        {"annotations": {}},
        {"reasoning_details": "x"},
        {"function_call": {}},
        {"images": "x"},
    ],
    ids=str,
)
def test_a_field_of_another_shape_does_not_cost_the_answer(field: dict[str, Any]) -> None:
    assert parts({"role": "assistant", "content": "Yes", **field}) == (Text("Yes"),)


LABELS = [{"id": 5}, {"created": "2025-01-01"}, {"model": ["m"]}, {"service_tier": 1}, {"usage": []}, {"usage": "none"}]


@pytest.mark.parametrize("label", LABELS, ids=str)
def test_an_odd_label_does_not_cost_the_answer(label: dict[str, Any]) -> None:
    wire = answer({"role": "assistant", "content": "Yes"}, **label)
    contract.assert_response_exact(DIALECT, wire)
    response = DIALECT.parse_response(wire, NO_MEMO)
    assert response.choices[0].parts == (Text("Yes"),)
    assert response.usage is None


@pytest.mark.parametrize(
    "choice", [{"message": None}, {}, {"message": None, "finish_reason": None, "index": 1}], ids=str
)
def test_a_choice_without_a_message(choice: dict[str, Any]) -> None:
    contract.assert_response_exact(DIALECT, {"id": "a", "choices": [choice]})


def request(**fields: Any) -> dict[str, Any]:
    """A request body."""
    return {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}


MEDIA: list[tuple[dict[str, Any], Media]] = [
    (
        {"type": "input_audio", "input_audio": "UklGRg=="},
        Media("audio", Base64("UklGRg=="), native="input_audio:(bare)"),
    ),
    (
        {"type": "input_audio", "input_audio": "https://example.com/a.mp3"},
        Media("audio", Url("https://example.com/a.mp3"), native="input_audio:(bare)"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "UklGRg=="}},
        Media("audio", Base64("UklGRg=="), native="input_audio:(none)"),
    ),
    (
        {"type": "audio_url", "audio_url": {"url": "https://example.com/a.wav"}},
        Media("audio", Url("https://example.com/a.wav"), native="audio_url"),
    ),
    ({"type": "file", "file_id": "f1"}, Media("file", FileId("f1"), native="file:flat")),
]


@pytest.mark.parametrize(("element", "media"), MEDIA, ids=str)
def test_media_of_hosts(element: dict[str, Any], media: Media) -> None:
    wire = request(messages=[{"role": "user", "content": [element]}])
    contract.assert_request_exact(DIALECT, wire)
    assert DIALECT.parse_request(wire, PathMatch()).messages[0].parts == (media,)


@pytest.mark.parametrize(
    "fields",
    [
        {"functions": []},
        {"tools": []},
        {"logprobs": 0},
        {"logprobs": 3},
        {"logprobs": 3, "top_logprobs": 2},
        {"logprobs": True, "top_logprobs": 2},
        {"tool_choice": {"type": "function", "function": {"name": "f", "strict": True}, "x": 1}},
        {"messages": [{"role": "user"}, {"role": "system", "name": "n"}, {"role": "tool", "tool_call_id": "c"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "mcp", "mcp": {"server_label": "s"}}]}]},
    ],
    ids=str,
)
def test_spellings_of_requests_come_back(fields: dict[str, Any]) -> None:
    contract.assert_request_exact(DIALECT, request(**fields))


def test_a_number_of_log_probabilities_is_one_in_every_dialect() -> None:
    parsed = DIALECT.parse_request(request(logprobs=3), PathMatch())
    assert (parsed.logprobs, parsed.top_logprobs) == (True, 3)


def test_a_flat_function_is_a_function() -> None:
    flat = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "x": 1}
    wire = request(tools=[flat])
    contract.assert_request_exact(DIALECT, wire)
    tool = DIALECT.parse_request(wire, PathMatch()).tools
    assert tool == (Tool("f", "function", "d", {"type": "object"}, native="flat", extras={"x": 1}),)


def test_a_model_in_the_path_stays_there() -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    match = DIALECT.match_path("/openai/deployments/gpt%2D4o/chat/completions")
    assert match is not None
    parsed = DIALECT.parse_request(body, match)
    assert parsed.model == "gpt-4o"
    assert DIALECT.render_request(parsed, Profile()).value == body


def test_json_as_content_is_text_to_others() -> None:
    from penstock.dialects import registry

    response = DIALECT.parse_response(answer({"role": "assistant", "content": {"a": 1}}), NO_MEMO)
    said = registry.get("anthropic_messages").render_response(response, Context()).value
    assert json.loads(said["content"][0]["text"]) == {"a": 1}


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ("low", {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
        ("max", {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ("none", {"thinking": {"type": "disabled"}}),
    ],
)
def test_a_switch_may_have_an_effort_beside_it(wanted: str, sent: dict[str, Any]) -> None:
    """DeepSeek's form: https://api-docs.deepseek.com/guides/thinking_mode"""
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "reasoning_effort": wanted}
    request = DIALECT.parse_request(body, PathMatch())
    efforts = ("low", "medium", "high", "max")
    profile = Profile(reasoning="thinking_type", reasoning_efforts=efforts)
    written = DIALECT.render_request(request, profile).value
    assert {name: written[name] for name in ("thinking", "reasoning_effort") if name in written} == sent
    written = DIALECT.render_request(request, Profile(reasoning="thinking_type")).value
    assert "reasoning_effort" not in written, "where no efforts are known, there is the switch alone"


def test_thoughts_that_are_replayed_reach_a_host_that_takes_nothing_else_of_its_own() -> None:
    answer = {"role": "assistant", "content": "a", "reasoning": "r", "reasoning_content": "r"}
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}, answer, {"role": "user", "content": "q"}]}
    request = DIALECT.parse_request(body, PathMatch())
    profile = Profile(message_extensions=False, thinking_field="reasoning", replay_thinking=True)
    rendered = DIALECT.render_request(request, profile)
    assert rendered.value["messages"][1] == {"role": "assistant", "content": "a", "reasoning": "r"}
    assert [note.path for note in rendered.notes] == ["messages[1].reasoning_content"]
