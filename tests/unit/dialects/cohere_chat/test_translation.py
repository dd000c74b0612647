"""Other dialects' requests, answers and streams in the terms of Cohere: what is said, what changes, what is noted."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.dialects import registry
from penstock.dialects.cohere_chat import DIALECT
from penstock.dialects.dialect import Context
from penstock.testing.providers.cohere import CHAT_BODY
from penstock.types.content import (
    Base64,
    Blocks,
    Cache,
    Citation,
    FileId,
    Json,
    Media,
    Part,
    PlainText,
    Refusal,
    ServerToolCall,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO, Rendered
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Choice, Response
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    Delta,
    End,
    Failure,
    PartStart,
    Start,
    Stop,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from penstock.types.unfold import unfold
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.contract.dialects import PIXEL, SCHEMA, foreign_request
from tests.unit.dialects.cohere_chat.samples import ANSWER, CALL_STREAM, REQUEST, TEXT_STREAM

ASK = Message("user", (Text("Weather?"),))
CALL = ToolCall("call_1", "look_up", {"city": "Paris"})
TOOL = Tool("look_up", description="Look", parameters=SCHEMA)
WIRE_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"city":"Paris"}'},
}
WIRE_TOOL = {"type": "function", "function": {"name": "look_up", "description": "Look", "parameters": SCHEMA}}


def render(profile: Profile = DEFAULT_PROFILE, **fields: Any) -> Rendered[dict[str, Any]]:
    rendered = DIALECT.render_request(foreign_request(**fields), profile)
    assert CHAT_BODY.check(rendered.value) is None, "the simulated provider takes it"
    return rendered


def said(*messages: Message, profile: Profile = DEFAULT_PROFILE, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = render(profile, messages=messages, **fields).value["messages"]
    return found


def noted(rendered: Rendered[Any]) -> list[tuple[str, str]]:
    return [(note.path, note.kind) for note in rendered.notes]


# -- turns -------------------------------------------------------------------------------------------------------------


def test_a_plain_conversation_loses_nothing() -> None:
    rendered = render(
        system=(Text("Be brief."),),
        messages=(ASK, Message("assistant", (Text("Sunny."),)), Message("user", (Text("Thanks."),))),
        tools=(TOOL,),
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop="END",
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        logprobs=True,
        reasoning=Reasoning("low"),
        stream=True,
    )
    assert rendered.require_lossless() == {
        "model": "model-7",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "Sunny."},
            {"role": "user", "content": "Thanks."},
        ],
        "tools": [WIRE_TOOL],
        "max_tokens": 100,
        "temperature": 0.5,
        "p": 0.9,
        "k": 40,
        "stop_sequences": ["END"],
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.5,
        "logprobs": True,
        "thinking": {"type": "enabled", "token_budget": 1024},
        "stream": True,
    }
    assert rendered.notes == ()


def test_there_is_one_instruction_in_front() -> None:
    rendered = render(
        system=(Text("A"),),
        messages=(
            Message("system", (Text("B"),)),
            Message("developer", (Text("C"),)),
            ASK,
            Message("system", (Text("D"),)),
        ),
    )
    texts = [{"type": "text", "text": text} for text in "ABCD"]
    assert rendered.value["messages"] == [
        {"role": "system", "content": texts},
        {"role": "user", "content": "Weather?"},
    ]
    assert noted(rendered) == [("messages[3]", "changed")]


def test_a_model_that_takes_instructions_between_the_turns_gets_them_there() -> None:
    messages = said(ASK, Message("system", (Text("C"),)), profile=Profile(system_turns=True))
    assert messages[-1] == {"role": "system", "content": "C"}


def test_text_before_calls_is_the_plan() -> None:
    """Cohere refuses text in `content` beside tool calls."""
    messages = said(
        ASK,
        Message("assistant", (Thinking("Hm."), Text("I look. "), Text("Now."), CALL)),
        Message("tool", (ToolResult("call_1", (Text("sun"),)),)),
    )
    assert messages[1] == {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm."}],
        "tool_plan": "I look. Now.",
        "tool_calls": [WIRE_CALL],
    }


def test_results_stand_right_after_their_calls() -> None:
    other = ToolCall("call_2", "look_up", '{"city":"Oslo"}')
    rendered = render(
        messages=(
            ASK,
            Message("assistant", (CALL,)),
            Message("assistant", (Text("And"), other)),
            Message("user", (Text("Well?"), ToolResult("call_1", (Text("sun"),)))),
            Message("tool", (ToolResult("call_2", (Json({"sky": "rain"}), Json([1]))),)),
        )
    )
    assert [message["role"] for message in rendered.value["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    asked, first, second = rendered.value["messages"][1:4]
    assert [call["id"] for call in asked["tool_calls"]] == ["call_1", "call_2"]
    assert asked["tool_plan"] == "And"
    assert (first["tool_call_id"], first["content"]) == ("call_1", "sun")
    assert second["content"] == [
        {"type": "document", "document": {"data": {"sky": "rain"}}},
        {"type": "text", "text": "[1]"},
    ]
    assert noted(rendered) == [("messages[4].parts[0]", "changed")]


def test_images_of_results_follow_in_a_user_message() -> None:
    image = Media("image", Base64(PIXEL), "image/png")
    rendered = render(
        messages=(
            ASK,
            Message("assistant", (CALL, ToolCall("call_2", "look_up", {}))),
            Message("tool", (ToolResult("call_1", (Text("see"), image)),)),
            Message("tool", (ToolResult("call_2", (image,), is_error=True),)),
            Message("user", (Text("Well?"),)),
        )
    )
    assert [message["role"] for message in rendered.value["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    kinds = [block["type"] for block in rendered.value["messages"][-1]["content"]]
    assert kinds == ["image_url", "image_url", "text"]
    assert rendered.value["messages"][3]["content"] == ""
    assert noted(rendered) == [
        ("messages[2].parts[0]", "changed"),
        ("messages[3].parts[0].is_error", "dropped"),
        ("messages[3].parts[0]", "changed"),
    ]
    assert said(*rendered_messages(image))[-1]["role"] == "user"


def rendered_messages(image: Media) -> tuple[Message, ...]:
    return (ASK, Message("assistant", (CALL,)), Message("tool", (ToolResult("call_1", (image,)),)))


def test_calls_without_ids_get_some() -> None:
    messages = said(
        ASK,
        Message("assistant", (ToolCall(None, "a", {}), ToolCall(None, "b", {}))),
        Message("tool", (ToolResult(None, (Text("B"),), "b"), ToolResult(None, (Text("A"),), "a"))),
    )
    a, b = (call["id"] for call in messages[1]["tool_calls"])
    assert [message["tool_call_id"] for message in messages[2:]] == [b, a]


def test_blank_messages_are_left_out() -> None:
    rendered = render(messages=(Message("user", (Text(""), Text("Hi"))), Message("assistant", ()), ASK))
    assert [message["content"] for message in rendered.value["messages"]] == ["Hi", "Weather?"]
    assert noted(rendered) == [("messages[1]", "dropped")]


def test_repairs_are_made_on_request_only() -> None:
    messages = (ASK, Message("assistant", (CALL,)), ASK, Message("assistant", (Text("Sun"),)))
    assert [message["role"] for message in said(*messages)] == ["user", "assistant", "user", "assistant"]
    rendered = render(Profile(repair_turns=True), messages=messages)
    assert [message["role"] for message in rendered.value["messages"]] == [
        "user",
        "assistant",
        "tool",
        "user",
        "assistant",
        "user",
    ]
    assert noted(rendered) == [("messages", "added"), ("messages", "added")]


# -- parts -------------------------------------------------------------------------------------------------------------


def test_documents_can_be_cited() -> None:
    rendered = render(
        messages=(
            Message("user", (Media("file", PlainText("old"), name="O"), Text("First"))),
            Message(
                "user",
                (
                    Media("file", Base64("d29yZHM="), "text/plain", "a.txt"),
                    Media("file", Blocks((Text("one"), Text("two")))),
                    Text("Compare"),
                ),
            ),
        )
    )
    assert rendered.value["documents"] == [
        {"data": {"text": "old", "title": "O"}},
        {"data": {"text": "words", "title": "a.txt"}},
        {"data": {"text": "one\n\ntwo"}},
    ]
    assert [message["content"] for message in rendered.value["messages"]] == ["First", "Compare"]
    assert noted(rendered) == [("messages[0]", "changed")]


def test_a_document_alone_is_the_text_of_its_message() -> None:
    assert said(Message("user", (Media("file", PlainText("words")),))) == [{"role": "user", "content": "words"}]


def test_documents_and_json_exclude_each_other() -> None:
    rendered = render(
        messages=(Message("user", (Media("file", PlainText("words"), name="T"), Text("Sum up"))),),
        response_format=ResponseFormat("json_schema", SCHEMA),
    )
    assert "documents" not in rendered.value
    assert rendered.value["messages"][0]["content"][0] == {"type": "text", "text": "T\n\nwords"}
    assert noted(rendered) == [("messages[0].parts[0]", "changed")]


PARTS: list[tuple[Part, Any, list[tuple[str, str]]]] = [
    (
        Media("image", Base64(PIXEL), detail="low"),
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
        [],
    ),
    (
        Media("image", Url("https://example.com/a.png"), name="a.png", cache=Cache()),
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        [("cache", "dropped"), ("name", "dropped")],
    ),
    (Media("image", FileId("f")), None, [("", "dropped")]),
    (
        Media("audio", Base64("UklGRg=="), "audio/wav", transcript="Hi"),
        {"type": "text", "text": "Hi"},
        [("", "weakened")],
    ),
    (Media("file", Base64("JVBERi0="), "application/pdf"), None, [("", "dropped")]),
    (Json({"a": 1}), {"type": "text", "text": '{"a":1}'}, []),
    (Thinking("Hm."), None, [("", "dropped")]),
    (ServerToolCall("s", "web_search"), None, [("", "dropped")]),
]


@pytest.mark.parametrize(("part", "block", "notes"), PARTS, ids=lambda value: type(value).__name__)
def test_a_part_of_a_user(part: Part, block: Any, notes: list[tuple[str, str]]) -> None:
    rendered = render(messages=(Message("user", (part, Text("beside"))),))
    content = rendered.value["messages"][0]["content"]
    assert (content if block is None else content[0]) == ("beside" if block is None else block)
    assert noted(rendered) == [(f"messages[0].parts[0].{tail}".rstrip("."), kind) for tail, kind in notes]


def test_thinking_goes_back_unsigned_while_thinking_is_on() -> None:
    turn = Message("assistant", (Thinking("Hm.", signature=Signature("c2ln", "anthropic")), Text("Sun")))
    rendered = render(messages=(ASK, turn, ASK))
    assert rendered.value["messages"][1]["content"][0] == {"type": "thinking", "thinking": "Hm."}
    assert noted(rendered) == [("messages[1].parts[0].signature", "dropped")]
    for fields in ({"profile": Profile(reasoning="none")}, {"reasoning": Reasoning("none")}):
        rendered = render(messages=(ASK, turn, ASK), **fields)
        assert rendered.value["messages"][1]["content"] == "Sun"
        assert noted(rendered) == [("messages[1].parts[0]", "dropped")]


def test_citations_of_the_history_are_documents() -> None:
    cited = Citation("https://example.com", "E", "words", 4, 9)
    messages = said(
        ASK, Message("assistant", (Text("See Paris", (cited,)), Text(" and Oslo", (Citation(title="O"),)))), ASK
    )
    assert messages[1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "See Paris"}, {"type": "text", "text": " and Oslo"}],
        "citations": [
            {
                "start": 4,
                "end": 9,
                "text": "Paris",
                "sources": [
                    {
                        "type": "document",
                        "id": "https://example.com",
                        "document": {"title": "E", "url": "https://example.com", "text": "words"},
                    }
                ],
                "type": "TEXT_CONTENT",
            },
            {
                "start": 0,
                "end": 9,
                "text": " and Oslo",
                "content_index": 1,
                "sources": [{"type": "document", "id": "doc:0", "document": {"title": "O"}}],
                "type": "TEXT_CONTENT",
            },
        ],
    }


# -- tools -------------------------------------------------------------------------------------------------------------

NAMES = ["put.down", "put_down", "put-down", "x" * 70, "größe", "", "ok_1", "7up"]


def test_tool_names_fit_the_alphabet_stay_apart_and_come_back() -> None:
    calls = tuple(ToolCall(f"c{number}", name, {}) for number, name in enumerate(NAMES))
    rendered = render(tools=tuple(Tool(name) for name in NAMES), messages=(ASK, Message("assistant", calls), ASK))
    written = [tool["function"]["name"] for tool in rendered.value["tools"]]
    assert len(set(written)) == len(NAMES)
    assert all(name.isascii() and name.isidentifier() and len(name) <= 64 for name in written)
    assert (written[1], written[6]) == ("put_down", "ok_1"), "a name that fits is left alone"
    assert [call["function"]["name"] for call in rendered.value["messages"][1]["tool_calls"]] == written
    back = rendered.memo.tool_names or {}
    assert [back.get(name, name) for name in written] == NAMES


def test_strictness_is_for_all_tools_or_none() -> None:
    strict = replace(TOOL, strict=True)
    assert render(tools=(strict,)).value["strict_tools"] is True
    for others in ((TOOL,), (Tool("bare", strict=True),)):
        rendered = render(tools=(strict, *others))
        assert "strict_tools" not in rendered.value
        assert ("tools[0].strict", "dropped") in noted(rendered)
    assert noted(render(Profile(strict_tools=False), tools=(strict,))) == [("tools[0].strict", "dropped")]
    assert render(tools=(replace(TOOL, strict=False),)).notes == ()


CHOICES: list[tuple[ToolChoice, str | None, list[str], list[tuple[str, str]]]] = [
    (ToolChoice("auto"), None, ["look_up", "put_down"], []),
    (ToolChoice("none"), "NONE", ["look_up", "put_down"], []),
    (ToolChoice("required"), "REQUIRED", ["look_up", "put_down"], []),
    (ToolChoice("tool", "look_up"), "REQUIRED", ["look_up"], [("tool_choice", "changed")]),
    (ToolChoice("allowed", names=("look_up",)), None, ["look_up"], [("tool_choice", "changed")]),
    (
        ToolChoice("allowed", names=("look_up",), allowed_mode="required"),
        "REQUIRED",
        ["look_up"],
        [("tool_choice", "changed")],
    ),
]


@pytest.mark.parametrize(("choice", "word", "names", "notes"), CHOICES, ids=lambda value: str(value)[:40])
def test_a_choice_of_tools(
    choice: ToolChoice, word: str | None, names: list[str], notes: list[tuple[str, str]]
) -> None:
    rendered = render(tools=(TOOL, replace(TOOL, name="put_down")), tool_choice=choice)
    assert rendered.value.get("tool_choice") == word
    assert [tool["function"]["name"] for tool in rendered.value["tools"]] == names
    assert noted(rendered) == notes


def test_a_free_form_tool_takes_one_string() -> None:
    rendered = render(
        tools=(Tool("write", "custom", format={"type": "grammar", "definition": "a"}),),
        messages=(ASK, Message("assistant", (ToolCall("c", "write", "free words", custom=True),)), ASK),
    )
    assert rendered.value["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert rendered.value["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"input":"free words"}'
    assert rendered.memo.custom_tools == {"write"}
    assert noted(rendered) == [("tools[0].format", "dropped")]


# -- structured output -------------------------------------------------------------------------------------------------


def test_a_schema_is_native_without_tools() -> None:
    wanted = ResponseFormat("json_schema", SCHEMA, "answer", description="A city", strict=True)
    rendered = render(response_format=wanted)
    assert rendered.value["response_format"] == {
        "type": "json_object",
        "json_schema": {**SCHEMA, "description": "A city"},
    }
    assert rendered.notes == ()
    assert render(response_format=ResponseFormat("json_object")).value["response_format"] == {"type": "json_object"}
    assert "response_format" not in render(response_format=ResponseFormat("text")).value


def test_beside_tools_a_tool_takes_the_answer() -> None:
    tools = (TOOL, replace(TOOL, name="json_response"))
    rendered = render(tools=tools, response_format=ResponseFormat("json_schema", SCHEMA))
    assert [tool["function"]["name"] for tool in rendered.value["tools"]] == [
        "look_up",
        "json_response",
        "json_response_2",
    ]
    assert rendered.value["tool_choice"] == "REQUIRED"
    assert rendered.memo.json_tool == "json_response_2"
    assert rendered.notes == ()


def test_tools_that_may_not_be_called_make_room_for_json() -> None:
    rendered = render(
        tools=(TOOL,), tool_choice=ToolChoice("none"), response_format=ResponseFormat("json_schema", SCHEMA)
    )
    assert "tools" not in rendered.value
    assert rendered.value["response_format"]["json_schema"] == SCHEMA
    assert noted(rendered) == [("tools", "changed")]


def test_a_forced_tool_leaves_no_place_for_json() -> None:
    rendered = render(tools=(TOOL,), tool_choice=ToolChoice("required"), response_format=ResponseFormat("json_object"))
    assert noted(rendered) == [("response_format", "dropped")]


LEVELS: list[tuple[Profile, list[tuple[str, str]]]] = [
    (Profile(structured_output="json_object"), [("response_format", "weakened")]),
    (Profile(structured_output="prompt"), [("response_format", "weakened")]),
    (Profile(structured_output="none"), [("response_format", "dropped")]),
    (Profile(structured_output="tool"), []),
    (
        Profile(schema_unsupported=frozenset({"additionalProperties"})),
        [("response_format.schema", "weakened")],
    ),
]


@pytest.mark.parametrize(("profile", "notes"), LEVELS, ids=str)
def test_the_level_of_the_model_decides(profile: Profile, notes: list[tuple[str, str]]) -> None:
    rendered = render(profile, system=(Text("Be brief."),), response_format=ResponseFormat("json_schema", SCHEMA))
    assert noted(rendered) == notes
    first = rendered.value["messages"][0]["content"]
    prompted = profile.structured_output in ("prompt", "json_object")
    assert (json.dumps(SCHEMA, separators=(",", ":")) in str(first[-1]["text"])) if prompted else first == "Be brief."


# -- reasoning and limits ----------------------------------------------------------------------------------------------

THINKING: list[tuple[Reasoning, Profile, Any, list[tuple[str, str]]]] = [
    (Reasoning("minimal"), Profile(), {"type": "enabled", "token_budget": 512}, []),
    (Reasoning("max"), Profile(), {"type": "enabled", "token_budget": 16384}, []),
    (Reasoning("none"), Profile(), {"type": "disabled"}, []),
    (Reasoning(budget_tokens=700), Profile(), {"type": "enabled", "token_budget": 700}, []),
    (Reasoning(enabled=True), Profile(), {"type": "enabled"}, []),
    (Reasoning(enabled=False), Profile(), {"type": "disabled"}, []),
    (Reasoning(adaptive=True), Profile(), {"type": "enabled"}, []),
    (Reasoning(summary="auto"), Profile(), None, [("reasoning.summary", "dropped")]),
    (
        Reasoning("high", include=False),
        Profile(),
        {"type": "enabled", "token_budget": 4096},
        [("reasoning.include", "dropped")],
    ),
    (Reasoning("high"), Profile(reasoning="switch"), {"type": "enabled"}, [("reasoning", "weakened")]),
    (Reasoning("high"), Profile(reasoning="none"), None, [("reasoning", "dropped")]),
    (Reasoning("none"), Profile(reasoning="none"), None, []),
]


@pytest.mark.parametrize(("wanted", "profile", "thinking", "notes"), THINKING, ids=lambda value: str(value)[:60])
def test_thinking(wanted: Reasoning, profile: Profile, thinking: Any, notes: list[tuple[str, str]]) -> None:
    rendered = render(profile, reasoning=wanted)
    assert rendered.value.get("thinking") == thinking
    assert noted(rendered) == notes


LIMITS: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = [
    ({"temperature": 1.5}, {"temperature": 1}, [("temperature", "changed")]),
    ({"top_p": 1}, {"p": 0.99}, [("top_p", "changed")]),
    ({"top_k": 40.5}, {"k": 40}, [("top_k", "changed")]),
    ({"top_k": 1000}, {"k": 500}, [("top_k", "changed")]),
    (
        {"presence_penalty": -1, "frequency_penalty": 2},
        {"presence_penalty": 0, "frequency_penalty": 1},
        [("presence_penalty", "changed"), ("frequency_penalty", "changed")],
    ),
    ({"seed": -1}, {}, [("seed", "dropped")]),
    ({"stop": tuple("abcdef")}, {"stop_sequences": list("abcde")}, [("stop", "dropped")]),
    ({"parallel_tool_calls": True, "n": 1, "store": False, "service_tier": "auto", "logit_bias": {}}, {}, []),
    ({"parallel_tool_calls": False}, {}, [("parallel_tool_calls", "dropped")]),
]


@pytest.mark.parametrize(("fields", "wire", "notes"), LIMITS, ids=str)
def test_limits(fields: dict[str, Any], wire: dict[str, Any], notes: list[tuple[str, str]]) -> None:
    rendered = render(**fields)
    assert {key: value for key, value in rendered.value.items() if key not in ("model", "messages")} == wire
    assert noted(rendered) == notes


def test_a_model_writes_no_more_than_it_can() -> None:
    rendered = render(Profile(max_output_tokens=50), max_tokens=100)
    assert (rendered.value["max_tokens"], noted(rendered)) == (50, [("max_tokens", "changed")])


# -- answers -----------------------------------------------------------------------------------------------------------


def answer(*parts: Part, **fields: Any) -> Rendered[dict[str, Any]]:
    choice = Choice(parts, **fields)
    return DIALECT.render_response(Response(dialect="other", id="r", model="m", choices=(choice,)), Context())


def test_an_answer_with_calls() -> None:
    rendered = answer(Thinking("Hm."), Text("I look."), CALL, stop_reason="tool_calls")
    assert rendered.value == {
        "id": "r",
        "message": {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm."}],
            "tool_plan": "I look.",
            "tool_calls": [WIRE_CALL],
        },
        "finish_reason": "TOOL_CALL",
    }
    assert rendered.notes == ()


def test_an_answer_with_citations_and_logprobs() -> None:
    cited = Citation("https://example.com", None, "words", 0, 3)
    rendered = answer(
        Text("Sun", (cited,), (TokenLogprob("Sun", -0.5, top=(TokenLogprob("Rain", -1),)),)), stop_reason="stop"
    )
    assert rendered.value["message"]["citations"][0]["sources"][0]["document"] == {
        "url": "https://example.com",
        "text": "words",
    }
    assert rendered.value["logprobs"] == [{"text": "Sun", "token_ids": [], "logprobs": [-0.5]}]
    assert noted(rendered) == [("choices[0].parts[0].logprobs", "weakened")]


STOPS: list[tuple[dict[str, Any], str, list[tuple[str, str]]]] = [
    ({"stop_reason": "stop"}, "COMPLETE", []),
    ({"stop_reason": "length"}, "MAX_TOKENS", []),
    ({"stop_reason": "content_filter"}, "ERROR_TOXIC", []),
    ({"stop_reason": "error"}, "ERROR", []),
    ({"stop_reason": "refusal"}, "COMPLETE", [("choices[0].stop_reason", "changed")]),
    ({"stop_reason": "pause"}, "MAX_TOKENS", [("choices[0].stop_reason", "changed")]),
    ({"stop_reason": "stop", "stop_sequence": "END"}, "STOP_SEQUENCE", [("choices[0].stop_sequence", "dropped")]),
    ({}, "COMPLETE", []),
]


@pytest.mark.parametrize(("fields", "word", "notes"), STOPS, ids=str)
def test_a_reason_to_stop(fields: dict[str, Any], word: str, notes: list[tuple[str, str]]) -> None:
    rendered = answer(Text("a"), **fields)
    assert rendered.value["finish_reason"] == word
    assert noted(rendered) == notes


def test_usage_of_others() -> None:
    usage = Usage(input_tokens=100, output_tokens=7, cache_read_tokens=60, reasoning_tokens=3, total_tokens=107)
    response = Response(dialect="other", choices=(Choice((Text("a"),)), Choice(index=1)), usage=usage, service_tier="x")
    rendered = DIALECT.render_response(response, Context("fresh"))
    counts = {"input_tokens": 100, "output_tokens": 7}
    assert rendered.value["usage"] == {"billed_units": counts, "tokens": counts, "cached_tokens": 60}
    assert rendered.value["id"] == "fresh"
    assert noted(rendered) == [
        ("service_tier", "dropped"),
        ("choices[1]", "dropped"),
        ("usage.reasoning_tokens", "dropped"),
    ]


def test_errors_of_others() -> None:
    error = DIALECT.parse_error(429, {}, b'{"message": "slow down"}')
    assert DIALECT.render_error(replace(error, dialect="other", native="x")) == (429, {"message": "slow down"})


# -- streams -----------------------------------------------------------------------------------------------------------


def streamed(*deltas: Delta) -> tuple[list[tuple[str | None, Any]], list[tuple[str, str]]]:
    """(the frames, the notes) of another dialect's stream."""
    renderer = DIALECT.stream_renderer(Context("fresh", source="other"))
    data = b"".join(renderer.render(StreamEvent((delta,))) for delta in deltas) + renderer.close()
    frames = contract.frames(DIALECT, data)
    assert all(name == payload["type"] for name, payload in frames)
    return frames, [(note.path, note.kind) for note in renderer.notes]


