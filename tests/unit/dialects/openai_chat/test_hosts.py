"""What compatible hosts make of the format: each form is read for what it means, and comes back as it was."""

import json
from typing import Any

import pytest

from penstock.dialects import registry
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
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    Url,
)
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from penstock.types.request import Message, Reasoning, Request, Tool
from penstock.types.response import Choice, Response, StopReason
from penstock.types.stream import ArgumentsDelta, End, PartEnd, PartStart, Stop, StreamEvent, TextDelta
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
                extras={"type": "reasoning.text", "(format)": "anthropic-claude-v1", "(no text)": True},
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
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "mcp"}]}}},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}, "x": 1}},
        {"response_format": {"type": "json_object", "schema": {"type": "object"}, "x": 1}},
        {"chat_template_kwargs": {"enable_thinking": False, "x": 1}},
        {"chat_template_kwargs": {"thinking": True}},
        {"chat_template_kwargs": {"x": 1}},
        {"chat_template_kwargs": {"thinking": None}, "reasoning_effort": "low"},
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


LOW_TO_HIGH = ("low", "medium", "high")


@pytest.mark.parametrize(
    ("profile", "wanted", "sent", "noted"),
    [
        (Profile(reasoning_efforts=LOW_TO_HIGH), Reasoning("low"), {"reasoning_effort": "low"}, []),
        (Profile(reasoning_efforts=LOW_TO_HIGH), Reasoning("max"), {"reasoning_effort": "high"}, ["effort"]),
        (Profile(reasoning_efforts=LOW_TO_HIGH), Reasoning("none"), {"reasoning_effort": "low"}, ["effort"]),
        (Profile(), Reasoning(budget_tokens=3000), {"reasoning_effort": "high"}, ["budget_tokens"]),
        (Profile(), Reasoning(budget_tokens=0), {"reasoning_effort": "none"}, []),
        (Profile(), Reasoning("low", 3000), {"reasoning_effort": "low"}, ["budget_tokens"]),
        (
            Profile(reasoning="effort", reasoning_efforts=LOW_TO_HIGH),
            Reasoning("max"),
            {"reasoning_effort": "high"},
            ["effort"],
        ),
        (Profile(reasoning="enable_thinking"), Reasoning("high"), {"enable_thinking": True}, ["effort"]),
        (Profile(reasoning="enable_thinking"), Reasoning("none"), {"enable_thinking": False}, []),
        (Profile(reasoning="enable_thinking"), Reasoning(enabled=True), {"enable_thinking": True}, []),
        (
            Profile(reasoning="template"),
            Reasoning(budget_tokens=9),
            {"chat_template_kwargs": {"enable_thinking": True}},
            ["budget_tokens"],
        ),
        (Profile(reasoning="budget"), Reasoning("low"), {"thinking": {"type": "enabled", "budget_tokens": 1024}}, []),
        (Profile(reasoning="object"), Reasoning("max", 9), {"reasoning": {"effort": "max", "max_tokens": 9}}, []),
    ],
)
def test_another_amount_of_reasoning_is_noted(
    profile: Profile, wanted: Reasoning, sent: dict[str, Any], noted: list[str]
) -> None:
    request = Request(dialect="contract", model="m", messages=(Message("user", (Text("x"),)),), reasoning=wanted)
    rendered = DIALECT.render_request(request, profile)
    assert {key: value for key, value in rendered.value.items() if key not in ("model", "messages")} == sent
    assert [note.path for note in rendered.notes] == [f"reasoning.{name}" for name in noted]


def test_thoughts_that_are_replayed_reach_a_host_that_takes_nothing_else_of_its_own() -> None:
    answer = {"role": "assistant", "content": "a", "reasoning": "r", "reasoning_content": "r"}
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}, answer, {"role": "user", "content": "q"}]}
    request = DIALECT.parse_request(body, PathMatch())
    profile = Profile(message_extensions=False, thinking_field="reasoning", replay_thinking=True)
    rendered = DIALECT.render_request(request, profile)
    assert rendered.value["messages"][1] == {"role": "assistant", "content": "a", "reasoning": "r"}
    assert [note.path for note in rendered.notes] == ["messages[1].reasoning_content"]


def note_paths(response: Any, to: str) -> set[str]:
    """The paths of what another dialect's client is told to be lost."""
    return {note.path for note in registry.get(to).render_response(response, Context()).notes}


