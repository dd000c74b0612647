"""What other dialects' requests become here, with what it costs."""

import base64
from typing import Any

import pytest

from penstock.dialects.anthropic_messages import DIALECT
from penstock.types.content import (
    Base64,
    Cache,
    FileId,
    Json,
    Media,
    Part,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.notes import Rendered
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, ResponseFormat, Role, Tool, ToolChoice
from tests.contract.dialects import foreign_request
from tests.unit.dialects.anthropic_messages.samples import SCHEMA

HELLO = Message("user", (Text("Hello"),))
LOOK_UP = Tool("look_up", parameters=SCHEMA)
ADAPTIVE = Profile(reasoning="adaptive")


def render(profile: Profile = DEFAULT_PROFILE, **fields: Any) -> Rendered[dict[str, Any]]:
    fields.setdefault("max_tokens", 8000)
    return DIALECT.render_request(foreign_request(**fields), profile)


def said(role: Role, *parts: Part) -> Message:
    return Message(role, parts)


def asked(call_id: str | None = "c1", name: str = "look_up") -> Message:
    return said("assistant", ToolCall(call_id, name, '{"city":"Paris"}'))


def answered(call_id: str | None = "c1", name: str | None = None) -> Message:
    return said("tool", ToolResult(call_id, (Text("found"),), name))


def notes(rendered: Rendered[Any]) -> list[str]:
    return [f"{note.kind} {note.path}" for note in rendered.notes]


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool_use(call_id: str, name: str = "look_up") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {"city": "Paris"}}


def tool_result(call_id: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": [text("found")]}


# -- turns -------------------------------------------------------------------------------------------------------------

TURNS: list[tuple[str, list[Message], list[tuple[str, list[dict[str, Any]]]], list[dict[str, Any]], list[str]]] = [
    ("one", [HELLO], [("user", [text("Hello")])], [], []),
    (
        "leading instructions",
        [said("system", Text("a")), said("developer", Text("b")), HELLO],
        [("user", [text("Hello")])],
        [text("a"), text("b")],
        [],
    ),
    (
        "an instruction between",
        [HELLO, said("system", Text("a")), said("user", Text("b"))],
        [("user", [text("Hello"), text("b")])],
        [text("a")],
        ["changed messages[1]"],
    ),
    (
        "neighbours of one role",
        [HELLO, said("user", Text("b")), said("assistant", Text("c")), said("assistant", Text("d")), HELLO],
        [("user", [text("Hello"), text("b")]), ("assistant", [text("c"), text("d")]), ("user", [text("Hello")])],
        [],
        [],
    ),
    (
        "results come first and are one turn with what follows",
        [HELLO, asked("c1"), HELLO, answered("c1")],
        [
            ("user", [text("Hello")]),
            ("assistant", [tool_use("c1")]),
            ("user", [tool_result("c1"), text("Hello")]),
        ],
        [],
        [],
    ),
    (
        "results of parallel calls are one turn",
        [
            HELLO,
            said(
                "assistant", ToolCall("c1", "look_up", {"city": "Paris"}), ToolCall("c2", "look_up", {"city": "Paris"})
            ),
            answered("c2"),
            answered("c1"),
        ],
        [
            ("user", [text("Hello")]),
            ("assistant", [tool_use("c1"), tool_use("c2")]),
            ("user", [tool_result("c2"), tool_result("c1")]),
        ],
        [],
        [],
    ),
    (
        "calls without ids get some",
        [HELLO, asked(None), answered(None, "look_up")],
        [("user", [text("Hello")]), ("assistant", [tool_use("call_1")]), ("user", [tool_result("call_1")])],
        [],
        [],
    ),
    (
        "ids are made fit and unique",
        [HELLO, asked("a:1"), answered("a:1"), asked("a:1"), answered("a:1")],
        [
            ("user", [text("Hello")]),
            ("assistant", [tool_use("a_1")]),
            ("user", [tool_result("a_1")]),
            ("assistant", [tool_use("a_1_2")]),
            ("user", [tool_result("a_1_2")]),
        ],
        [],
        [],
    ),
    (
        "empty texts and messages go",
        [HELLO, said("assistant", Text("")), said("assistant"), said("user", Text(" \n"), Text("b"))],
        [("user", [text("Hello"), text("b")])],
        [],
        ["dropped messages[1].parts[0]", "dropped messages[2]", "dropped messages[3].parts[0]"],
    ),
    (
        "a prefill loses its white space",
        [HELLO, said("assistant", Text("I think \n"))],
        [("user", [text("Hello")]), ("assistant", [text("I think")])],
        [],
        ["changed messages[1]"],
    ),
    (
        "a conversation may begin with the assistant",
        [said("assistant", Text("a"))],
        [("assistant", [text("a")])],
        [],
        [],
    ),
    (
        "names go",
        [Message("user", (Text("a"),), name="bob")],
        [("user", [text("a")])],
        [],
        ["dropped messages[0].name"],
    ),
]


@pytest.mark.parametrize(
    ("messages", "turns", "system", "noted"), [row[1:] for row in TURNS], ids=[row[0] for row in TURNS]
)
def test_turns(messages: list[Message], turns: list[Any], system: list[Any], noted: list[str]) -> None:
    rendered = render(messages=tuple(messages), tools=(LOOK_UP,))
    assert [(message["role"], message["content"]) for message in rendered.value["messages"]] == turns
    assert rendered.value.get("system", []) == system
    assert notes(rendered) == noted


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (["user", "system"], ["user", "system"]),
        (["user", "system", "assistant", "user"], ["user", "system", "assistant", "user"]),
        (["user", "assistant", "system", "user"], ["user", "assistant", "user", "system"]),
        (["user", "system", "user", "assistant"], ["user", "system", "assistant"]),
        (["system", "user"], ["user"]),
    ],
)
def test_an_instruction_stays_where_the_model_takes_it(roles: list[Role], expected: list[str]) -> None:
    messages = tuple(said(role, Text(f"{number}")) for number, role in enumerate(roles))
    rendered = render(Profile(system_turns=True), messages=messages)
    assert [message["role"] for message in rendered.value["messages"]] == expected
    assert notes(rendered) == []


