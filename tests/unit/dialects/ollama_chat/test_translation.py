"""Other dialects' requests, answers and streams in the terms of Ollama: what is said, what changes, what is noted."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.dialects import registry
from penstock.dialects.dialect import Context
from penstock.dialects.ollama_chat import DIALECT
from penstock.providers.profiles import family_profile
from penstock.testing.providers.ollama import CHAT_BODY
from penstock.types.content import (
    Base64,
    Blocks,
    Cache,
    Citation,
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
    PartEnd,
    PartStart,
    Start,
    Stop,
    StreamEvent,
    SummaryDelta,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from penstock.types.unfold import unfold
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.contract.dialects import PIXEL, SCHEMA, foreign_request
from tests.unit.dialects.ollama_chat.samples import ANSWER, REQUEST, STREAM

ASK = Message("user", (Text("Weather?"),))
CALL = ToolCall("call_1", "look_up", '{"city":"Paris"}')
TOOL = Tool("look_up", description="Look", parameters=SCHEMA)


def render(profile: Profile = DEFAULT_PROFILE, **fields: Any) -> Rendered[dict[str, Any]]:
    rendered = DIALECT.render_request(foreign_request(**fields), profile)
    assert CHAT_BODY.check(rendered.value) is None, "the simulated provider takes it"
    return rendered


def said(*messages: Message, profile: Profile = DEFAULT_PROFILE, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = render(profile, messages=messages, **fields).value["messages"]
    return found


def noted(rendered: Rendered[Any]) -> list[tuple[str, str]]:
    return [(note.path, note.kind) for note in rendered.notes]


# -- requests ----------------------------------------------------------------------------------------------------------


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
        top_logprobs=3,
        reasoning=Reasoning(enabled=True),
        response_format=ResponseFormat("json_schema", SCHEMA),
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
        "tools": [{"type": "function", "function": {"name": "look_up", "description": "Look", "parameters": SCHEMA}}],
        "format": SCHEMA,
        "options": {
            "num_predict": 100,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "stop": ["END"],
            "seed": 7,
            "presence_penalty": 0.5,
            "frequency_penalty": 0.5,
        },
        "logprobs": True,
        "top_logprobs": 3,
        "think": True,
        "stream": True,
    }
    assert rendered.notes == ()


def test_who_asks_for_no_stream_gets_none() -> None:
    """Ollama streams when it is not told."""
    assert render().value["stream"] is False
    assert render(stream=False).value["stream"] is False


def test_a_conversation_with_tools() -> None:
    image = Media("image", Base64(PIXEL), "image/png")
    messages = said(
        Message("system", (Text("A"),)),
        Message("user", (Text("See"), image, Text("this"))),
        Message("assistant", (Thinking("Hm."), Text("I "), Text("look."), CALL, ToolCall(None, "b", {}))),
        Message(
            "user", (ToolResult("call_1", (Text("sun"), image)), ToolResult(None, (Json({"a": 1}),)), Text("Well?"))
        ),
        Message("developer", (Text("C"),)),
    )
    assert messages == [
        {"role": "system", "content": "A"},
        {"role": "user", "content": "See\n\nthis", "images": [PIXEL]},
        {
            "role": "assistant",
            "content": "I look.",
            "thinking": "Hm.",
            "tool_calls": [
                {"id": "call_1", "function": {"name": "look_up", "arguments": {"city": "Paris"}}},
                {"id": messages[2]["tool_calls"][1]["id"], "function": {"name": "b", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "sun", "images": [PIXEL], "tool_name": "look_up", "tool_call_id": "call_1"},
        {
            "role": "tool",
            "content": '{"a":1}',
            "tool_name": "b",
            "tool_call_id": messages[2]["tool_calls"][1]["id"],
        },
        {"role": "user", "content": "Well?"},
        {"role": "system", "content": "C"},
    ]


PARTS: list[tuple[Part, dict[str, Any], list[tuple[str, str]]]] = [
    (
        Media("image", Base64(PIXEL), detail="low", name="a"),
        {"images": [PIXEL]},
        [("detail", "dropped"), ("name", "dropped")],
    ),
    (Media("image", Url("https://example.com/a.png")), {}, [("", "dropped")]),
    (
        Media("file", PlainText("words"), name="T", cache=Cache()),
        {"content": "T\n\nwords\n\nbeside"},
        [("cache", "dropped"), ("", "changed")],
    ),
    (Media("file", Base64("d29yZHM="), "text/plain"), {"content": "words\n\nbeside"}, [("", "changed")]),
    (
        Media("file", Blocks((Text("a"), Media("image", Base64(PIXEL))))),
        {"content": "a\n\nbeside", "images": [PIXEL]},
        [("", "changed")],
    ),
    (Media("file", Base64("JVBERi0="), "application/pdf"), {}, [("", "dropped")]),
    (Media("audio", None, transcript="Hi"), {"content": "Hi\n\nbeside"}, [("", "weakened")]),
    (Thinking("Hm."), {}, [("", "dropped")]),
    (ServerToolCall("s", "web_search"), {}, [("", "dropped")]),
]


@pytest.mark.parametrize(("part", "fields", "notes"), PARTS, ids=lambda value: type(value).__name__)
def test_a_part_of_a_user(part: Part, fields: dict[str, Any], notes: list[tuple[str, str]]) -> None:
    rendered = render(messages=(Message("user", (part, Text("beside"))),))
    assert rendered.value["messages"] == [{"role": "user", "content": "beside", **fields}]
    assert noted(rendered) == [(f"messages[0].parts[0].{tail}".rstrip("."), kind) for tail, kind in notes]


def test_tails_of_the_assistants_parts_are_noted() -> None:
    proof = Signature("c2ln", "anthropic")
    parts = (
        Thinking("Hm.", signature=proof),
        Thinking(signature=proof, redacted=True),
        Text("a", (Citation("https://example.com"),), (TokenLogprob("a", -1),), proof),
        Refusal("I will not."),
        replace(CALL, signature=proof, arguments="{cut"),
    )
    rendered = render(messages=(ASK, Message("assistant", parts, "Ann"), ASK))
    assert [(path.removeprefix("messages[1]"), kind) for path, kind in noted(rendered)] == [
        (".name", "dropped"),
        (".parts[0].signature", "dropped"),
        (".parts[1]", "dropped"),
        (".parts[2].citations", "dropped"),
        (".parts[2].logprobs", "dropped"),
        (".parts[2].signature", "dropped"),
        (".parts[3]", "changed"),
        (".parts[4].signature", "dropped"),
        (".parts[4].arguments", "changed"),
    ]
    assert rendered.value["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"input": "{cut"}


CHOICES: list[tuple[ToolChoice, list[str], list[tuple[str, str]]]] = [
    (ToolChoice("auto"), ["look_up", "put"], []),
    (ToolChoice("none"), [], [("tool_choice", "changed")]),
    (ToolChoice("required"), ["look_up", "put"], [("tool_choice", "weakened")]),
    (ToolChoice("tool", "look_up"), ["look_up"], [("tool_choice", "changed"), ("tool_choice", "weakened")]),
    (ToolChoice("allowed", names=("put",)), ["put"], [("tool_choice", "changed")]),
]


@pytest.mark.parametrize(("choice", "names", "notes"), CHOICES, ids=lambda value: str(value)[:40])
def test_a_choice_of_tools(choice: ToolChoice, names: list[str], notes: list[tuple[str, str]]) -> None:
    rendered = render(tools=(TOOL, Tool("put", "custom")), tool_choice=choice)
    assert [tool["function"]["name"] for tool in rendered.value.get("tools", [])] == names
    assert noted(rendered) == notes
    assert rendered.memo.custom_tools == {"put"}


def test_tails_of_tools_are_noted() -> None:
    tools = (
        replace(TOOL, strict=True, cache=Cache()),
        Tool("web_search", "server"),
        Tool("w", "custom", format={"type": "grammar"}),
    )
    assert noted(render(tools=tools)) == [
        ("tools[0].cache", "dropped"),
        ("tools[0].strict", "dropped"),
        ("tools[1]", "dropped"),
        ("tools[2].format", "dropped"),
    ]
    assert noted(render(Profile(tools=False), tools=tools)) == [("tools", "dropped")]


GPT_OSS = family_profile("gpt-oss:20b", "ollama_chat")
THINKING: list[tuple[Reasoning, Profile, Any, list[tuple[str, str]]]] = [
    (Reasoning("high"), Profile(), True, [("reasoning", "weakened")]),
    (Reasoning("none"), Profile(), False, []),
    (Reasoning(enabled=True), Profile(), True, []),
    (Reasoning(adaptive=True), Profile(), True, []),
    (Reasoning(enabled=False), Profile(), False, []),
    (Reasoning("low"), Profile(reasoning="level"), "low", []),
    (Reasoning("minimal"), Profile(reasoning="level"), "low", [("reasoning.effort", "weakened")]),
    (Reasoning("max"), Profile(reasoning="level"), "high", [("reasoning.effort", "weakened")]),
    (Reasoning("none"), Profile(reasoning="level"), False, []),
    (Reasoning("none"), GPT_OSS, "low", [("reasoning.effort", "weakened")]),
    (Reasoning(enabled=False), GPT_OSS, "low", [("reasoning.enabled", "weakened")]),
    (Reasoning(enabled=True), GPT_OSS, "medium", []),
    (Reasoning("max"), Profile(reasoning="effort", reasoning_efforts=("low", "max")), "max", []),
    (Reasoning(budget_tokens=2000), Profile(reasoning="level"), "medium", [("reasoning.budget_tokens", "changed")]),
    (Reasoning(enabled=True), Profile(reasoning="level"), "medium", []),
    (Reasoning("high"), Profile(reasoning="none"), None, [("reasoning", "dropped")]),
    (
        Reasoning(summary="auto", include=False),
        Profile(),
        None,
        [("reasoning.summary", "dropped"), ("reasoning.include", "dropped")],
    ),
]


@pytest.mark.parametrize(("wanted", "profile", "think", "notes"), THINKING, ids=lambda value: str(value)[:60])
def test_thinking(wanted: Reasoning, profile: Profile, think: Any, notes: list[tuple[str, str]]) -> None:
    rendered = render(profile, reasoning=wanted)
    assert rendered.value.get("think") == think
    assert noted(rendered) == notes


FORMATS: list[tuple[ResponseFormat, Profile, Any, list[tuple[str, str]]]] = [
    (ResponseFormat("text"), Profile(), None, []),
    (ResponseFormat("json_object"), Profile(), "json", []),
    (ResponseFormat("json_schema", SCHEMA, description="D"), Profile(), {**SCHEMA, "description": "D"}, []),
    (
        ResponseFormat("json_schema", SCHEMA),
        Profile(structured_output="json_object"),
        "json",
        [("response_format", "weakened")],
    ),
    (
        ResponseFormat("json_schema", SCHEMA),
        Profile(structured_output="prompt"),
        None,
        [("response_format", "weakened")],
    ),
    (ResponseFormat("json_object"), Profile(structured_output="none"), None, [("response_format", "dropped")]),
]


@pytest.mark.parametrize(("wanted", "profile", "form", "notes"), FORMATS, ids=lambda value: str(value)[:60])
def test_a_format(wanted: ResponseFormat, profile: Profile, form: Any, notes: list[tuple[str, str]]) -> None:
    rendered = render(profile, response_format=wanted)
    assert rendered.value.get("format") == form
    assert noted(rendered) == notes
    prompted = "weakened" in {kind for _, kind in notes}
    assert (rendered.value["messages"][0]["role"] == "system") is prompted


LIMITS: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = [
    ({"top_k": 40.5}, {"options": {"top_k": 40}}, [("top_k", "changed")]),
    ({"top_logprobs": 50}, {"top_logprobs": 20}, [("top_logprobs", "changed")]),
    ({"stop": ("", "a")}, {"options": {"stop": ["a"]}}, []),
    ({"parallel_tool_calls": True, "n": 1, "store": False}, {}, []),
    ({"n": 2}, {}, [("n", "dropped")]),
]


@pytest.mark.parametrize(("fields", "wire", "notes"), LIMITS, ids=str)
def test_limits(fields: dict[str, Any], wire: dict[str, Any], notes: list[tuple[str, str]]) -> None:
    rendered = render(**fields)
    kept = {key: value for key, value in rendered.value.items() if key not in ("model", "messages", "stream")}
    assert kept == wire
    assert noted(rendered) == notes


def test_hosts_may_be_narrower() -> None:
    rendered = render(Profile(max_output_tokens=50, exclusive_sampling=True), max_tokens=100, temperature=1, top_p=0.5)
    assert rendered.value["options"] == {"num_predict": 50, "temperature": 1}
    assert noted(rendered) == [("max_tokens", "changed"), ("top_p", "dropped")]


def test_repairs_are_made_on_request_only() -> None:
    messages = (Message("assistant", (CALL,)), Message("assistant", (Text("Sun"),)))
    assert [message["role"] for message in said(*messages)] == ["assistant", "assistant"]
    rendered = render(Profile(repair_turns=True), messages=messages)
    assert [message["role"] for message in rendered.value["messages"]] == ["assistant", "tool", "assistant"]
    assert rendered.value["messages"][1]["tool_name"] == "look_up"
    assert said(Message("assistant", (Text("Sun"),)), profile=Profile(repair_turns=True))[-1]["role"] == "user"


# -- answers -----------------------------------------------------------------------------------------------------------


def answer(*parts: Part, **fields: Any) -> Rendered[dict[str, Any]]:
    choice = Choice(parts, **fields)
    response = Response(dialect="other", id="r", model="m", created=7.5, choices=(choice,))
    return DIALECT.render_response(response, Context(created=9))


def test_an_answer() -> None:
    rendered = answer(
        Thinking("Hm."), Text("I "), CALL, Text("look.", logprobs=(TokenLogprob("look", -1), TokenLogprob("."))), CALL
    )
    assert rendered.value == {
        "model": "m",
        "created_at": "1970-01-01T00:00:07.500000Z",
        "message": {
            "role": "assistant",
            "content": "I look.",
            "thinking": "Hm.",
            "tool_calls": [
                {"id": "call_1", "function": {"name": "look_up", "arguments": {"city": "Paris"}, "index": index}}
                for index in (0, 1)
            ],
        },
        "done": True,
        "done_reason": "stop",
        "logprobs": [{"token": "look", "logprob": -1}],
    }
    assert rendered.notes == ()


STOPS: list[tuple[dict[str, Any], str, list[tuple[str, str]]]] = [
    ({"stop_reason": "stop"}, "stop", []),
    ({"stop_reason": "length"}, "length", []),
    ({"stop_reason": "tool_calls"}, "stop", []),
    ({"stop_reason": "content_filter"}, "stop", [("choices[0].stop_reason", "changed")]),
    ({"stop_reason": "pause"}, "length", [("choices[0].stop_reason", "changed")]),
    ({"stop_reason": "stop", "stop_sequence": "END"}, "stop", [("choices[0].stop_sequence", "dropped")]),
]


@pytest.mark.parametrize(("fields", "word", "notes"), STOPS, ids=str)
def test_a_reason_to_stop(fields: dict[str, Any], word: str, notes: list[tuple[str, str]]) -> None:
    rendered = answer(Text("a"), **fields)
    assert rendered.value["done_reason"] == word
    assert noted(rendered) == notes


def test_usage_of_others() -> None:
    usage = Usage(input_tokens=100, output_tokens=7, cache_read_tokens=60, cost="0.01", total_tokens=107)
    response = Response(dialect="other", choices=(Choice((Text("a"),)), Choice(index=1)), usage=usage, service_tier="x")
    rendered = DIALECT.render_response(response, Context(created=9, model="asked"))
    assert rendered.value["prompt_eval_count"] == 100
    assert rendered.value["prompt_eval_cached_count"] == 60
    assert rendered.value["eval_count"] == 7
    assert (rendered.value["model"], rendered.value["created_at"]) == ("asked", "1970-01-01T00:00:09Z")
    assert noted(rendered) == [("service_tier", "dropped"), ("choices[1]", "dropped"), ("usage.cost", "dropped")]


# -- streams -----------------------------------------------------------------------------------------------------------


def streamed(*deltas: Delta) -> tuple[list[Any], list[tuple[str, str]]]:
    """(the lines, the notes) of another dialect's stream."""
    renderer = DIALECT.stream_renderer(Context("fresh", 9, "asked", source="other"))
    data = b"".join(renderer.render(StreamEvent((delta,))) for delta in deltas) + renderer.close()
    return [frame for _, frame in contract.frames(DIALECT, data)], [(note.path, note.kind) for note in renderer.notes]


