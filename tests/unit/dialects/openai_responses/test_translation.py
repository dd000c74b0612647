"""What other dialects say, said in Responses: exactly what goes out, and exactly what is noted."""

from base64 import b64encode
from typing import Any

import pytest

from penstock.dialects import registry
from penstock.dialects.dialect import Context
from penstock.dialects.openai_responses import DIALECT
from penstock.types.content import (
    Base64,
    Blocks,
    Cache,
    Citation,
    FileId,
    Json,
    Media,
    Opaque,
    PlainText,
    Refusal,
    ServerToolCall,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Choice, Response
from penstock.types.usage import Usage
from tests.contract import dialects as contract

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}


def rendered(profile: Profile = DEFAULT_PROFILE, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """(the body, "kind path" of each note) of a foreign request."""
    result = DIALECT.render_request(contract.foreign_request(**fields), profile)
    return result.value, [f"{note.kind} {note.path}" for note in result.notes]


def items(*messages: Message, profile: Profile = DEFAULT_PROFILE, **fields: Any) -> tuple[Any, list[str]]:
    body, notes = rendered(profile, messages=messages, **fields)
    return body["input"], notes


# -- messages ----------------------------------------------------------------------------------------------------------


def test_instructions_before_the_first_turn() -> None:
    """From outside of the messages (Anthropic, Gemini) or from their head (Chat Completions): the same place."""
    outside, notes = rendered(system=(Text("Be brief."), Text("Be kind.")))
    head, more = rendered(
        messages=(
            Message("system", (Text("Be brief."),)),
            Message("developer", (Text("Be kind."),)),
            Message("user", (Text("Hello"),)),
        )
    )
    assert (
        outside
        == head
        == {
            "model": "model-7",
            "instructions": "Be brief.\n\nBe kind.",
            "input": [{"role": "user", "content": "Hello"}],
        }
    )
    assert notes == more == []


def test_instructions_between_the_turns_stay_there() -> None:
    found, notes = items(Message("user", (Text("Hi"),)), Message("system", (Text("Now in French."),)))
    assert found == [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Now in French."}]
    assert notes == []


def test_a_conversation_with_calls() -> None:
    """Anthropic's shape: calls inside of the assistant's turn, results inside of the user's."""
    found, notes = items(
        Message("user", (Text("Weather?"),)),
        Message(
            "assistant",
            (
                Thinking("Let me look.", signature=Signature("c2ln", "anthropic")),
                Text("One moment."),
                ToolCall("toolu_1", "look", {"city": "Paris"}),
                ToolCall("toolu_2", "look", {"city": "Rome"}),
            ),
        ),
        Message(
            "user",
            (
                ToolResult("toolu_1", (Text("rain"),)),
                ToolResult("toolu_2", (Text("see"), Media("image", Base64("AAAA"), "image/png")), is_error=True),
                Text("Go on."),
            ),
        ),
    )
    assert found == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "One moment."},
        {"type": "function_call", "call_id": "toolu_1", "name": "look", "arguments": '{"city":"Paris"}'},
        {"type": "function_call", "call_id": "toolu_2", "name": "look", "arguments": '{"city":"Rome"}'},
        {"type": "function_call_output", "call_id": "toolu_1", "output": "rain"},
        {
            "type": "function_call_output",
            "call_id": "toolu_2",
            "output": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
            ],
        },
        {"role": "user", "content": "Go on."},
    ]
    assert notes == ["dropped messages[1].parts[0]", "dropped messages[2].parts[1].is_error"]


def test_calls_without_ids_get_matching_ones() -> None:
    """Gemini and Ollama match results by name and order."""
    found, notes = items(
        Message("assistant", (ToolCall(None, "f", {}), ToolCall(None, "g", {}))),
        Message("user", (ToolResult(None, (Json({"b": 1}),), "g"), ToolResult(None, (Json({"a": 1}),), "f"))),
    )
    assert [(item["type"], item["call_id"]) for item in found] == [
        ("function_call", "call_1"),
        ("function_call", "call_2"),
        ("function_call_output", "call_2"),
        ("function_call_output", "call_1"),
    ]
    assert found[2]["output"] == '{"b":1}'
    assert notes == []