def test_an_instruction_behind_the_assistant_has_no_place() -> None:
    messages = (HELLO, said("assistant", Text("a")), said("system", Text("b")))
    rendered = render(Profile(system_turns=True), messages=messages)
    assert rendered.value["system"] == [text("b")]
    assert notes(rendered) == ["changed messages[2]"]


def test_repairs_are_made_only_on_request() -> None:
    messages = (asked("c1"), HELLO, answered("c9"))
    plain = render(messages=messages)
    assert [message["role"] for message in plain.value["messages"]] == ["assistant", "user"]
    repaired = render(Profile(repair_turns=True), messages=messages)
    first, second, third = repaired.value["messages"]
    assert (first["role"], second["content"]) == ("user", [tool_use("c1")])
    assert [block["type"] for block in third["content"]] == ["tool_result", "text", "text"]
    assert third["content"][0]["is_error"]
    assert [tool["name"] for tool in repaired.value["tools"]] == ["look_up"]
    assert notes(repaired) == ["added messages", "added messages", "changed messages", "added tools"]


# -- parts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "block", "noted"),
    [
        (
            Media("image", Base64("iVBORw0KGgo=")),
            {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
            [],
        ),
        (Media("image", Base64("AA"), "image/jpg"), {"type": "base64", "media_type": "image/jpeg", "data": "AA"}, []),
        (Media("file", Base64("AA"), "image/webp"), {"type": "base64", "media_type": "image/webp", "data": "AA"}, []),
        (Media("image", Base64("AA"), "image/tiff"), None, ["dropped"]),
        (Media("image", Url("https://example.com")), {"type": "url", "url": "https://example.com"}, []),
        (Media("image", Url("gs://bucket/a.png")), None, ["dropped"]),
        (Media("image", FileId("f")), {"type": "file", "file_id": "f"}, []),
        (
            Media("file", Base64("JVBERi0x")),
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
            [],
        ),
        (
            Media("file", Base64(base64.b64encode("Grüße".encode()).decode()), "text/markdown"),
            {"type": "text", "media_type": "text/plain", "data": "Grüße"},
            [],
        ),
        (Media("file", Base64("AAAA"), "application/zip"), None, ["dropped"]),
        (Media("file", Base64("gICA"), "text/plain"), None, ["dropped"]),
        (Media("video", Url("https://example.com")), None, ["dropped"]),
    ],
)
def test_media(part: Media, block: dict[str, Any] | None, noted: list[str]) -> None:
    rendered = render(messages=(said("user", Text("see"), part),))
    sources = [found["source"] for found in rendered.value["messages"][0]["content"][1:]]
    assert sources == ([] if block is None else [block])
    assert [note.kind for note in rendered.notes] == noted