def test_a_stream_of_another_dialect() -> None:
    frames, notes = streamed(
        Start("r", "m"),
        ThinkingDelta(0, "Hm."),
        TextDelta(1, "Sun", 0, (TokenLogprob("Sun", -0.5),)),
        CitationDelta(1, Citation("https://example.com")),
        PartStart(2, ToolCall("call_1", "look_up", "")),
        ArgumentsDelta(2, '{"city":'),
        ArgumentsDelta(2, '"Paris"}'),
        Stop("tool_calls"),
        UsageDelta(Usage(input_tokens=1, output_tokens=2)),
        End(),
    )
    assert [name for name, _ in frames] == [
        "message-start",
        "content-start",
        "content-delta",
        "content-end",
        "content-start",
        "content-delta",
        "citation-start",
        "citation-end",
        "content-end",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-delta",
        "tool-call-end",
        "message-end",
    ]
    assert notes == []
    assert frames[-1][1]["delta"]["finish_reason"] == "TOOL_CALL"
    assert frames[5][1]["logprobs"] == {"text": "Sun", "token_ids": [], "logprobs": [-0.5]}


def test_parts_that_interleave_are_told_in_turns() -> None:
    frames, _ = streamed(TextDelta(0, "a"), TextDelta(1, "b"), TextDelta(0, "c"), End())
    data = contract.parse_stream(DIALECT, b"".join(_wire(frame) for frame in frames))
    assert fold(data, DIALECT.name).choices[0].parts == (Text("a"), Text("b"), Text("c"))
    calls, _ = streamed(
        PartStart(0, ToolCall("1", "a", "")),
        PartStart(1, ToolCall("2", "b", "")),
        ArgumentsDelta(0, "{}"),
        ArgumentsDelta(1, "{ }"),
    )
    data = contract.parse_stream(DIALECT, b"".join(_wire(frame) for frame in calls))
    assert fold(data, DIALECT.name).choices[0].parts == (ToolCall("1", "a", "{}"), ToolCall("2", "b", "{ }"))