def test_a_stream_of_another_dialect() -> None:
    found, notes = streamed(
        Start("r", "m"),
        ThinkingDelta(0, "Hm."),
        TextDelta(1, "Su", 0, (TokenLogprob("Su", -0.5),)),
        TextDelta(1, "n"),
        PartStart(2, ToolCall(None, "look_up", "")),
        ArgumentsDelta(2, '{"city":'),
        ArgumentsDelta(2, '"Paris"}'),
        PartEnd(2),
        Stop("tool_calls"),
        UsageDelta(Usage(input_tokens=1, output_tokens=2)),
        End(),
    )
    head = {"model": "asked", "created_at": "1970-01-01T00:00:09Z"}
    call = {"id": "call_r_2", "function": {"name": "look_up", "arguments": {"city": "Paris"}, "index": 0}}
    blank = {"role": "assistant", "content": ""}
    assert found == [
        {**head, "message": {**blank, "thinking": "Hm."}, "done": False},
        {**head, "message": {**blank, "content": "Su"}, "done": False, "logprobs": [{"token": "Su", "logprob": -0.5}]},
        {**head, "message": {**blank, "content": "n"}, "done": False},
        {**head, "message": {**blank, "tool_calls": [call]}, "done": False},
        {**head, "message": blank, "done": True, "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 2},
    ]
    assert notes == []


def test_calls_that_interleave_are_whole_in_the_end() -> None:
    found, notes = streamed(
        PartStart(0, ToolCall("1", "a", "")),
        PartStart(1, ToolCall("2", "b", {"x": 1})),
        ArgumentsDelta(0, '{"y"'),
        ArgumentsDelta(0, ": 2}"),
        ArgumentsDelta(2, "[cut"),
    )
    calls = [call["function"] for line in found for call in line["message"].get("tool_calls", [])]
    assert calls == [
        {"name": "a", "arguments": {"y": 2}, "index": 0},
        {"name": "b", "arguments": {"x": 1}, "index": 1},
        {"name": "", "arguments": {"input": "[cut"}, "index": 2},
    ]
    assert notes == [("choices[0].parts[2].arguments", "changed")]


def test_what_has_no_line_is_noted() -> None:
    found, notes = streamed(
        SummaryDelta(0, "One", 0),
        SummaryDelta(0, "Two", 1),
        TextDelta(1, "a"),
        CitationDelta(1, Citation("https://example.com")),
        CitationDelta(1, Citation("https://example.com")),
        PartStart(2, ServerToolCall("s", "web_search")),
        ArgumentsDelta(2, "{}"),
        Stop("refusal"),
    )
    assert "".join(line["message"].get("thinking", "") for line in found) == "One\n\nTwo"
    assert notes == [
        ("choices[0].parts[1].citations", "dropped"),
        ("choices[0].parts[2]", "dropped"),
        ("choices[0].stop_reason", "changed"),
    ]


def test_a_failure_ends_the_stream() -> None:
    error = DIALECT.parse_error(500, {}, b'{"error": "it broke"}')
    renderer = DIALECT.stream_renderer(Context(source="other"))
    data = renderer.render(StreamEvent((TextDelta(0, "a"), Failure(replace(error, dialect="other")))))
    assert contract.frames(DIALECT, data)[-1] == (None, {"error": "it broke"})
    assert renderer.close() == b""


def test_a_stream_says_what_the_whole_answer_says() -> None:
    response = replace(DIALECT.parse_response(ANSWER, NO_MEMO), dialect="other")
    told = contract.folded(DIALECT, contract.render_events(DIALECT, list(unfold(response)), "other"))
    whole = DIALECT.parse_response(DIALECT.render_response(response, Context()).value, NO_MEMO)
    assert told.choices[0].parts[0] == whole.choices[0].parts[0]
    assert told.choices[0].stop_reason == whole.choices[0].stop_reason == "tool_calls"
    assert (told.model, told.created, told.usage) == (whole.model, whole.created, whole.usage)


# -- into the others ---------------------------------------------------------------------------------------------------

OTHERS = [name for name in registry.NAMES if name != "ollama_chat"]


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_dialect_can_say_a_request(name: str) -> None:
    """Calls and results find each other, though some have no ids here."""
    dialect = registry.get(name)
    rendered = dialect.render_request(DIALECT.parse_request(REQUEST, contract.NO_MATCH), DEFAULT_PROFILE)
    said = json.dumps(rendered.value)
    assert "And tomorrow?" in said
    assert "Sun and rain." in said
    again = dialect.parse_request(rendered.value, contract.NO_MATCH)
    calls = [part for message in again.messages for part in message.parts if isinstance(part, ToolCall)]
    results = [part for message in again.messages for part in message.parts if isinstance(part, ToolResult)]
    assert [call.call_id for call in calls] == [result.call_id for result in results]


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_dialect_can_say_a_stream(name: str) -> None:
    dialect = registry.get(name)
    events = contract.parse_stream(DIALECT, STREAM)
    told = contract.folded(dialect, contract.render_events(dialect, events, DIALECT.name))
    here = fold(events, DIALECT.name)
    for kind, name_of in ((Text, "text"), (ToolCall, "name")):
        ours, others = (
            [getattr(part, name_of) for part in response.choices[0].parts if type(part) is kind]
            for response in (here, told)
        )
        assert [word for word in others if word] == ours
    assert told.usage is not None and told.usage.output_tokens == 18
    assert told.choices[0].stop_reason == "tool_calls"