def test_a_host_that_fetches_nothing_gets_no_addresses() -> None:
    part = Media("image", Url("https://example.com"))
    assert notes(render(Profile(image_urls=False), messages=(said("user", Text("see"), part),))) == [
        "dropped messages[0].parts[1]"
    ]


@pytest.mark.parametrize(
    ("thinking", "blocks", "noted"),
    [
        (
            Thinking("Hm.", signature=Signature("c2ln", "anthropic")),
            [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}],
            [],
        ),
        (
            Thinking(signature=Signature("c2ln", "anthropic"), redacted=True),
            [{"type": "redacted_thinking", "data": "c2ln"}],
            [],
        ),
        (Thinking("Hm.", signature=Signature("c2ln", "gemini")), [], ["dropped messages[1].parts[0]"]),
        (Thinking("Hm.", signature=Signature("", "anthropic")), [], ["dropped messages[1].parts[0]"]),
        (Thinking("Hm."), [], ["dropped messages[1].parts[0]"]),
    ],
)
def test_only_what_claude_signed_goes_back_to_it(thinking: Thinking, blocks: list[Any], noted: list[str]) -> None:
    rendered = render(messages=(HELLO, said("assistant", thinking, Text("Hi")), HELLO))
    assert rendered.value["messages"][1]["content"] == [*blocks, text("Hi")]
    assert notes(rendered) == noted


def test_a_host_that_wants_thoughts_back_gets_them_unsigned() -> None:
    rendered = render(Profile(replay_thinking=True), messages=(HELLO, said("assistant", Thinking("Hm."), Text("Hi"))))
    assert rendered.value["messages"][1]["content"][0] == {"type": "thinking", "thinking": "Hm.", "signature": ""}


def test_results_hold_what_tools_give() -> None:
    parts = (Text(""), Json({"a": 1}), Media("image", Base64("AA"), "image/png"), Media("file", FileId("f"), name="n"))
    result = said("tool", ToolResult("c1", parts, is_error=False))
    block = render(messages=(HELLO, asked(), result)).value["messages"][2]["content"][0]
    assert block["is_error"] is False
    assert [inner["type"] for inner in block["content"]] == ["text", "image", "document"]
    assert block["content"][0] == text('{"a":1}')


def test_input_that_is_no_object_is_wrapped() -> None:
    cut = said("assistant", ToolCall("c1", "look_up", '{"city"'), ToolCall("c2", "now", ""))
    rendered = render(messages=(HELLO, cut))
    assert [block["input"] for block in rendered.value["messages"][1]["content"]] == [{"input": '{"city"'}, {}]
    assert notes(rendered) == ["changed messages[1].parts[0].arguments"]


# -- tools -------------------------------------------------------------------------------------------------------------


def test_names_are_made_fit_and_find_their_way_back() -> None:
    tools = (Tool("a.b"), Tool("a_b"), Tool("x" * 200), Tool("grüße"), Tool(""))
    history = (HELLO, asked(name="a.b"), answered())
    rendered = render(tools=tools, messages=history, tool_choice=ToolChoice("tool", "a.b"))
    names = [tool["name"] for tool in rendered.value["tools"]]
    assert names == ["a_b_2", "a_b", "x" * 128, "gr__e", "_"]
    assert rendered.value["tool_choice"] == {"type": "tool", "name": "a_b_2"}
    assert rendered.value["messages"][1]["content"][0]["name"] == "a_b_2"
    assert rendered.memo.tool_names == {"a_b_2": "a.b", "x" * 128: "x" * 200, "gr__e": "grüße", "_": ""}
    assert notes(rendered) == []