def test_long_call_ids_are_cut_alike() -> None:
    long = "x" * 65
    found, notes = items(
        Message("assistant", (ToolCall(long, "f", "{}"),)), Message("tool", (ToolResult(long, (Text("ok"),)),))
    )
    assert found[0]["call_id"] == found[1]["call_id"]
    assert len(found[0]["call_id"]) == 64
    assert notes == ["changed messages[0].parts[0].call_id", "changed messages[1].parts[0].call_id"]


def test_the_result_of_a_custom_tool_is_a_custom_output() -> None:
    found, _ = items(
        Message("assistant", (ToolCall("c", "write", "words", custom=True),)),
        Message("tool", (ToolResult("c", (Text("ok"),)),)),
    )
    assert [item["type"] for item in found] == ["custom_tool_call", "custom_tool_call_output"]


def test_what_the_model_said_in_several_parts() -> None:
    cited = Text("Paris.", citations=(Citation("https://example.com", "Example", "cited"),))
    found, notes = items(Message("assistant", (cited, Refusal("No more."))))
    assert found == [
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "Paris.",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url": "https://example.com",
                            "title": "Example",
                            "start_index": 0,
                            "end_index": 6,
                        }
                    ],
                },
                {"type": "refusal", "refusal": "No more."},
            ],
        }
    ]
    assert notes == ["dropped messages[0].parts[0].citations[0].cited_text"]


def test_reasoning_goes_back_to_models_that_can_verify_it() -> None:
    part = Thinking("", ("First",), Signature("gAAAA", "openai"), id="rs_1")
    turn = Message("assistant", (part, Text("So.")))
    trusted, notes = items(turn, profile=Profile(signature_origin="openai"))
    assert trusted[0] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "First"}],
        "encrypted_content": "gAAAA",
    }
    assert notes == []
    other, notes = items(turn, profile=Profile(signature_origin="anthropic"))
    assert other == [{"role": "assistant", "content": "So."}]
    assert notes == ["dropped messages[0].parts[0]"]


def test_hosts_that_serve_other_makers_models_get_the_format_named() -> None:
    turn = Message("assistant", (Thinking("Hm.", signature=Signature("c2ln", "anthropic")), Text("So.")))
    found, notes = items(turn, profile=Profile(signature_origin="anthropic"))
    assert found[0] == {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hm."}],
        "signature": "c2ln",
        "format": "anthropic-claude-v1",
    }
    assert notes == []


def test_reasoning_of_another_maker_in_our_clients_history_stays_at_home() -> None:
    """It was tagged on its way out; a model that cannot verify it must not get it, one that can gets it back."""
    tagged = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "anthropic:c2ln"}
    own = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"}
    request = DIALECT.parse_request({"input": [tagged, own]}, contract.NO_MATCH)
    result = DIALECT.render_request(request, Profile(signature_origin="openai"))
    assert result.value["input"] == [own]
    assert [f"{note.kind} {note.path}" for note in result.notes] == ["dropped messages[0]"]
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value["input"] == [tagged, own]


