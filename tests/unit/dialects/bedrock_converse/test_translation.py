"""Other dialects' requests and answers in the terms of Converse: what is said, what changes, what is noted."""

import re
from base64 import b64encode
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.dialects.bedrock_converse import DIALECT
from penstock.dialects.dialect import Context, PathMatch
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
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.errors import LossError
from penstock.types.notes import NO_MEMO, Rendered
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Choice, Response
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.contract.dialects import PIXEL, SCHEMA, foreign_request

ASK = Message("user", (Text("Weather?"),))
CALL = ToolCall("call_1", "look_up", {"city": "Paris"})
TOOL = Tool("look_up", description="Look", parameters=SCHEMA)


def render(profile: Profile = DEFAULT_PROFILE, **fields: Any) -> Rendered[dict[str, Any]]:
    return DIALECT.render_request(foreign_request(**fields), profile)


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
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        stop="END",
        stream=True,
    )
    assert rendered.require_lossless() == {
        "messages": [
            {"role": "user", "content": [{"text": "Weather?"}]},
            {"role": "assistant", "content": [{"text": "Sunny."}]},
            {"role": "user", "content": [{"text": "Thanks."}]},
        ],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
    }
    assert rendered.notes == ()


def test_instructions_stand_in_front() -> None:
    rendered = render(
        messages=(
            Message("system", (Text("A"),)),
            Message("developer", (Text("B"),)),
            ASK,
            Message("system", (Text("C"),)),
        )
    )
    assert rendered.value["system"] == [{"text": "A"}, {"text": "B"}, {"text": "C"}]
    assert noted(rendered) == [("messages[3]", "changed")]


def test_a_model_that_takes_instructions_between_the_turns_gets_them_there() -> None:
    messages = said(ASK, Message("system", (Text("C"),)), profile=Profile(system_turns=True))
    assert messages[-1] == {"role": "system", "content": [{"text": "C"}]}


def test_neighbours_of_one_role_are_one_turn_and_results_open_it() -> None:
    messages = said(
        ASK,
        Message("assistant", (Text("I look."), CALL)),
        Message("assistant", (ToolCall("call_2", "look_up", '{"city":"Oslo"}'),)),
        Message("tool", (ToolResult("call_1", (Text("sun"),)),)),
        Message("user", (Text("Well?"),)),
        Message("tool", (ToolResult("call_2", (Json({"sky": "rain"}), Json([1])), is_error=False),)),
    )
    assert messages[1:] == [
        {
            "role": "assistant",
            "content": [
                {"text": "I look."},
                {"toolUse": {"toolUseId": "call_1", "name": "look_up", "input": {"city": "Paris"}}},
                {"toolUse": {"toolUseId": "call_2", "name": "look_up", "input": {"city": "Oslo"}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "call_1", "content": [{"text": "sun"}]}},
                {
                    "toolResult": {
                        "toolUseId": "call_2",
                        "content": [{"json": {"sky": "rain"}}, {"text": "[1]"}],
                        "status": "success",
                    }
                },
                {"text": "Well?"},
            ],
        },
    ]


def test_blank_texts_are_left_out() -> None:
    rendered = render(messages=(Message("user", (Text(""), Text(" \n"), Text("Hi"))), Message("assistant", ())))
    assert rendered.value["messages"] == [{"role": "user", "content": [{"text": "Hi"}]}]
    assert noted(rendered) == [("messages[0].parts[1]", "dropped"), ("messages[1]", "dropped")]


def test_a_prefill_ends_without_white_space() -> None:
    rendered = render(messages=(ASK, Message("assistant", (Text("The answer is \n"),))))
    assert rendered.value["messages"][-1]["content"] == [{"text": "The answer is"}]
    assert noted(rendered) == [("messages[1]", "changed")]


def test_repairs_are_made_on_request_only() -> None:
    """LiteLLM's `modify_params`: without it, Bedrock's own refusal tells the caller."""
    messages = (Message("assistant", (CALL,)), ASK, Message("tool", (ToolResult("lost", (Json({"a": 1}),)),)))
    left = render(messages=messages)
    assert [message["role"] for message in left.value["messages"]] == ["assistant", "user"]
    repaired = render(Profile(repair_turns=True), messages=messages)
    assert repaired.value["messages"] == [
        {"role": "user", "content": [{"text": "."}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "call_1", "name": "look_up", "input": {"city": "Paris"}}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "call_1",
                        "content": [{"text": "This call was not answered."}],
                        "status": "error",
                    }
                },
                {"text": "Weather?"},
                {"text": '{"a":1}'},
            ],
        },
    ]
    assert {kind for path, kind in noted(repaired) if path == "messages"} == {"added", "changed"}


# -- tools -------------------------------------------------------------------------------------------------------------


def test_tools() -> None:
    tools = (
        replace(TOOL, strict=True, cache=Cache("5m")),
        Tool("bare"),
        Tool("typeless", parameters={"properties": {}}),
    )
    rendered = render(tools=tools, tool_choice=ToolChoice("required"))
    assert rendered.notes == ()
    empty = {"inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert rendered.value["toolConfig"] == {
        "tools": [
            {"toolSpec": {"name": "look_up", "description": "Look", "inputSchema": {"json": SCHEMA}, "strict": True}},
            {"cachePoint": {"type": "default", "ttl": "5m"}},
            {"toolSpec": {"name": "bare", **empty}},
            {"toolSpec": {"name": "typeless", **empty}},
        ],
        "toolChoice": {"any": {}},
    }