def test_tools_take_an_object() -> None:
    tools = (
        Tool("none"),
        Tool("open", parameters={"properties": {}}),
        Tool("free", "custom", format={"type": "grammar"}),
    )
    rendered = render(tools=tools)
    assert [tool["input_schema"]["type"] for tool in rendered.value["tools"]] == ["object"] * 3
    assert rendered.value["tools"][2]["input_schema"]["required"] == ["input"]
    assert rendered.memo.custom_tools == {"free"}
    assert notes(rendered) == ["dropped tools[2].format"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("web_search", "web_search_20250305"),
        ("code_execution", "code_execution_20250825"),
        ("text_editor", "text_editor_20250728"),
        ("file_search", None),
        ("computer", None),
    ],
)
def test_tools_that_a_provider_runs(name: str, kind: str | None) -> None:
    rendered = render(tools=(Tool(name, "server"), LOOK_UP))
    assert [tool.get("type") for tool in rendered.value["tools"]] == ([kind, None] if kind else [None])
    assert notes(rendered) == ([] if kind else ["dropped tools[0]"])


@pytest.mark.parametrize("settings", [{"name": "web_search", "max_uses": 3}, {"max_uses": 3}])
def test_a_tool_of_anthropic_is_that_whoever_carries_it(settings: dict[str, Any]) -> None:
    rendered = render(tools=(Tool("web_search_20250305", "server", cache=Cache(), extras=settings),))
    found = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    assert rendered.value["tools"] == [{**found, "cache_control": {"type": "ephemeral"}}]
    assert notes(rendered) == []
    assert settings == {**settings}


@pytest.mark.parametrize(
    ("fields", "choice", "noted"),
    [
        ({"tool_choice": ToolChoice("auto")}, {"type": "auto"}, []),
        ({"tool_choice": ToolChoice("required")}, {"type": "any"}, []),
        ({"tool_choice": ToolChoice("none")}, {"type": "none"}, []),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}, []),
        ({"parallel_tool_calls": True}, None, []),
        (
            {"tool_choice": ToolChoice("required"), "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
            [],
        ),
        ({"tool_choice": ToolChoice("none"), "parallel_tool_calls": False}, {"type": "none"}, []),
        (
            {"tool_choice": ToolChoice("allowed", names=("look_up",), allowed_mode="required")},
            {"type": "any"},
            ["changed tool_choice"],
        ),
    ],
)
def test_tool_choice(fields: dict[str, Any], choice: Any, noted: list[str]) -> None:
    rendered = render(tools=(LOOK_UP,), **fields)
    assert rendered.value.get("tool_choice") == choice
    assert notes(rendered) == noted


def test_a_choice_among_no_tools_is_noted() -> None:
    rendered = render(tool_choice=ToolChoice("required"), parallel_tool_calls=False)
    assert "tool_choice" not in rendered.value
    assert notes(rendered) == ["dropped tool_choice"]


def test_tools_that_are_not_allowed_are_left_out() -> None:
    choice = ToolChoice("allowed", names=("look_up",), allowed_mode="auto")
    assert [tool["name"] for tool in render(tools=(LOOK_UP, Tool("b")), tool_choice=choice).value["tools"]] == [
        "look_up"
    ]


# -- structured output -------------------------------------------------------------------------------------------------

STRICT = {**SCHEMA, "additionalProperties": False}


def test_a_schema_is_enforced_natively() -> None:
    wanted = ResponseFormat("json_schema", SCHEMA, "answer", "The city")
    rendered = render(response_format=wanted)
    schema = {**STRICT, "description": "The city"}
    assert rendered.value["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert notes(rendered) == []
    assert "additionalProperties" not in SCHEMA


def test_keywords_that_are_refused_are_told() -> None:
    inner = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "additionalProperties": True}
    schema = {"type": "object", "properties": {"minimum": {"anyOf": [inner, {"type": "string", "maxLength": 3}]}}}
    rendered = render(response_format=ResponseFormat("json_schema", schema))
    found = rendered.value["output_config"]["format"]["schema"]["properties"]["minimum"]["anyOf"]
    assert found[0]["properties"]["n"] == {"type": "integer", "description": "(minimum: 1)"}
    assert found[0]["additionalProperties"] is False
    assert [note.detail for note in rendered.notes] == [
        "only told to the model, not enforced: additionalProperties, maxLength, minimum"
    ]


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, {"type": "tool", "name": "json_response"}),
        ({"tools": (LOOK_UP,)}, {"type": "any"}),
        ({"tools": (LOOK_UP,), "tool_choice": ToolChoice("none")}, {"type": "tool", "name": "json_response"}),
    ],
)
def test_a_tool_stands_in_for_a_format(fields: dict[str, Any], choice: Any) -> None:
    wanted = ResponseFormat("json_schema", SCHEMA)
    rendered = render(Profile(structured_output="tool"), response_format=wanted, **fields)
    assert rendered.value["tools"][-1]["input_schema"] == SCHEMA
    assert rendered.value["tool_choice"] == choice
    assert rendered.memo.json_tool == "json_response"