def test_hosts_that_take_only_openais_own_fields() -> None:
    signed = {"provider_specific_fields": {"thought_signature": "c2ln"}}
    wire = [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", **signed}]
    request = DIALECT.parse_request({"input": wire}, contract.NO_MATCH)
    result = DIALECT.render_request(request, Profile(message_extensions=False))
    assert result.value["input"] == [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]
    assert [note.path for note in result.notes] == ["messages[0].signature"]


def test_reasoning_goes_as_text_to_hosts_that_want_it() -> None:
    turn = Message("assistant", (Thinking("Hm.", signature=Signature("c2ln", "anthropic")), Text("So.")))
    found, notes = items(turn, profile=Profile(replay_thinking=True))
    assert found[0] == {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    assert notes == ["dropped messages[0].parts[0].signature"]


MEDIA: list[tuple[Media, dict[str, Any] | None, list[str]]] = [
    (
        Media("image", Url("https://example.com/a.png"), detail="low"),
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        [],
    ),
    (Media("image", FileId("file-1")), {"type": "input_image", "file_id": "file-1", "detail": "auto"}, []),
    (Media("image", Url("gs://bucket/a.png")), None, ["dropped"]),
    (
        Media("file", Base64("AAAA"), "application/pdf", "a.pdf"),
        {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
        [],
    ),
    (
        Media("file", Base64("AAAA"), "text/plain"),
        {"type": "input_file", "file_data": "data:text/plain;base64,AAAA", "filename": "file.txt"},
        ["added .name"],
    ),
    (
        Media("file", Url("https://example.com/a.pdf")),
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        [],
    ),
    (Media("file", PlainText("words"), name="a"), {"type": "input_text", "text": "a\n\nwords"}, ["changed"]),
    (Media("file", Blocks((Text("words"),))), {"type": "input_text", "text": "words"}, ["changed"]),
    (
        Media("audio", Base64("AAAA"), "audio/mpeg"),
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        [],
    ),
    (Media("audio", Url("https://example.com/a.mp3")), None, ["dropped"]),
    (Media("video", Base64("AAAA"), "video/mp4"), None, ["dropped"]),
]


@pytest.mark.parametrize(("media", "wire", "notes"), MEDIA)
def test_media(media: Media, wire: dict[str, Any] | None, notes: list[str]) -> None:
    found, noted = items(Message("user", (Text("Look"), media)))
    content = [{"type": "input_text", "text": "Look"}, wire]
    assert found[0]["content"] == (content if wire else "Look")
    place = " messages[0].parts[1]"
    assert noted == [note.replace(" ", place, 1) if " " in note else note + place for note in notes]


def test_an_image_that_a_model_made_goes_back_as_the_tool_that_makes_them() -> None:
    found, notes = items(Message("assistant", (Media("image", Base64("AAAA"), "image/png"),)))
    assert (found[0]["type"], found[0]["result"], found[0]["status"]) == ("image_generation_call", "AAAA", "completed")
    assert found[0]["id"].startswith("ig_")
    assert notes == []


def test_cache_markers() -> None:
    """Only newer models take them; there, a marker on the instructions makes these a message."""
    fields: dict[str, Any] = {
        "system": (Text("Long rules.", cache=Cache()),),
        "messages": (Message("user", (Text("Hi", cache=Cache("1h")),)),),
        "tools": (Tool("f", parameters=SCHEMA, cache=Cache()),),
    }
    body, notes = rendered(**fields)
    assert body["instructions"] == "Long rules."
    assert notes == ["dropped system[0].cache", "dropped messages[0].parts[0].cache", "dropped tools[0].cache"]
    body, notes = rendered(Profile(cache_breakpoints=True), **fields)
    assert body["input"] == [
        {
            "role": "developer",
            "content": [{"type": "input_text", "text": "Long rules.", "prompt_cache_breakpoint": {"mode": "explicit"}}],
        },
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}],
        },
    ]
    assert notes == ["changed messages[0].parts[0].cache.ttl", "dropped tools[0].cache"]


def test_what_has_no_place_is_noted() -> None:
    found, notes = items(
        Message("user", (Text("Hi", extras={"new": 1}),), name="Ann", extras={"also": 1}),
        Message("assistant", (Opaque({"type": "new"}), ServerToolCall("s", "web_search", {}))),
    )
    assert found == [{"role": "user", "content": "Hi"}]
    assert notes == [
        "dropped messages[0].also",
        "dropped messages[0].name",
        "dropped messages[0].parts[0].new",
        "dropped messages[1].parts[0]",
        "dropped messages[1].parts[1]",
    ]


# -- tools -------------------------------------------------------------------------------------------------------------


def test_tools() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
    body, notes = rendered(
        tools=(
            Tool("f", description="Do", parameters=SCHEMA),
            Tool("g", parameters=SCHEMA, strict=True),
            Tool("h"),
            Tool("write", "custom", format=grammar),
            Tool("web_search", "server", native="web_search_20250305", extras={"max_uses": 3}),
            Tool("code_execution", "server"),
            Tool("maps", "server"),
        )
    )
    empty = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {"type": "function", "name": "f", "description": "Do", "parameters": SCHEMA, "strict": False},
        {"type": "function", "name": "g", "parameters": SCHEMA, "strict": True},
        {"type": "function", "name": "h", "parameters": empty, "strict": False},
        {
            "type": "custom",
            "name": "write",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"},
        },
        {"type": "web_search"},
        {"type": "code_interpreter", "container": {"type": "auto"}},
    ]
    assert notes == ["dropped tools[4].max_uses", "dropped tools[6]"]