NAMES = ["put.down", "put_down", "put:down", "x" * 70, "größe", "", "ok-1"]


def test_tool_names_fit_the_alphabet_stay_apart_and_come_back() -> None:
    calls = tuple(ToolCall(f"c{number}", name, {}) for number, name in enumerate(NAMES))
    rendered = render(
        tools=tuple(Tool(name) for name in NAMES),
        messages=(ASK, Message("assistant", calls)),
        tool_choice=ToolChoice("tool", "put.down"),
    )
    written = [tool["toolSpec"]["name"] for tool in rendered.value["toolConfig"]["tools"]]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in written)
    assert len(set(written)) == len(NAMES)
    assert (written[1], written[6]) == ("put_down", "ok-1"), "a name that fits is left alone"
    assert [block["toolUse"]["name"] for block in rendered.value["messages"][1]["content"]] == written
    assert rendered.value["toolConfig"]["toolChoice"] == {"tool": {"name": written[0]}}
    back = rendered.memo.tool_names or {}
    assert [back.get(name, name) for name in written] == NAMES
    assert ("tools[0].name", "changed") in noted(rendered)


def test_ids_fit_the_alphabet_on_both_sides() -> None:
    wanted = "call|1/" + "x" * 80
    messages = said(
        ASK,
        Message("assistant", (ToolCall(wanted, "look_up", {}), ToolCall("call|1", "look_up", {}))),
        Message("tool", (ToolResult(wanted, (Text("a"),)), ToolResult("call|1", (Text("b"),)))),
    )
    asked = [block["toolUse"]["toolUseId"] for block in messages[1]["content"]]
    answered = [block["toolResult"]["toolUseId"] for block in messages[2]["content"]]
    assert asked == answered
    assert all(re.fullmatch(r"[a-zA-Z0-9_.:-]{1,64}", call_id) for call_id in asked)
    assert len(set(asked)) == 2


def test_calls_without_ids_get_some() -> None:
    messages = said(
        ASK,
        Message("assistant", (ToolCall(None, "a", {}), ToolCall(None, "b", {}))),
        Message("tool", (ToolResult(None, (Text("B"),), "b"), ToolResult(None, (Text("A"),), "a"))),
    )
    a, b = (block["toolUse"]["toolUseId"] for block in messages[1]["content"])
    assert [block["toolResult"]["toolUseId"] for block in messages[2]["content"]] == [b, a]