def test_any_json_takes_the_tool_too() -> None:
    rendered = render(response_format=ResponseFormat("json_object"))
    assert rendered.memo.json_tool == "json_response"
    assert notes(rendered) == []


def test_where_a_tool_must_be_called_no_other_stands_in() -> None:
    fields: dict[str, Any] = {"tools": (LOOK_UP,), "tool_choice": ToolChoice("required")}
    rendered = render(Profile(structured_output="tool"), response_format=ResponseFormat("json_object"), **fields)
    assert rendered.memo.json_tool is None
    assert notes(rendered) == ["dropped response_format"]


def test_a_format_can_be_asked_for_in_words() -> None:
    array = {"type": "array", "items": SCHEMA}
    for profile in (Profile(structured_output="prompt"), Profile(structured_output="tool")):
        rendered = render(profile, response_format=ResponseFormat("json_schema", array))
        assert '"type":"array"' in rendered.value["system"][0]["text"]
        assert notes(rendered) == ["weakened response_format"]


# -- thinking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effort", "budget"),
    [("minimal", 1024), ("low", 1024), ("medium", 2048), ("high", 4096), ("xhigh", 8192), ("max", 16384)],
)
def test_an_effort_is_a_budget(effort: str, budget: int) -> None:
    rendered = render(reasoning=Reasoning(effort), max_tokens=None)
    assert rendered.value["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert rendered.value["max_tokens"] > budget
    assert notes(rendered) == ["added max_tokens"]


@pytest.mark.parametrize(
    ("wanted", "thinking", "noted"),
    [
        (Reasoning("none"), {"type": "disabled"}, []),
        (Reasoning(enabled=False), {"type": "disabled"}, []),
        (Reasoning(budget_tokens=0), {"type": "disabled"}, []),
        (Reasoning(budget_tokens=-1), {"type": "enabled", "budget_tokens": 2048}, []),
        (Reasoning(enabled=True), {"type": "enabled", "budget_tokens": 2048}, []),
        (Reasoning(adaptive=True), {"type": "enabled", "budget_tokens": 2048}, []),
        (Reasoning(budget_tokens=3000), {"type": "enabled", "budget_tokens": 3000}, []),
        (
            Reasoning(budget_tokens=100),
            {"type": "enabled", "budget_tokens": 1024},
            ["changed reasoning.budget_tokens"],
        ),
        (Reasoning("max"), {"type": "enabled", "budget_tokens": 7999}, ["weakened reasoning"]),
        (Reasoning("default"), None, []),
        (Reasoning("odd"), {"type": "enabled", "budget_tokens": 2048}, ["changed reasoning.effort"]),
        (
            Reasoning("low", include=False),
            {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
            [],
        ),
        (
            Reasoning("low", summary="detailed"),
            {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
            ["changed reasoning.summary"],
        ),
        (Reasoning(summary="auto"), None, ["dropped reasoning"]),
    ],
)
def test_reasoning_by_budget(wanted: Reasoning, thinking: Any, noted: list[str]) -> None:
    rendered = render(reasoning=wanted)
    assert rendered.value.get("thinking") == thinking
    assert notes(rendered) == noted


@pytest.mark.parametrize(
    ("wanted", "thinking", "effort", "noted"),
    [
        (Reasoning("high"), {"type": "adaptive"}, "high", []),
        (Reasoning("minimal"), {"type": "adaptive"}, "low", ["changed reasoning.effort"]),
        (Reasoning("none"), {"type": "disabled"}, None, []),
        (Reasoning(enabled=True), {"type": "adaptive"}, None, []),
        (Reasoning(budget_tokens=3000), {"type": "adaptive"}, "high", ["weakened reasoning.budget_tokens"]),
        (Reasoning("low", include=True), {"type": "adaptive", "display": "summarized"}, "low", []),
    ],
)
def test_reasoning_by_effort(wanted: Reasoning, thinking: Any, effort: str | None, noted: list[str]) -> None:
    rendered = render(ADAPTIVE, reasoning=wanted)
    assert rendered.value["thinking"] == thinking
    assert rendered.value.get("output_config", {}).get("effort") == effort
    assert notes(rendered) == noted


def test_a_model_may_know_fewer_efforts() -> None:
    profile = Profile(reasoning="effort", reasoning_efforts=("low", "medium", "high"))
    rendered = render(profile, reasoning=Reasoning("max"))
    assert rendered.value["output_config"] == {"effort": "high"}
    assert "thinking" not in rendered.value


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 1024},
        {"tools": (LOOK_UP,), "tool_choice": ToolChoice("required")},
        {"response_format": ResponseFormat("json_object")},
        {"messages": (HELLO, asked(), answered())},
        {"messages": (HELLO, said("assistant", Text("I")))},
    ],
)
def test_thinking_gives_way(fields: dict[str, Any]) -> None:
    rendered = render(reasoning=Reasoning("low"), **fields)
    assert "thinking" not in rendered.value
    assert notes(rendered) == ["dropped reasoning"]