def test_names_that_the_api_refuses_are_mapped_back() -> None:
    call = Message("assistant", (ToolCall("c", "put.down", {}),))
    request = contract.foreign_request(
        messages=(call, Message("tool", (ToolResult("c", (Text("ok"),)),))),
        tools=(Tool("put.down"), Tool("put_down"), Tool("put:down"), Tool("x" * 70)),
        tool_choice=ToolChoice("tool", "put.down"),
    )
    result = DIALECT.render_request(request, DEFAULT_PROFILE)
    names = [tool["name"] for tool in result.value["tools"]]
    assert len(set(names)) == 4
    assert names[0] == result.value["tool_choice"]["name"] == result.value["input"][0]["name"] == "put_down"
    assert all(len(name) <= 64 for name in names)
    assert result.memo.tool_names is not None
    assert [result.memo.tool_names.get(name, name) for name in names] == ["put.down", "put_down", "put:down", "x" * 70]
    assert result.notes == ()


CHOICES: list[tuple[ToolChoice, Any, list[str]]] = [
    (ToolChoice("auto"), "auto", []),
    (ToolChoice("required"), "required", []),
    (ToolChoice("tool", "f"), {"type": "function", "name": "f"}, []),
    (ToolChoice("tool", "write"), {"type": "custom", "name": "write"}, []),
    (ToolChoice("tool", "web_search"), {"type": "web_search"}, []),
    (ToolChoice("tool", "gone"), None, ["dropped tool_choice"]),
    (
        ToolChoice("allowed", names=("f", "web_search"), allowed_mode="required"),
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
        },
        [],
    ),
]


@pytest.mark.parametrize(("choice", "wire", "notes"), CHOICES)
def test_tool_choices(choice: ToolChoice, wire: Any, notes: list[str]) -> None:
    tools = (Tool("f"), Tool("write", "custom"), Tool("web_search", "server"))
    body, noted = rendered(tools=tools, tool_choice=choice)
    assert body.get("tool_choice") == wire
    assert noted == notes


# -- settings ----------------------------------------------------------------------------------------------------------

REASONING: list[tuple[Reasoning, Profile, Any, list[str]]] = [
    (Reasoning("high"), DEFAULT_PROFILE, {"effort": "high"}, []),
    (Reasoning("none"), DEFAULT_PROFILE, {"effort": "none"}, []),
    (Reasoning(enabled=False), DEFAULT_PROFILE, {"effort": "none"}, []),
    (Reasoning(budget_tokens=2048), DEFAULT_PROFILE, {"effort": "medium"}, ["changed reasoning.budget_tokens"]),
    (Reasoning(adaptive=True), DEFAULT_PROFILE, None, []),
    (Reasoning("low", include=True), DEFAULT_PROFILE, {"effort": "low", "summary": "auto"}, []),
    (Reasoning("max"), Profile(reasoning_efforts=("low", "high")), {"effort": "high"}, ["changed reasoning.effort"]),
    (Reasoning("default"), DEFAULT_PROFILE, None, ["dropped reasoning.effort"]),
    (Reasoning("high"), Profile(reasoning="none"), None, ["dropped reasoning"]),
]


@pytest.mark.parametrize(("reasoning", "profile", "wire", "notes"), REASONING)
def test_reasoning(reasoning: Reasoning, profile: Profile, wire: Any, notes: list[str]) -> None:
    body, noted = rendered(profile, reasoning=reasoning)
    assert body.get("reasoning") == wire
    assert noted == notes


def test_reasoning_asks_for_what_can_be_sent_back() -> None:
    body, notes = rendered(Profile(signature_origin="openai"), reasoning=Reasoning("low"))
    assert body["include"] == ["reasoning.encrypted_content"]
    assert notes == ["added include"]
    body, _ = rendered(Profile(signature_origin="openai"), reasoning=Reasoning("none"))
    assert "include" not in body


def test_structured_output() -> None:
    body, notes = rendered(response_format=ResponseFormat("json_schema", SCHEMA), verbosity="low", logprobs=True)
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "answer", "schema": SCHEMA},
        "verbosity": "low",
    }
    assert body["include"] == ["message.output_text.logprobs"]
    assert notes == ["added response_format.name"]