def test_a_history_with_calls_needs_a_tool_config() -> None:
    rendered = render(
        messages=(ASK, Message("assistant", (CALL,)), Message("tool", (ToolResult("call_1", (Text("x"),)),)))
    )
    assert rendered.value["toolConfig"] == {
        "tools": [{"toolSpec": {"name": "look_up", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]
    }
    assert noted(rendered) == [("tools", "added")]
    assert rendered.require_lossless()


def test_no_tools_means_no_declarations() -> None:
    """Converse has no "none": the tools are left out, but for those that the history calls."""
    alone = render(tools=(TOOL, Tool("other")), tool_choice=ToolChoice("none"))
    assert "toolConfig" not in alone.value
    assert noted(alone) == [("tool_choice", "changed")]
    history = (ASK, Message("assistant", (CALL,)), Message("tool", (ToolResult("call_1", (Text("x"),)),)))
    called = render(tools=(TOOL, Tool("other")), tool_choice=ToolChoice("none"), messages=history)
    assert [tool["toolSpec"]["name"] for tool in called.value["toolConfig"]["tools"]] == ["look_up"]
    assert noted(called) == [("tool_choice", "changed"), ("tool_choice", "weakened")]


def test_a_choice_among_some_tools_leaves_the_others_out() -> None:
    choice = ToolChoice("allowed", names=("look_up",), allowed_mode="required")
    rendered = render(tools=(TOOL, Tool("other")), tool_choice=choice)
    assert [tool["toolSpec"]["name"] for tool in rendered.value["toolConfig"]["tools"]] == ["look_up"]
    assert rendered.value["toolConfig"]["toolChoice"] == {"any": {}}


def test_a_choice_of_a_tool_that_is_not_there_is_noted() -> None:
    rendered = render(tools=(TOOL,), tool_choice=ToolChoice("tool", "other"))
    assert "toolChoice" not in rendered.value["toolConfig"]
    assert noted(rendered) == [("tool_choice", "dropped")]


def test_strict_goes_only_to_models_that_enforce_it() -> None:
    tools = (replace(TOOL, strict=True), Tool("loose", strict=False))
    rendered = render(Profile(strict_tools=False), tools=tools)
    assert all("strict" not in tool["toolSpec"] for tool in rendered.value["toolConfig"]["tools"])
    assert noted(rendered) == [("tools[0].strict", "dropped")]


def test_server_tools_by_their_generic_names() -> None:
    tools = (Tool("web_search", "server", native="web_search_20250305"), Tool("file_search", "server"))
    rendered = render(tools=tools)
    assert rendered.value["toolConfig"]["tools"] == [{"systemTool": {"name": "nova_grounding"}}]
    assert noted(rendered) == [("tools[1]", "dropped")]


def test_free_form_tools_take_one_string() -> None:
    rendered = render(
        tools=(Tool("write", "custom", format={"type": "grammar", "syntax": "lark"}),),
        messages=(ASK, Message("assistant", (ToolCall("c", "write", "free words", custom=True),))),
    )
    schema = rendered.value["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]
    assert schema["properties"] == {"input": {"type": "string"}}
    assert rendered.value["messages"][1]["content"][0]["toolUse"]["input"] == {"input": "free words"}
    assert rendered.memo.custom_tools == {"write"}
    assert noted(rendered) == [("tools[0].format", "dropped")]


@pytest.mark.parametrize(("arguments", "written"), [("", {}), (" ", {}), ('{"a":1}', {"a": 1})])
def test_arguments_become_an_object(arguments: str, written: dict[str, Any]) -> None:
    messages = said(ASK, Message("assistant", (ToolCall("c", "look_up", arguments),)))
    assert messages[1]["content"][0]["toolUse"]["input"] == written


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", '"x"', "nonsense"])
def test_arguments_that_are_no_object_stand_in_one(arguments: str) -> None:
    rendered = render(messages=(ASK, Message("assistant", (ToolCall("c", "look_up", arguments),))))
    block = rendered.value["messages"][1]["content"][0]
    assert block["toolUse"]["input"] == {"input": arguments}
    assert ("messages[1].parts[0].arguments", "changed") in noted(rendered)


def test_an_error_has_words() -> None:
    messages = said(
        ASK, Message("assistant", (CALL,)), Message("tool", (ToolResult("call_1", (Text(""),), is_error=True),))
    )
    result = messages[2]["content"][0]["toolResult"]
    assert result["status"] == "error"
    assert result["content"][0]["text"]


def test_a_model_without_tools_is_told_in_words() -> None:
    history = (ASK, Message("assistant", (CALL,)), Message("tool", (ToolResult("call_1", (Text("sun"),)),)))
    rendered = render(Profile(tools=False), messages=history, tools=(TOOL,), tool_choice=ToolChoice("required"))
    assert "toolConfig" not in rendered.value
    assert rendered.value["messages"][1]["content"] == [{"text": 'Called the tool look_up with {"city":"Paris"}'}]
    assert rendered.value["messages"][2]["content"] == [{"text": "sun"}]
    assert {("tools", "dropped"), ("tool_choice", "dropped")} <= set(noted(rendered))


# -- media -------------------------------------------------------------------------------------------------------------


def media(*parts: Media, role: Any = "user") -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    rendered = render(messages=(Message(role, (Text("See"), *parts)),))
    return rendered.value["messages"][0]["content"][1:], noted(rendered)


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Media("image", Base64(PIXEL), "image/png"), {"image": {"format": "png", "source": {"bytes": PIXEL}}}),
        (Media("image", Base64(PIXEL), "image/jpg"), {"image": {"format": "jpeg", "source": {"bytes": PIXEL}}}),
        (Media("image", Base64(PIXEL)), {"image": {"format": "png", "source": {"bytes": PIXEL}}}),
        (Media("image", Base64(PIXEL), detail="auto"), {"image": {"format": "png", "source": {"bytes": PIXEL}}}),
        (
            Media("image", Url("s3://b/cat.webp")),
            {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://b/cat.webp"}}}},
        ),
        (
            Media("image", Url(f"data:image/gif;base64,{PIXEL}")),
            {"image": {"format": "gif", "source": {"bytes": PIXEL}}},
        ),
        (Media("audio", Base64("AA=="), "audio/x-wav"), {"audio": {"format": "wav", "source": {"bytes": "AA=="}}}),
        (Media("video", Base64("AA=="), "video/mp4"), {"video": {"format": "mp4", "source": {"bytes": "AA=="}}}),
        (Media("file", Base64(PIXEL), "image/png"), {"image": {"format": "png", "source": {"bytes": PIXEL}}}),
        (
            Media("file", Base64("JVBERi0="), "application/pdf", "Report.pdf"),
            {"document": {"format": "pdf", "name": "Report", "source": {"bytes": "JVBERi0="}}},
        ),
        (
            Media("file", Base64("AA=="), None, "Table.CSV"),
            {"document": {"format": "csv", "name": "Table", "source": {"bytes": "AA=="}}},
        ),
        (
            Media("file", PlainText("words"), name="Note"),
            {"document": {"format": "txt", "name": "Note", "source": {"text": "words"}}},
        ),
        (
            Media("file", Blocks((Text("one"), Text(" "), Text("two"))), name="Parts"),
            {"document": {"name": "Parts", "source": {"content": [{"text": "one"}, {"text": "two"}]}}},
        ),
    ],
)
def test_media_that_converse_can_carry(part: Media, block: dict[str, Any]) -> None:
    assert media(part) == ([block], [])


@pytest.mark.parametrize(
    "part",
    [
        Media("image", Url("https://example.com/a.png")),
        Media("image", FileId("file-1")),
        Media("image", None),
        Media("image", Base64("AA=="), "image/bmp"),
        Media("file", Base64("AA=="), "application/zip"),
        Media("audio", Base64("AA=="), "audio/midi"),
    ],
)
def test_media_that_it_cannot(part: Media) -> None:
    assert media(part) == ([], [("messages[0].parts[1]", "dropped")])


def test_a_text_like_document_goes_as_text() -> None:
    blocks, notes = media(Media("file", Base64("e30="), "application/json", "data.json"))
    assert blocks[0]["document"]["format"] == "txt"
    assert ("messages[0].parts[1].media_type", "changed") in notes


def test_document_names_fit_the_alphabet_and_are_unique() -> None:
    names = [
        "Q3 report: final (v2).pdf",
        "Q3  report  final (v2)",
        None,
        "",
        "Bericht über_alles.pdf",
        "x" * 300,
        "../../etc",
    ]
    blocks, notes = media(*(Media("file", Base64("JVBERi0="), "application/pdf", name) for name in names))
    written = [block["document"]["name"] for block in blocks]
    assert written[0] == "Q3 report final (v2)"
    assert len(set(written)) == len(names)
    for name in written:
        assert re.fullmatch(r"[A-Za-z0-9\-()\[\]]+( [A-Za-z0-9\-()\[\]]+)*", name), name
        assert len(name) <= 200
    assert ("messages[0].parts[1].name", "changed") in notes
    assert ("messages[0].parts[3].name", "added") in notes


def test_a_document_stands_beside_a_text() -> None:
    rendered = render(messages=(Message("user", (Media("file", Base64("JVBERi0="), "application/pdf", "A"),)),))
    assert [list(block) for block in rendered.value["messages"][0]["content"]] == [["document"], ["text"]]
    assert noted(rendered) == [("messages[0]", "added")]


def test_the_assistants_turn_holds_no_media() -> None:
    parts = (Media("audio", None, transcript="spoken"), Media("image", Base64(PIXEL), "image/png"))
    rendered = render(messages=(ASK, Message("assistant", parts)))
    assert rendered.value["messages"][1]["content"] == [{"text": "spoken"}]
    assert noted(rendered) == [("messages[1].parts[0]", "weakened"), ("messages[1].parts[1]", "dropped")]


def test_media_in_results() -> None:
    result = ToolResult(
        "call_1", (Media("image", Base64(PIXEL), "image/png"), Media("audio", Base64("AA=="), "audio/wav"))
    )
    rendered = render(messages=(ASK, Message("assistant", (CALL,)), Message("tool", (result,))), tools=(TOOL,))
    content = rendered.value["messages"][2]["content"][0]["toolResult"]["content"]
    assert content == [{"image": {"format": "png", "source": {"bytes": PIXEL}}}]
    assert noted(rendered) == [("messages[2].parts[0].parts[1]", "dropped")]


# -- cache, reasoning, citations ---------------------------------------------------------------------------------------

POINT = {"cachePoint": {"type": "default"}}


def test_cache_markers_become_cache_points() -> None:
    messages = said(
        Message("user", (Text("a", cache=Cache("1h")), Text("b"), Text("", cache=Cache()))),
        Message("assistant", (CALL,), cache=Cache()),
        Message("tool", (ToolResult("call_1", (Text("x", cache=Cache()),)),)),
    )
    assert messages[0]["content"] == [
        {"text": "a"},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "b"},
        POINT,
    ]
    assert messages[1]["content"][-1] == POINT
    assert messages[2]["content"] == [{"toolResult": {"toolUseId": "call_1", "content": [{"text": "x"}]}}, POINT]