def _wire(frame: tuple[str | None, Any]) -> bytes:
    return f"event: {frame[0]}\ndata: {json.dumps(frame[1])}\n\n".encode()


def test_a_failure_ends_the_stream() -> None:
    error = DIALECT.parse_error(500, {}, b'{"message": "it broke"}')
    renderer = DIALECT.stream_renderer(Context(source="other"))
    data = renderer.render(StreamEvent((Start("r"), TextDelta(0, "a"), Failure(replace(error, dialect="other")))))
    assert contract.frames(DIALECT, data)[-1] == (
        "message-end",
        {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "it broke"}},
    )
    assert renderer.close() == b""


def test_refusals_and_other_choices_are_noted_once() -> None:
    frames, notes = streamed(
        PartStart(0, Refusal("I")),
        TextDelta(0, "a", 1),
        TextDelta(0, "b", 1),
        PartStart(1, Text("", signature=Signature("c2ln", "gemini"))),
        End(),
    )
    assert notes == [
        ("choices[0].parts[0]", "changed"),
        ("choices[1]", "dropped"),
        ("choices[0].parts[1].signature", "dropped"),
    ]
    assert frames[-1][1] == {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}


def test_a_stream_says_what_the_whole_answer_says() -> None:
    response = DIALECT.parse_response(ANSWER, NO_MEMO)
    response = replace(response, dialect="other")
    data = contract.render_events(DIALECT, list(unfold(response)), "other")
    whole = DIALECT.parse_response(DIALECT.render_response(response, Context()).value, NO_MEMO)
    told = contract.folded(DIALECT, data)
    texts = [part.text for part in told.choices[0].parts if isinstance(part, Text | Thinking)]
    assert texts == [part.text for part in whole.choices[0].parts if isinstance(part, Text | Thinking)]
    assert (told.id, told.usage, told.choices[0].stop_reason) == (whole.id, whole.usage, "stop")