def test_an_adaptive_model_does_not_think_beside_a_forced_tool() -> None:
    """The API refuses the two together; an effort it takes."""
    rendered = render(ADAPTIVE, reasoning=Reasoning("low"), tools=(LOOK_UP,), tool_choice=ToolChoice("required"))
    assert "thinking" not in rendered.value
    assert (rendered.value["output_config"], rendered.value["tool_choice"]) == ({"effort": "low"}, {"type": "any"})
    assert notes(rendered) == ["weakened reasoning"]


def test_a_turn_with_its_thoughts_goes_on_thinking() -> None:
    thought = Thinking("Hm.", signature=Signature("c2ln", "anthropic"))
    turn = said("assistant", thought, ToolCall("c1", "look_up", {}))
    rendered = render(reasoning=Reasoning("low"), messages=(HELLO, turn, answered()))
    assert rendered.value["thinking"]["type"] == "enabled"
    assert notes(rendered) == []


@pytest.mark.parametrize(
    ("profile", "fields", "kept", "noted"),
    [
        (DEFAULT_PROFILE, {"temperature": 1.5}, {"temperature": 1}, ["changed temperature"]),
        (
            DEFAULT_PROFILE,
            {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
            {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
            [],
        ),
        (Profile(exclusive_sampling=True), {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["dropped top_p"]),
        (Profile(exclusive_sampling=True), {"top_p": 0.9}, {"top_p": 0.9}, []),
        (
            DEFAULT_PROFILE,
            {"reasoning": Reasoning("low"), "temperature": 0.5, "top_p": 0.5, "top_k": 3},
            {},
            ["dropped temperature", "dropped top_p", "dropped top_k"],
        ),
        (
            DEFAULT_PROFILE,
            {"reasoning": Reasoning("low"), "temperature": 1, "top_p": 0.96},
            {"temperature": 1, "top_p": 0.96},
            [],
        ),
        (DEFAULT_PROFILE, {"reasoning": Reasoning("none"), "temperature": 0.5}, {"temperature": 0.5}, []),
    ],
)
def test_sampling(profile: Profile, fields: dict[str, Any], kept: dict[str, Any], noted: list[str]) -> None:
    rendered = render(profile, **fields)
    assert {key: rendered.value[key] for key in ("temperature", "top_p", "top_k") if key in rendered.value} == kept
    assert notes(rendered) == noted


# -- the rest ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "limit"),
    [(DEFAULT_PROFILE, 4096), (Profile(default_max_tokens=100), 100), (Profile(max_output_tokens=50), 50)],
)
def test_a_limit_is_added(profile: Profile, limit: int) -> None:
    rendered = render(profile, max_tokens=None)
    assert rendered.value["max_tokens"] == limit
    assert notes(rendered) == ["added max_tokens"]
    assert rendered.require_lossless()


@pytest.mark.parametrize(
    ("fields", "user", "noted"),
    [
        ({"user": "u-1"}, "u-1", []),
        ({"user": "bob@example.com"}, None, ["dropped user"]),
        ({"user": "+49 170 1234567"}, None, ["dropped user"]),
        ({"safety_identifier": "s"}, "s", []),
        ({"user": "u", "safety_identifier": "s"}, "u", ["dropped safety_identifier"]),
        ({"user": "u", "safety_identifier": "u"}, "u", []),
        ({"metadata": {"user_id": "m", "team": "blue"}}, "m", ["dropped metadata"]),
    ],
)
def test_who_asks(fields: dict[str, Any], user: str | None, noted: list[str]) -> None:
    rendered = render(**fields)
    assert rendered.value.get("metadata", {}).get("user_id") == user
    assert notes(rendered) == noted


@pytest.mark.parametrize(
    ("tier", "word", "noted"),
    [
        ("auto", "auto", []),
        ("default", "standard_only", []),
        ("priority", "auto", ["changed service_tier"]),
        ("flex", None, ["dropped service_tier"]),
    ],
)
def test_service_tier(tier: str, word: str | None, noted: list[str]) -> None:
    rendered = render(service_tier=tier)
    assert rendered.value.get("service_tier") == word
    assert notes(rendered) == noted


def test_stop_sequences() -> None:
    assert render(stop="END").value["stop_sequences"] == ["END"]
    rendered = render(stop=("\n", "END"))
    assert rendered.value["stop_sequences"] == ["END"]
    assert notes(rendered) == ["dropped stop"]


def test_what_asks_for_nothing_is_no_loss() -> None:
    quiet: dict[str, Any] = {
        "n": 1,
        "logprobs": False,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logit_bias": {},
        "store": False,
        "modalities": ("text",),
        "stream_usage": True,
        "response_format": ResponseFormat("text"),
    }
    assert notes(render(**quiet)) == []


def test_cache_markers_are_limited_to_the_first_and_the_last() -> None:
    system = (Text("s", cache=Cache("1h")),)
    messages = tuple(said("user", Text(f"{number}", cache=Cache())) for number in range(5))
    rendered = render(system=system, messages=messages, tools=(Tool("t", cache=Cache()),))
    blocks = rendered.value["messages"][0]["content"]
    assert "cache_control" in rendered.value["tools"][0]
    assert "cache_control" not in rendered.value["system"][0]
    assert ["cache_control" in block for block in blocks] == [False, False, True, True, True]
    assert notes(rendered) == ["dropped system[0].cache"] + [f"dropped messages[{n}].parts[0].cache" for n in (0, 1)]


def test_a_marker_on_the_request_takes_a_place() -> None:
    messages = tuple(said("user", Text(f"{number}", cache=Cache())) for number in range(4))
    rendered = render(messages=messages, cache=Cache())
    assert rendered.value["cache_control"] == {"type": "ephemeral"}
    assert notes(rendered) == ["dropped messages[1].parts[0].cache"]


def test_markers_of_other_dialects() -> None:
    messages = (
        Message("user", (Text("a"), Text("b")), cache=Cache()),
        said("assistant", Text("c", cache=Cache("24h", "default"))),
    )
    rendered = render(messages=messages)
    assert rendered.value["messages"][0]["content"][1]["cache_control"] == {"type": "ephemeral"}
    assert rendered.value["messages"][1]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert notes(rendered) == ["dropped messages[1].parts[0].cache.ttl"]


def test_the_request_and_its_schemas_stay_as_they_are() -> None:
    schema = {"properties": {"n": {"minimum": 1}}}
    tool = Tool("t", parameters=schema, cache=Cache())
    request = foreign_request(tools=(tool,), response_format=ResponseFormat("json_schema", schema))
    DIALECT.render_request(request, DEFAULT_PROFILE)
    assert schema == {"properties": {"n": {"minimum": 1}}}


def test_hosts_without_tools_or_schemas() -> None:
    rendered = render(Profile(tools=False, strict_tools=False), tools=(Tool("t", strict=True),))
    assert notes(rendered) == ["dropped tools"]
    rendered = render(Profile(strict_tools=False), tools=(Tool("t", strict=True), Tool("u", strict=False)))
    assert notes(rendered) == ["dropped tools[0].strict"]