def test_a_marker_on_the_request_is_one_on_its_last_block() -> None:
    rendered = render(cache=Cache())
    assert rendered.value["messages"][-1]["content"] == [{"text": "Hello"}, POINT]


def test_of_too_many_markers_the_first_and_the_last_three_stay() -> None:
    marked = tuple(Text(str(number), cache=Cache()) for number in range(5))
    rendered = render(system=(Text("s", cache=Cache()),), messages=(Message("user", marked),), tools=(TOOL,))
    assert rendered.value["system"] == [{"text": "s"}, POINT]
    content = rendered.value["messages"][0]["content"]
    assert content == [{"text": "0"}, {"text": "1"}, *(block for n in "234" for block in ({"text": n}, POINT))]
    assert noted(rendered) == [("cache", "dropped")]


def test_an_unknown_lifetime_is_noted() -> None:
    rendered = render(system=(Text("s", cache=Cache("24h")),))
    assert rendered.value["system"] == [{"text": "s"}, POINT]
    assert noted(rendered) == [("system[0].cache.ttl", "dropped")]


CLAUDE, GEMINI = Signature("c2ln", "anthropic"), Signature("c2ln", "gemini")


def thoughts(profile: Profile, *parts: Part) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    rendered = render(profile, messages=(ASK, Message("assistant", (*parts, Text("Hi"))), ASK))
    return rendered.value["messages"][1]["content"][:-1], noted(rendered)


def test_reasoning_goes_back_to_who_signed_it() -> None:
    signed = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
    withheld = {"reasoningContent": {"redactedContent": "YzJsbg=="}}
    parts = (Thinking("Hm.", signature=CLAUDE), Thinking(signature=CLAUDE, redacted=True))
    assert thoughts(Profile(signature_origin="anthropic"), *parts) == ([signed, withheld], [])
    assert thoughts(DEFAULT_PROFILE, *parts) == ([signed, withheld], []), "Claude is the default"