# -- into the others ---------------------------------------------------------------------------------------------------

OTHERS = [name for name in registry.NAMES if name != "cohere_chat"]


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_dialect_can_say_a_request(name: str) -> None:
    dialect = registry.get(name)
    request = DIALECT.parse_request(REQUEST, contract.NO_MATCH)
    said = json.dumps(dialect.render_request(request, DEFAULT_PROFILE).value)
    assert "look it up." in said
    assert "And tomorrow?" in said
    assert "A bare text." in said, "documents go along"


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("data", [TEXT_STREAM, CALL_STREAM])
def test_every_other_dialect_can_say_a_stream(name: str, data: bytes) -> None:
    dialect = registry.get(name)
    events = contract.parse_stream(DIALECT, data)
    told = contract.folded(dialect, contract.render_events(dialect, events, DIALECT.name))
    here = fold(events, DIALECT.name)
    assert [part.name for part in told.choices[0].parts if isinstance(part, ToolCall)] == [
        part.name for part in here.choices[0].parts if isinstance(part, ToolCall)
    ]
    text = "".join(part.text for part in told.choices[0].parts if type(part) is Text)
    assert text == "".join(part.text for part in here.choices[0].parts if type(part) is Text)
    assert told.usage is not None and told.usage.output_tokens == 25