def test_hosts_without_schemas() -> None:
    wanted = ResponseFormat("json_schema", SCHEMA, "answer")
    body, notes = rendered(
        Profile(structured_output="json_object"), system=(Text("Be brief."),), response_format=wanted
    )
    assert body["text"] == {"format": {"type": "json_object"}}
    assert body["instructions"].startswith("Be brief.\n\nAnswer with JSON only")
    assert notes == ["weakened response_format"]
    body, notes = rendered(Profile(structured_output="prompt"), response_format=wanted)
    assert "text" not in body
    assert '"minimum":1' in body["instructions"]
    body, notes = rendered(Profile(structured_output="none"), response_format=wanted)
    assert body.keys() == {"model", "input"}
    assert notes == ["dropped response_format"]


def test_hosts_that_refuse_schema_keywords() -> None:
    profile = Profile(schema_unsupported=frozenset({"minimum"}))
    body, notes = rendered(profile, tools=(Tool("f", parameters=SCHEMA),))
    assert body["tools"][0]["parameters"] == {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert SCHEMA["properties"]["a"] == {"type": "integer", "minimum": 1}
    assert notes == ["weakened tools[0].parameters"]


def test_small_limits_are_raised() -> None:
    body, notes = rendered(max_tokens=1)
    assert body["max_output_tokens"] == 16
    assert notes == ["changed max_tokens"]


def test_service_tiers_of_others() -> None:
    assert rendered(service_tier="on_demand")[0]["service_tier"] == "default"
    body, notes = rendered(service_tier="performance")
    assert "service_tier" not in body
    assert notes == ["dropped service_tier"]


def test_fields_that_the_host_does_not_take() -> None:
    profile = Profile(
        unsupported=frozenset({"temperature", "max_tokens", "verbosity"}),
        unsupported_while_reasoning=frozenset({"top_p"}),
        renames={"user": "end_user"},
    )
    fields = {"temperature": 0, "max_tokens": 100, "verbosity": "low", "top_p": 0.5, "user": "u"}
    body, notes = rendered(profile, reasoning=Reasoning("low"), **fields)
    assert body.keys() == {"model", "input", "reasoning", "end_user"}
    assert notes == ["dropped max_tokens", "dropped temperature", "dropped verbosity", "dropped top_p"]


def test_turns_are_repaired_on_request() -> None:
    """LiteLLM's `modify_params`: calls without outputs get one, outputs without calls go."""
    messages = (
        Message("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "write", "words", custom=True))),
        Message("tool", (ToolResult("b", (Text("ok"),)),)),
        Message("tool", (ToolResult("c", (Text("lost"),)),)),
    )
    found, notes = items(*messages, profile=Profile(repair_turns=True))
    assert [(item["type"], item["call_id"]) for item in found] == [
        ("function_call", "a"),
        ("function_call_output", "a"),
        ("custom_tool_call", "b"),
        ("custom_tool_call_output", "b"),
    ]
    assert notes == ["added input[0]", "dropped input[3]"]
    stored = DIALECT.parse_request(
        {"input": [{"type": "function_call_output", "call_id": "c", "output": ""}], "previous_response_id": "resp_1"},
        contract.NO_MATCH,
    )
    assert len(DIALECT.render_request(stored, Profile(repair_turns=True)).value["input"]) == 1


def test_quirks_leave_the_callers_own_objects_alone() -> None:
    """A request of this dialect goes through the same quirks; what it shares with the caller is copied, not changed."""
    wire: dict[str, Any] = {
        "input": [
            {"type": "new_item", "a": None},
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.com/a.png"}]},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}],
        "text": {"format": {"type": "new_format", "strict": True}},
        "truncation": None,
    }
    profile = Profile(nulls=False, image_urls=False, strict_tools=False, schema_unsupported=frozenset({"minimum"}))
    request = DIALECT.parse_request(wire, contract.NO_MATCH)
    result = DIALECT.render_request(request, profile)
    assert result.value == {
        "input": [{"type": "new_item"}, {"role": "user", "content": []}],
        "tools": [
            {
                "type": "function",
                "name": "f",
                "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
            }
        ],
        "text": {"format": {"type": "new_format"}},
    }
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == wire


# -- answers -----------------------------------------------------------------------------------------------------------


def test_signatures_survive_the_clients_history() -> None:
    """A client of Responses sends the output back as it got it: thinking of any provider comes home with its proof."""
    parts = (
        Thinking("Hm.", signature=Signature("c2ln", "anthropic")),
        Thinking(signature=Signature("cmVk", "anthropic"), redacted=True),
        Text("So."),
        ToolCall("c", "f", {"a": 1}, signature=Signature("dGhv", "gemini")),
    )
    response = Response(dialect=contract.NOBODY, id="r", choices=(Choice(parts, "tool_calls"),))
    output = DIALECT.render_response(response, Context()).value["output"]
    back = [
        part
        for message in DIALECT.parse_request({"input": output}, contract.NO_MATCH).messages
        for part in message.parts
    ]
    assert [(type(part), getattr(part, "text", None), getattr(part, "signature", None)) for part in back] == [
        (Thinking, "Hm.", Signature("c2ln", "anthropic")),
        (Thinking, "", Signature("cmVk", "anthropic")),
        (Text, "So.", None),
        (ToolCall, None, Signature("dGhv", "gemini")),
    ]
    assert isinstance(back[1], Thinking)
    assert back[1].redacted


def test_notes_of_an_answer() -> None:
    parts = (Text("Hi", extras={"new": 1}), Media("video", Base64("AAAA")), Opaque({"type": "new"}))
    response = Response(
        dialect=contract.NOBODY,
        choices=(Choice(parts, "stop", stop_sequence="END", extras={"odd": [1]}), Choice((Text("b"),), index=1)),
        usage=Usage(input_tokens=1, extras={"units": [2]}),
        extras={"system_fingerprint": ["fp"], "(own)": {"a": 1}},
    )
    notes = DIALECT.render_response(response, Context()).notes
    assert [f"{note.kind} {note.path}" for note in notes] == [
        "dropped system_fingerprint",
        "dropped choices[1]",
        "dropped choices[0].odd",
        "dropped choices[0].parts[0].new",
        "dropped choices[0].parts[1]",
        "dropped choices[0].parts[2]",
        "dropped choices[0].stop_sequence",
        "dropped usage.units",
    ]


def test_strict_mode_refuses_a_loss() -> None:
    result = DIALECT.render_request(contract.foreign_request(seed=7), DEFAULT_PROFILE)
    with pytest.raises(ValueError, match="dropped seed"):
        result.require_lossless()


def test_a_request_is_rendered_without_being_changed() -> None:
    request = contract.foreign_request(**contract.EVERY_FIELD)
    first = DIALECT.render_request(request, DEFAULT_PROFILE)
    assert DIALECT.render_request(request, DEFAULT_PROFILE) == first
    assert request == contract.foreign_request(**contract.EVERY_FIELD)
    assert isinstance(request, Request)


def test_a_tool_message_that_holds_more_than_an_output() -> None:
    """Ollama's may: what is no content has no place in an output."""
    result = ToolResult("call_1", (Text("found"), ToolCall("call_2", "f", {}), ToolResult("call_3", (Text("x"),))))
    asked = Message("assistant", (ToolCall("call_1", "f", {}),))
    found, notes = items(asked, Message("tool", (result,)))
    assert found[1] == {"type": "function_call_output", "call_id": "call_1", "output": "found"}
    assert notes == ["dropped messages[1].parts[0].parts[1]", "dropped messages[1].parts[0].parts[2]"]


WAVE = b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt ").decode()
WEBP = b64encode(b"RIFF\x24\x00\x00\x00WEBPVP8 ").decode()


@pytest.mark.parametrize(("data", "media_type"), [(WAVE, "audio/wav"), (WEBP, "image/webp")])
def test_not_every_riff_file_is_a_picture(data: str, media_type: str) -> None:
    """The container holds sounds and films too."""
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": data}
    image = DIALECT.parse_response({"output": [item]}, NO_MEMO).choices[0].parts[0]
    assert isinstance(image, Media) and image.media_type == media_type
    claude = registry.get("anthropic_messages")
    sent = claude.render_request(contract.foreign_request(messages=(Message("user", (image,)),)), DEFAULT_PROFILE)
    assert bool(sent.value["messages"]) == (media_type == "image/webp")