def test_reasoning_of_others_is_dropped_or_goes_unsigned() -> None:
    parts = (Thinking("Hm.", signature=GEMINI), Thinking(summary=("a", "b")), Thinking(signature=GEMINI, redacted=True))
    none, notes = thoughts(DEFAULT_PROFILE, *parts)
    assert none == []
    assert notes == [(f"messages[1].parts[{number}]", "dropped") for number in range(3)]
    unsigned, notes = thoughts(Profile(replay_thinking=True, signature_origin="none"), *parts)
    assert unsigned == [
        {"reasoningContent": {"reasoningText": {"text": "Hm."}}},
        {"reasoningContent": {"reasoningText": {"text": "a\n\nb"}}},
    ]
    assert notes == [("messages[1].parts[0].signature", "dropped"), ("messages[1].parts[2]", "dropped")]


REASONING: list[tuple[Profile, Reasoning, dict[str, Any] | None]] = [
    (Profile(), Reasoning("low"), {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    (Profile(), Reasoning("minimal"), {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    (Profile(), Reasoning("max"), {"thinking": {"type": "enabled", "budget_tokens": 16384}}),
    (Profile(), Reasoning("none"), {"thinking": {"type": "disabled"}}),
    (Profile(), Reasoning(budget_tokens=5000), {"thinking": {"type": "enabled", "budget_tokens": 5000}}),
    (Profile(), Reasoning(budget_tokens=-1), {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
    (Profile(), Reasoning(enabled=False), {"thinking": {"type": "disabled"}}),
    (Profile(), Reasoning(summary="auto"), None),
    (
        Profile(),
        Reasoning("high", include=False),
        {"thinking": {"type": "enabled", "budget_tokens": 4096, "display": "omitted"}},
    ),
    (Profile(reasoning="adaptive"), Reasoning(adaptive=True, enabled=True), {"thinking": {"type": "adaptive"}}),
    (
        Profile(reasoning="adaptive"),
        Reasoning("minimal"),
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    ),
    (
        Profile(reasoning="adaptive"),
        Reasoning("max", adaptive=True, include=True),
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
    ),
    (
        Profile(reasoning="adaptive"),
        Reasoning("high", summary="auto"),
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
    ),
    (Profile(), Reasoning("low", include=True), {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    (Profile(reasoning="effort"), Reasoning("xhigh"), {"reasoning_effort": "high"}),
    (
        Profile(reasoning="effort", renames={"reasoning_effort": "reasoning_config"}),
        Reasoning(budget_tokens=1000),
        {"reasoning_config": "low"},
    ),
    (
        Profile(reasoning="level"),
        Reasoning("medium"),
        {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
    ),
    (Profile(reasoning="level"), Reasoning("none"), {"reasoningConfig": {"type": "disabled"}}),
    (Profile(reasoning="switch"), Reasoning("high"), {"thinking": {"type": "enabled"}}),
    (Profile(reasoning="enable_thinking"), Reasoning("high"), {"enable_thinking": True}),
    (Profile(reasoning="template"), Reasoning("none"), {"chat_template_kwargs": {"enable_thinking": False}}),
    (Profile(reasoning="none"), Reasoning("none"), None),
]


@pytest.mark.parametrize(("profile", "wanted", "fields"), REASONING)
def test_reasoning_is_asked_for_as_the_model_wants_it(
    profile: Profile, wanted: Reasoning, fields: dict[str, Any] | None
) -> None:
    rendered = render(profile, reasoning=wanted)
    assert rendered.value.get("additionalModelRequestFields") == fields
    assert rendered.notes == ()


def test_reasoning_that_cannot_be_asked_for_is_noted() -> None:
    assert noted(render(Profile(reasoning="none"), reasoning=Reasoning("low"))) == [("reasoning", "dropped")]
    assert noted(render(Profile(reasoning="effort"), reasoning=Reasoning("none"))) == [("reasoning", "weakened")]
    assert noted(render(max_tokens=1000, reasoning=Reasoning("low"))) == [("reasoning", "dropped")]
    short = render(max_tokens=2000, reasoning=Reasoning("high"))
    assert short.value["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1999
    assert noted(short) == [("reasoning", "changed")]


def test_claudes_thinking_restrains_other_fields() -> None:
    """Claude refuses all of these together with thinking."""
    rendered = render(reasoning=Reasoning("low"), temperature=0.2, top_p=0.5, top_k=5, tools=(TOOL,))
    assert "inferenceConfig" not in rendered.value
    assert sorted(noted(rendered)) == [("temperature", "dropped"), ("top_k", "dropped"), ("top_p", "dropped")]
    other = render(Profile(reasoning="effort"), reasoning=Reasoning("low"), temperature=0.2, top_k=5)
    assert other.value["inferenceConfig"] == {"temperature": 0.2}
    assert other.notes == ()


@pytest.mark.parametrize(
    ("profile", "additional", "kind"),
    [(Profile(), {}, "dropped"), (Profile(reasoning="adaptive"), {"output_config": {"effort": "low"}}, "weakened")],
)
def test_thinking_gives_way_to_a_forced_tool(profile: Profile, additional: dict[str, Any], kind: str) -> None:
    """As with Anthropic's own API."""
    rendered = render(profile, reasoning=Reasoning("low"), tools=(TOOL,), tool_choice=ToolChoice("required"))
    assert rendered.value["toolConfig"]["toolChoice"] == {"any": {}}
    assert rendered.value.get("additionalModelRequestFields", {}) == additional
    assert noted(rendered) == [("reasoning", kind)]


ONE_CALL = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}


@pytest.mark.parametrize("choice", [None, ToolChoice("auto")])
def test_claude_calls_tools_one_at_a_time(choice: ToolChoice | None) -> None:
    profile = Profile(parallel_tool_switch=True)
    rendered = render(profile, parallel_tool_calls=False, tools=(TOOL,), tool_choice=choice)
    assert rendered.value["additionalModelRequestFields"] == ONE_CALL
    assert "toolChoice" not in rendered.value["toolConfig"]
    assert rendered.notes == ()
    again = DIALECT.parse_request(rendered.value, PathMatch())
    assert again.parallel_tool_calls is False
    contract.assert_request_exact(DIALECT, rendered.value)


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("tool", TOOL.name)])
def test_but_bedrock_refuses_two_choices_of_tools(choice: ToolChoice) -> None:
    profile = Profile(parallel_tool_switch=True)
    rendered = render(profile, parallel_tool_calls=False, tools=(TOOL,), tool_choice=choice)
    assert "additionalModelRequestFields" not in rendered.value
    assert noted(rendered) == [("parallel_tool_calls", "dropped")]
    assert noted(render(parallel_tool_calls=False, tools=(TOOL,))) == [("parallel_tool_calls", "dropped")]
    assert render(parallel_tool_calls=True, tools=(TOOL,)).notes == ()


@pytest.mark.parametrize(
    "value",
    [
        None,
        "auto",
        {},
        {"type": "any", "disable_parallel_tool_use": True},
        {"type": "auto", "disable_parallel_tool_use": 1},
    ],
)
def test_other_choices_among_the_additional_fields_stay_there(value: Any) -> None:
    wire = {"messages": [], "additionalModelRequestFields": {"tool_choice": value}}
    assert DIALECT.parse_request(wire, PathMatch()).parallel_tool_calls is None
    contract.assert_request_exact(DIALECT, wire)


def test_what_a_model_refuses_while_it_reasons() -> None:
    profile = Profile(reasoning="effort", unsupported_while_reasoning=frozenset({"top_p"}))
    assert noted(render(profile, reasoning=Reasoning("low"), top_p=0.5)) == [("top_p", "dropped")]
    assert render(profile, top_p=0.5).notes == ()
    assert ("top_p", "dropped") not in noted(render(profile, reasoning=Reasoning("none"), top_p=0.5))


def test_a_cited_text_is_cut_at_its_citations() -> None:
    text = "Paris is big. Oslo is cold. Done."
    parts = (
        Text(
            text,
            (
                Citation("https://example.com/p", "P", start=0, end=13),
                Citation(title="O", file_id="file-1", start=14, end=27),
                Citation(title="D", document_index=2, cited_text="cold", start=14, end=27),
            ),
        ),
    )
    rendered = DIALECT.render_response(
        Response(dialect="contract", choices=(Choice(parts, "stop"),), usage=Usage(input_tokens=1, output_tokens=1)),
        Context(),
    )
    assert rendered.notes == ()
    content = rendered.value["output"]["message"]["content"]
    assert content == [
        {
            "citationsContent": {
                "content": [{"text": "Paris is big."}],
                "citations": [{"title": "P", "location": {"web": {"url": "https://example.com/p"}}}],
            }
        },
        {
            "citationsContent": {
                "content": [{"text": " Oslo is cold."}],
                "citations": [
                    {"title": "O", "source": "file-1"},
                    {
                        "title": "D",
                        "sourceContent": [{"text": "cold"}],
                        "location": {"documentChar": {"documentIndex": 2}},
                    },
                ],
            }
        },
        {"text": " Done."},
    ]


# -- structured output -------------------------------------------------------------------------------------------------

WANTED = ResponseFormat("json_schema", {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}, "N")


def test_a_schema_goes_natively_closed_and_without_what_is_refused() -> None:
    rendered = render(response_format=WANTED)
    definition = rendered.value["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert definition["name"] == "N"
    assert definition["schema"] == (
        '{"type":"object","properties":{"n":{"type":"integer","description":"(minimum: 1)"}},'
        '"additionalProperties":false}'
    )
    assert noted(rendered) == [("response_format.schema", "weakened")]


def test_a_forced_tool_stands_in() -> None:
    profile = Profile(structured_output="tool")
    alone = render(profile, response_format=WANTED)
    assert alone.memo.json_tool == "json_response"
    config = alone.value["toolConfig"]
    assert config["toolChoice"] == {"tool": {"name": "json_response"}}
    assert config["tools"][0]["toolSpec"]["inputSchema"]["json"] == WANTED.schema
    assert alone.notes == ()
    beside = render(profile, response_format=WANTED, tools=(Tool("json_response"),))
    assert beside.memo.json_tool == "json_response_2", "the caller's tool keeps its name"
    assert beside.value["toolConfig"]["toolChoice"] == {"any": {}}
    chosen = render(profile, response_format=WANTED, tools=(TOOL,), tool_choice=ToolChoice("tool", "look_up"))
    assert noted(chosen) == [("response_format", "dropped")]


def test_the_answer_of_the_forced_tool_is_a_text() -> None:
    rendered = render(Profile(structured_output="tool"), response_format=WANTED)
    block = {"toolUse": {"toolUseId": "t", "name": "json_response", "input": {"n": 2}}}
    wire = {"output": {"message": {"role": "assistant", "content": [block]}}, "stopReason": "tool_use"}
    choice = DIALECT.parse_response(wire, rendered.memo).choices[0]
    assert (choice.parts, choice.stop_reason) == ((Text('{"n":2}'),), "stop")


def test_any_json_takes_the_tool_and_the_prompt_is_the_last_resort() -> None:
    anything = ResponseFormat("json_object")
    assert render(response_format=anything).memo.json_tool == "json_response"
    told = render(Profile(structured_output="prompt"), response_format=anything, system=(Text("Be brief."),))
    assert len(told.value["system"]) == 2
    assert noted(told) == [("response_format", "weakened")]
    assert noted(render(Profile(structured_output="none"), response_format=WANTED)) == [("response_format", "dropped")]


# -- fields ------------------------------------------------------------------------------------------------------------


def test_top_k_and_what_else_the_model_knows_go_to_the_model() -> None:
    assert render(top_k=5).value["additionalModelRequestFields"] == {"top_k": 5}
    profile = Profile(renames={"top_k": "inferenceConfig.topK", "seed": "seed"})
    rendered = render(profile, top_k=5, seed=7)
    assert rendered.value["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}, "seed": 7}
    assert rendered.notes == ()


def test_what_says_nothing_needs_no_note() -> None:
    rendered = render(
        n=1,
        parallel_tool_calls=True,
        logprobs=False,
        presence_penalty=0.0,
        modalities=("text",),
        store=False,
        service_tier="auto",
        response_format=ResponseFormat("text"),
        logit_bias={},
    )
    assert rendered.notes == ()
    assert set(rendered.value) == {"messages"}


def test_sampling_stays_in_range() -> None:
    rendered = render(temperature=1.7)
    assert rendered.value["inferenceConfig"] == {"temperature": 1}
    assert noted(rendered) == [("temperature", "changed")]
    one = render(Profile(exclusive_sampling=True), temperature=0.5, top_p=0.5)
    assert one.value["inferenceConfig"] == {"temperature": 0.5}
    assert noted(one) == [("top_p", "dropped")]


def test_metadata_fits_the_log() -> None:
    rendered = render(metadata={"team": "blue", "count": 7, "mail": "a@b.c", "odd": "naïve!", "long": "x" * 300})
    assert rendered.value["requestMetadata"] == {"team": "blue", "count": "7", "mail": "a@b.c"}
    assert sorted(noted(rendered)) == [
        ("metadata.count", "changed"),
        ("metadata.long", "dropped"),
        ("metadata.odd", "dropped"),
    ]


@pytest.mark.parametrize(("tier", "written"), [("flex", "flex"), ("standard", "default"), ("priority", "priority")])
def test_service_tiers(tier: str, written: str) -> None:
    assert render(service_tier=tier).value["serviceTier"] == {"type": written}


def test_strict_mode_refuses_a_loss() -> None:
    with pytest.raises(LossError, match="seed"):
        render(seed=7).require_lossless()


# -- answers -----------------------------------------------------------------------------------------------------------


def tell(*parts: Part, **fields: Any) -> Rendered[dict[str, Any]]:
    fields.setdefault("usage", Usage(input_tokens=1, output_tokens=1))
    choice = Choice(parts, fields.pop("stop_reason", "stop"), fields.pop("stop_native", None))
    return DIALECT.render_response(Response(dialect="contract", choices=(choice,), **fields), Context(id="resp-1"))


def test_an_answer_of_another_dialect() -> None:
    rendered = tell(
        Thinking("Hm.", signature=CLAUDE),
        Text("I look."),
        ToolCall("call_1", "look_up", '{"city":"Paris"}'),
        stop_reason="tool_calls",
        id="msg_1",
        model="m",
        created=1,
        service_tier="standard",
        usage=Usage(
            input_tokens=30, output_tokens=5, cache_read_tokens=10, cache_write_tokens=5, cache_write_1h_tokens=5
        ),
    )
    assert rendered.notes == ()
    assert rendered.value == {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
                    {"text": "I look."},
                    {"toolUse": {"toolUseId": "call_1", "name": "look_up", "input": {"city": "Paris"}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {
            "inputTokens": 15,
            "outputTokens": 5,
            "totalTokens": 35,
            "cacheReadInputTokens": 10,
            "cacheWriteInputTokens": 5,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 5}],
        },
        "metrics": {"latencyMs": 0},
        "serviceTier": {"type": "default"},
    }


@pytest.mark.parametrize(
    ("reason", "native", "word", "kinds"),
    [
        ("stop", "stop", "end_turn", []),
        ("length", "length", "max_tokens", []),
        ("length", "model_context_window_exceeded", "model_context_window_exceeded", []),
        ("stop", "stop_sequence", "stop_sequence", []),
        ("content_filter", "SAFETY", "content_filtered", []),
        ("refusal", "refusal", "content_filtered", ["weakened"]),
        ("refusal", None, "content_filtered", ["weakened"]),
        ("error", "MALFORMED_FUNCTION_CALL", "malformed_model_output", ["weakened"]),
        (None, None, "end_turn", []),
    ],
)
def test_reasons_to_stop(reason: Any, native: str | None, word: str, kinds: list[str]) -> None:
    rendered = tell(Text("x"), stop_reason=reason, stop_native=native)
    assert rendered.value["stopReason"] == word
    assert [note.kind for note in rendered.notes] == kinds


def test_counts_must_not_be_missing() -> None:
    rendered = tell(Text("x"), usage=None)
    assert rendered.value["usage"] == {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    assert noted(rendered) == [("usage", "added")]
    lost = tell(Text("x"), usage=Usage(input_tokens=1, output_tokens=9, reasoning_tokens=5))
    assert noted(lost) == [("usage.reasoning_tokens", "dropped")]


def test_other_choices_are_noted() -> None:
    choices = (Choice((Text("a"),), "stop"), Choice((Text("b"),), "stop", index=1))
    response = Response(dialect="contract", choices=choices, usage=Usage(input_tokens=1, output_tokens=1))
    assert noted(DIALECT.render_response(response, Context())) == [("choices[1]", "dropped")]


def test_what_a_provider_ran_is_shown() -> None:
    rendered = tell(
        ServerToolCall("s1", "web_search", '{"query":"q"}'),
        ServerToolResult("s1", "web_search", [{"url": "https://example.com"}]),
        ServerToolResult("s2", "mcp", "words"),
        Refusal("No."),
        Media("image", Base64(PIXEL), "image/png"),
        Json({"a": 1}),
    )
    assert rendered.value["output"]["message"]["content"] == [
        {
            "toolUse": {
                "toolUseId": "s1",
                "name": "nova_grounding",
                "input": {"query": "q"},
                "type": "server_tool_use",
            }
        },
        {
            "toolResult": {
                "toolUseId": "s1",
                "type": "web_search_result",
                "content": [{"json": [{"url": "https://example.com"}]}],
            }
        },
        {"toolResult": {"toolUseId": "s2", "type": "mcp_result", "content": [{"text": "words"}]}},
        {"text": "No."},
        {"image": {"format": "png", "source": {"bytes": PIXEL}}},
        {"text": '{"a":1}'},
    ]
    assert noted(rendered) == [("choices[0].parts[3]", "changed")]


SIGNED: tuple[Part, ...] = (
    Thinking("Hm.", signature=GEMINI),
    Thinking("Ho.", signature=Signature("enc", "openai"), id="rs_1"),
    Thinking(signature=Signature("enc", "openai"), redacted=True, id="rs_2"),
    ToolCall("call_1", "look_up", {}, signature=GEMINI),
    Text("Bye", signature=GEMINI),
)


def test_signatures_of_any_origin_survive_a_client_of_converse() -> None:
    """The client sends its history back as it got it, and the proofs reach whoever made them."""
    rendered = tell(*SIGNED, stop_reason="tool_calls")
    assert rendered.notes == ()
    message = rendered.value["output"]["message"]
    history = DIALECT.parse_request({"messages": [message]}, PathMatch("m"))
    assert history.messages[0].parts == SIGNED
    assert DIALECT.render_request(history, DEFAULT_PROFILE).value == {"messages": [message]}
    assert DIALECT.parse_response(rendered.value, NO_MEMO).choices[0].parts == SIGNED


def envelope(text: str) -> dict[str, Any]:
    return {"reasoningContent": {"redactedContent": b64encode(text.encode()).decode()}}


@pytest.mark.parametrize(
    "content",
    [
        [envelope("gemini>::sig")],
        [envelope("gemini>::sig"), {"toolResult": {"toolUseId": "t", "content": []}}],
        [envelope("gemini<::sig"), {"text": "first"}],
        [{"text": "a"}, {"cachePoint": {"type": "default"}}, envelope("gemini<::sig")],
        [{"text": "a"}, envelope("gemini<::one"), envelope("gemini<::two")],
        [{"text": "a"}, envelope("gemini<::sig")],
        [envelope("gemini>::sig"), {"cachePoint": {"type": "default"}}, {"text": "a"}],
        [envelope("gemini>::one"), envelope("gemini>::two"), {"text": "a"}],
        [{**envelope("gemini>::sig"), "sibling": 1}, {"text": "a"}],
        [{**envelope("gemini::sig"), "sibling": 1}],
        [envelope("openai:rs_1:a:b:c"), envelope("nobody:x:y"), envelope("gemini:no second colon")],
        [{"reasoningContent": {"reasoningText": {"text": "t", "signature": "gemini>::sig"}}}],
        [{"reasoningContent": {"reasoningText": {"text": "t", "signature": "openai:rs_1:enc"}}}],
    ],
)
def test_envelopes_in_odd_places_come_back_as_they_were(content: list[dict[str, Any]]) -> None:
    for role in ("user", "assistant"):
        body = {"messages": [{"role": role, "content": content}]}
        assert DIALECT.render_request(DIALECT.parse_request(body, PathMatch("m")), DEFAULT_PROFILE).value == body


def test_calls_without_ids_get_one_from_the_answers_id() -> None:
    rendered = tell(ToolCall(None, "look_up", {}), id="abc")
    assert rendered.value["output"]["message"]["content"][0]["toolUse"]["toolUseId"] == "call_abc_0"


def test_the_renderers_leave_what_they_are_given_alone() -> None:
    request = foreign_request(messages=(ASK, Message("assistant", (CALL,))), metadata={"a": "b"})
    before: Request = replace(request)
    DIALECT.render_request(request, DEFAULT_PROFILE)
    assert request == before