SAID_TWICE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"reasoning": "t", "reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "s"}]}, {}),
    ({"reasoning": "t", "reasoning_content": "t"}, {}),
    ({"reasoning_content": "t", "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]}, {}),
    ({}, {"usage": {"prompt_tokens": 3, "prompt_cache_hit_tokens": 1, "prompt_cache_miss_tokens": 2}}),
    ({}, {"usage": {"prompt_tokens": 3, "cached_tokens": 1}}),
]


@pytest.mark.parametrize(("message", "further"), SAID_TWICE, ids=str)
def test_what_is_said_twice_is_no_loss(message: dict[str, Any], further: dict[str, Any]) -> None:
    wire = answer({"role": "assistant", "content": "Yes", **message}, **further)
    contract.assert_response_exact(DIALECT, wire)
    assert note_paths(DIALECT.parse_response(wire, NO_MEMO), "openai_responses") == set()


def test_other_thoughts_beside_the_ones_read_are_a_loss() -> None:
    wire = answer({"role": "assistant", "content": "Yes", "reasoning": "t", "reasoning_content": "u"})
    contract.assert_response_exact(DIALECT, wire)
    assert note_paths(DIALECT.parse_response(wire, NO_MEMO), "anthropic_messages") == {"choices[0].message.reasoning"}


def test_reasoning_from_a_router_goes_to_openai_with_its_id() -> None:
    details = [
        {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "format": "openai-responses-v1", "index": 0}
    ]
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes", "reasoning_details": details},
        {"role": "user", "content": "Go on"},
    ]
    contract.assert_request_exact(DIALECT, request(messages=messages))
    parsed = DIALECT.parse_request(request(messages=messages), PathMatch())
    said = registry.get("openai_responses").render_request(parsed, Profile(signature_origin="openai"))
    assert said.value["input"][1] == {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    assert said.notes == ()


URLS = ["https://example.com/a", "https://example.com/b"]
RESULTS = [{"title": "A", "url": URLS[0], "snippet": "words", "date": None}, {"title": "B", "url": URLS[1]}]
SOURCES: list[tuple[str, dict[str, Any], tuple[Citation, ...]]] = [
    (
        "No[2], yes[1].[7]",
        {"citations": URLS, "search_results": RESULTS},
        (
            Citation(URLS[1], "B", start=2, end=5, native="source"),
            Citation(URLS[0], "A", "words", start=10, end=13, native="source"),
        ),
    ),
    ("No.", {"citations": URLS[:1]}, (Citation(URLS[0], native="source"),)),
    ("No.", {"search_results": RESULTS[1:]}, (Citation(URLS[1], "B", native="source"),)),
]


@pytest.mark.parametrize(("text", "lists", "citations"), SOURCES)
def test_sources_of_the_answer_are_citations(text: str, lists: dict[str, Any], citations: tuple[Citation, ...]) -> None:
    wire = answer({"role": "assistant", "content": text}, **lists)
    contract.assert_response_exact(DIALECT, wire)
    response = DIALECT.parse_response(wire, NO_MEMO)
    assert response.choices[0].parts == (Text(text, citations),)
    said = registry.get("openai_responses").render_response(response, Context())
    told = said.value["output"][0]["content"][0]["annotations"]
    assert [annotation["url"] for annotation in told] == [citation.url for citation in citations]
    assert not {note.path for note in said.notes} & {"citations", "search_results"}


@pytest.mark.parametrize(
    "lists", [{"citations": [1]}, {"citations": {}}, {"search_results": "x"}, {"citations": []}], ids=str
)
def test_sources_in_another_form_stay_where_they_are(lists: dict[str, Any]) -> None:
    wire = answer({"role": "assistant", "content": "No"}, **lists)
    contract.assert_response_exact(DIALECT, wire)
    assert DIALECT.parse_response(wire, NO_MEMO).choices[0].parts == (Text("No"),)


def test_a_schema_beside_json_object_is_one_in_every_dialect() -> None:
    wanted = {"type": "json_object", "schema": {"type": "object"}}
    parsed = DIALECT.parse_request(request(response_format=wanted), PathMatch())
    said = registry.get("openai_responses").render_request(parsed, Profile())
    assert said.value["text"]["format"]["schema"] == {"type": "object"}


def test_a_switch_for_a_template_is_one_in_every_dialect() -> None:
    wire = request(chat_template_kwargs={"enable_thinking": True, "x": 1})
    parsed = DIALECT.parse_request(wire, PathMatch())
    said = registry.get("anthropic_messages").render_request(parsed, Profile())
    assert said.value["thinking"]["type"] == "enabled"
    other = DIALECT.render_request(parsed, Profile(reasoning="enable_thinking")).value
    assert (other["enable_thinking"], other["chat_template_kwargs"]) == (True, {"x": 1})
    same = DIALECT.render_request(parsed, Profile(reasoning="template")).value
    assert same["chat_template_kwargs"] == {"enable_thinking": True, "x": 1}


TIERS = [("standard_only", "default"), ("on_demand", "default"), ("flex", "flex"), ("reserved", None)]


@pytest.mark.parametrize(("tier", "word"), TIERS)
def test_tiers_of_others_in_openais_words(tier: str, word: str | None) -> None:
    asked = Request(dialect="contract", model="m", messages=(Message("user", (Text("Hi"),)),), service_tier=tier)
    said = DIALECT.render_request(asked, Profile())
    assert said.value.get("service_tier") == word
    told = DIALECT.render_response(Response(dialect="contract", service_tier=tier), Context())
    assert told.value.get("service_tier") == word
    assert {note.path for note in (*said.notes, *told.notes)} == (set() if word else {"service_tier"})


def test_an_answer_without_a_reason_to_stop_gets_one_and_says_so() -> None:
    open_ended = Response(dialect="contract", choices=(Choice((Text("Hi"),)),))
    said = DIALECT.render_response(open_ended, Context())
    assert said.value["choices"][0]["finish_reason"] == "stop"
    assert [(note.path, note.kind) for note in said.notes] == [("choices[0].stop_reason", "added")]


@pytest.mark.parametrize(("reason", "word"), [("error", "stop"), ("pause", "length")])
def test_a_reason_that_has_no_word_is_noted(reason: StopReason, word: str) -> None:
    choice = Choice((Text("Half an"),), reason)
    whole = DIALECT.render_response(Response(dialect="contract", choices=(choice,)), Context())
    stream = DIALECT.stream_renderer(Context(source="contract"))
    sent = stream.render(StreamEvent((TextDelta(0, "Half an"), Stop(reason), End())))
    assert whole.value["choices"][0]["finish_reason"] == word
    assert f'"finish_reason":"{word}"'.encode() in sent
    for notes in (whole.notes, stream.notes):
        assert ("choices[0].stop_reason", "weakened") in [(note.path, note.kind) for note in notes]


@pytest.mark.parametrize(
    ("file", "name", "media_type"),
    [
        (Media("file", Base64("JVBERi0xLjQ="), "application/pdf"), "file.pdf", "application/pdf"),
        (Media("file", Base64("JVBERi0xLjQ=")), "file.pdf", "application/pdf"),
        (Media("file", Base64("YSxi"), "text/plain; charset=utf-8"), "file.txt", "text/plain"),
        (Media("file", Base64("JVBERi0xLjQ="), name="a.pdf"), "a.pdf", "application/pdf"),
    ],
)
def test_a_file_of_another_dialect_has_the_name_that_openai_demands(file: Media, name: str, media_type: str) -> None:
    request = Request(dialect="contract", model="m", messages=(Message("user", (file,)),))
    found = DIALECT.render_request(request, Profile())
    assert isinstance(file.source, Base64)
    data = f"data:{media_type};base64,{file.source.data}"
    sent = [{"type": "file", "file": {"filename": name, "file_data": data}}]
    assert found.value["messages"] == [{"role": "user", "content": sent}]
    assert [(note.path, note.kind) for note in found.notes] == (
        [] if file.name else [("messages[0].parts[0].name", "added")]
    )


def test_a_turn_of_which_nothing_can_be_said_is_left_out() -> None:
    turns = (Message("user", (Media("image", None),)), Message("user", (Text("Hi"),)), Message("user", ()))
    said = DIALECT.render_request(Request(dialect="contract", model="m", messages=turns), Profile())
    assert [message["content"] for message in said.value["messages"]] == ["Hi", ""]
    assert [note.path for note in said.notes] == ["messages[0].parts[0]"]


def test_what_a_provider_ran_is_told_in_a_stream_as_in_a_whole_answer() -> None:
    run = ServerToolCall("s", "web_search", '{"query": "x"}')
    found = ServerToolResult("s", "web_search", [{"url": "u"}])
    response = Response(dialect="contract", choices=(Choice((run, found, Text("Yes")), "stop"),))
    whole = DIALECT.render_response(response, Context()).value["choices"][0]["message"]
    events = [
        StreamEvent((PartStart(0, ServerToolCall("s", "web_search")),)),
        StreamEvent((ArgumentsDelta(0, '{"query": '), ArgumentsDelta(0, '"x"}'))),
        StreamEvent((PartEnd(0), PartStart(1, found), TextDelta(2, "Yes"))),
        StreamEvent((Stop("stop"), End())),
    ]
    data = contract.render_events(DIALECT, events, "contract")
    deltas = [each["choices"][0]["delta"] for _, each in contract.frames(DIALECT, data) if isinstance(each, dict)]
    told = [part for delta in deltas for part in delta.get("provider_specific_fields", {}).get("server_parts", ())]
    assert told == whole["provider_specific_fields"]["server_parts"]
